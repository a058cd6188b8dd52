"""Wall-clock stamps of the kernel become monotonic times, whatever the wall clock does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.client.clock import TIMESPEC, Converter, RawRead, Wakes

OFFSET = 1_700_000_000_000_000_000
MS = 1_000_000


def constant(_: int) -> int:
    return OFFSET


def quick(_: int) -> int:
    return 200


def wakes(times: list[int], offset_at: Callable[[int], int] = constant, width: Callable[[int], int] = quick) -> Wakes:
    """Clock readings at these monotonic times under a wall clock of that offset."""
    return Wakes(
        before_ns=times,
        wall_ns=[time + width(time) // 2 + offset_at(time) for time in times],
        after_ns=[time + width(time) for time in times],
    )


def read(wake: int, read_ns: int, wall_ns: int | None) -> RawRead:
    return RawRead(wake, read_ns, 1, TIMESPEC.pack(*divmod(wall_ns or 0, 10**9)))


TIMES = [MS * 20 * (index + 1) for index in range(50)]


def test_steady_clock_gives_the_arrival_itself() -> None:
    reads = [read(index, time + 30_000, time - 10_000 + OFFSET) for index, time in enumerate(TIMES)]
    found = Converter(wakes(TIMES)).arrivals(reads, sent_ns=0)
    assert tuple(found.arrivals_ns) == tuple(time - 10_000 for time in TIMES)
    assert not found.fallback_wakes


@pytest.mark.parametrize("step_ns", [3600 * 10**9, -3600 * 10**9, 2 * MS, -2 * MS])
def test_a_step_costs_only_the_stamps_of_its_moment(step_ns: int) -> None:
    at = TIMES[25] - 5 * MS

    def offset_at(time: int) -> int:
        return OFFSET + (step_ns if time >= at else 0)

    arrivals = [time - 10_000 for time in TIMES]
    reads = [read(index, arrival + 40_000, arrival + offset_at(arrival)) for index, arrival in enumerate(arrivals)]
    found = Converter(wakes(TIMES, offset_at)).arrivals(reads, sent_ns=0)
    assert found.fallback_wakes == {24, 25}
    for index, (arrival, truth) in enumerate(zip(found.arrivals_ns, arrivals, strict=True)):
        assert arrival == (TIMES[index] if index in {24, 25} else truth)


def test_slewing_is_followed_without_fallback() -> None:
    def offset_at(time: int) -> int:
        return OFFSET + time * 500 // 1_000_000

    reads = [read(index, time + 30_000, time - 10_000 + offset_at(time - 10_000)) for index, time in enumerate(TIMES)]
    found = Converter(wakes(TIMES, offset_at)).arrivals(reads, sent_ns=0)
    assert not found.fallback_wakes
    assert all(abs(arrival - (time - 10_000)) < 100 for arrival, time in zip(found.arrivals_ns, TIMES, strict=True))


def test_an_interrupted_clock_reading_is_replaced_by_its_neighbours() -> None:
    readings = wakes(TIMES, width=lambda time: 3 * MS if time == TIMES[10] else 200)
    late = [wall + MS * (index == 10) for index, wall in enumerate(readings.wall_ns)]  # read late, when interrupted
    interrupted = Wakes(readings.before_ns, late, readings.after_ns)
    reads = [read(10, TIMES[10] + 4 * MS, TIMES[10] - 10_000 + OFFSET)]
    found = Converter(interrupted).arrivals(reads, sent_ns=0)
    assert tuple(found.arrivals_ns) == (TIMES[10] - 10_000,)
    assert not found.fallback_wakes


@pytest.mark.parametrize(
    "wall_ns",
    [None, 0, TIMES[3] + 5 * MS + OFFSET, TIMES[0] + OFFSET],
    ids=["absent", "zero", "after the read", "before the request"],
)
def test_an_implausible_stamp_falls_back_to_the_wake(wall_ns: int | None) -> None:
    found = Converter(wakes(TIMES)).arrivals([read(3, TIMES[3] + 50_000, wall_ns)], sent_ns=TIMES[1])
    assert tuple(found.arrivals_ns) == (TIMES[3],)
    assert found.fallback_wakes == {3}


def test_no_good_reading_at_all_still_converts() -> None:
    found = Converter(wakes(TIMES, width=lambda _: 100_000)).arrivals(
        [read(3, TIMES[3] + 50_000, TIMES[3] + OFFSET)], 0
    )
    assert tuple(found.arrivals_ns) == (TIMES[3],)


@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, MS), st.integers(-(2**62), 2**62)), max_size=30))
def test_arrivals_never_decrease_nor_leave_what_is_possible(raw: list[tuple[int, int, int]]) -> None:
    reads = [read(wake, TIMES[wake] + late, max(0, stamp)) for wake, late, stamp in sorted(raw)]
    found = Converter(wakes(TIMES)).arrivals(reads, sent_ns=TIMES[0] - MS)
    assert list(found.arrivals_ns) == sorted(found.arrivals_ns)
    latest = 0
    for arrival, one in zip(found.arrivals_ns, reads, strict=True):
        latest = max(latest, one.read_ns)
        assert TIMES[0] - MS <= arrival <= latest
