"""What a metric is: its definition, and a pure function of one run's record and samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynamometer.analysis.stats import quantile
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo

NOT_ENOUGH = "not enough data: "
NEEDED = {0.95: 100, 0.99: 500}
"""Samples that a percentile needs before we print it; fewer, and it is little more than the maximum."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of one metric in one run. ``value`` is None when there is none, and ``missing`` says why."""

    value: float | None
    samples: int = 0
    """Requests (of ITL: intervals; of meters: readings) behind it."""
    missing: str | None = None


Compute = Callable[[Record, Sequence[Sample]], Measured]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the table."""

    info: MetricInfo
    compute: Compute


def absent(reason: str, samples: int = 0) -> Measured:
    """No value, and why."""
    return Measured(None, samples, reason)


def percentile(values: Sequence[float], q: float, of: str) -> Measured:
    """The ``q`` quantile of ``values``, or "not enough data" with how many there are of how many it takes."""
    needed = NEEDED.get(q, 1)
    if len(values) >= needed:
        return Measured(quantile(values, q), len(values))
    if not values:
        return absent(f"no {of} to take it from")
    return absent(f"{NOT_ENOUGH}{len(values)} of {needed} {of}", len(values))
