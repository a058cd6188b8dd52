"""A body becomes its events: server-sent events, whatever reads and line ends they came in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    data: str
    """Its data lines, joined by line feeds."""
    kind: str
    """Its event field; ``error`` also for a field of that name, which llama.cpp has used. Empty when not given."""
    end: int
    """Offset in the body right behind it."""


def looks_like_events(body: bytes) -> bool:
    """Whether a body without a content type begins as an event stream does."""
    return body.lstrip(b"\r\n\xef\xbb\xbf").startswith((b"data:", b"event:", b"id:", b"retry:", b":", b"error:"))


def events(body: bytes) -> Iterator[Event]:
    """Events with data, in order. An event that the end of the body cut off is given when it has data.

    After the HTML standard, "Server-sent events"; text that is not UTF-8 gets replacement characters.
    """
    data: list[str] = []
    kind = ""
    for line, end in lines(body):
        if not line:
            if data:
                yield Event("\n".join(data), kind, end)
            data, kind = [], ""
            continue
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            data.append(text)
        elif name == b"event":
            kind = text
        elif name == b"error":
            data.append(text)
            kind = "error"
    if data:
        yield Event("\n".join(data), kind, len(body))


def lines(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Each line without its end, and the offset behind its end. A line cut off at the end of the body is one too."""
    start = 3 if body.startswith(b"\xef\xbb\xbf") else 0
    for match in _LINE_END.finditer(body, start):
        yield body[start : match.start()], match.end()
        start = match.end()
    if start < len(body):
        yield body[start:], len(body)
