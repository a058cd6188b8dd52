"""Request throughput."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.metrics.tokens import finished
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """Requests finished / length of the window."""
    done = finished(record, samples)
    if record.window.seconds <= 0:
        return absent("the window has no length", done.requests)
    return Measured(done.requests / record.window.seconds, done.requests)


METRIC = Metric(
    MetricInfo(
        key="requests_s",
        title="Requests",
        unit="1/s",
        better="higher",
        statistic="count in the window / its length",
        description="Requests finished whole in the window / length of the window.",
    ),
    compute,
)
