"""One run in numbers: every metric, and what its samples tell of their own trustworthiness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynamometer.analysis.metrics import METRICS, Measured
from dynamometer.analysis.samples import in_window, whole
from dynamometer.domain.experiment import Experiment, Workload, run_id
from dynamometer.domain.record import Oddity, Record, Sample


@dataclass(frozen=True, slots=True)
class Observed:
    """Counts over the samples of the window that doubts are made of."""

    requests: int
    """Requests of the window."""
    errors: Mapping[str, int]
    """Of these, gone wrong, by kind."""
    events: int
    """Events with tokens, of whole answers."""
    merged: int
    """Of these events, arrived at once with another of their stream."""
    short: int
    """Whole answers with fewer tokens than asked although the end of text was to be ignored."""
    mismatched: int
    """Whole answers whose usage and events tell token counts that cannot both be true."""
    worst_mismatch: tuple[int, int] | None
    """The one of these that is furthest apart: tokens by its usage, and events with tokens."""
    odd: Mapping[Oddity, tuple[int, int]]
    """Whole answers that did something odd, by what it was, and their events that did."""
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
        observed=_observe(record.experiment.workload, samples),
    )


def measure_lost(experiment: Experiment, cycle: int, samples: Sequence[Sample]) -> RunMetrics:
    """A run that gave no record: the requests of its window count among errors and in goodput, and nowhere else."""
    return RunMetrics(
        run_id=run_id(experiment.id, cycle),
        experiment_id=experiment.id,
        cycle=cycle,
        values={
            metric.info.key: metric.of_requests(experiment.workload, samples) if metric.of_requests else Measured(None)
            for metric in METRICS
        },
        observed=_observe(experiment.workload, samples),
    )


def _observe(workload: Workload, samples: Sequence[Sample]) -> Observed:
    sent, good = in_window(samples), whole(samples)
    cached = [s.usage.cached_tokens for s in sent if s.usage is not None and s.usage.cached_tokens]
    known = [tokens for sample in good if (tokens := sample.output_tokens) is not None]
    mismatched = [pair for sample in good if (pair := _mismatch(sample)) is not None]
    return Observed(
        requests=len(sent),
        errors=Counter(sample.error for sample in sent if sample.error is not None),
        events=sum(len(sample.arrivals_ns) for sample in good),
        merged=sum(sample.merged for sample in good),
        short=sum(_is_short(sample, workload) for sample in good) if workload.ignore_eos else 0,
        mismatched=len(mismatched),
        worst_mismatch=max(mismatched, key=lambda pair: abs(pair[0] - pair[1]), default=None),
        odd=_oddities(good),
        resent=sum(sample.resent for sample in sent),
        cached=len(cached),
        cached_tokens=sum(cached),
        good=len(good),
        output_tokens=sum(known) if len(known) == len(good) else None,
    )


def _oddities(good: Sequence[Sample]) -> dict[Oddity, tuple[int, int]]:
    found: dict[Oddity, tuple[int, int]] = {}
    for sample in good:
        for kind, count in sample.odd.items():
            answers, events = found.get(kind, (0, 0))
            found[kind] = (answers + 1, events + count)
    return found


def _is_short(sample: Sample, workload: Workload) -> bool:
    fixed = workload.max_output_tokens if isinstance(workload.max_output_tokens, int) else None
    asked = sample.max_tokens or fixed
    return sample.output_tokens is not None and asked is not None and sample.output_tokens < asked


def _mismatch(sample: Sample) -> tuple[int, int] | None:
    """Tokens by the usage, and events with tokens, where they contradict each other.

    Fewer tokens in the usage than events with tokens, more than were asked for, or another sum than the events' own. A
    server may count the token that ended the text, which no event carries.
    """
    told, events = sample.usage.completion_tokens if sample.usage is not None else None, len(sample.arrivals_ns)
    if told is None or not events:
        return None
    unseen = told - (events if sample.event_tokens is None else sum(sample.event_tokens))
    if sample.event_tokens is None:
        is_odd = unseen < 0
    else:
        is_odd = unseen != 0 and not (unseen == 1 and sample.finish != "length")
    return (told, events) if is_odd or (sample.max_tokens is not None and told > sample.max_tokens) else None
