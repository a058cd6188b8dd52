"""A meter that replays a recorded file: for tests, and to try reports without a sensor. Always marked simulated."""

from __future__ import annotations

import csv
import math
import time
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from dynamometer.domain.record import Reading
from dynamometer.errors import PreconditionError
from dynamometer.meters.base import Target

Curve = tuple[tuple[float, float], ...]
"""Seconds since the start of the recording, joules since then; both never fall."""


def read_curve(path: Path) -> Curve:
    """A recording: CSV with the columns ``time_s`` and one of ``energy_j`` (a counter) and ``power_w``.

    Power is integrated by trapezoids over the recorded times. Raises PreconditionError with the reason.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            table = csv.DictReader(stream)
            column = next((name for name in ("energy_j", "power_w") if name in (table.fieldnames or ())), None)
            if column is None or "time_s" not in (table.fieldnames or ()):
                raise PreconditionError(f"{path}: needs the columns time_s and energy_j, or time_s and power_w")
            points = [(float(row["time_s"]), float(row[column])) for row in table]
    except (OSError, ValueError, TypeError) as error:
        raise PreconditionError(f"{path}: not a recording of a meter: {error}") from error
    if column == "power_w":
        points = _integrate(points)
    return _checked(path, points)


class ReplayMeter:
    """Energy of a window as long as the real one, taken from the beginning of a recording."""

    name = "replay"

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the recording. Raises PreconditionError when it is none."""
        self._curve = read_curve(path)
        self._clock = clock
        self._opened: float | None = None

    def open(self, _target: Target) -> None:
        """Begin. The target plays no part."""
        self._opened = self._clock()

    def close(self) -> tuple[Reading, ...]:
        """One reading ``energy`` in joules."""
        if self._opened is None:
            return (self._reading(None, "the meter was not opened"),)
        elapsed = self._clock() - self._opened
        length = self._curve[-1][0]
        if elapsed > length:
            return (self._reading(None, f"the window took {elapsed:.3f} s, the recording {length:.3f} s"),)
        return (self._reading(_at(self._curve, elapsed), None),)

    def _reading(self, value: float | None, missing: str | None) -> Reading:
        return Reading(
            meter=self.name,
            quantity="energy",
            unit="J",
            value=value,
            missing=missing,
            source="replay",
            scope="a recording, not this host",
            kind="simulated",
        )


def _integrate(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    total = 0.0
    curve = [(time_s, 0.0) for time_s, _ in points[:1]]
    for (t0, p0), (t1, p1) in pairwise(points):
        total += (p0 + p1) / 2 * (t1 - t0)
        curve.append((t1, total))
    return curve


def _checked(path: Path, points: list[tuple[float, float]]) -> Curve:
    if len(points) < 2:
        raise PreconditionError(f"{path}: a recording needs at least two rows")
    if not all(math.isfinite(value) for point in points for value in point):
        raise PreconditionError(f"{path}: values must be finite")
    if any(t1 <= t0 or e1 < e0 for (t0, e0), (t1, e1) in pairwise(points)):
        raise PreconditionError(f"{path}: times must rise and energy must not fall")
    start, zero = points[0]
    return tuple((time_s - start, energy - zero) for time_s, energy in points)


def _at(curve: Curve, time_s: float) -> float:
    """Energy at a time between two rows, on a straight line between them."""
    right = min(bisect_right(curve, time_s, key=lambda point: point[0]), len(curve) - 1)
    (t0, e0), (t1, e1) = curve[right - 1], curve[right]
    return e0 + (e1 - e0) * (time_s - t0) / (t1 - t0)
