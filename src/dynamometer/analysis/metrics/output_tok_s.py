"""Output throughput."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.metrics.tokens import finished
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """Tokens finished / length of the window."""
    done = finished(record, samples)
    if done.tokens is None:
        return absent(done.missing or "token counts are unknown", done.requests)
    if record.window.seconds <= 0:
        return absent("the window has no length", done.requests)
    return Measured(done.tokens / record.window.seconds, done.requests)


METRIC = Metric(
    MetricInfo(
        key="output_tok_s",
        title="Throughput",
        unit="tok/s",
        better="higher",
        statistic="count in the window / its length",
        description="Output tokens that arrived in the window, of requests answered whole / length of the window. "
        "Prompt tokens do not count; an answer in flight at the end counts with what had arrived, by an even share of "
        "its tokens where its events do not tell theirs. Tokens after a finish reason count, as in the server's usage. "
        "The window is one for all requests, from the first byte sent "
        "to the last answer.",
    ),
    compute,
)
