"""The engine's process: started shielded in a group of its own, its output drained to a file, and all of it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from dynamometer.engines import shield

TERM_GRACE_S = 10.0


class EngineProcess:
    """A started engine. Its output goes straight into its log file: nobody has to read a pipe, so nothing blocks."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path, folder: Path) -> None:
        """Start ``argv`` (no shell) with ``env`` added to ours, in ``folder``."""
        self.argv = tuple(argv)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", shield.__file__, str(os.getpid()), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pgid(self) -> int:
        """Process group of the engine."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """How it ended; None while it runs. Negative: the signal."""
        return self._process.poll()

    def stop(self, grace_s: float = TERM_GRACE_S) -> int:
        """TERM to the group, wait, KILL to the group and to whatever it started elsewhere; returns the exit code."""
        strays = descendants(self._process.pid)
        if self._process.poll() is None:
            signal_group(self.pgid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):  # KILL comes next, ended or not
                self._process.wait(grace_s)
        signal_group(self.pgid, signal.SIGKILL)
        code = self._process.wait()
        kill_all([*strays, *descendants(os.getpid())])
        return code


def signal_group(pgid: int, number: signal.Signals) -> None:
    """Send a signal to a process group that may be gone."""
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        return


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below ``pid``. As a subreaper, the worker also has below it what daemonised itself away."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_all(processes: Sequence[psutil.Process], wait_s: float = 5.0) -> None:
    """Kill processes and see them gone. psutil compares start times, so a reused pid is safe."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=wait_s)


LOOKS = 10
"""How often in a row we look again because some process ended meanwhile: on a busy machine one always does."""
MARK = "DYNO_ATTEMPT"
"""Environment variable that every process of an attempt inherits; its value is the attempt's folder."""


def marked(prefix: str) -> list[psutil.Process]:
    """Live processes other than ours whose mark begins with ``prefix``: what an attempt, or a campaign, left behind."""
    return _look(prefix)[0]


def _look(prefix: str) -> tuple[list[psutil.Process], bool]:
    """Marked processes, and whether one ended while we looked: it may have been one, and have left another."""
    found, has_ended = [], False
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            value = process.environ().get(MARK, "")
        except psutil.NoSuchProcess:
            has_ended = True
            continue
        except (psutil.Error, OSError):
            continue
        if value and (value + "/").startswith(prefix.rstrip("/") + "/"):
            found.append(process)
    return found, has_ended


def sweep(folder: Path) -> int:
    """Kill what is left of attempts under ``folder``; returns how many processes that was."""
    total, looks, end = 0, 0, time.monotonic() + 15
    while looks < LOOKS and time.monotonic() < end:
        left, has_ended = _look(str(folder))
        if not left and not has_ended:
            break
        looks = 0 if left else looks + 1
        kill_all(left)
        total += len(left)
    return total
