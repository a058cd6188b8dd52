"""Kernel stamps are wall-clock times; the record wants monotonic ones. The conversion, after the run.

At each wake the loop reads monotonic, wall, monotonic clock in a row. The difference is the offset of that moment;
how far the two monotonic readings lie apart says how good it is. Where the offset moves faster than a clock can be
slewed, the wall clock was stepped, and stamps of that moment fall back to the user-space stamp of the wake.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import sub
from typing import NamedTuple

TIMESPEC = struct.Struct("@qq")
GOOD_READING_NS = 20_000
"""A clock reading that took longer than this was interrupted; its neighbour's offset is better."""
STEP_NS = 50_000
SLEW = 1e-3
"""Offsets may move by STEP_NS and by this share of the time between: twice what the kernel slews at most (500 ppm)."""
SLACK_NS = 20_000
"""Stamps this far outside of what is possible are pulled in: clocks are read one after the other."""


@dataclass(frozen=True, slots=True)
class Wakes:
    """Clock readings of each wake of the loop: monotonic, wall, monotonic again; nanoseconds."""

    before_ns: Sequence[int]
    wall_ns: Sequence[int]
    after_ns: Sequence[int]


class RawRead(NamedTuple):
    """One read as the loop stored it, without its bytes."""

    wake: int
    """Which wake it belongs to."""
    read_ns: int
    """Monotonic time right after the read."""
    size: int
    """Bytes."""
    stamp: bytes
    """The kernel's timespec; all zero when it gave none."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Monotonic arrival of each read of one exchange."""

    arrivals_ns: array[int]
    lags_ns: array[int]
    """Delay from arrival to read, of each read whose stamp could be used."""
    fallback_wakes: frozenset[int]
    """Wakes whose stamps could not be used."""


class Converter:
    """Turns kernel stamps into monotonic times by the offsets of the wakes."""

    def __init__(self, wakes: Wakes, *, stamped: bool = True) -> None:
        """``stamped``: whether the kernel was asked for stamps; no wake is a fallback else."""
        self._wakes = wakes
        self._stamped = stamped
        self._offsets = _offsets(wakes)
        self._unsure = _steps(self._offsets, wakes.before_ns)

    def arrivals(self, reads: Iterable[RawRead], sent_ns: int) -> Arrivals:
        """Arrivals of the reads of one exchange, whose request was sent at ``sent_ns``; never decreasing."""
        earliest, found, lags, fallbacks = sent_ns, array("q"), array("q"), set()
        for read in reads:
            arrival = self._monotonic(read, earliest)
            if arrival is None:
                if self._stamped:
                    fallbacks.add(read.wake)
                arrival = max(earliest, min(self._wakes.before_ns[read.wake], read.read_ns))
            else:
                lags.append(read.read_ns - arrival)
            found.append(arrival)
            earliest = arrival
        return Arrivals(found, lags, frozenset(fallbacks))

    def _monotonic(self, read: RawRead, earliest_ns: int) -> int | None:
        seconds, nanoseconds = TIMESPEC.unpack(read.stamp)
        if not seconds or read.wake in self._unsure:
            return None
        arrival = int(seconds * 1_000_000_000 + nanoseconds - self._offsets[read.wake])
        if earliest_ns - SLACK_NS <= arrival <= read.read_ns + SLACK_NS:
            return max(earliest_ns, min(arrival, read.read_ns))
        return None


def _offsets(wakes: Wakes) -> array[int]:
    """Wall minus monotonic time at each wake; an interrupted reading takes over that of its nearest neighbour."""
    before, wall, after = wakes.before_ns, wakes.wall_ns, wakes.after_ns
    took = array("q", map(sub, after, before))
    limit = max(GOOD_READING_NS, min(took, default=0))
    good = array("q", (index for index, each in enumerate(took) if each <= limit))
    offsets, position = array("q"), 0
    for index in range(len(took)):
        while position + 1 < len(good) and abs(good[position + 1] - index) <= abs(good[position] - index):
            position += 1
        nearest = good[position]
        offsets.append(wall[nearest] - (before[nearest] + after[nearest]) // 2)
    return offsets


def _steps(offsets: Sequence[int], times_ns: Sequence[int]) -> frozenset[int]:
    """Wakes beside a step of the wall clock: those right before and right after it."""
    unsure: set[int] = set()
    for index, ((offset, time), (later_offset, later)) in enumerate(pairwise(zip(offsets, times_ns, strict=True))):
        if abs(later_offset - offset) > STEP_NS + SLEW * (later - time):
            unsure |= {index, index + 1}
    return frozenset(unsure)
