"""Where one HTTP response ends: by its framing alone, without a look at what it says."""

from __future__ import annotations

from collections.abc import Iterator

import httptools


class MalformedError(Exception):
    """What came is not HTTP/1."""


NOT_HTTP = (httptools.HttpParserError, httptools.HttpParserUpgrade)
"""What the parser raises."""


def what_is_wrong(error: Exception) -> str:
    """One of ``NOT_HTTP`` in words.

    Raises what a signal handler raised while the parser called us: the parser takes it for an error of the call.
    """
    if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
        raise error.__context__
    return "101, it goes on in another protocol" if isinstance(error, httptools.HttpParserUpgrade) else str(error)


EVENT_END, CHUNK_END = b"\n\n", b"\r\n"
MARKS = (EVENT_END, b"}\n", b"\r\n\r\n")
"""Ends of events: of a stream whose lines end with LF, of JSON lines, and of a stream with CRLF (and of a head)."""
CHUNK_SIZE_BYTES = 6
"""Most that the line before a chunk takes: four hexadecimal digits, good for 65,535 bytes, and CRLF."""
LINE_END_BYTES = 5
"""Most that is left from the line feed of an event's only line on: that, CRLF of the empty line, CRLF of the chunk."""
MOST_EVENTS = 64
"""Events told apart at one look. What looks like more is no stream of tokens, or so late that its stamps are joined."""


def is_one_event(buffer: bytearray, size: int) -> bool:
    """Whether the first ``size`` bytes are one event: the usual case, told without a copy.

    Either they are one line, which one search for one byte tells, or they end with the first empty line in them.
    """
    if size - buffer.find(b"\n", CHUNK_SIZE_BYTES, size) <= LINE_END_BYTES:
        return True
    return size - buffer.find(EVENT_END, 0, size) <= len(EVENT_END) + len(CHUNK_END)


def event_sizes(data: bytes) -> Iterator[int]:
    """Sizes of the events in ``data``, each with the chunk it is sent in: of an event stream, or of JSON lines.

    They add up to all of it; what is no whole event, and what comes after many, is the last one. A guess that does no
    harm: wherever bytes are cut, none is lost.
    """
    mark = next((mark for mark in MARKS if mark in data), EVENT_END)
    begin = 0
    for _ in range(MOST_EVENTS):
        found = data.find(mark, begin)
        if found < 0:
            break
        end = found + len(mark)
        if data.startswith(CHUNK_END, end):
            end += len(CHUNK_END)
        yield end - begin
        begin = end
    if begin < len(data) or not begin:
        yield len(data) - begin


class Framing:
    """Fed with the bytes of one response as they come, finds its end. Costs about 0.1 µs per read.

    A response that has neither a length nor chunks ends when the connection closes: ``ends_by_close``.
    """

    __slots__ = ("_delimited", "_parser", "complete", "headers_seen", "keep_alive", "status")

    def __init__(self) -> None:
        self.complete = False
        self.headers_seen = False
        self.keep_alive = False
        self.status = 0
        self._delimited = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bool:
        """True once the response is complete. Raises MalformedError when this cannot be HTTP.

        Bytes beyond the end make the connection unfit for another request, not the response wrong.
        """
        if self._parser is None:
            self.keep_alive = False
            return True
        try:
            self._parser.feed_data(data)
        except NOT_HTTP as error:
            wrong = what_is_wrong(error)
            if not self.complete:
                self._parser = None
                raise MalformedError(wrong) from error
            self.keep_alive = False
        if self.complete:
            self._parser = None  # breaks the reference cycle: the collector is off during the window
        return self.complete

    @property
    def ends_by_close(self) -> bool:
        """True when only a closed connection can end this response."""
        return self.headers_seen and not self._delimited

    def on_message_begin(self) -> None:
        """Called by the parser: a message, or whatever follows a complete one, begins."""
        if self.complete:
            self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each header line."""
        lowered = name.lower()
        if lowered == b"content-length" or (lowered == b"transfer-encoding" and b"chunked" in value.lower()):
            self._delimited = True

    def on_headers_complete(self) -> None:
        """Called by the parser at the end of the head."""
        if self._parser is not None and not self.complete:
            self.headers_seen = True
            self.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a message; an interim (1xx) answer is not the end."""
        if self._parser is None or self.complete:
            return
        if 100 <= self.status < 200:
            self.headers_seen = False
            return
        self.complete = True
        self.keep_alive = self._parser.should_keep_alive()


__all__ = ["Framing", "MalformedError"]
