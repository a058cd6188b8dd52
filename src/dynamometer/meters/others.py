"""Other work on the host during the window: processor time that neither the engine nor the client used.

A load average would not tell: it looks back a minute, so a campaign would blame itself for its own last run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from dynamometer.domain.record import Reading
from dynamometer.meters.base import Target
from dynamometer.meters.processes import PROC, children, cpu_ticks, members

BUSY = (0, 1, 2, 5, 6, 7)
"""Columns of /proc/stat that are work: user, nice, system, irq, softirq, and steal, which other guests took."""


class OthersMeter:
    """Mean number of cores that others kept busy."""

    name = "others"

    def __init__(
        self,
        proc: Path = PROC,
        clock: Callable[[], float] = time.monotonic,
        ticks_per_s: int = os.sysconf("SC_CLK_TCK"),
        client: int | None = None,
    ) -> None:
        self._proc, self._clock, self._ticks = proc, clock, ticks_per_s
        self._client = os.getpid() if client is None else client
        self._pgid: int | None = None
        self._opened = 0.0
        self._busy = self._own = 0

    def open(self, target: Target) -> None:
        """Note the counters."""
        self._pgid = target.pgid
        self._busy, self._own, self._opened = self._all(), self._ours(), self._clock()

    def close(self) -> tuple[Reading, ...]:
        """One reading ``other_cpu`` in cores."""
        if self._pgid is None:
            return (self._reading(None, "the meter was not opened"),)
        seconds = self._clock() - self._opened
        if not self._busy or seconds <= 0:
            return (self._reading(None, f"no processor times under {self._proc}"),)
        others = (self._all() - self._busy) - (self._ours() - self._own)
        # The counters tick in hundredths of a second and not all at once, so a quiet host may come out below nothing.
        return (self._reading(max(0.0, others / self._ticks / seconds), None),)

    def _all(self) -> int:
        try:
            first = (self._proc / "stat").read_text().split("\n", 1)[0].split()[1:]
        except OSError:
            return 0
        return sum(int(first[column]) for column in BUSY if column < len(first))

    def _ours(self) -> int:
        assert self._pgid is not None, "asked between open and close"
        client = {self._client, *children(self._client, self._proc)}  # several processes may share the load
        return sum(cpu_ticks(pid, self._proc) for pid in client | {*members(self._pgid, self._proc)})

    def _reading(self, value: float | None, missing: str | None) -> Reading:
        return Reading(
            meter=self.name,
            quantity="other_cpu",
            unit="cores",
            value=value,
            missing=missing,
            source="proc-stat",
            scope="all processes but the engine's group and the client",
        )
