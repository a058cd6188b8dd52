"""Time to first token of the first request after the engine's start."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.metrics.ttft import NOT_STREAMED
from dynamometer.analysis.samples import ttft_ms
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """TTFT of the cold request."""
    if not record.experiment.workload.streaming:
        return absent(NOT_STREAMED)
    cold = next((sample for sample in samples if sample.phase == "cold"), None)
    if cold is None:
        return absent("no cold request was sent")
    if cold.error is not None:
        return absent(f"the cold request failed: {cold.error}")
    value = ttft_ms(cold)
    return Measured(value, 1) if value is not None else absent("the cold request brought no token")


METRIC = Metric(
    MetricInfo(
        key="cold_ttft_ms",
        title="Cold TTFT",
        unit="ms",
        better="lower",
        statistic="the run's very first request",
        description="TTFT of the very first request after the engine's start, which no other metric includes.",
    ),
    compute,
)
