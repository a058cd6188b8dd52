"""The measuring client: send the load, keep every byte with its arrival, say how well that went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from importlib import import_module
from itertools import chain, count

from dynamometer.client.exchange import Exchange, Request, Traffic
from dynamometer.client.loop import Limits, Stop
from dynamometer.client.share import Share, Task, run_share
from dynamometer.client.stamps import KernelStamps, make_room, resolve
from dynamometer.domain.record import ClientHealth, Window
from dynamometer.domain.units import NS_PER_S
from dynamometer.load.arrivals import Pace, closed


def nothing() -> None:
    """A window that nobody watches."""


def never() -> bool:
    """A window that nobody interrupts."""
    return False


def measure(
    host: str,
    port: int,
    requests: Iterable[Request],
    *,
    slots: int,
    stop: Stop,
    pace: Pace | None = None,
    connect: int | None = None,
    ready: int = 1,
    limits: Limits | None = None,
    processes: int = 1,
    on_open: Callable[[], None] = nothing,
    on_close: Callable[[], None] = nothing,
    interrupted: Callable[[], bool] = never,
    kernel_stamps: bool = True,
    tls: bool = False,
    hangs_up: bool = False,
) -> Traffic:
    """Closed loop with ``slots`` requests in flight: the next one is sent when one ends. A ``pace`` says otherwise.

    The window runs from the first send (of an open loop: from the first scheduled time) to the last end; under a stop
    with a duration it ends after that duration, what is in flight then is left to end, and only tokens that arrive
    within the window belong to its throughput. An open loop has at most ``slots`` requests in flight: those beyond are
    held until one ends, which their lateness and ``held`` tell; what is held when the duration ends is never sent.
    When ``interrupted`` (asked about twenty times a second) says so, the window
    ends as if its duration were over.
    ``connect`` connections are opened ahead, all when left out, and ``ready`` requests are made. ``on_open`` is called
    when they stand, right before the first send, ``on_close`` at the window's end. ``kernel_stamps=False`` stamps in
    user space even where the kernel would. With ``tls`` the kernel's stamps are those of the encrypted segments: an
    event's is that of the segment that completed its record. A server that closes connections which it promised to keep
    costs one request in flight on each a second send, until that is known, as ``hangs_up`` says beforehand.

    More than one of ``processes`` share the slots, never more than there are slots; their windows are one. Requests
    then must pickle, and be the same at each iteration: each process makes them anew. A closed loop gives each request
    to the process that asks first; an open loop deals its schedule like cards, and each process keeps to its part of
    ``slots``.

    Raises OSError when the host has no address, PreconditionError when so many connections cannot be had or a client
    process dies.
    """
    make_room(slots)
    address = resolve(host, port)
    stamps = KernelStamps() if kernel_stamps else None
    task = Task(
        host=host,
        address=address,
        pace=pace or closed(slots),
        stop=stop,
        limits=limits or Limits(),
        slots=slots,
        connect=slots if connect is None else min(slots, connect),
        ready=ready,
        stamped=stamps is not None and stamps.available,
        tls=tls,
        hangs_up=hangs_up,
    )
    number = min(processes, slots, len(task.pace.begins_ns))
    try:
        if number > 1:
            # Imported when it is needed: its 8 ms would be part of the start of every worker.
            several = import_module("dynamometer.client.processes")
            shares: list[Share] = several.run_shares(number, task, requests, on_open, on_close, interrupted)
        else:
            shares = [_here(task, requests, on_open, on_close, interrupted)]
    finally:
        if stamps is not None:
            stamps.close()
    return _traffic(shares, stamped=task.stamped, open_loop=task.pace.open_loop)


def _here(
    task: Task,
    requests: Iterable[Request],
    on_open: Callable[[], None],
    on_close: Callable[[], None],
    interrupted: Callable[[], bool],
) -> Share:
    def opening() -> int:
        on_open()
        return time.monotonic_ns()

    return run_share(task, requests, count(), opening=opening, on_close=on_close, interrupted=interrupted)


def _traffic(shares: Sequence[Share], *, stamped: bool, open_loop: bool) -> Traffic:
    exchanges = tuple(sorted((each for share in shares for each in share.exchanges), key=lambda each: each.place))
    unsent = tuple(sorted(one for share in shares for one in share.unsent))
    sends = [] if open_loop else [exchange.sent_ns for exchange in exchanges]
    begin_ns = min(sends, default=min(share.begin_ns for share in shares))
    window = Window(begin_ns=begin_ns, end_ns=max(begin_ns, *(share.end_ns for share in shares)))
    return Traffic(
        exchanges=exchanges,
        unsent=unsent,
        window=window,
        health=_health(shares, window, stamped=stamped).model_copy(
            update=_sending(exchanges, [due_ns for _, due_ns in unsent], sum(share.held for share in shares))
        ),
        connections=sum(share.connections for share in shares),
        gave_up=_gave_up(shares),
        was_interrupted=any(share.was_interrupted for share in shares),
        hangs_up=any(share.hangs_up for share in shares),
    )


def _gave_up(shares: Sequence[Share]) -> str | None:
    """Why the load was not gone through: a process that reached nobody speaks for all only when none did."""
    reasons = [share.gave_up for share in shares]
    cut = next((share.gave_up for share in shares if share.gave_up is not None and share.overdue), None)
    return cut or (reasons[0] if None not in reasons else None)


def _health(shares: Sequence[Share], window: Window, *, stamped: bool) -> ClientHealth:
    known = sum(len(share.lags_ns) for share in shares) if stamped else 0
    tail = nlargest(known - int(known * 0.99), chain.from_iterable(share.lags_ns for share in shares)) if known else []
    return ClientHealth(
        clock="kernel" if tail else "user",
        cpu_s=sum(share.cpu_ns for share in shares) / 1e9,
        wall_s=window.seconds,
        nice=max(share.nice for share in shares),
        wakes=sum(share.wakes for share in shares),
        reads=sum(share.reads for share in shares),
        lag_p99_ms=tail[-1] / 1e6 if tail else None,
        lag_max_ms=tail[0] / 1e6 if tail else None,
        clock_steps=sum(share.clock_steps for share in shares),
        processes=len(shares),
    )


def _sending(exchanges: Sequence[Exchange], unsent_ns: Sequence[int], held: int) -> dict[str, int | float | None]:
    """How an open loop kept to its schedule; nothing of a closed loop, which has none."""
    sent = [(each.sent_ns, each.scheduled_ns) for each in exchanges if each.scheduled_ns is not None]
    late = sorted(sent_ns - due_ns for sent_ns, due_ns in sent)
    if not late:
        return {}
    return {
        "asked_per_s": _per_second([*(due_ns for _, due_ns in sent), *unsent_ns]),
        "sent_per_s": _per_second([sent_ns for sent_ns, _ in sent]),
        "send_lateness_p50_ms": _quantile(late, 0.5) / 1e6,
        "send_lateness_p99_ms": _quantile(late, 0.99) / 1e6,
        "send_lateness_max_ms": late[-1] / 1e6,
        "held": held,
        "unsent": len(unsent_ns),
    }


def _per_second(times_ns: Sequence[int]) -> float | None:
    span_ns = max(times_ns) - min(times_ns)
    return (len(times_ns) - 1) * NS_PER_S / span_ns if span_ns else None


def _quantile(ordered: Sequence[int], q: float) -> int:
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]
