"""How long the rest will take, from what the runs so far took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

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


class Forecast:
    """Time left, from measured durations; an experiment not run yet is expected to take the mean of the others.

    O(1) per finished run, whatever the length of the campaign.
    """

    def __init__(self, runs: Sequence[RunRef], thermal: Thermal) -> None:
        """``runs`` are to come, in this order."""
        self._left = Counter(run.experiment for run in runs)
        pauses = [pause_before(previous, run, thermal) for previous, run in zip((None, *runs), runs, strict=False)]
        self._pauses = list(accumulate(reversed(pauses), initial=0.0))  # the last n pauses sum up to item n
        self._to_come = len(runs)
        self._measured: dict[int, tuple[int, float]] = {}
        self._work_known = 0.0
        self._runs_unknown = len(runs)
        self._sum_of_means = 0.0

    def measured(self, experiment: int, seconds: float) -> None:
        """Learn from one more run of an experiment."""
        count, total = self._measured.get(experiment, (0, 0.0))
        left = self._left[experiment]
        if count:
            self._work_known -= left * total / count
            self._sum_of_means -= total / count
        else:
            self._runs_unknown -= left
        count, total = count + 1, total + seconds
        self._measured[experiment] = count, total
        self._work_known += left * total / count
        self._sum_of_means += total / count

    def finished(self, experiment: int, seconds: float) -> None:
        """The next run, which was one of this experiment, is over."""
        count, total = self._measured.get(experiment, (0, 0.0))
        if count:
            self._work_known -= total / count
        else:
            self._runs_unknown -= 1
        self._left[experiment] -= 1
        self._to_come -= 1
        self.measured(experiment, seconds)

    def seconds_left(self) -> float | None:
        """Expected seconds of work and pauses to come; None while nothing was measured."""
        if not self._measured:
            return None
        typical = self._sum_of_means / len(self._measured)
        return max(0.0, self._work_known + self._runs_unknown * typical) + self._pauses[self._to_come]
