"""Tokens finished in the window: what throughput and energy per token both divide by or into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynamometer.analysis.samples import whole
from dynamometer.domain.record import Record, Sample


@dataclass(frozen=True, slots=True)
class Finished:
    """Requests answered whole by the end of the window, and their output tokens (None: some counts are unknown)."""

    requests: int
    tokens: int | None
    missing: str | None = None


def finished(record: Record, samples: Sequence[Sample]) -> Finished:
    """What was finished within the window."""
    done = [s for s in whole(samples) if s.ended_ns is not None and s.ended_ns <= record.window.end_ns]
    counts = [sample.output_tokens for sample in done]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        unknown = len(counts) - len(known)
        return Finished(len(done), None, f"the number of tokens is unknown for {unknown} of {len(counts)} requests")
    return Finished(len(done), sum(known))
