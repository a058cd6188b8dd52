"""How long the rest will take, from what the runs so far took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from dynamometer.domain.campaign import Thermal
from dynamometer.domain.plan import RunRef


def pause_before(previous: RunRef | None, run: RunRef, thermal: Thermal) -> float:
    """Seconds to wait before a run: none before the first, the longer pause where a cycle begins."""
    if previous is None:
        return 0.0
    if run.cycle != previous.cycle:
        return max(thermal.between_cycles, thermal.between_experiments)
    return thermal.between_experiments


def total_pauses(runs: Iterable[RunRef], thermal: Thermal) -> float:
    """Seconds of all pauses of these runs, in order."""
    total, previous = 0.0, None
    for run in runs:
        total += pause_before(previous, run, thermal)
        previous = run
    return total


@dataclass(slots=True)
class Durations:
    """Measured durations of attempts, by experiment; the mean of all stands in for an experiment not run yet."""

    _of: dict[int, list[float]]

    def __init__(self) -> None:
        self._of = defaultdict(list)

    def add(self, experiment: int, seconds: float) -> None:
        """One more measured run."""
        self._of[experiment].append(seconds)

    def expected(self, experiment: int) -> float | None:
        """Seconds a run of this experiment will take; None while nothing was measured."""
        if own := self._of.get(experiment):
            return fmean(own)
        everything = [seconds for measured in self._of.values() for seconds in measured]
        return fmean(everything) if everything else None

    def remaining(self, runs: Sequence[RunRef], thermal: Thermal) -> float | None:
        """Seconds of these runs with their pauses; None while nothing was measured."""
        means = {place: fmean(measured) for place, measured in self._of.items()}
        if not means:
            return None
        typical = fmean(means.values())
        work = sum(means.get(run.experiment, typical) for run in runs)
        return work + total_pauses(runs, thermal)
