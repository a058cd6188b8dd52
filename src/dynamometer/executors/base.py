"""What an executor gives: a worker started somewhere, and a handle on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dynamometer.domain.step import Step


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended. Success is never read from this, only from the record it left."""

    code: int | None
    """Exit code; None when it ended by a signal or its code is not known."""
    signal: int | None = None
    """Signal that ended it."""
    message: str = ""
    """Last words on its standard error, for people."""


class Handle(Protocol):
    """A running worker."""

    def wait(self, timeout_s: float, wake_fd: int | None = None, /) -> Exit | None:
        """Wait until it ends, at most so long, and only until ``wake_fd`` becomes readable; None when it still runs."""

    def stop(self, grace_s: float, wake_fd: int | None = None, /) -> Exit:
        """Ask it to end; after the grace, or when ``wake_fd`` becomes readable, kill it and everything it started."""


class Executor(Protocol):
    """Starts workers in one kind of place."""

    def start(self, step: Step, folder: Path, /) -> Handle:
        """Start the worker of a step in its attempt folder, which exists and is empty but for ``step.json``."""
