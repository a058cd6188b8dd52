"""Which reading of the meters to trust for a quantity."""

from __future__ import annotations

from dynamometer.domain.record import Reading, Record

_TRUST = {"measured": 0, "simulated": 1, "estimated": 2}


def best_reading(record: Record, quantity: str, unit: str) -> Reading | None:
    """The reading with a value that is measured rather than estimated; else the first that says why it has none."""
    readings = [reading for reading in record.readings if (reading.quantity, reading.unit) == (quantity, unit)]
    return min(readings, key=lambda reading: (reading.value is None, _TRUST[reading.kind]), default=None)
