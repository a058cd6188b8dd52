"""The measuring client: send the load, keep every byte with its arrival, say how well that went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dynamometer.client.clock import Arrivals, Converter
from dynamometer.client.exchange import Exchange, Piece, Request, Traffic
from dynamometer.client.loop import Limits, Loop, RawExchange, Stop
from dynamometer.client.stamps import KernelStamps, resolve
from dynamometer.domain.record import ClientHealth, Window


def nothing() -> None:
    """A window that nobody watches."""


def measure(
    host: str,
    port: int,
    requests: Iterator[Request],
    *,
    slots: int,
    stop: Stop,
    limits: Limits | None = None,
    on_open: Callable[[], None] = nothing,
    on_close: Callable[[], None] = nothing,
    kernel_stamps: bool = True,
) -> Traffic:
    """Closed loop with ``slots`` requests in flight: the next one is sent when one ends.

    The window runs from the first send to the last end; under a stop with a duration it ends after that duration,
    what is in flight then is left to end, and only tokens that arrive within the window belong to its throughput.
    ``on_open`` is called when all connections stand, right before the first send, ``on_close`` at the window's end.
    ``kernel_stamps=False`` stamps in user space even where the kernel would.
    Raises OSError when the host has no address.
    """
    address = resolve(host, port)
    stamps = KernelStamps() if kernel_stamps else None
    stamped = stamps is not None and stamps.available
    try:
        loop = Loop(address, requests, slots, stop, limits or Limits(), stamped=stamped)
        loop.run(on_open, on_close)
    finally:
        if stamps is not None:
            stamps.close()
    return _traffic(loop, stamped=stamped)


def _traffic(loop: Loop, *, stamped: bool) -> Traffic:
    converter = Converter(loop.wakes)
    arrivals = [converter.arrivals(raw.raw_reads(), raw.sent_ns) for raw in loop.exchanges]
    exchanges = tuple(_exchange(raw, times) for raw, times in zip(loop.exchanges, arrivals, strict=True))
    begin_ns = min((exchange.sent_ns for exchange in exchanges), default=loop.begin_ns)
    window = Window(begin_ns=begin_ns, end_ns=max(begin_ns, loop.end_ns))
    return Traffic(
        exchanges=exchanges,
        window=window,
        health=_health(loop, window, arrivals, stamped=stamped),
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
        wakes=len(loop.wakes.before_ns),
        reads=loop.reads,
        lag_p99_ms=lags[min(len(lags) - 1, int(len(lags) * 0.99))] / 1e6 if stamped and lags else None,
        lag_max_ms=lags[-1] / 1e6 if stamped and lags else None,
        clock_steps=len(fallbacks) if stamped else 0,
    )
