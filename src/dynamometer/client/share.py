"""One process's share of a load, from its first connection to its exchanges with monotonic stamps."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

from dynamometer.client.clock import Arrivals, Converter
from dynamometer.client.exchange import Exchange, Pieces, Request
from dynamometer.client.loop import Limits, Loop, RawExchange, Stop
from dynamometer.client.stamps import Address
from dynamometer.client.tls import secured
from dynamometer.load.arrivals import Pace

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """What a process has to do, apart from the requests."""

    host: str
    address: Address
    pace: Pace
    stop: Stop
    limits: Limits
    slots: int
    """Most requests in flight."""
    connect: int
    """Connections to open ahead."""
    ready: int
    """Requests to make before the window; those after them are made when they are needed."""
    stamped: bool
    """Whether to ask the kernel for stamps."""
    tls: bool
    hangs_up: bool
    """Whether the server is known to close connections that it promised to keep."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a process saw. Times are monotonic nanoseconds, which all processes of a host share."""

    exchanges: tuple[Exchange, ...]
    unsent: tuple[tuple[int, int], ...]
    """Place and due time of requests of an open loop that were never sent."""
    begin_ns: int
    end_ns: int
    lags_ns: array[int]
    """Delay from arrival to read of each read with a good kernel stamp, in no order."""
    clock_steps: int
    """Wakes at which the wall clock was stepped."""
    cpu_ns: int
    wakes: int
    reads: int
    nice: int
    connections: int
    held: int
    gave_up: str | None
    overdue: bool
    """It gave up at the deadline, not because nobody could be reached."""
    was_interrupted: bool
    hangs_up: bool


def run_share(
    task: Task,
    requests: Iterable[Request],
    places: Iterable[int],
    *,
    opening: Callable[[], int],
    on_close: Callable[[], None],
    interrupted: Callable[[], bool],
) -> Share:
    """Send those of the ``requests`` that stand at ``places`` (ascending, from 0), and keep all that comes back.

    For ``opening``, ``on_close`` and ``interrupted`` see ``Loop``.
    """
    numbered, places = enumerate(requests), iter(places)
    made = list(islice(numbered, task.ready))
    loop = Loop(
        task.address,
        standing_at(places, chain(made, numbered)),
        task.pace,
        task.stop,
        task.limits,
        slots=task.slots,
        connect=task.connect,
        stamped=task.stamped,
        tls=secured(task.host) if task.tls else None,
        interrupted=interrupted,
        hangs_up=task.hangs_up,
    )
    loop.run(opening, on_close)
    reads, converter = loop.reads, Converter(loop.wakes, stamped=task.stamped)
    exchanges: list[Exchange] = []
    lags_ns, unsure, end_ns = array("q"), set[int](), loop.begin_ns
    for raw in loop.exchanges:
        times = converter.arrivals(raw.raw_reads(), raw.sent_ns)
        exchanges.append(_exchange(raw, times))
        lags_ns.extend(times.lags_ns)
        unsure |= times.fallback_wakes
        end_ns = max(end_ns, _end(raw, times))
        raw.reads.clear()  # a window may have millions
    lasts = task.stop.duration_ns is not None or loop.was_interrupted
    return Share(
        exchanges=tuple(exchanges),
        unsent=tuple(zip(places, loop.unsent_ns, strict=False)) if loop.unsent_ns else (),
        begin_ns=loop.begin_ns,
        end_ns=loop.end_ns if lasts else end_ns,
        lags_ns=lags_ns,
        clock_steps=len(unsure),
        cpu_ns=loop.cpu_ns,
        wakes=len(loop.wakes.before_ns),
        reads=reads,
        nice=loop.nice,
        connections=loop.connections,
        held=loop.held,
        gave_up=loop.gave_up,
        overdue=loop.overdue,
        was_interrupted=loop.was_interrupted,
        hangs_up=loop.hangs_up,
    )


def standing_at(places: Iterable[int], numbered: Iterable[tuple[int, T]]) -> Iterator[tuple[int, T]]:
    """Those that stand at the ascending places. A place is drawn when its turn comes, not before."""
    numbered, before = iter(numbered), -1
    for wanted in places:
        assert wanted > before, f"place {wanted} after {before}"
        before = wanted
        for place, one in numbered:
            if place == wanted:
                yield place, one
                break
        else:
            return


def _exchange(raw: RawExchange, times: Arrivals) -> Exchange:
    return Exchange(
        id=raw.request.id,
        place=raw.place,
        sent_ns=raw.sent_ns,
        pieces=Pieces(raw.data, raw.ends(), times.arrivals_ns),
        end=raw.end,
        detail=raw.detail,
        resent=raw.resent,
        scheduled_ns=raw.scheduled_ns,
    )


def _end(raw: RawExchange, times: Arrivals) -> int:
    """When an exchange ended: with its last byte, if that was the end of it."""
    return times.arrivals_ns[-1] if raw.end == "complete" and times.arrivals_ns else raw.ended_ns
