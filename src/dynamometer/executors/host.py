"""Workers on this host: ``dyno worker FOLDER`` in a session of its own, which does not outlive us."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dynamometer.domain.step import Step
from dynamometer.engines.process import MARK, signal_group, sweep
from dynamometer.executors.base import Exit
from dynamometer.store import layout
from dynamometer.store.files import remove_temporaries


@dataclass(frozen=True, slots=True)
class HostExecutor:
    """Starts workers as child processes."""

    python: str = sys.executable

    def start(self, _step: Step, folder: Path, /) -> HostHandle:
        """Start the worker. It gets a group of its own, a mark in its environment, and dies with us."""
        folder = folder.resolve()
        with (folder / layout.WORKER_LOG).open("ab") as log:
            process = subprocess.Popen(
                # -P: a click.py in the folder the user happens to be in is not to be imported
                [self.python, "-P", "-m", "dynamometer", "worker", str(folder), "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, MARK: str(folder)},
                start_new_session=True,
            )
        return HostHandle(process, folder)


class HostHandle:
    """A worker on this host."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Take charge of a started worker."""
        self._process, self._folder = process, folder

    def wait(self, timeout_s: float, wake_fd: int | None = None, /) -> Exit | None:
        """Wait on the process itself (pidfd), so that nothing polls while a run is measured."""
        if self._process.poll() is None:
            pidfd = os.pidfd_open(self._process.pid)
            try:
                select.select([pidfd, *([] if wake_fd is None else [wake_fd])], [], [], max(0.0, timeout_s))
            finally:
                os.close(pidfd)
        return self._ended()

    def stop(self, grace_s: float, wake_fd: int | None = None, /) -> Exit:
        """TERM to the worker, which stops its engine; KILL to its group at the end of the grace."""
        if self._process.poll() is None:
            self._process.terminate()
            self.wait(grace_s, wake_fd)
        signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()
        ended = self._ended()
        assert ended is not None, "a killed and reaped process has ended"
        return ended

    def _ended(self) -> Exit | None:
        code = self._process.poll()
        if code is None:
            return None
        sweep(self._folder)
        remove_temporaries(self._folder)
        message = last_words((self._folder / layout.WORKER_LOG).read_text("utf-8", "replace"))
        return Exit(None, -code, message) if code < 0 else Exit(code, None, message)


def last_words(log: str) -> str:
    """The error that a command ended with, and its hint; else its last line."""
    lines = log.strip().splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    return "; ".join(lines[errors[-1] :] if errors else lines[-1:])
