"""The pieces of one exchange become an HTTP response, each body byte with the time it arrived."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import httptools

from dynamometer.client.exchange import Piece
from dynamometer.client.framing import NOT_HTTP, what_is_wrong


@dataclass(frozen=True, slots=True)
class Message:
    """One response. ``problem`` tells why it could not be read to its end; what came before is kept."""

    status: int | None
    content_type: str
    body: bytes
    complete: bool
    ends: tuple[int, ...]
    """Offsets in the body behind the bytes of each read that had any."""
    arrivals_ns: tuple[int, ...]
    """Arrival of each of these reads."""
    problem: str = ""
    location: str = ""
    """Where a redirect points."""
    coding: str = ""
    """How the body is compressed; empty when it is not."""

    def read_of(self, offset: int) -> int:
        """Which read brought the byte before ``offset`` of the body."""
        return bisect_left(self.ends, offset)


class _Collector:
    """What the parser calls."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status: int | None = None
        self.content_type = ""
        self.location = ""
        self.coding = ""
        self.body: list[bytes] = []
        self.complete = False
        self.delimited = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called for each header line, and for each line behind the last chunk, which says nothing of the answer."""
        if self.status is not None:
            return
        match name.lower():
            case b"content-type":
                self.content_type = value.decode("latin-1").split(";")[0].strip().lower()
            case b"location":
                self.location = value.decode("latin-1")
            case b"content-encoding":
                self.coding = ", ".join(_codings(value)) or self.coding
            case b"content-length":
                self.delimited = True
            case b"transfer-encoding":
                self.delimited = True
                self.coding = ", ".join(_codings(value)) or self.coding

    def on_headers_complete(self) -> None:
        """Called at the end of the head."""
        self.status = self.status if self.complete else self.parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Called for each stretch of the body."""
        if not self.complete:
            self.body.append(data)

    def on_message_complete(self) -> None:
        """Called at the end; an interim answer (1xx) is not the end, and says nothing of the answer."""
        if self.status is not None and 100 <= self.status < 200:
            self.status, self.content_type, self.location, self.coding = None, "", "", ""
            self.delimited = False
        else:
            self.complete = True


def _codings(value: bytes) -> list[str]:
    """What a header line says was done to the body that we cannot undo."""
    named = (coding.strip() for coding in value.decode("latin-1").lower().split(","))
    return [coding for coding in named if coding not in ("", "identity", "chunked")]


def read_message(pieces: Iterable[Piece]) -> Message:
    """Undo the framing: length, chunks, or until the connection closes (then ``complete`` is true at any end)."""
    collector = _Collector()
    body: list[bytes] = []
    ends: list[int] = []
    arrivals: list[int] = []
    size, problem = 0, ""
    for piece in pieces:
        try:
            collector.parser.feed_data(piece.data)
        except NOT_HTTP as error:
            wrong = what_is_wrong(error)
            problem = "" if collector.complete else f"not HTTP: {wrong}"
        if collector.body:
            body += collector.body
            size += sum(map(len, collector.body))
            ends.append(size)
            arrivals.append(piece.arrival_ns)
            collector.body.clear()
        if collector.complete or problem:
            break
    by_close = collector.status is not None and not collector.delimited
    return Message(
        status=collector.status,
        content_type=collector.content_type,
        body=b"".join(body),
        complete=collector.complete or by_close,
        ends=tuple(ends),
        arrivals_ns=tuple(arrivals),
        problem=problem,
        location=collector.location,
        coding=collector.coding,
    )
