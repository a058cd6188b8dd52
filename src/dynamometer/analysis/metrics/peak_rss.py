"""Peak memory of the engine."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.metrics.readings import best_reading
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """The meter's reading, in 10^6 bytes."""
    del samples
    reading = best_reading(record, "peak_rss", "bytes")
    if reading is None:
        return absent("no memory meter was open")
    if reading.value is None:
        return absent(reading.missing or "the meter gave no value")
    return Measured(reading.value / 1e6, 1)


METRIC = Metric(
    MetricInfo(
        key="peak_rss_mb",
        title="Peak memory",
        unit="MB",
        better="lower",
        statistic="maximum up to the window's end",
        description="Largest resident memory of the engine's processes up to the end of the window; "
        "1 MB is 1,000,000 bytes. Weights that are mapped from a file count as far as they were touched.",
    ),
    compute,
)
