"""The measuring client: send the load, keep every byte with its arrival, say how well that went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dynamometer.client.clock import Arrivals, Converter
from dynamometer.client.exchange import Exchange, Piece, Request, Traffic
from dynamometer.client.loop import Limits, Loop, RawExchange, Stop
from dynamometer.client.stamps import KernelStamps, make_room, resolve
from dynamometer.client.tls import secured
from dynamometer.domain.record import ClientHealth, Window
from dynamometer.domain.units import NS_PER_S
from dynamometer.load.arrivals import Pace, closed


def nothing() -> None:
    """A window that nobody watches."""


def measure(
    host: str,
    port: int,
    requests: Iterator[Request],
    *,
    slots: int,
    stop: Stop,
    pace: Pace | None = None,
    connect: int | None = None,
    limits: Limits | None = None,
    on_open: Callable[[], None] = nothing,
    on_close: Callable[[], None] = nothing,
    kernel_stamps: bool = True,
    tls: bool = False,
) -> Traffic:
    """Closed loop with ``slots`` requests in flight: the next one is sent when one ends. A ``pace`` says otherwise.

    The window runs from the first send (of an open loop: from the first scheduled time) to the last end; under a stop
    with a duration it ends after that duration, what is in flight then is left to end, and only tokens that arrive
    within the window belong to its throughput. An open loop has at most ``slots`` requests in flight: those beyond are
    held until one ends, which their lateness and ``held`` tell; what is held when the duration ends is never sent, and
    is an exchange that ends ``unsent``.
    ``connect`` connections are opened ahead, all when left out. ``on_open`` is called when they stand, right before
    the first send, ``on_close`` at the window's end. ``kernel_stamps=False`` stamps in user space even where the kernel
    would. With ``tls`` the kernel's stamps are those of the encrypted segments: an event's is that of the segment that
    completed its record. Raises OSError when the host has no address, PreconditionError when so many connections
    cannot be had.
    """
    make_room(slots)
    address = resolve(host, port)
    stamps = KernelStamps() if kernel_stamps else None
    stamped = stamps is not None and stamps.available
    try:
        loop = Loop(
            address,
            requests,
            pace or closed(slots),
            stop,
            limits or Limits(),
            slots=slots,
            connect=slots if connect is None else min(slots, connect),
            stamped=stamped,
            tls=secured(host) if tls else None,
        )
        loop.run(on_open, on_close)
    finally:
        if stamps is not None:
            stamps.close()
    return _traffic(loop, stamped=stamped, open_loop=pace is not None and pace.open_loop)


def _traffic(loop: Loop, *, stamped: bool, open_loop: bool) -> Traffic:
    converter = Converter(loop.wakes)
    arrivals = [converter.arrivals(raw.raw_reads(), raw.sent_ns) for raw in loop.exchanges]
    exchanges = tuple(_exchange(raw, times) for raw, times in zip(loop.exchanges, arrivals, strict=True))
    sends = [] if open_loop else [exchange.sent_ns for exchange in exchanges]
    begin_ns = min(sends, default=loop.begin_ns)
    window = Window(begin_ns=begin_ns, end_ns=max(begin_ns, loop.end_ns))
    return Traffic(
        exchanges=exchanges,
        window=window,
        health=_health(loop, window, arrivals, stamped=stamped).model_copy(update=_sending(exchanges, loop.held)),
        connections=loop.connections,
        gave_up=loop.gave_up,
    )


def _exchange(raw: RawExchange, times: Arrivals) -> Exchange:
    pieces = zip(times.arrivals_ns, raw.reads, strict=True)
    return Exchange(
        id=raw.request.id,
        sent_ns=raw.sent_ns,
        pieces=tuple(Piece(arrival, data) for arrival, (_, _, _, data) in pieces),
        end=raw.end,
        detail=raw.detail,
        resent=raw.resent,
        scheduled_ns=raw.scheduled_ns,
    )


def _health(loop: Loop, window: Window, arrivals: Sequence[Arrivals], *, stamped: bool) -> ClientHealth:
    lags = sorted(
        read_ns - arrival
        for raw, times in zip(loop.exchanges, arrivals, strict=True)
        for (wake, read_ns, _, _), arrival in zip(raw.reads, times.arrivals_ns, strict=True)
        if wake not in times.fallback_wakes
    )
    fallbacks = frozenset[int]().union(*(times.fallback_wakes for times in arrivals))
    return ClientHealth(
        clock="kernel" if stamped and lags else "user",
        cpu_s=loop.cpu_ns / 1e9,
        wall_s=window.seconds,
        nice=loop.nice,
        wakes=len(loop.wakes.before_ns),
        reads=loop.reads,
        lag_p99_ms=_quantile(lags, 0.99) / 1e6 if stamped and lags else None,
        lag_max_ms=lags[-1] / 1e6 if stamped and lags else None,
        clock_steps=len(fallbacks) if stamped else 0,
    )


def _sending(exchanges: Sequence[Exchange], held: int) -> dict[str, int | float | None]:
    """How an open loop kept to its schedule; nothing of a closed loop, which has none."""
    due = [exchange.scheduled_ns for exchange in exchanges if exchange.scheduled_ns is not None]
    sent = [(each.sent_ns, each.scheduled_ns) for each in exchanges if each.end != "unsent"]
    late = sorted(sent_ns - due_ns for sent_ns, due_ns in sent if due_ns is not None)
    if not late:
        return {}
    return {
        "asked_per_s": _per_second(due),
        "sent_per_s": _per_second([sent_ns for sent_ns, _ in sent]),
        "send_lateness_p50_ms": _quantile(late, 0.5) / 1e6,
        "send_lateness_p99_ms": _quantile(late, 0.99) / 1e6,
        "send_lateness_max_ms": late[-1] / 1e6,
        "held": held,
        "unsent": len(exchanges) - len(sent),
    }


def _per_second(times_ns: Sequence[int]) -> float | None:
    span_ns = max(times_ns) - min(times_ns)
    return (len(times_ns) - 1) * NS_PER_S / span_ns if span_ns else None


def _quantile(ordered: Sequence[int], q: float) -> int:
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]
