"""One run in numbers: every metric, and what its samples tell of their own trustworthiness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynamometer.analysis.metrics import METRICS, Measured
from dynamometer.analysis.samples import in_window, whole
from dynamometer.domain.experiment import Workload
from dynamometer.domain.record import Record, Sample


@dataclass(frozen=True, slots=True)
class Observed:
    """Counts over the samples of the window that doubts are made of."""

    requests: int
    """Requests of the window."""
    errors: int
    """Of these, gone wrong."""
    events: int
    """Events with tokens, of whole answers."""
    merged: int
    """Of these events, arrived at once with another of their stream."""
    short: int
    """Whole answers with fewer tokens than asked although the end of text was to be ignored."""
    mismatched: int
    """Whole answers whose usage and events tell token counts that cannot both be true."""
    resent: int
    """Requests sent a second time."""
    cached: int
    """Requests whose prompt a cache answered in part."""
    cached_tokens: int
    """Prompt tokens that caches answered."""
    good: int
    """Whole answers."""
    output_tokens: int | None
    """Tokens in them; None when the count of one is unknown."""


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """All metrics of one run, and what was observed of its samples."""

    run_id: str
    experiment_id: str
    cycle: int
    values: Mapping[str, Measured]
    """Metric key -> value."""
    observed: Observed


def measure(record: Record, samples: Sequence[Sample]) -> RunMetrics:
    """Every metric of one run. Samples in any order; those outside the window are told apart by their phase."""
    return RunMetrics(
        run_id=record.run_id,
        experiment_id=record.experiment.id,
        cycle=record.cycle,
        values={metric.info.key: metric.compute(record, samples) for metric in METRICS},
        observed=_observe(record, samples),
    )


def _observe(record: Record, samples: Sequence[Sample]) -> Observed:
    workload = record.experiment.workload
    sent, good = in_window(samples), whole(samples)
    cached = [s.usage.cached_tokens for s in sent if s.usage is not None and s.usage.cached_tokens]
    known = [tokens for sample in good if (tokens := sample.output_tokens) is not None]
    return Observed(
        requests=len(sent),
        errors=len(sent) - len(good),
        events=sum(len(sample.arrivals_ns) for sample in good),
        merged=sum(sample.merged for sample in good),
        short=sum(_is_short(sample, workload) for sample in good) if workload.ignore_eos else 0,
        mismatched=sum(map(_is_mismatched, good)),
        resent=sum(sample.resent for sample in sent),
        cached=len(cached),
        cached_tokens=sum(cached),
        good=len(good),
        output_tokens=sum(known) if len(known) == len(good) else None,
    )


def _is_short(sample: Sample, workload: Workload) -> bool:
    fixed = workload.max_output_tokens if isinstance(workload.max_output_tokens, int) else None
    asked = sample.max_tokens or fixed
    return sample.output_tokens is not None and asked is not None and sample.output_tokens < asked


def _is_mismatched(sample: Sample) -> bool:
    """Fewer tokens in the usage than events with tokens, more than were asked for, or another sum than the events' own.

    A server may count the token that ended the text, which no event carries.
    """
    told = sample.usage.completion_tokens if sample.usage is not None else None
    if told is None or not sample.arrivals_ns:
        return False
    if sample.max_tokens is not None and told > sample.max_tokens:
        return True
    if sample.event_tokens is None:
        return told < len(sample.arrivals_ns)
    unseen = told - sum(sample.event_tokens)
    return unseen != 0 and not (unseen == 1 and sample.finish != "length")
