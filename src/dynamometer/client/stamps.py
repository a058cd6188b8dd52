"""Sockets of the measuring client, and whether the kernel stamps what arrives on them."""

from __future__ import annotations

import resource
import socket
import sys
import time

from dynamometer.client.clock import TIMESPEC
from dynamometer.errors import PreconditionError

SO_TIMESTAMPNS = 35
"""Of asm-generic/socket.h, which every processor we know of but PA-RISC and SPARC uses; Python has no name for it."""
ANCILLARY_BYTES = 64
"""Room for one timespec in ancillary data."""
OTHER_FILES = 64
"""Descriptors that a process needs beside its connections."""
_PROBE_S = 0.1
_PLAUSIBLE_NS = 1_000_000_000

Address = tuple[socket.AddressFamily, tuple[str | int, ...]]


def resolve(host: str, port: int) -> Address:
    """Family and address to connect to. Raises OSError for a name that is not known."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, tuple(part for part in address if isinstance(part, str | int))


def make_room(connections: int) -> None:
    """Raise our limit of open files to what so many connections take.

    Raises PreconditionError when the system does not let us.
    """
    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        message = f"{connections} requests in flight take {needed} open files, and this system allows {hard}"
        raise PreconditionError(message, hint="raise the limit (ulimit -Hn), or have fewer requests in flight")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def open_socket(family: socket.AddressFamily, *, stamped: bool) -> socket.socket:
    """A non-blocking TCP socket that sends at once and, when asked, has arrivals stamped by the kernel."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if stamped:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return sock


class KernelStamps:
    """Keeps stamping switched on, and says whether it works: ``available``.

    The kernel begins to stamp a few milliseconds after the first socket asks for it, so one socket asks early,
    is watched until plausible stamps come, and stays open as long as this does.
    """

    def __init__(self) -> None:
        self._sockets: tuple[socket.socket, ...] = ()
        self.available = sys.platform == "linux" and self._probe()

    def close(self) -> None:
        """Let the kernel stop stamping."""
        for sock in self._sockets:
            sock.close()
        self._sockets = ()

    def _probe(self) -> bool:
        try:
            near, far = self._pair()
            give_up = time.monotonic() + _PROBE_S
            while time.monotonic() < give_up:
                if _stamped(near, far):
                    return True
                time.sleep(0.001)
        except OSError:
            return False  # no loopback, or no such option: user-space stamps, and the record says so
        return False

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._sockets = (near,)
            near.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            near.settimeout(_PROBE_S)
            near.connect(server.getsockname())
            far, _ = server.accept()
            self._sockets = (near, far)
        return near, far


def _stamped(near: socket.socket, far: socket.socket) -> bool:
    """Whether a byte sent now arrives with a stamp of about now."""
    sent_ns = time.time_ns()
    far.sendall(b"x")
    _, ancillary, _, _ = near.recvmsg(1, ANCILLARY_BYTES)
    if not ancillary or len(ancillary[0][2]) < TIMESPEC.size:
        return False
    seconds, nanoseconds = TIMESPEC.unpack_from(ancillary[0][2])
    return bool(abs(seconds * 1_000_000_000 + nanoseconds - sent_ns) < _PLAUSIBLE_NS)
