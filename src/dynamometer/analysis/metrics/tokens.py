"""Tokens finished in the window: what throughput and energy per token both divide by or into."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from dynamometer.analysis.samples import whole
from dynamometer.domain.record import Record, Sample


@dataclass(frozen=True, slots=True)
class Finished:
    """Requests answered whole by the end of the window, and output tokens finished by then (None: some are unknown).

    Where a duration ends the window, requests still in flight have finished tokens too: those that had arrived. Leaving
    them out would make short windows look slow. Without streaming their tokens are not seen and do not count.
    """

    requests: int
    tokens: int | None
    missing: str | None = None


def finished(record: Record, samples: Sequence[Sample]) -> Finished:
    """What was finished within the window."""
    end = record.window.end_ns
    done = [sample for sample in whole(samples) if sample.ended_ns is not None and sample.ended_ns <= end]
    in_flight = [sample for sample in whole(samples) if sample.ended_ns is not None and sample.ended_ns > end]
    counts = [*(sample.output_tokens for sample in done), *(arrived(sample, end) for sample in in_flight)]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        unknown = len(counts) - len(known)
        return Finished(len(done), None, f"the number of tokens is unknown for {unknown} of {len(counts)} requests")
    return Finished(len(done), sum(known))


def arrived(sample: Sample, end_ns: int) -> int | None:
    """Tokens of a streamed answer that had arrived by ``end_ns``; None when nobody tells how many it has.

    Where the server tells all of them, but not those of each event, each counts as many as another.
    """
    events = bisect_right(sample.arrivals_ns, end_ns)
    if sample.event_tokens is not None:
        return sum(sample.event_tokens[:events])
    total, all_events = sample.output_tokens, len(sample.arrivals_ns)
    if not all_events:
        return 0
    return round(total * events / all_events) if total is not None else None
