"""Time to first token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dynamometer.analysis.metrics.base import Measured, Metric, absent, percentile
from dynamometer.analysis.samples import ttft_ms, whole
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo

NOT_STREAMED = "the workload does not stream"
FORMULA = (
    "t_1 - t_send: arrival of the first event with at least one token, minus last byte of the request sent. "
    "An event with a role and no token is not a first token."
)


def compute(record: Record, samples: Sequence[Sample], *, q: float = 0.5) -> Measured:
    """A quantile over requests."""
    if not record.experiment.workload.streaming:
        return absent(NOT_STREAMED)
    return percentile([ms for sample in whole(samples) if (ms := ttft_ms(sample)) is not None], q, "requests")


def _metric(key: str, title: str, which: str, q: float) -> Metric:
    description, statistic = f"{FORMULA} {which} over requests.", f"{which.lower()} over requests"
    info = MetricInfo(key=key, title=title, unit="ms", better="lower", statistic=statistic, description=description)
    return Metric(info, partial(compute, q=q))


MEDIAN = _metric("ttft_ms", "TTFT p50", "Median", 0.5)
P95 = _metric("ttft_p95_ms", "TTFT p95", "95th percentile", 0.95)
P99 = _metric("ttft_p99_ms", "TTFT p99", "99th percentile", 0.99)
