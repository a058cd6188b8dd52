"""Meters: one module per sensor, chosen by the campaign's ``energy.source``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dynamometer.errors import PreconditionError
from dynamometer.meters.absent import AbsentMeter
from dynamometer.meters.base import Meter
from dynamometer.meters.memory import MemoryMeter
from dynamometer.meters.others import OthersMeter
from dynamometer.meters.rapl import RaplMeter
from dynamometer.meters.replay import ReplayMeter

REPLAY = "replay:"

SENSORS: dict[str, Callable[[], Meter]] = {
    "auto": RaplMeter,
    "rapl": RaplMeter,
    "none": lambda: AbsentMeter("energy", "J", "switched off (energy.source: none)"),
}
"""Energy sources of this version; auto is the best of them."""

LATER = ("nvml", "zeus", "codecarbon")
"""Energy sources that campaign files may name, and that come with a later version."""


def select(source: str) -> tuple[Meter, ...]:
    """The meters of a run: memory and other load always, and the energy sensor of that name, or ``replay:FILE``.

    Raises PreconditionError for a sensor this version does not have.
    """
    if source.startswith(REPLAY):
        return (MemoryMeter(), OthersMeter(), ReplayMeter(Path(source.removeprefix(REPLAY))))
    if source in LATER:
        raise PreconditionError(f"energy.source {source}: not available yet", f"take one of: {', '.join(SENSORS)}")
    if source not in SENSORS:
        raise PreconditionError(f"energy.source {source!r} is unknown", f"take one of: {', '.join(SENSORS)}")
    return (MemoryMeter(), OthersMeter(), SENSORS[source]())
