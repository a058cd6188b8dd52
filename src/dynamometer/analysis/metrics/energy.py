"""Energy, and energy per output token."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.metrics.readings import best_reading, origin_of
from dynamometer.analysis.metrics.tokens import finished
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def total(record: Record, samples: Sequence[Sample]) -> Measured:
    """Joules over the window, and what told them. Cycles whose energy comes from elsewhere are not averaged with it."""
    del samples
    reading = best_reading(record, "energy", "J")
    if reading is None:
        return absent("no energy meter was open")
    if reading.value is None:
        return absent(reading.missing or "the meter gave no value")
    return Measured(reading.value, 1, origin=origin_of(reading))


def per_token(record: Record, samples: Sequence[Sample]) -> Measured:
    """Joules over the window / output tokens finished in it. Without tokens it still has the energy's origin, so that
    the same cycles count as of energy."""
    energy, done = total(record, samples), finished(record, samples)
    if energy.value is None:
        return energy
    if done.tokens is None:
        missing = done.missing or "token counts are unknown"
        return Measured(None, done.requests, missing, energy.origin)
    if done.tokens == 0:
        return Measured(None, done.requests, "no output token in the window", energy.origin)
    return Measured(energy.value / done.tokens, done.requests, origin=energy.origin)


TOTAL = Metric(
    MetricInfo(
        key="energy_j",
        title="Energy",
        unit="J",
        better="lower",
        statistic="sum over the window",
        description="Energy over the window as the sensor counted it, idle power included. The sensor and what it "
        "covers are named under provenance. Cycles average only where these are the same: measured ones count before "
        "estimated ones, and two sensors or scopes give none.",
    ),
    total,
)
PER_TOKEN = Metric(
    MetricInfo(
        key="energy_j_per_token",
        title="Energy per token",
        unit="J/token",
        better="lower",
        statistic="sum over the window / tokens in it",
        description="Energy over the window / output tokens that throughput counts. Those cycles average that do of "
        "energy.",
    ),
    per_token,
)
