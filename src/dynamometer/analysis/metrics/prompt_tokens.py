"""Length of the prompts, as the server counts it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.samples import whole
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """Mean over the answers that tell it. Servers that leave cached tokens out of the count tell less."""
    del record
    told = [s.usage.prompt_tokens for s in whole(samples) if s.usage is not None and s.usage.prompt_tokens is not None]
    return Measured(fmean(told), len(told)) if told else absent("the server does not tell how long prompts are")


METRIC = Metric(
    MetricInfo(
        key="prompt_tokens",
        title="Prompt",
        unit="tokens",
        better="neither",
        statistic="mean over requests",
        description="Mean prompt tokens of whole answers by the server's count, with what the model's chat template "
        "adds to the text.",
    ),
    compute,
)
