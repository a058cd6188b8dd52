"""Share of requests that went wrong."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.samples import in_window
from dynamometer.domain.experiment import Workload
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """Share of the window's requests."""
    return of_requests(record.experiment.workload, samples)


def of_requests(workload: Workload, samples: Sequence[Sample]) -> Measured:
    """The same without a record."""
    del workload
    sent = in_window(samples)
    if not sent:
        return absent("no request in the window")
    return Measured(sum(sample.error is not None for sample in sent) / len(sent), len(sent))


METRIC = Metric(
    MetricInfo(
        key="error_share",
        title="Errors",
        unit="share",
        better="lower",
        statistic="share of the window's requests",
        description="Requests of the window refused, cut off, empty, answered with an error, or due and never "
        "sent / requests of the window. They count here and nowhere else.",
    ),
    compute,
    of_requests,
)
