"""What a metric is: its definition, and a pure function of one run's record and samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynamometer.analysis.stats import quantile
from dynamometer.domain.experiment import Workload
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo

NOT_ENOUGH = "not enough data: "
NEEDED = {0.95: 100, 0.99: 500}
"""Samples that a percentile needs before we print it; fewer, and it is little more than the maximum."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a meter's value comes from. Values of unlike origins never average."""

    kind: Literal["measured", "estimated", "simulated"]
    sensor: str
    scope: str | None
    """What it covers."""

    def __str__(self) -> str:
        return f"{self.kind} by {self.sensor}" + (f" ({self.scope})" if self.scope else "")


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of one metric in one run. ``value`` is None when there is none, and ``missing`` says why."""

    value: float | None
    samples: int = 0
    """Requests (of ITL: intervals; of meters: readings) behind it."""
    missing: str | None = None
    origin: Origin | None = None
    """Of a meter's value whose sensor must be told; also where something else kept it from being one."""


Compute = Callable[[Record, Sequence[Sample]], Measured]
OfRequests = Callable[[Workload, Sequence[Sample]], Measured]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the table."""

    info: MetricInfo
    compute: Compute
    of_requests: OfRequests | None = None
    """Its value from what was asked and what came of it alone, in a run that gave no record; None: it has none there.
    """


def absent(reason: str, samples: int = 0) -> Measured:
    """No value, and why."""
    return Measured(None, samples, reason)


def percentile(values: Sequence[float] | NDArray[np.float64], q: float, of: str) -> Measured:
    """The ``q`` quantile of ``values``, or "not enough data" with how many there are of how many it takes."""
    needed = NEEDED.get(q, 1)
    if len(values) >= needed:
        return Measured(quantile(values, q), len(values))
    if not len(values):
        return absent(f"no {of} to take it from")
    return absent(f"{NOT_ENOUGH}{len(values)} of {needed} {of}", len(values))
