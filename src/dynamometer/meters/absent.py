"""The meter of what is not measured: its reading is the reason."""

from __future__ import annotations

from dataclasses import dataclass

from dynamometer.domain.record import Reading
from dynamometer.meters.base import Target


@dataclass(frozen=True, slots=True)
class AbsentMeter:
    """Gives a reading without a value, so that a report can say why."""

    quantity: str
    unit: str
    reason: str
    name: str = "none"

    def open(self, target: Target) -> None:
        """Nothing to begin."""

    def close(self) -> tuple[Reading, ...]:
        """One reading with the reason."""
        return (Reading(meter=self.name, quantity=self.quantity, unit=self.unit, value=None, missing=self.reason),)
