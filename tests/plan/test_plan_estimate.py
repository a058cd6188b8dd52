"""Time left: what was measured, the mean of the others for the rest, and the pauses to come."""

from __future__ import annotations

from collections import Counter
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.domain.campaign import Order, Thermal
from dynamometer.plan.estimate import Forecast, total_pauses
from dynamometer.plan.order import order

PAUSES = Thermal.model_validate({"between_experiments": "2s", "between_cycles": "5s"})
NONE = Thermal.model_validate({"between_experiments": "0s", "between_cycles": "0s"})


def test_nothing_is_known_before_the_first_run() -> None:
    assert Forecast(order(2, 2, "interleaved", 0), NONE).seconds_left() is None


def test_what_an_earlier_owner_measured_counts() -> None:
    forecast = Forecast(order(2, 1, "interleaved", 0), PAUSES)
    forecast.measured(0, 10.0)
    assert forecast.seconds_left() == 10.0 + 10.0 + 2.0


def test_pauses_are_longer_where_a_cycle_begins() -> None:
    assert total_pauses(order(2, 2, "interleaved", 0), PAUSES) == 2 + 5 + 2
    assert total_pauses((), PAUSES) == 0


@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.lists(st.floats(0.1, 1000), min_size=20, max_size=20),
    st.sampled_from(["shuffled", "grouped"]),
)
def test_it_is_what_the_long_way_gives(experiments: int, cycles: int, seconds: list[float], how: Order) -> None:
    runs = order(experiments, cycles, how, 1)
    forecast = Forecast(runs, PAUSES)
    measured: dict[int, list[float]] = {}
    for done, (run, took) in enumerate(zip(runs, seconds, strict=False), 1):
        forecast.finished(run.experiment, took)
        measured.setdefault(run.experiment, []).append(took)
        means = {experiment: fmean(values) for experiment, values in measured.items()}
        left = Counter(later.experiment for later in runs[done:])
        work = sum(count * means.get(experiment, fmean(means.values())) for experiment, count in left.items())
        pauses = total_pauses(runs, PAUSES) - total_pauses(runs[: done + 1], PAUSES) if done < len(runs) else 0.0
        last = total_pauses(runs[: done + 1], PAUSES) - total_pauses(runs[:done], PAUSES) if done < len(runs) else 0.0
        assert forecast.seconds_left() == pytest.approx(work + pauses + last, abs=1e-6)
