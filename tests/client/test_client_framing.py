"""Where events and TLS records end, and that each keeps the stamp of its own segment."""

from __future__ import annotations

import socket
import ssl
import threading
from array import array
from itertools import accumulate, count, pairwise
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.test_client_wire import read_request, send, server

from dynamometer.client.exchange import Pieces
from dynamometer.client.framing import Framing, event_sizes
from dynamometer.client.loop import Limits, Loop
from dynamometer.client.measure import never
from dynamometer.client.message import read_message
from dynamometer.client.tls import Tls
from dynamometer.errors import Terminated
from dynamometer.load.arrivals import closed
from dynamometer.load.stops import AfterRequests

EVENT = b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'
EVENTS = [EVENT, b"31\r\n" + EVENT + b"\r\n", b"data: a\r\n\r\n", b'11\r\n{"response": "x"}\n\r\n']
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def cut(data: bytes) -> list[bytes]:
    ends = list(accumulate(event_sizes(data), initial=0))
    return [data[begin:end] for begin, end in pairwise(ends)]


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [HEAD, b"data: a\r\n\r\n", b"data: b\r\n\r\n"],
        [EVENT] * 64 + [3 * EVENT],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"hi"],
        [EVENT],
        [EVENT, EVENT, b"data: [DO"],
        [b"31\r\n" + EVENT + b"\r\n", b"31\r\n" + EVENT + b"\r\n", b"0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n31\r\n" + EVENT + b"\r\n", b"0\r\n\r\n"],
        [
            HEAD + b'11\r\n{"response": "w"}\n\r\n',
            b'11\r\n{"response": "x"}\n\r\n',
            b'11\r\n{"response": "y"}\n\r\n',
            b"0\r\n\r\n",
        ],
    ],
    ids=["nothing", "crlf", "many", "no event", "one", "two and a half", "chunks", "after a head", "json lines"],
)
def test_events_are_told_apart_with_their_chunks(pieces: list[bytes]) -> None:
    assert cut(b"".join(pieces)) == pieces


@given(st.lists(st.sampled_from([b"\n", b"\r", b"}", b"x", EVENT, b"\n\n", b"\r\n"]), max_size=30).map(b"".join))
def test_whatever_comes_nothing_is_lost(data: bytes) -> None:
    assert b"".join(cut(data)) == data
    assert all(cut(data)) or data == b""


def test_events_that_wait_together_are_read_apart_or_have_one_stamp() -> None:
    """The kernel may have joined those that wait, which is seen by their stamps; the first is always read alone."""
    asleep, sent = threading.Event(), threading.Event()

    def behave(connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_request(connection)
        connection.sendall(HEAD + EVENT)
        asleep.wait(10)
        for _ in range(3):
            connection.sendall(EVENT)
        connection.sendall(b"data: [DONE]\n\n")
        sent.set()

    looks = count()

    def sleep_through() -> bool:
        """At the second look the first event is there; the client is then kept from its reads until the rest is."""
        if next(looks) == 1:
            asleep.set()
            sent.wait(10)
        return False

    with server(behave) as endpoint:
        traffic, (sample,) = send(endpoint, interrupted=sleep_through)
    (exchange,) = traffic.exchanges
    assert traffic.health.clock == "kernel"
    first, *others = exchange.pieces
    assert first.data == HEAD + EVENT
    assert b"".join(piece.data for piece in others) == 3 * EVENT + b"data: [DONE]\n\n"
    assert all(piece.data in {EVENT, b"data: [DONE]\n\n"} for piece in others[:-1])
    assert len(sample.arrivals_ns) == 4


class Waiting(socket.socket):
    """What waits on a connection: segments, each with a stamp of its own. A read has that of its last one."""

    segments: list[bytes]

    def _stamp(self, size: int) -> list[tuple[int, int, bytes]]:
        ends = accumulate(map(len, self.segments))
        return [(0, 0, str(next(place for place, end in enumerate(ends) if end >= size) + self.taken).encode())]

    taken = 0

    def _take(self, size: int, *, peek: bool) -> tuple[bytes, list[tuple[int, int, bytes]]]:
        data = b"".join(self.segments)[:size]
        stamp = self._stamp(len(data))
        left = len(data)
        while not peek and left:
            first = self.segments[0]
            self.segments[0] = first[left:]
            left -= min(left, len(first))
            if not self.segments[0]:
                self.segments.pop(0)
                self.taken += 1
        return data, stamp

    def recvmsg_into(self, buffers: Any, ancbufsize: int = 0, flags: int = 0, /) -> Any:
        data, stamp = self._take(len(buffers[0]), peek=True)
        assert flags == socket.MSG_PEEK
        buffers[0][: len(data)] = data
        return len(data), stamp, 0, None

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
        return (*self._take(bufsize, peek=False), 0, None)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        return self._take(bufsize, peek=False)[0]


def received(segments: list[bytes], tls: Tls | None = None) -> list[tuple[bytes, bytes]]:
    """Each piece that is read of what waits, with its stamp: the number of the segment."""
    loop = Loop(
        (socket.AF_INET, ("127.0.0.1", 1)),
        iter(()),
        closed(1),
        AfterRequests(1),
        Limits(),
        slots=1,
        connect=0,
        stamped=True,
        tls=None,
        interrupted=never,
        hangs_up=False,
    )
    with Waiting() as sock:
        sock.segments = list(segments)
        found = []
        try:
            while sock.segments:
                found += [(data, ancillary[0][2]) for data, ancillary in loop._receive(sock, tls)]
        finally:
            loop._release()
    return found


@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b"0\r\n\r\n"], ids=["an event", "the last chunk"])
def test_an_event_has_the_stamp_of_its_own_segment_although_the_next_is_there(end: bytes) -> None:
    assert received([EVENT]) == [(EVENT, b"0")]
    chunk = b"31\r\n" + EVENT + b"\r\n"
    assert received([HEAD + chunk, chunk, end]) == [(HEAD + chunk, b"0"), (chunk, b"1"), (end, b"2")]
    assert received([EVENT[:9], EVENT[9:] + EVENT, EVENT]) == [(EVENT, b"1"), (EVENT, b"1"), (EVENT, b"2")]


def test_what_came_in_the_last_segment_is_read_at_once() -> None:
    end = EVENT + b"data: [DONE]\n\n"
    assert received([EVENT, EVENT + end]) == [(EVENT, b"0"), (EVENT, b"1"), (end, b"1")]


@given(st.sampled_from(EVENTS), st.integers(1, 9), st.data())
def test_whatever_waits_each_event_has_the_stamp_of_the_segment_that_completed_it(
    event: bytes, number: int, data: st.DataObject
) -> None:
    whole = number * event
    cuts = sorted({0, *data.draw(st.lists(st.integers(1, len(whole)), max_size=9)), len(whole)})
    pieces = received([whole[begin:end] for begin, end in pairwise(cuts)])
    assert b"".join(piece for piece, _ in pieces) == whole
    reads = list(zip(accumulate(len(piece) for piece, _ in pieces), (int(stamp) for _, stamp in pieces), strict=True))
    for end in range(len(event), len(whole) + 1, len(event)):
        stamp = next(stamp for until, stamp in reads if until >= end)
        assert cuts[stamp] < end <= cuts[stamp + 1]


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


def tls() -> Tls:
    return Tls(ssl.create_default_context(), "localhost")


def test_a_tls_record_has_the_stamp_of_its_own_segment_although_the_next_is_there() -> None:
    one, two = record(100), record(300)
    assert received([one, two, one], tls()) == [(one, b"0"), (two, b"1"), (one, b"2")]
    assert received([one + two[:40], two[40:], one], tls()) == [(one, b"0"), (two, b"1"), (one, b"2")]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=9), st.data())
def test_tls_records_are_told_apart_wherever_they_are_cut(lengths: list[int], data: st.DataObject) -> None:
    records = [record(length) for length in lengths]
    whole = b"".join(records)
    ends = {*accumulate(map(len, records))}
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=6))) if len(whole) > 1 else []
    one, seen = tls(), 0
    for begin, end in pairwise([0, *cuts, len(whole)]):
        for size in one.record_sizes(whole[begin:end]):
            assert size > 0
            assert not {*range(seen + 1, seen + size)} & ends, "no piece reaches beyond the end of its record"
            seen += size
        assert seen == end


def test_events_of_one_segment_are_counted_as_merged() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(HEAD + 3 * EVENT + b"data: [DONE]\n\n")

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint)
    assert len(sample.arrivals_ns) == 3
    assert len(set(sample.arrivals_ns)) == 1
    assert sample.merged == 3


@pytest.mark.parametrize("raised", [KeyboardInterrupt, Terminated])
def test_what_a_signal_handler_raises_within_the_parser_passes(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """httptools takes whatever is raised while it calls us for an error of the call."""

    def handler(*_: object) -> NoReturn:
        raise raised("told to stop")

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    monkeypatch.setattr(Framing, "on_header", handler)
    with pytest.raises(raised):
        Framing().feed(answer)
    monkeypatch.setattr("dynamometer.client.message._Collector.on_body", handler)
    pieces = Pieces(bytearray(answer), array("I", [len(answer)]), array("q", [1]))
    with pytest.raises(raised):
        read_message(pieces)
