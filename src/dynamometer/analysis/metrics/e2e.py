"""End-to-end latency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dynamometer.analysis.metrics.base import Measured, Metric, percentile
from dynamometer.analysis.samples import e2e_ms, whole
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample], *, q: float = 0.5) -> Measured:
    """A quantile over requests."""
    del record
    return percentile([ms for sample in whole(samples) if (ms := e2e_ms(sample)) is not None], q, "requests")


def _metric(key: str, title: str, which: str, q: float) -> Metric:
    description = (
        "t_n - t_send: last event with a token, minus last byte of the request sent. Tokens that come after a finish "
        f"reason count; what comes after the end mark does not. {which} over requests."
    )
    statistic = f"{which.lower()} over requests"
    info = MetricInfo(key=key, title=title, unit="ms", better="lower", statistic=statistic, description=description)
    return Metric(info, partial(compute, q=q))


MEDIAN = _metric("e2e_ms", "E2E p50", "Median", 0.5)
P95 = _metric("e2e_p95_ms", "E2E p95", "95th percentile", 0.95)
