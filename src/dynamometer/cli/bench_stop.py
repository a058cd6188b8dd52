"""What Ctrl-C, TERM and HUP mean at each moment of a bench, and what is said of them."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Literal

import click

from dynamometer.worker.drive import REQUEST_S


class Patience:
    """How signals meet a bench.

    Before a window there is nothing to keep, and the first ends everything; within a window the first ends the window
    as its duration would, the second everything; once everything is ended, results are written whatever comes.
    """

    def __init__(self) -> None:
        """Of a bench whose first run has not begun."""
        self._moment: Literal["before", "window", "after"] = "before"
        self._deadline_s = math.inf
        self._unsaid: deque[str] = deque()

    def run_begins(self, timeout_s: float) -> None:
        """A run begins that has so many seconds."""
        self._moment, self._deadline_s = "before", time.monotonic() + timeout_s

    def window_opens(self) -> None:
        """What is measured from now on is kept."""
        self._moment = "window"

    def all_ended(self) -> None:
        """Results are written from now on."""
        self._moment = "after"

    def is_over(self, times: int) -> bool:
        """Whether the signal that came now, the ``times``-th, ends everything at once. Asked in its handler."""
        if self._moment == "after":
            self._unsaid.append("results are being written")
        elif self._moment == "before" or times > 1:
            self._unsaid.append("stopping at once")
            self._moment = "after"
            return True
        else:
            most_s = min(REQUEST_S, math.ceil(self._deadline_s - time.monotonic()))
            words = f"stopping when the requests in flight have ended, at most {most_s} s (again to stop at once)"
            self._unsaid.append(words)
        return False

    def say(self, _times: int) -> None:
        """Print what the next signal meant when it came."""
        click.echo(self._unsaid.popleft(), err=True)
