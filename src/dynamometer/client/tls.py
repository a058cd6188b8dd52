"""TLS of one connection without its socket: what came from the wire goes in, what is to go out comes back.

The loop keeps its one way of reading and writing, and a record that spans several reads is known when its last byte
has come.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial

HEADER_BYTES = 5
"""Of a TLS record: its kind, the version, and the length of the rest in two bytes."""
RECORD_BYTES = 16_384
"""Most that one TLS record holds."""


class TlsError(Exception):
    """TLS was not agreed on, or what came is not what the peer sent. The message tells the reason."""


def secured(host: str) -> Callable[[], Tls]:
    """Makes the TLS of each connection to ``host``, whose name the server's certificate must bear.

    Whom to trust is Python's default: the system's authorities, or those of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION  # reading then never has to write
    return partial(Tls, context, host)


def reason(error: ssl.SSLError) -> str:
    """What went wrong, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message.rstrip('.')}"
    return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"


class Tls:
    """One connection's TLS. ``closed`` once the peer has said that nothing more comes."""

    __slots__ = ("_header", "_incoming", "_missing", "_outgoing", "_tls", "closed")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.closed = False
        self._header, self._missing = b"", 0  # the begin of a header, and what is to come of the record after one

    def shake(self, data: bytes) -> bool:
        """Take the handshake as far as ``data`` allows; True when it is done. ``outgoing`` is to be sent either way.

        Raises TlsError.
        """
        self.record_sizes(data)
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise TlsError(reason(error)) from error
        return True

    def outgoing(self) -> bytes:
        """What is to be sent, and was not asked for before."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """What is to be sent in place of ``data``. Raises TlsError."""
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise TlsError(reason(error)) from error
        return self._outgoing.read()

    def record_sizes(self, data: bytes) -> list[int]:
        """Sizes of the records in ``data``, which is what comes next, and is not taken in by this.

        The first may be the rest of one that had come in part, the last may not be whole.
        """
        sizes: list[int] = []
        begin = 0
        while begin < len(data):
            if not self._missing:
                header = self._header + data[begin : begin + HEADER_BYTES - len(self._header)]
                if len(header) < HEADER_BYTES:
                    self._header = header
                    return [*sizes, len(data) - begin]
                self._missing = HEADER_BYTES - len(self._header) + int.from_bytes(header[3:], "big")
                self._header = b""
            size = min(self._missing, len(data) - begin)
            self._missing -= size
            sizes.append(size)
            begin += size
        return sizes

    def decrypt(self, data: bytes) -> bytes:
        """All that is known with ``data``; nothing when it holds no whole record, or none of ours. Raises TlsError."""
        incoming, tls = self._incoming, self._tls
        incoming.write(data)
        found = []
        try:
            while incoming.pending or tls.pending():
                plain = tls.read(RECORD_BYTES)
                if not plain:
                    self.closed = True
                    break
                found.append(plain)
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still to come
        except ssl.SSLError as error:
            raise TlsError(reason(error)) from error
        return found[0] if len(found) == 1 else b"".join(found)
