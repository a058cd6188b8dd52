"""Where events and TLS records end, and that each keeps the stamp of its own segment."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from itertools import accumulate, count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.test_client_wire import read_request, send, server

from dynamometer.client.framing import event_sizes

EVENT = b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'


def cut(data: bytes) -> list[bytes]:
    ends = list(accumulate(event_sizes(data), initial=0))
    return [data[begin:end] for begin, end in pairwise(ends)]


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
        [EVENT],
        [EVENT, EVENT, b"data: [DO"],
        [b"31\r\n" + EVENT + b"\r\n", b"31\r\n" + EVENT + b"\r\n", b"0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n31\r\n" + EVENT + b"\r\n", b"0\r\n\r\n"],
        [b'11\r\n{"response": "x"}\n\r\n', b'11\r\n{"response": "y"}\n\r\n', b'{"resp'],
    ],
    ids=["nothing", "no event", "one", "two and a half", "chunks", "after a head", "json lines"],
)
def test_events_are_told_apart_with_their_chunks(pieces: list[bytes]) -> None:
    assert cut(b"".join(pieces)) == pieces


@given(st.lists(st.sampled_from([b"\n", b"\r", b"}", b"x", EVENT, b"\n\n", b"\r\n"]), max_size=30).map(b"".join))
def test_whatever_comes_nothing_is_lost(data: bytes) -> None:
    assert b"".join(cut(data)) == data
    assert all(cut(data)) or data == b""


def test_events_that_wait_together_are_read_one_by_one() -> None:
    asleep, sent = threading.Event(), threading.Event()

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        connection.sendall(head + EVENT)
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
    assert [piece.data[-len(EVENT) :] for piece in exchange.pieces[:4]] == [EVENT] * 4
    assert exchange.pieces[4].data == b"data: [DONE]\n\n"
    stamps = Counter(sample.arrivals_ns)
    assert len(sample.arrivals_ns) == 4
    assert sample.merged == sum(times for times in stamps.values() if times > 1), "the kernel may join segments"


def test_events_of_one_segment_are_counted_as_merged() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        connection.sendall(head + 3 * EVENT + b"data: [DONE]\n\n")

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint)
    assert len(sample.arrivals_ns) == 3
    assert len(set(sample.arrivals_ns)) == 1
    assert sample.merged == 3
