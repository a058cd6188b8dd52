"""Being told to stop: signals become a flag and a byte in a pipe: every wait ends at once, no write is cut."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """How often we were told to stop, by which signal first, and a descriptor that wakes whoever waits."""

    def __init__(self) -> None:
        """Not told yet."""
        self.times = 0
        self.signal: signal.Signals | None = None
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def requested(self) -> bool:
        """Whether we were told."""
        return self.times > 0

    @property
    def wake_fd(self) -> int:
        """Readable after each request, until ``calm``."""
        return self._read

    def request(self, number: signal.Signals) -> None:
        """Tell to stop. Safe in a signal handler."""
        self.times += 1
        self.signal = self.signal or number
        os.write(self._write, b"!")

    def calm(self) -> None:
        """Take the request as heard: the descriptor wakes again only at the next one."""
        while select.select([self._read], [], [], 0)[0]:
            os.read(self._read, 64)

    def pause(self, seconds: float) -> None:
        """Wait, unless told to stop."""
        if not self.requested:
            select.select([self._read], [], [], seconds)

    def close(self) -> None:
        """Free the pipe."""
        os.close(self._read)
        os.close(self._write)


@contextmanager
def listening(on_request: Callable[[int], None]) -> Iterator[StopRequest]:
    """Turn INT, TERM and HUP into requests while the block runs; ``on_request`` is told how many there were."""
    stop = StopRequest()

    def hear(number: int, _frame: FrameType | None) -> None:
        stop.request(signal.Signals(number))
        on_request(stop.times)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()
