"""Being told to stop: signals become a flag and a byte in a pipe: every wait ends at once, no write is cut."""

from __future__ import annotations

import os
import select
import signal
import threading
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

    @contextmanager
    def woken_by_signals(self) -> Iterator[None]:
        """Signals with a handler wake whoever waits, even one that comes right before the wait.

        The handler itself would be too late then: Python calls it when the wait is over. Main thread only.
        """
        before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def request(self, number: signal.Signals) -> None:
        """Tell to stop. Safe in a signal handler."""
        self.times += 1
        self.signal = self.signal or number
        _wake(self._write)

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
def listening(on_request: Callable[[int], None], at_once: Callable[[int], bool] | None = None) -> Iterator[StopRequest]:
    """Turn INT, TERM and HUP into requests while the block runs; ``on_request`` is told how many there were.

    ``at_once`` is asked in the signal handler, with how many there were; when it says so, KeyboardInterrupt is raised
    wherever the block is.

    ``on_request`` is told in a thread of its own, and may print: a signal handler that waits for a lock of the display
    waits for ever when it interrupted who holds it.
    """
    stop = StopRequest()
    with _telling(on_request) as tell:

        def hear(number: int, _frame: FrameType | None) -> None:
            stop.request(signal.Signals(number))
            over = at_once is not None and at_once(stop.times)
            tell()
            if over:
                raise KeyboardInterrupt

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, hear) for number in numbers}
        try:
            with stop.woken_by_signals():
                yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            stop.close()


@contextmanager
def _telling(on_request: Callable[[int], None]) -> Iterator[Callable[[], None]]:
    """What to call for ``on_request`` to be called soon, with the number of calls. All are made when the block ends."""
    read, write = os.pipe2(os.O_CLOEXEC)

    def tell_all() -> None:
        times = 0
        while os.read(read, 1):
            times += 1
            on_request(times)

    teller = threading.Thread(target=tell_all, name="told-to-stop", daemon=True)
    teller.start()
    try:
        yield lambda: _wake(write)
    finally:
        os.close(write)
        teller.join()
        os.close(read)


def _wake(descriptor: int) -> None:
    os.write(descriptor, b"!")
