"""What a meter gives: a reading over a window, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dynamometer.domain.record import Reading


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured: the process group of the engine."""

    pgid: int
    """Process group id on this machine."""


class Meter(Protocol):
    """One sensor. Opened right before the window, closed right after; must not disturb what lies between."""

    @property
    def name(self) -> str:
        """Name in records."""

    def open(self, target: Target) -> None:
        """Begin. A sensor that is not there is not an error: ``close`` says so in its reading."""

    def close(self) -> tuple[Reading, ...]:
        """End, and say what was found. Called once, also after a failed run."""
