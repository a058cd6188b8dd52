"""The metrics, one file each. A new one is a new file and a line in ``METRICS``."""

from __future__ import annotations

from dynamometer.analysis.metrics import (
    cold_ttft,
    e2e,
    energy,
    error_share,
    goodput,
    itl,
    load,
    output_tok_s,
    peak_rss,
    prompt_tokens,
    requests_s,
    scheduled_e2e,
    scheduled_ttft,
    tpot,
    ttft,
)
from dynamometer.analysis.metrics.base import Measured, Metric

METRICS: tuple[Metric, ...] = (
    output_tok_s.METRIC,
    requests_s.METRIC,
    ttft.MEDIAN,
    ttft.P95,
    ttft.P99,
    scheduled_ttft.MEDIAN,
    scheduled_ttft.P95,
    itl.MEDIAN,
    itl.P99,
    tpot.METRIC,
    e2e.MEDIAN,
    e2e.P95,
    scheduled_e2e.MEDIAN,
    scheduled_e2e.P95,
    goodput.METRIC,
    peak_rss.METRIC,
    energy.TOTAL,
    energy.PER_TOKEN,
    load.METRIC,
    cold_ttft.METRIC,
    error_share.METRIC,
    prompt_tokens.METRIC,
)
"""All metrics, in the order of the table."""

__all__ = ["METRICS", "Measured", "Metric"]
