"""Which reading of the meters to trust for a quantity, and which runs' readings belong together."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Origin, absent
from dynamometer.domain.record import Reading, Record

_TRUST = {"measured": 0, "simulated": 1, "estimated": 2}


def best_reading(record: Record, quantity: str, unit: str) -> Reading | None:
    """The reading with a value that is measured rather than estimated; else the first that says why it has none."""
    readings = [reading for reading in record.readings if (reading.quantity, reading.unit) == (quantity, unit)]
    return min(readings, key=lambda reading: (reading.value is None, _TRUST[reading.kind]), default=None)


def origin_of(reading: Reading) -> Origin:
    """What the reading's value comes from."""
    return Origin(reading.kind, reading.source or reading.meter, reading.scope)


def origins(measured: Sequence[Measured]) -> list[Origin]:
    """Origins of the values, each once, in the order of their names."""
    return sorted({one.origin for one in measured if one.origin is not None}, key=str)


def of_one_origin(measured: Sequence[Measured]) -> list[Measured]:
    """The values of runs that may be averaged; the others become absent, with the reason.

    Estimated never mixes with measured: where kinds differ, the one most to be trusted counts. Where that comes from
    several sensors or scopes, none does.
    """
    found = origins(measured)
    if len(found) <= 1:
        return list(measured)
    best = min((one.kind for one in found), key=_TRUST.__getitem__)
    kept = [one for one in found if one.kind == best]
    if len(kept) > 1:
        return [absent(f"{' and '.join(map(str, kept))} do not average") for _ in measured]
    return [one if one.origin in (None, kept[0]) else absent(f"{one.origin}, not {kept[0]}") for one in measured]
