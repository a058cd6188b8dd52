"""One request read as latencies, in milliseconds as the client saw them; None where a definition does not apply."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dynamometer.domain.record import Sample
from dynamometer.domain.units import NS_PER_MS


def in_window(samples: Sequence[Sample]) -> list[Sample]:
    """Requests of the window, good and bad. The cold request and the warm-up never count."""
    return [sample for sample in samples if sample.phase == "window"]


def whole(samples: Sequence[Sample]) -> list[Sample]:
    """Requests of the window that were answered whole; only these have latencies."""
    return [sample for sample in in_window(samples) if sample.error is None]


def ttft_ms(sample: Sample) -> float | None:
    """First event that carries a token minus last byte sent."""
    return (sample.arrivals_ns[0] - sample.sent_ns) / NS_PER_MS if sample.arrivals_ns else None


def e2e_ms(sample: Sample) -> float | None:
    """Last event that carries a token minus last byte sent; of an answer without events, its last byte."""
    last = sample.arrivals_ns[-1] if sample.arrivals_ns else sample.ended_ns
    return (last - sample.sent_ns) / NS_PER_MS if last is not None else None


def scheduled_e2e_ms(sample: Sample) -> float | None:
    """The end of E2E minus the scheduled time; None in a closed loop, which has no schedule."""
    latency, due_ns = e2e_ms(sample), sample.scheduled_ns
    return latency + (sample.sent_ns - due_ns) / NS_PER_MS if latency is not None and due_ns is not None else None


def scheduled_ttft_ms(sample: Sample) -> float | None:
    """First event that carries a token minus the scheduled time; None in a closed loop."""
    latency, due_ns = ttft_ms(sample), sample.scheduled_ns
    return latency + (sample.sent_ns - due_ns) / NS_PER_MS if latency is not None and due_ns is not None else None


def tpot_ms(sample: Sample) -> float | None:
    """(E2E - TTFT) / (tokens - 1); None for one token and for unknown counts."""
    tokens = sample.output_tokens
    if not sample.arrivals_ns or tokens is None or tokens < 2:
        return None
    return (sample.arrivals_ns[-1] - sample.arrivals_ns[0]) / NS_PER_MS / (tokens - 1)


def itls_ms(sample: Sample) -> NDArray[np.float64] | None:
    """Gaps between consecutive events, each divided by the tokens in the later one; None when these are unknown.

    An array: a run has millions of them.
    """
    arrivals, tokens = sample.arrivals_ns, sample.event_tokens
    if tokens is None or len(tokens) != len(arrivals) or min(tokens, default=1) < 1:
        return None
    return np.diff(np.array(arrivals, np.int64)) / NS_PER_MS / np.array(tokens[1:], np.int64)
