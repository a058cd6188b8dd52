"""Send times: the asked rate, the asked count, the same for the same seed."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamometer.domain.experiment import Load, Ramp, Workload
from dynamometer.load.arrivals import Pace, closed, most_within, pace

S = 1_000_000_000
RATES = st.floats(0.01, 100_000)


def paced(
    requests: int | None = None, seconds: float | None = None, cycle: int = 1, seed: int = 42, **load: Any
) -> Pace:
    return pace(Workload(load=Load(**load), requests=requests, duration_s=seconds, seed=seed), cycle)


@given(rate=RATES, requests=st.integers(1, 500), arrivals=st.sampled_from(["constant", "poisson"]))
@settings(max_examples=60, deadline=None)
def test_as_many_as_asked_in_order_from_zero_on(rate: float, requests: int, arrivals: Any) -> None:
    times = paced(requests, rate=rate, arrivals=arrivals).begins_ns
    assert len(times) == requests
    assert times[0] == 0
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert times == paced(requests, rate=rate, arrivals=arrivals).begins_ns


@given(rate=st.floats(0.5, 5000), seconds=st.floats(0.01, 3))
@settings(max_examples=60, deadline=None)
def test_a_constant_rate_is_kept_exactly(rate: float, seconds: float) -> None:
    times = paced(seconds=seconds, rate=rate).begins_ns
    assert len(times) == pytest.approx(rate * seconds, abs=1.01)
    assert all(time == round(place / rate * S) for place, time in enumerate(times))
    assert times[-1] < seconds * S


def test_poisson_has_its_rate_and_exponential_gaps() -> None:
    times = paced(20_000, rate=50, arrivals="poisson").begins_ns
    gaps = [(later - earlier) / S for earlier, later in pairwise(times)]
    assert fmean(gaps) == pytest.approx(1 / 50, rel=0.03)
    assert pstdev(gaps) == pytest.approx(1 / 50, rel=0.03)
    assert sum(gap > 1 / 50 for gap in gaps) / len(gaps) == pytest.approx(0.3679, abs=0.015)


def test_poisson_differs_by_seed_and_cycle_and_pairs_configurations() -> None:
    one = paced(50, rate=50, arrivals="poisson").begins_ns
    assert len({one, *(paced(50, rate=50, arrivals="poisson", **other).begins_ns for other in OTHERS)}) == 3
    doubled = paced(50, rate=100, arrivals="poisson").begins_ns
    assert all(time == pytest.approx(2 * other, abs=2) for time, other in zip(one, doubled, strict=True))


OTHERS: tuple[dict[str, Any], ...] = ({"cycle": 2}, {"seed": 7})


@given(start=st.floats(0.5, 100), more=st.floats(0.5, 500), over=st.floats(0.1, 5), seconds=st.floats(0.1, 8))
@settings(max_examples=60, deadline=None)
def test_a_ramp_of_rate_comes_to_what_it_promises(start: float, more: float, over: float, seconds: float) -> None:
    load = Load(ramp=Ramp(of="rate", start=start, end=start + more, over=f"{over:.6f}s"))
    times = pace(Workload(load=load, requests=None, duration_s=seconds), 1).begins_ns
    assert len(times) == pytest.approx(load.requests_within(seconds), abs=1.01)
    assert all(earlier <= later for earlier, later in pairwise(times))


def test_a_ramp_of_rate_grows_evenly_and_then_stays() -> None:
    times = paced(seconds=4, ramp=Ramp(of="rate", start=10, end=110, over="2s")).begins_ns
    counts = [sum(begin * S <= time < (begin + 1) * S for time in times) for begin in range(4)]
    assert counts == pytest.approx([35, 85, 110, 110], abs=1)


def test_a_ramp_of_concurrency_adds_one_after_another() -> None:
    grown = paced(requests=100, ramp=Ramp(of="concurrency", start=2, end=6, over="8s"))
    assert grown == Pace((0, 0, 2 * S, 4 * S, 6 * S, 8 * S), open_loop=False)
    assert paced(requests=9, concurrency=3) == closed(3) == Pace((0, 0, 0), open_loop=False)


def test_a_trace_ends_by_requests_by_duration_or_whole() -> None:
    times = (0, 1 * S, 3 * S)
    for limits, count in (((None, None), 3), ((2, None), 2), ((None, 3.0), 2), ((None, 3.1), 3), ((99, None), 3)):
        workload = Workload(load=Load(trace="t"), requests=limits[0], duration_s=limits[1])
        assert pace(workload, 1, times) == Pace(times[:count], open_loop=True)


@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(0, 300))
def test_most_within_is_the_largest_crowd(times: list[int], span: int) -> None:
    ordered = sorted(times)
    counted = [sum(begin <= time <= begin + span for time in ordered) for begin in ordered]
    assert most_within(ordered, span) == max(counted, default=0)
