"""What Ctrl-C, TERM and HUP mean at each moment of a bench, and what is said of them."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from typing import Literal

import click

from dynamometer.cli.readers import takes_more
from dynamometer.worker.drive import REQUEST_S


class Patience:
    """How signals meet a bench.

    Before a window there is nothing to keep, and the first ends everything; within a window the first ends the window
    as its duration would, the second everything. While results are written, which takes for ever when nobody reads
    them, the first is noted, and the second gives the rest of them up.
    """

    def __init__(self) -> None:
        """Of a bench whose first run has not begun."""
        self._moment: Literal["before", "window", "after"] = "before"
        self._deadline_s = math.inf
        self._unsaid: deque[str] = deque()
        self._while_written = 0

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
            self._while_written += 1
            self._unsaid.append(
                "stopping at once" if self.gave_up else "results are being written (again to stop without them)"
            )
            return self.gave_up
        if self._moment == "before" or times > 1:
            self._unsaid.append("stopping at once")
            self._moment = "after"
            return True
        most_s = min(REQUEST_S, math.ceil(self._deadline_s - time.monotonic()))
        words = f"stopping when the requests in flight have ended, at most {most_s} s (again to stop at once)"
        self._unsaid.append(words)
        return False

    @property
    def gave_up(self) -> bool:
        """Whether results that are being written are to be written no more."""
        return self._while_written > 1

    def say(self, _times: int) -> None:
        """Print what the next signal meant when it came; not into what takes no more, where it would wait for ever."""
        words = self._unsaid.popleft()
        if takes_more(sys.stderr):
            click.echo(words, err=True)
