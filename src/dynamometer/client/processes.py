"""Several processes share one load, for when one core is not enough. This is their parent's side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from dynamometer.client.exchange import Request
from dynamometer.client.parts import Part, Word, parts
from dynamometer.client.share import Share, Task
from dynamometer.errors import PreconditionError

MODULE = "dynamometer.client.process"
OPENING_NS = 10_000_000
"""From telling the processes when the window begins to its begin: they have to hear it before."""
LOOK_S = 0.05
"""How often an interruption is looked for."""
GRACE_S = 2.0
"""For a process to end that has nothing more to do."""


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
    with _counter() as counter, ExitStack() as stack:
        children = [stack.enter_context(_child(part, counter)) for part in parts(number, task, requests, counter)]
        _await(children, Word.READY)
        on_open()
        begin_ns = time.monotonic_ns() + OPENING_NS
        for child in children:
            child.tell(begin_ns)
        _await(children, Word.CLOSED, interrupted)
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


def _await(children: Sequence[_Child], word: Word, interrupted: Callable[[], bool] | None = None) -> None:
    """Until each of them has said the word; an interruption is passed on once."""
    silent = list(children)
    while silent:
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
def _counter() -> Iterator[int]:
    """A file whose offset is a counter."""
    file = os.memfd_create("dyno-places")
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def _child(part: Part, counter: int) -> Iterator[_Child]:
    """A process that has its part. It is gone when the block ends."""
    ours, theirs = Pipe()
    with ours:
        with theirs, _interrupts_held():
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), counter),
            )
        try:
            child = _Child(ours, process)
            child.tell(part)
            yield child
            ours.close()
            process.wait(GRACE_S)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A process started within never hears INT; for us it comes when the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
