"""What went over the wire: a request made ready, and what came back, raw."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dynamometer.domain.record import ClientHealth, Window

End = Literal["complete", "closed", "reset", "refused", "insecure", "malformed", "timeout", "oversize", "stopped"]
"""How an exchange ended. complete: the framing says so. closed: the server closed the connection. reset: it was
reset. refused: no connection. insecure: a connection, but no TLS on it: the certificate is not trusted, or there is
none. malformed: not HTTP. timeout: its time was up. oversize: more bytes than allowed. stopped: the whole measurement
was told to stop."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as bytes, made before the window."""

    id: str
    """Sent as X-Request-Id."""
    payload: bytes
    """Head and body."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one read."""

    arrival_ns: int
    """Monotonic time at which the last of them arrived."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Pieces:
    """What came back, piece by piece, in rows: a window may have millions of pieces."""

    data: bytearray
    ends: array[int]
    """Offset in the data behind each piece."""
    arrivals_ns: array[int]
    """Of each piece."""

    def __len__(self) -> int:
        """How many."""
        return len(self.ends)

    def __iter__(self) -> Iterator[Piece]:
        """In the order of their arrival."""
        for begin, end, arrival_ns in zip((0, *self.ends), self.ends, self.arrivals_ns, strict=False):
            yield Piece(arrival_ns, bytes(self.data[begin:end]))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and all that came back for it, undecoded."""

    id: str
    place: int
    """Of the request among all of the phase, from 0."""
    sent_ns: int
    """When the last byte was handed to the kernel; for a refused one, when the connection was asked for."""
    pieces: Pieces
    """What arrived; none when nothing did."""
    end: End
    detail: str = ""
    """What the system said of a connection that failed."""
    resent: bool = False
    """Sent a second time, because the server had closed the kept-alive connection and answered nothing."""
    scheduled_ns: int | None = None
    """When it was due; None in a closed loop."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """All exchanges of one measurement, in the order of their places, which with one process is that of their sends."""

    exchanges: tuple[Exchange, ...]
    unsent: tuple[tuple[int, int], ...]
    """Place and due time of each request that was due while too many were in flight, until the end: never sent."""
    window: Window
    health: ClientHealth
    connections: int
    """Connections opened; fewer than exchanges when they were kept alive and used again."""
    gave_up: str | None = None
    """Why sending ended before the load was through; None when it was not cut short."""
    was_interrupted: bool = False
    """The window was ended before its time, as asked."""
    hangs_up: bool = False
    """The server closes connections that it promised to keep, so that none is used twice."""
