"""Time per output token."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent, percentile
from dynamometer.analysis.metrics.ttft import NOT_STREAMED
from dynamometer.analysis.samples import tpot_ms, whole
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """Median over requests that have one."""
    if not record.experiment.workload.streaming:
        return absent(NOT_STREAMED)
    values = [ms for sample in whole(samples) if (ms := tpot_ms(sample)) is not None]
    return percentile(values, 0.5, "requests with a known count of two tokens or more")


METRIC = Metric(
    MetricInfo(
        key="tpot_ms",
        title="TPOT p50",
        unit="ms",
        better="lower",
        statistic="median over requests",
        description="(E2E - TTFT) / (tokens - 1) of each request; a request with one token has none. "
        "Median over requests.",
    ),
    compute,
)
