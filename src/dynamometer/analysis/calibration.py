"""The arithmetic of a calibration: what the client says against what the server truly did."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dynamometer.domain.calibration import NEEDED_FOR_P99, CalibrationLevel, Clock, Spread
from dynamometer.domain.record import ClientHealth, Sample, Window

NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class TrueTimes:
    """What the server did for one request, in nanoseconds of the monotonic clock it shares with the client."""

    due_ns: Sequence[int]
    """When each event was due."""
    sends_ns: Sequence[int]
    """Right before each event was handed to the kernel: what an error is measured against."""
    returns_ns: Sequence[int]
    """Right after."""
    blocked: int
    """Events that the kernel did not take at once, so that their true times are not known."""
    cpu_ns: tuple[int, int]
    """CPU time of the server's process at the begin and at the end of the answer; 0 where it did not end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a level asked for, and the circumstances."""

    streams: int
    rate: float
    tokens: int
    at: str
    load_1m: float | None
    quick: bool = False


@dataclass(slots=True)
class _Sums:
    first: array[int] = field(default_factory=lambda: array("q"))
    gaps: array[float] = field(default_factory=lambda: array("d"))
    late: array[int] = field(default_factory=lambda: array("q"))
    calls: array[int] = field(default_factory=lambda: array("q"))
    outside: array[int] = field(default_factory=lambda: array("q"))
    cpu: list[tuple[int, int, int, int]] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    requests: int = 0
    short: int = 0
    bad: int = 0
    events: int = 0
    in_window: int = 0
    merged: int = 0


def level(
    asked: Asked,
    pairs: Iterable[tuple[Sample, TrueTimes | None]],
    health: ClientHealth,
    window: Window,
    short: Iterable[tuple[Sample, TrueTimes | None]] = (),
) -> CalibrationLevel:
    """One level from its samples, each with the true times of the same request, and the client's health.

    ``short`` are those of requests that were sent for their first event only.
    """
    sums = _Sums()
    for sample, truth in pairs:
        _add(sums, sample, truth, window)
    for sample, truth in short:
        _add_first(sums, sample, truth)
    clock: Clock = "kernel" if health.clock == "kernel" else "user"
    return CalibrationLevel(
        streams=asked.streams,
        rate=asked.rate,
        tokens=asked.tokens,
        at=asked.at,
        load_1m=asked.load_1m,
        clock=clock,
        processes=health.processes,
        requests=sums.requests,
        short_requests=sums.short,
        quick=asked.quick,
        bad=sums.bad,
        ttft_error_ms=spread(sums.first),
        itl_error_ms=spread(sums.gaps),
        merged_share=sums.merged / sums.events if sums.events else None,
        cpu_s_per_1000=1000 * health.cpu_s / sums.in_window if sums.in_window else None,
        events_s=sums.in_window / window.seconds if window.seconds > 0 else None,
        held_share=held_share(sums.spans, asked.streams),
        lag_p99_ms=health.lag_p99_ms,
        server_late_ms=spread(sums.late),
        server_send_ms=spread(sums.calls),
        unexplained_ms=spread(sums.outside),
        server_cpu_share=_cpu_share(sums.cpu),
    )


def _add(sums: _Sums, sample: Sample, truth: TrueTimes | None, window: Window) -> None:
    sums.requests += 1
    if sample.ended_ns is not None:
        sums.spans.append((sample.sent_ns, sample.ended_ns))
    sums.events += len(sample.arrivals_ns)
    sums.in_window += sum(arrival <= window.end_ns for arrival in sample.arrivals_ns)
    sums.merged += sample.merged
    if truth is None or not _alike(sample, truth):
        sums.bad += 1
        return
    errors = [seen - sent for seen, sent in zip(sample.arrivals_ns, truth.sends_ns, strict=True)]
    tokens = sample.event_tokens or (1,) * len(errors)
    sums.first.append(errors[0])
    sums.gaps.extend(
        (after - before) / count for (before, after), count in zip(pairwise(errors), tokens[1:], strict=True)
    )
    sums.late.extend(sent - due for sent, due in zip(truth.sends_ns, truth.due_ns, strict=True))
    sums.calls.extend(back - sent for back, sent in zip(truth.returns_ns, truth.sends_ns, strict=True))
    sums.outside.extend(
        max(0, sent - seen, seen - back)
        for seen, sent, back in zip(sample.arrivals_ns, truth.sends_ns, truth.returns_ns, strict=True)
    )
    if truth.cpu_ns[1]:
        sums.cpu.append((truth.sends_ns[0], truth.sends_ns[-1], *truth.cpu_ns))


def _add_first(sums: _Sums, sample: Sample, truth: TrueTimes | None) -> None:
    sums.short += 1
    if truth is None or not _alike(sample, truth):
        sums.bad += 1
        return
    sums.first.append(sample.arrivals_ns[0] - truth.sends_ns[0])


def _alike(sample: Sample, truth: TrueTimes) -> bool:
    """Whether the events that were seen are those that were sent."""
    whole = sample.error is None and not truth.blocked
    return whole and 0 < len(truth.sends_ns) == len(sample.arrivals_ns)


def spread(values_ns: Sequence[float]) -> Spread:
    """p50, p99 (nearest rank; None of too few) and maximum of the magnitudes, in ms."""
    ordered = sorted(map(abs, values_ns))
    n = len(ordered)
    if not n:
        return Spread(p50=None, p99=None, max=None, n=0)
    p50, p99 = (ordered[math.ceil(q * n) - 1] / NS_PER_MS for q in (0.5, 0.99))
    return Spread(p50=p50, p99=p99 if n >= NEEDED_FOR_P99 else None, max=ordered[-1] / NS_PER_MS, n=n)


def held_share(spans: Sequence[tuple[int, int]], streams: int) -> float | None:
    """Mean requests in flight from the first send to the last one, as a share of ``streams``.

    After the last send there is nothing left to send, so the fall in flight is no fault. None without two sends.
    """
    begin, end = min((sent for sent, _ in spans), default=0), max((sent for sent, _ in spans), default=0)
    if end <= begin:
        return None
    in_flight = sum(min(ended, end) - sent for sent, ended in spans)
    return in_flight / (end - begin) / streams


def _cpu_share(rows: Sequence[tuple[int, int, int, int]]) -> float | None:
    """CPU time of the server between its first answer's begin and its last one's end, over that time."""
    wall = max((row[1] for row in rows), default=0) - min((row[0] for row in rows), default=0)
    used = max((row[3] for row in rows), default=0) - min((row[2] for row in rows), default=0)
    return used / wall if wall > 0 else None
