"""Energy of processors and memory from the counters of RAPL, as Linux shows them under /sys/class/powercap.

Counted: packages and, where there is one, their DRAM. Not counted: core and uncore, which lie inside a package, psys,
which contains the packages, and the MMIO view of the same counters. Counters wrap; a slow thread reads them often
enough that none wraps twice unseen.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dynamometer.domain.record import Reading
from dynamometer.meters.base import Target

POWERCAP = Path("/sys/class/powercap")
MAX_WATTS = 1000.0
"""More than any zone draws: bounds how fast a counter can wrap."""
MAX_INTERVAL_S = 30.0
STUCK_AFTER_S = 0.5
"""RAPL counts every millisecond; one that stands still for so long is not counting."""

_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")


@dataclass(frozen=True, slots=True)
class Zone:
    """One counter."""

    name: str
    """package-0, or package-0/dram."""
    counter: Path
    range_uj: int
    """Value at which it starts again from 0."""

    def read_uj(self) -> int:
        """The counter now, in microjoules. Raises OSError or ValueError."""
        return int(self.counter.read_text())


class RaplError(Exception):
    """Why there is no energy to read."""


def zones(root: Path = POWERCAP) -> tuple[Zone, ...]:
    """The counters that add up to processors and memory. Raises RaplError where there are none."""
    folders = sorted(path for path in (*root.glob("*"), *root.glob("intel-rapl/*")) if _ZONE.fullmatch(path.name))
    packages = {folder.name: folder for folder in folders if _label(folder).startswith("package")}
    if not packages:
        raise RaplError(f"no RAPL counters under {root} (virtual machine, or a processor without them)")
    found = [_zone(folder, _label(folder)) for folder in packages.values()]
    for folder in packages.values():
        inside = {path.name: path for path in (*folder.glob(f"{folder.name}:*"), *root.glob(f"{folder.name}:*"))}
        drams = (path for path in inside.values() if _label(path) == "dram")
        found += [_zone(path, f"{_label(folder)}/dram") for path in drams]
    return tuple(sorted(found, key=lambda zone: zone.name))


def missing(root: Path = POWERCAP) -> str | None:
    """Why there is no energy to read on this machine; None when there is."""
    try:
        _Counts(zones(root))
    except RaplError as error:
        return str(error)
    return None


class RaplMeter:
    """Joules of processors and memory over the window."""

    name = "rapl"

    def __init__(
        self,
        root: Path = POWERCAP,
        *,
        interval_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``interval_s`` is the time between two looks at the counters; None finds one that is short enough."""
        self._root = root
        self._interval_s = interval_s
        self._clock = clock
        self._counts: _Counts | None = None
        self._missing = "the meter was not opened"
        self._opened = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, _target: Target) -> None:
        """Begin counting. The target plays no part: RAPL knows packages, not processes."""
        try:
            self._counts = _Counts(zones(self._root))
        except RaplError as error:
            self._missing = str(error)
            return
        self._thread = threading.Thread(target=self._watch, args=(self._counts,), name="rapl", daemon=True)
        self._thread.start()
        self._opened = self._clock()

    def close(self) -> tuple[Reading, ...]:
        """One reading ``energy`` in joules."""
        if self._counts is None:
            return (self._reading(None, self._missing),)
        self._counts.update()
        elapsed = self._clock() - self._opened
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        scope = " + ".join(zone.name for zone in self._counts.zones) + ", whole host"
        if self._counts.failure:
            return (self._reading(None, self._counts.failure, scope),)
        if self._counts.total_uj == 0 and elapsed >= STUCK_AFTER_S:
            return (self._reading(None, f"the counters did not move in {elapsed:.1f} s", scope),)
        return (self._reading(self._counts.total_uj / 1e6, None, scope),)

    def _watch(self, counts: _Counts) -> None:
        shortest = min(zone.range_uj for zone in counts.zones) / 1e6 / MAX_WATTS
        interval = self._interval_s or min(MAX_INTERVAL_S, shortest / 2)
        while not self._ended.wait(interval):
            counts.update()

    def _reading(self, value: float | None, missing: str | None, scope: str | None = None) -> Reading:
        return Reading(
            meter=self.name, quantity="energy", unit="J", value=value, missing=missing, source="rapl", scope=scope
        )


class _Counts:
    """What the counters gained since the start, wraps included."""

    def __init__(self, found: tuple[Zone, ...]) -> None:
        self.zones = found
        self.total_uj = 0
        self.failure: str | None = None
        self._lock = threading.Lock()
        self._last = [self._read(zone) for zone in found]

    def update(self) -> None:
        with self._lock:
            if self.failure:
                return
            try:
                now = [self._read(zone) for zone in self.zones]
            except RaplError as error:
                self.failure = str(error)
                return
            for zone, before, after in zip(self.zones, self._last, now, strict=True):
                self.total_uj += after - before if after >= before else zone.range_uj - before + after
            self._last = now

    @staticmethod
    def _read(zone: Zone) -> int:
        try:
            return zone.read_uj()
        except PermissionError as error:
            raise RaplError(
                f"{zone.counter} is not readable: RAPL counters are for root (run as root, or grant read access)"
            ) from error
        except (OSError, ValueError) as error:
            raise RaplError(f"{zone.counter} cannot be read: {error}") from error


def _label(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""


def _zone(folder: Path, name: str) -> Zone:
    try:
        range_uj = int((folder / "max_energy_range_uj").read_text())
    except (OSError, ValueError) as error:
        raise RaplError(f"{folder}: its range cannot be read: {error}") from error
    if range_uj <= 0:
        raise RaplError(f"{folder}: its range is {range_uj} microjoules")
    return Zone(name, folder / "energy_uj", range_uj)
