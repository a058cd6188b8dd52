"""Inter-token latency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from dynamometer.analysis.metrics.base import Measured, Metric, absent, percentile
from dynamometer.analysis.metrics.ttft import NOT_STREAMED
from dynamometer.analysis.samples import itls_ms, whole
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo

FORMULA = (
    "t_{i+1} - t_i between consecutive events with tokens, divided by the tokens in the later event. {} over all "
    "such intervals of all requests, never over means of requests, which would hide stalls."
)


def compute(record: Record, samples: Sequence[Sample], *, q: float = 0.5) -> Measured:
    """A quantile over the intervals of all requests."""
    if not record.experiment.workload.streaming:
        return absent(NOT_STREAMED)
    per_request = [itls_ms(sample) for sample in whole(samples)]
    if unknown := sum(intervals is None for intervals in per_request):
        return absent(f"tokens per event are unknown for {unknown} of {len(per_request)} requests")
    known = [intervals for intervals in per_request if intervals is not None]
    return percentile(np.concatenate(known) if known else (), q, "intervals")


def _metric(key: str, title: str, which: str, q: float) -> Metric:
    description = FORMULA.replace("{}", which)
    statistic = f"{which.lower()} over gaps between tokens"
    info = MetricInfo(key=key, title=title, unit="ms", better="lower", statistic=statistic, description=description)
    return Metric(info, partial(compute, q=q))


MEDIAN = _metric("itl_ms", "ITL p50", "Median", 0.5)
P99 = _metric("itl_p99_ms", "ITL p99", "99th percentile", 0.99)
