"""Time to first token from the scheduled time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dynamometer.analysis.metrics.base import Measured, Metric, absent, percentile
from dynamometer.analysis.metrics.scheduled_e2e import CLOSED
from dynamometer.analysis.metrics.ttft import NOT_STREAMED
from dynamometer.analysis.samples import scheduled_ttft_ms, whole
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample], *, q: float = 0.5) -> Measured:
    """A quantile over requests."""
    if not record.experiment.workload.load.is_open:
        return absent(CLOSED)
    if not record.experiment.workload.streaming:
        return absent(NOT_STREAMED)
    return percentile([ms for sample in whole(samples) if (ms := scheduled_ttft_ms(sample)) is not None], q, "requests")


def _metric(key: str, title: str, which: str, q: float) -> Metric:
    description = (
        "Open loop only: t_1 - t_scheduled: first event with a token, minus the time at which the request was due. It "
        f"holds the wait before the send, which TTFT hides. {which} over requests."
    )
    statistic = f"{which.lower()} over requests"
    info = MetricInfo(key=key, title=title, unit="ms", better="lower", statistic=statistic, description=description)
    return Metric(info, partial(compute, q=q))


MEDIAN = _metric("scheduled_ttft_ms", "Scheduled TTFT p50", "Median", 0.5)
P95 = _metric("scheduled_ttft_p95_ms", "Scheduled TTFT p95", "95th percentile", 0.95)
