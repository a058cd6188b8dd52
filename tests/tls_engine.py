"""The fake engine behind TLS, in a process of its own, with a certificate of an authority that exists for one test."""

from __future__ import annotations

import json
import select
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions
from dynamometer.engines.fake_server import Connection, Server, Settings, Told, be_punctual, listener_of, obey_signals

PATIENCE_S = 10


class QuietSocket(ssl.SSLSocket):
    """Says that it would block in the words of a plain socket."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def send(self, data: Any, flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error


class TlsServer(Server):
    """The fake engine, each connection secured when it is taken."""

    def __init__(self, listener: socket.socket, settings: Settings, told: int, certificate: str) -> None:
        super().__init__(listener, settings, time.monotonic_ns(), told)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sslsocket_class = QuietSocket
        self.context.load_cert_chain(certificate)

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            secure = self.context.wrap_socket(sock, server_side=True)
        except OSError as error:
            print(f"handshake failed: {error}", file=sys.stderr, flush=True)
            return
        secure.setblocking(False)
        self.connections[secure.fileno()] = Connection(secure)
        self.epoll.register(secure, select.EPOLLIN)


def main(host: str, certificate: str, text: str) -> None:
    """Serve until told to end, then write the true times where they are asked for."""
    told = obey_signals(ignore_sigterm=False)
    settings = Settings(**json.loads(text))
    listener = listener_of(host, 0)
    print(listener.getsockname()[1], flush=True)
    be_punctual(settings.core)
    server = TlsServer(listener, settings, told, certificate)
    try:
        server.serve()
    except Told:
        if settings.truth_file:
            Path(settings.truth_file).write_bytes(b"".join(truth.line(request) for request, truth in server.truths))


def certified(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate with its key for these names, and the authority that signed it, as files."""
    authority = trustme.CA()
    certificate, trusted = folder / "server.pem", folder / "authority.pem"
    authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(trusted))
    return certificate, trusted


@contextmanager
def serving_tls(options: FakeOptions, certificate: Path) -> Iterator[Endpoint]:
    """The fake engine behind TLS at localhost for the length of the block."""
    host = str(socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)[0][4][0])
    text = json.dumps(options.model_dump(exclude_defaults=True))
    argv = [sys.executable, __file__, host, str(certificate), text]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield Endpoint(host="localhost", port=port, model="fake", ignore_eos=True, tls=True)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
