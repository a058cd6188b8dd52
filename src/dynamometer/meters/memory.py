"""Peak memory of the engine, kept by the kernel: nothing samples, nothing disturbs.

``VmHWM`` of each process in the engine's process group, set back to the present size when the window opens. With one
process this is the exact peak of the window; with several, the sum of peaks that need not coincide is an upper bound.
Pages of a mapped model file count while they are resident.
"""

from __future__ import annotations

from pathlib import Path

from dynamometer.domain.record import Reading
from dynamometer.meters.base import Target
from dynamometer.meters.processes import PROC, members, peak_rss_bytes, reset_peak_rss


class MemoryMeter:
    """Peak resident set of the engine's process group."""

    name = "memory"

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._pgid: int | None = None
        self._at_open: dict[int, bool] = {}

    def open(self, target: Target) -> None:
        """Set the peaks back, where the kernel allows it."""
        self._pgid = target.pgid
        self._at_open = {pid: reset_peak_rss(pid, self._proc) for pid in members(target.pgid, self._proc)}

    def close(self) -> tuple[Reading, ...]:
        """One reading ``peak_rss`` in bytes."""
        if self._pgid is None:
            return (self._reading(None, missing="the meter was not opened"),)
        peaks = {pid: peak_rss_bytes(pid, self._proc) for pid in members(self._pgid, self._proc)}
        alive = {pid: peak for pid, peak in peaks.items() if peak is not None}
        if not alive:
            return (self._reading(None, missing=f"no process of the engine's group {self._pgid} is alive"),)
        return (self._reading(float(sum(alive.values())), scope=self._scope(set(alive))),)

    def _scope(self, alive: set[int]) -> str:
        parts = ["process group of the engine"]
        if len(alive) > 1:
            parts.append(f"sum of the peaks of {len(alive)} processes (an upper bound)")
        # A process that began inside the window has its whole life in it.
        whole = all(self._at_open.get(pid, True) for pid in alive)
        parts.append("since the window opened" if whole else "since the start of the process")
        if gone := len(self._at_open.keys() - alive):
            parts.append(f"without {gone} that ended before")
        return ", ".join(parts)

    def _reading(self, value: float | None, missing: str | None = None, scope: str | None = None) -> Reading:
        return Reading(
            meter=self.name,
            quantity="peak_rss",
            unit="bytes",
            value=value,
            missing=missing,
            source="proc-vmhwm",
            scope=scope,
        )
