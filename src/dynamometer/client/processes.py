"""Several processes share one load, for when one core is not enough. This is their parent's side."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from tempfile import TemporaryFile
from typing import Any

from dynamometer.client.exchange import Request
from dynamometer.client.parts import IGNORED, Part, Word, parts
from dynamometer.client.share import Share, Task
from dynamometer.errors import PreconditionError

MODULE = "dynamometer.client.process"
OPENING_NS = 10_000_000
"""From telling the processes when the window begins to its begin: they have to hear it before."""
LOOK_S = 0.05
"""How often an interruption is looked for."""
GRACE_S = 2.0
"""For a process to end that has nothing more to do."""
OVERDUE_NS = 5_000_000_000
"""For a process to notice its deadline."""


def run_shares(
    number: int,
    task: Task,
    requests: Iterable[Request],
    on_open: Callable[[], None],
    on_close: Callable[[], None],
    interrupted: Callable[[], bool],
) -> list[Share]:
    """What each of ``number`` processes saw. None of them is left when this returns or raises.

    Raises PreconditionError when one of them dies, and whatever a signal handler raises.
    """
    # A file with a name once: of an anonymous one (memfd) Linux does not lock the offset, and two got the same place.
    with TemporaryFile(buffering=0) as file, ExitStack() as stack:
        counter = file.fileno()
        children = [stack.enter_context(_child(part, counter)) for part in parts(number, task, requests, counter)]
        _await(children, Word.READY, task.limits.deadline_ns)
        on_open()
        begin_ns = time.monotonic_ns() + OPENING_NS
        for child in children:
            child.tell(begin_ns)
        _await(children, Word.CLOSED, task.limits.deadline_ns, interrupted)
        on_close()
        shares = [child.hear() for child in children]
        assert all(isinstance(share, Share) for share in shares), "what a process says last is its share"
        return shares


class _Child:
    """A started process, and the connection to it."""

    def __init__(self, connection: Connection[Any, Any], process: subprocess.Popen[bytes]) -> None:
        self.connection, self._process = connection, process

    def tell(self, what: Part | int | Word) -> None:
        """Raises PreconditionError when it is dead."""
        try:
            self.connection.send(what)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._died() from error

    def hear(self) -> Any:
        """Raises PreconditionError when it is dead."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._died() from error

    def _died(self) -> PreconditionError:
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return PreconditionError(f"a process of the client died ({how})", hint="is memory short? ask for fewer of them")


def _await(
    children: Sequence[_Child], word: Word, deadline_ns: int | None, interrupted: Callable[[], bool] | None = None
) -> None:
    """Until each of them has said the word; an interruption is passed on once.

    Raises PreconditionError when one is silent after the deadline at which it was to end by itself.
    """
    silent = list(children)
    while silent:
        if deadline_ns is not None and time.monotonic_ns() > deadline_ns + OVERDUE_NS:
            raise PreconditionError("a process of the client did not end in time", hint="is the machine overloaded?")
        heard = wait([child.connection for child in silent], LOOK_S)
        for child in [child for child in silent if child.connection in heard]:
            silent.remove(child)
            said = child.hear()
            assert said is word, f"{said} instead of {word}"
        if interrupted is not None and interrupted():
            interrupted = None
            for child in silent:
                child.tell(Word.INTERRUPT)


@contextmanager
def _child(part: Part, counter: int) -> Iterator[_Child]:
    """A process that has its part. It is gone when the block ends."""
    ours, theirs = Pipe()
    with ours, theirs:
        with _held_back():
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), counter),
            )
        try:
            theirs.close()
            child = _Child(ours, process)
            child.tell(part)
            yield child
            ours.close()
            with suppress(subprocess.TimeoutExpired):  # what it had to say is said: it is killed
                process.wait(GRACE_S)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _held_back() -> Iterator[None]:
    """A process started within never hears the signals it ignores: not even before it has come to say so.

    If one reaches us meanwhile and its handler raises, that process ends when our end of its pipe is closed.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
