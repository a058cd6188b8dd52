"""The client on real sockets: against the fake engine, and against servers that misbehave."""

from __future__ import annotations

import gc
import json
import signal
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from dynamometer.client.decode import decode
from dynamometer.client.exchange import Request, Traffic
from dynamometer.client.loop import Limits, Stop
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.client.stamps import KernelStamps
from dynamometer.domain.record import Sample
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.load.stops import AfterDuration, AfterRequests

MS = 1_000_000


def prepared(endpoint: Endpoint, tokens: int = 8, streaming: bool = True) -> Iterator[Request]:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": tokens, "ignore_eos": True}
    asked |= {"stream": streaming, "stream_options": {"include_usage": True}}
    return (prepare(endpoint, f"r{number}", asked) for number in count())


def send(
    endpoint: Endpoint,
    stop: Stop | None = None,
    *,
    slots: int = 1,
    tokens: int = 8,
    streaming: bool = True,
    **more: Any,
) -> tuple[Traffic, list[Sample]]:
    traffic = measure(
        endpoint.host,
        endpoint.port,
        prepared(endpoint, tokens, streaming),
        slots=slots,
        stop=stop or AfterRequests(1),
        **more,
    )
    return traffic, [decode(exchange, streaming=streaming) for exchange in traffic.exchanges]


@contextmanager
def server(behave: Callable[[socket.socket, int], None]) -> Iterator[Endpoint]:
    """Runs ``behave(connection, number)`` for each connection, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        for number in count():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                behave(connection, number)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Endpoint(host="127.0.0.1", port=listener.getsockname()[1], model="m")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def read_request(connection: socket.socket) -> bytes:
    """One request's head and body; empty when the client closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < size:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def ended(sample: Sample) -> int:
    assert sample.ended_ns is not None
    return sample.ended_ns


ANSWER = json.dumps({"choices": [{"message": {"content": "hi"}}], "usage": {"completion_tokens": 1}}).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)


def test_stamps_agree_with_what_the_server_truly_sent(tmp_path: Path) -> None:
    truth_file = tmp_path / "truth.jsonl"
    options = FakeOptions(ttft_ms=20, itl_ms=5, jitter_ms=2, n_parallel=8, truth_file=str(truth_file))
    with serving(options) as endpoint:
        traffic, samples = send(endpoint, AfterRequests(24), slots=8, tokens=40)
    truth = {line["id"]: line for line in map(json.loads, truth_file.read_text().splitlines())}
    firsts: list[float] = []
    itls: list[float] = []
    late: list[float] = []
    for sample in samples:
        assert sample.error is None
        assert sample.event_tokens == (1,) * 40
        sends = truth[sample.id]["sends_ns"]
        assert sample.sent_ns <= truth[sample.id]["received_ns"]
        errors = [seen - sent for seen, sent in zip(sample.arrivals_ns, sends, strict=True)]
        firsts.append(abs(errors[0]) / MS)
        itls += [abs(later - earlier) / MS for earlier, later in pairwise(errors)]
        assert min(errors) > -0.1 * MS
        returns = truth[sample.id]["returns_ns"]
        late += [(seen - back) / MS for seen, back in zip(sample.arrivals_ns, returns, strict=True)]
    for found in (firsts, itls):
        assert statistics.median(found) < 0.5
    if traffic.health.clock == "kernel":  # arrived before the server's call returned, however long that took
        assert sorted(late)[int(len(late) * 0.99) - 1] < 0.5
    with closing(KernelStamps()) as stamps:
        assert traffic.health.clock == ("kernel" if stamps.available else "user")
    assert traffic.connections == 8


def test_user_space_stamps_where_the_kernel_gives_none() -> None:
    with serving(FakeOptions(ttft_ms=1, itl_ms=1)) as endpoint:
        traffic, samples = send(endpoint, kernel_stamps=False)
    assert (traffic.health.clock, traffic.health.lag_p99_ms) == ("user", None)
    assert samples[0].error is None
    assert len(samples[0].arrivals_ns) == 8


def test_closed_loop_holds_its_concurrency_and_keeps_connections() -> None:
    with serving(FakeOptions(ttft_ms=100, itl_ms=2, n_parallel=4)) as endpoint:
        traffic, samples = send(endpoint, AfterRequests(12), slots=4)
    assert traffic.connections == 4
    assert [sample.id for sample in samples] == [f"r{number}" for number in range(12)]
    events = sorted([(s.sent_ns, 1) for s in samples] + [(ended(s), -1) for s in samples])
    in_flight, most = 0, 0
    for _, change in events:
        in_flight += change
        most = max(most, in_flight)
    assert most == 4
    assert traffic.window.begin_ns == min(sample.sent_ns for sample in samples)
    assert traffic.window.end_ns >= max(map(ended, samples))


def test_a_duration_ends_the_window_and_lets_the_rest_end() -> None:
    opened: list[int] = []
    closed = threading.Event()

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        closed.wait(60)
        connection.sendall(WHOLE)

    with server(behave) as endpoint:
        traffic, (sample,) = send(
            endpoint,
            AfterDuration(150 * MS),
            streaming=False,
            on_open=lambda: opened.append(time.monotonic_ns()),
            on_close=closed.set,
        )
    assert opened[0] <= traffic.window.end_ns - 150 * MS <= traffic.window.begin_ns
    assert sample.error is None
    assert sample.sent_ns == traffic.window.begin_ns
    assert traffic.window.end_ns < ended(sample), "it was answered when the window had closed"


def test_the_collector_is_off_in_the_window_and_back_after() -> None:
    seen: list[bool] = []
    with serving(FakeOptions(ttft_ms=1, itl_ms=1)) as endpoint:
        send(endpoint, on_open=lambda: seen.append(gc.isenabled()), on_close=lambda: seen.append(gc.isenabled()))
    assert seen == [False, False]
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_not_streamed() -> None:
    with serving(FakeOptions(ttft_ms=1, itl_ms=1)) as endpoint:
        _, (sample,) = send(endpoint, streaming=False)
    assert (sample.error, sample.output_tokens, sample.arrivals_ns) == (None, 8, ())
    assert ended(sample) - sample.sent_ns >= 8 * MS


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("status", "http_status"),
        ("html", "bad_response"),
        ("no_answer", "connection"),
        ("hang", "timeout"),
        ("drop", "truncated"),
        ("stall", "timeout"),
        ("malformed", "bad_response"),
        ("error_event", "stream_error"),
        ("empty", "empty"),
        ("endless", "timeout"),
    ],
)
def test_every_fault_of_the_fake_engine_is_told_by_its_kind(fault: Any, kind: str) -> None:
    limits = Limits(request_ns=1000 * MS) if kind == "timeout" else Limits()
    with serving(FakeOptions(ttft_ms=1, itl_ms=1, fault=fault, fault_after=1)) as endpoint:
        _, (good, bad, *_) = send(endpoint, AfterRequests(2), limits=limits)
    assert good.error is None
    assert bad.error == kind


def test_a_server_that_refuses_at_once_is_not_asked_in_a_tight_loop() -> None:
    with serving(FakeOptions(fault="status", fault_status=429)) as endpoint:
        _, samples = send(endpoint, AfterDuration(400 * MS), slots=2)
    assert {sample.error for sample in samples} == {"http_status"}
    assert 2 <= len(samples) <= 20


def test_refused_and_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    endpoint = Endpoint(host="127.0.0.1", port=port, model="m")
    traffic, samples = send(endpoint, AfterRequests(1000), slots=2, limits=Limits(unreachable_ns=200 * MS))
    assert {sample.error for sample in samples} == {"refused"}
    assert len(samples) < 1000
    assert traffic.gave_up is not None


def test_a_crash_leaves_requests_without_an_answer() -> None:
    with serving(FakeOptions(ttft_ms=1, itl_ms=1, fault="crash", fault_after=2)) as endpoint:
        _, samples = send(endpoint, AfterRequests(5))
    assert [sample.error for sample in samples[:2]] == [None, None]
    assert {sample.error for sample in samples[2:]} <= {"refused", "connection"}
    assert samples[-1].error == "refused"


def test_a_kept_connection_that_the_server_closed_unanswered_is_used_once_more_on_a_new_one() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(WHOLE)
        if number == 0:
            read_request(connection)  # swallowed: closed without a word
        else:
            connection.sendall(b"")

    with server(behave) as endpoint:
        traffic, (first, second) = send(endpoint, AfterRequests(2), streaming=False)
    assert (first.error, first.resent) == (None, False)
    assert (second.error, second.resent) == (None, True)
    assert traffic.connections == 2


def test_a_server_that_breaks_its_promise_to_keep_connections_is_believed_once() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(WHOLE)
        if number == 0:
            read_request(connection)  # it said it would keep the connection, and closes it on the next request

    with server(behave) as endpoint:
        traffic, samples = send(endpoint, AfterRequests(6), streaming=False)
    assert [sample.error for sample in samples] == [None] * 6
    assert [sample.resent for sample in samples] == [False, True, False, False, False, False]
    assert traffic.connections == 6
    assert traffic.hangs_up


def test_a_server_that_hangs_up_after_its_last_answer_is_known_to_whoever_sends_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dynamometer.client.loop.HANG_UP_MS", 60_000)  # it ends when the server hangs up
    measured = threading.Event()

    def hang_up(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(WHOLE)

    def keep(connection: socket.socket, number: int) -> None:
        hang_up(connection, number)
        measured.wait(60)

    with server(hang_up) as endpoint:
        assert send(endpoint, AfterRequests(1), streaming=False)[0].hangs_up
    monkeypatch.undo()
    with server(keep) as endpoint:
        assert not send(endpoint, AfterRequests(1), streaming=False)[0].hangs_up
        measured.set()


def test_a_server_known_to_break_its_promise_is_not_believed_again() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(WHOLE)

    with server(behave) as endpoint:
        traffic, samples = send(endpoint, AfterRequests(3), streaming=False, hangs_up=True)
    assert [(sample.error, sample.resent) for sample in samples] == [(None, False)] * 3
    assert traffic.connections == 3


def test_connection_close_is_followed_by_a_new_connection() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(WHOLE.replace(b"\r\nContent-Type", b"\r\nConnection: close\r\nContent-Type"))

    with server(behave) as endpoint:
        traffic, samples = send(endpoint, AfterRequests(3), streaming=False)
    assert [(sample.error, sample.resent) for sample in samples] == [(None, False)] * 3
    assert traffic.connections == 3


def test_a_body_that_ends_with_its_connection() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + ANSWER)

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint, streaming=False)
    assert sample.error is None


def test_reset_in_the_middle() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(WHOLE[:-5])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint, streaming=False)
    assert sample.error == "truncated"


def test_not_http() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"220 mail.example.org ESMTP\r\n")

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint)
    assert sample.error == "bad_response"


def test_too_many_bytes() -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.settimeout(10)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b":\n" * 2_000_000)
        except OSError:
            return  # the client hung up, as it should

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint, limits=Limits(response_bytes=1_000_000))
    assert sample.error == "bad_response"


def test_a_redirect_is_told_and_never_followed() -> None:
    requests: list[bytes] = []

    def behave(connection: socket.socket, number: int) -> None:
        requests.append(read_request(connection))
        head = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.sendall(head)

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint)
    assert (sample.error, sample.status, len(requests)) == ("http_status", 302, 1)
    assert "/elsewhere" in (sample.error_detail or "")


def test_an_event_of_ten_megabytes_arrives_whole() -> None:
    event = json.dumps({"choices": [{"delta": {"content": "x" * 10_000_000}, "finish_reason": "length"}]}).encode()
    body = b"data: " + event + b"\n\ndata: [DONE]\n\n"

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint)
    assert (sample.error, sample.text_chars, len(sample.arrivals_ns)) == (None, 10_000_000, 1)


def test_a_large_request_goes_out_whole() -> None:
    sizes: list[int] = []

    def behave(connection: socket.socket, number: int) -> None:
        sizes.append(len(read_request(connection)))
        connection.sendall(WHOLE)

    with server(behave) as endpoint:
        request = prepare(endpoint, "big", {"prompt": "x" * 8_000_000})
        traffic = measure(endpoint.host, endpoint.port, iter([request]), slots=1, stop=AfterRequests(1))
    assert sizes == [len(request.payload)]
    assert traffic.exchanges[0].end == "complete"


def test_a_chunked_end_split_in_every_way_is_found() -> None:
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
        len(ANSWER),
        ANSWER,
    )

    def behave(connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, 20):
            if not read_request(connection):
                return
            connection.sendall(text[:-cut])
            connection.sendall(text[-cut:])

    with server(behave) as endpoint:
        traffic, _ = send(endpoint, AfterRequests(19), streaming=False)
    assert {exchange.end for exchange in traffic.exchanges} == {"complete"}
    assert traffic.connections == 1


def test_the_deadline_ends_everything() -> None:
    with serving(FakeOptions(fault="hang")) as endpoint:
        limits = Limits(deadline_ns=time.monotonic_ns() + 2000 * MS)
        traffic, samples = send(endpoint, AfterRequests(100), slots=3, limits=limits)
    assert [sample.error for sample in samples] == ["timeout"] * 3
    assert traffic.gave_up is not None


def test_what_a_signal_handler_raises_passes_at_once() -> None:
    class TerminatedError(Exception):
        pass

    def handler(number: int, frame: object) -> None:
        raise TerminatedError

    us = threading.get_ident()
    after: list[bytes] = []

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        signal.pthread_kill(us, signal.SIGUSR2)  # while the client waits for an answer, which never comes
        after.append(connection.recv(1))

    before = signal.signal(signal.SIGUSR2, handler)
    try:
        with server(behave) as endpoint, pytest.raises(TerminatedError):
            send(endpoint)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert after == [b""], "it hung up"
    assert gc.isenabled()
