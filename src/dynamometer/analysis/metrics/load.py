"""Load time."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo
from dynamometer.domain.units import NS_PER_S


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """Seconds, as the worker saw them."""
    del samples
    if record.engine.load_ns is None:
        return absent("the engine was running before")
    return Measured(record.engine.load_ns / NS_PER_S, 1)


METRIC = Metric(
    MetricInfo(
        key="load_s",
        title="Load time",
        unit="s",
        better="lower",
        statistic="one value per run",
        description="From the start of the engine's process to its first good health answer.",
    ),
    compute,
)
