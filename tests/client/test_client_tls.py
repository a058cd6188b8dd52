"""The client over TLS: the fake engine behind it, servers that misbehave, and records split in every way."""

from __future__ import annotations

import json
import socket
import ssl
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from tests.tls_engine import certified, serving_tls

from dynamometer.client.decode import decode
from dynamometer.client.exchange import Request, Traffic
from dynamometer.client.loop import Limits
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.client.tls import Tls, TlsError
from dynamometer.domain.record import Sample
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions
from dynamometer.load.stops import AfterRequests

MS = 1_000_000
ANSWER = json.dumps({"choices": [{"message": {"content": "hi"}}], "usage": {"completion_tokens": 1}}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for localhost, whose authority SSL_CERT_FILE names."""
    made, authority = certified(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    return made


def send(
    endpoint: Endpoint, requests: int = 1, *, slots: int = 1, tokens: int = 8, streaming: bool = True, **more: Any
) -> tuple[Traffic, list[Sample]]:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": tokens, "ignore_eos": True}
    asked |= {"stream": streaming, "stream_options": {"include_usage": True}}
    made: Iterator[Request] = (prepare(endpoint, f"r{number}", asked) for number in count())
    traffic = measure(
        endpoint.host, endpoint.port, made, slots=slots, stop=AfterRequests(requests), tls=endpoint.tls, **more
    )
    return traffic, [decode(exchange, streaming=streaming) for exchange in traffic.exchanges]


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    """Runs ``behave`` for each connection, one after the other; TLS is its own affair."""
    address = socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(address[4][:2], family=address[0])

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                behave(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Endpoint(host="localhost", port=listener.getsockname()[1], model="m", tls=True)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def secure(
    connection: socket.socket, certificate: Path, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    context.load_cert_chain(certificate)
    return context.wrap_socket(connection, server_side=True)


def read_request(connection: socket.socket) -> int:
    """Size of one request's body; 0 when the client closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return 0
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    size, found = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]), len(body)
    while found < size:
        found += len(connection.recv(65_536))
    return found


def test_stamps_agree_with_what_the_server_truly_sent(tmp_path: Path, certificate: Path) -> None:
    truth_file = tmp_path / "truth.jsonl"
    options = FakeOptions(ttft_ms=20, itl_ms=5, n_parallel=4, truth_file=str(truth_file))
    with serving_tls(options, certificate) as endpoint:
        traffic, samples = send(endpoint, 12, slots=4, tokens=20)
    truth = {line["id"]: line for line in map(json.loads, truth_file.read_text().splitlines())}
    itls: list[float] = []
    for sample in samples:
        assert (sample.error, sample.resent, sample.event_tokens) == (None, False, (1,) * 20)
        assert sample.sent_ns <= truth[sample.id]["received_ns"]
        errors = [seen - sent for seen, sent in zip(sample.arrivals_ns, truth[sample.id]["sends_ns"], strict=True)]
        assert min(errors) > 0
        itls += [abs(later - earlier) / MS for earlier, later in pairwise(errors)]
    assert statistics.median(itls) < 0.5
    assert traffic.health.clock == "kernel"
    assert traffic.connections == 4


def test_connections_that_wait_for_their_request_survive_what_the_server_says_meanwhile(certificate: Path) -> None:
    with serving_tls(FakeOptions(ttft_ms=20, itl_ms=1, n_parallel=8), certificate) as endpoint:
        traffic, samples = send(endpoint, 24, slots=8, connect=8)
    assert [(sample.error, sample.resent) for sample in samples] == [(None, False)] * 24
    assert traffic.connections == 8


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_either_version_of_tls_keeps_its_connection(certificate: Path, version: ssl.TLSVersion) -> None:
    def behave(connection: socket.socket) -> None:
        with secure(connection, certificate, version) as secured:
            while read_request(secured):
                secured.sendall(WHOLE)

    with server(behave) as endpoint:
        traffic, samples = send(endpoint, 5, streaming=False)
    assert [(sample.error, sample.resent) for sample in samples] == [(None, False)] * 5
    assert traffic.connections == 1


def test_a_kept_connection_that_the_server_closed_unanswered_is_used_once_more_on_a_new_one(certificate: Path) -> None:
    def behave(connection: socket.socket) -> None:
        with secure(connection, certificate) as secured:
            read_request(secured)
            secured.sendall(WHOLE)
            read_request(secured)  # swallowed: closed without a word

    with server(behave) as endpoint:
        traffic, samples = send(endpoint, 2, streaming=False)
    assert [(sample.error, sample.resent) for sample in samples] == [(None, False), (None, True)]
    assert traffic.connections == 2


def test_an_authority_that_nobody_trusts(tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, other = certified(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    alerts: list[str] = []

    def behave(connection: socket.socket) -> None:
        with pytest.raises(ssl.SSLError) as caught:
            secure(connection, stranger)
        alerts.append(str(caught.value))

    stranger = tmp_path / "stranger.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(stranger))
    with server(behave) as endpoint:
        traffic, samples = send(endpoint, 1000, limits=Limits(unreachable_ns=200 * MS))
    assert {sample.error for sample in samples} == {"connection"}
    assert "certificate is not trusted: " in (samples[0].error_detail or "")
    assert traffic.gave_up is not None
    assert "not trusted" in traffic.gave_up
    assert len(samples) < 100
    assert "UNKNOWN_CA" in alerts[0].upper().replace(" ", "_"), "the server is told why"


def test_a_certificate_of_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, authority = certified(tmp_path, "other.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with serving_tls(FakeOptions(), certificate) as endpoint:
        _, (sample,) = send(endpoint)
    assert sample.error == "connection"
    assert "not valid for 'localhost'" in (sample.error_detail or "")


def test_a_server_without_tls(certificate: Path) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(65_536)
        with suppress(ConnectionError):  # the client leaves as soon as it sees that this is no TLS
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            connection.recv(65_536)

    with server(behave) as endpoint:
        _, (sample,) = send(endpoint)
    assert sample.error == "connection"
    assert "TLS failed: " in (sample.error_detail or "")


def test_a_server_that_hangs_up_in_the_handshake(certificate: Path) -> None:
    with server(lambda connection: None) as endpoint:
        _, (sample,) = send(endpoint)
    assert sample.error in {"connection", "refused"}
    assert sample.error_detail


def test_a_server_that_never_answers_the_handshake(certificate: Path) -> None:
    with server(lambda connection: [None for _ in iter(lambda: connection.recv(65_536), b"")].clear()) as endpoint:
        limits = Limits(request_ns=200 * MS, unreachable_ns=50 * MS)
        _, (sample,) = send(endpoint, limits=limits)
    assert sample.error == "timeout"


def test_an_event_of_ten_megabytes_arrives_whole(certificate: Path) -> None:
    options = FakeOptions(ttft_ms=1, itl_ms=1, fault="huge_event")
    with serving_tls(options, certificate) as endpoint:
        _, (sample,) = send(endpoint, tokens=3)
    assert sample.error is None
    assert sample.text_chars > 10_000_000


def test_a_large_request_goes_out_whole(certificate: Path) -> None:
    sizes: list[int] = []

    def behave(connection: socket.socket) -> None:
        with secure(connection, certificate) as secured:
            sizes.append(read_request(secured))
            secured.sendall(WHOLE)

    with server(behave) as endpoint:
        request = prepare(endpoint, "big", {"prompt": "x" * 8_000_000})
        traffic = measure(endpoint.host, endpoint.port, iter([request]), slots=1, stop=AfterRequests(1), tls=True)
    assert sizes == [len(request.payload.partition(b"\r\n\r\n")[2])]
    assert traffic.exchanges[0].end == "complete"


def test_a_body_that_ends_when_the_server_says_that_no_more_comes(certificate: Path) -> None:
    def behave(connection: socket.socket) -> None:
        with secure(connection, certificate) as secured:
            read_request(secured)
            secured.sendall(HEAD + b"\r\n" + ANSWER)
            with suppress(ssl.SSLError, ConnectionError):  # waits for our end, which is closed without a word
                secured.unwrap()

    with server(behave) as endpoint:
        _, samples = send(endpoint, 2, streaming=False)
    assert [sample.error for sample in samples] == [None, None]


def test_a_farewell_beside_a_whole_answer_is_followed_by_a_new_connection(certificate: Path) -> None:
    def behave(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            incoming.write(connection.recv(65_536))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
        connection.sendall(outgoing.read())
        while True:
            try:
                tls.read(65_536)
                break
            except ssl.SSLWantReadError:
                incoming.write(connection.recv(65_536))
        tls.write(WHOLE)
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        connection.sendall(outgoing.read())  # answer and farewell in one segment
        connection.recv(65_536)

    with server(behave) as endpoint:
        traffic, samples = send(endpoint, 3, streaming=False)
    assert [(sample.error, sample.resent) for sample in samples] == [(None, False)] * 3
    assert traffic.connections == 3


class Peers:
    """A client's and a server's end, without a network."""

    def __init__(self) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        client, self.context = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.configure_trust(client)
        authority.issue_cert("localhost").configure_cert(self.context)
        self.client_context = client

    def agreed(self) -> tuple[Tls, ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        far = self.context.wrap_bio(incoming, outgoing, server_side=True)
        near = Tls(self.client_context, "localhost")
        assert not near.shake(b"")
        incoming.write(near.outgoing())
        with pytest.raises(ssl.SSLWantReadError):
            far.do_handshake()
        assert near.shake(outgoing.read())
        incoming.write(near.outgoing())
        far.do_handshake()
        return near, far, incoming, outgoing


PEERS = Peers()


@given(st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=4), st.lists(st.integers(1, 20_000)))
def test_text_is_known_when_its_record_is_whole_however_it_was_split(texts: list[bytes], cuts: list[int]) -> None:
    near, far, _, outgoing = PEERS.agreed()
    for text in texts:
        sent = 0
        while sent < len(text):
            sent += far.write(text[sent:])
    wire, found = outgoing.read(), b""
    for cut in cuts:
        found += near.decrypt(wire[:cut])
        wire = wire[cut:]
    assert found + near.decrypt(wire) == b"".join(texts)
    assert not near.closed


def test_what_was_changed_on_the_way_is_refused() -> None:
    near, far, _, outgoing = PEERS.agreed()
    far.write(b"true")
    wire = bytearray(outgoing.read())
    wire[-1] ^= 1
    with pytest.raises(TlsError, match=r"TLS failed: .*mac"):
        near.decrypt(bytes(wire))


def test_what_is_encrypted_reaches_the_other_end() -> None:
    near, far, incoming, _ = PEERS.agreed()
    incoming.write(near.encrypt(b"x" * 100_000))
    assert sum(len(far.read(16_384)) for _ in range(7)) == 100_000
