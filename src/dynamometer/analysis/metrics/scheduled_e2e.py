"""End-to-end latency from the scheduled time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dynamometer.analysis.metrics.base import Measured, Metric, absent, percentile
from dynamometer.analysis.samples import scheduled_e2e_ms, whole
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo

CLOSED = "a closed loop schedules nothing"


def compute(record: Record, samples: Sequence[Sample], *, q: float = 0.5) -> Measured:
    """A quantile over requests."""
    if not record.experiment.workload.load.is_open:
        return absent(CLOSED)
    return percentile([ms for sample in whole(samples) if (ms := scheduled_e2e_ms(sample)) is not None], q, "requests")


def _metric(key: str, title: str, which: str, q: float) -> Metric:
    description = (
        "Open loop only: t_n - t_scheduled: last event with a token, minus the time at which the request was due. It "
        f"holds what a late client hides from E2E. {which} over requests."
    )
    statistic = f"{which.lower()} over requests"
    info = MetricInfo(key=key, title=title, unit="ms", better="lower", statistic=statistic, description=description)
    return Metric(info, partial(compute, q=q))


MEDIAN = _metric("scheduled_e2e_ms", "Scheduled E2E p50", "Median", 0.5)
P95 = _metric("scheduled_e2e_p95_ms", "Scheduled E2E p95", "95th percentile", 0.95)
