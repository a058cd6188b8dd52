"""The arithmetic of a calibration on data whose errors are known, and which level a run is said to be covered by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.analysis.calibration import Asked, TrueTimes, held_share, level, spread
from dynamometer.analysis.metrics.base import NEEDED
from dynamometer.domain.calibration import NEEDED_FOR_P99, Calibration, CalibrationLevel, Spread
from dynamometer.domain.record import ClientHealth, Sample, Window

MS = 1_000_000
ASKED = Asked(streams=2, rate=50, tokens=3, at="2026-11-22T00:00:00+00:00", load_1m=0.1)
WINDOW = Window(begin_ns=0, end_ns=100 * MS)
HEALTH = ClientHealth(clock="kernel", cpu_s=0.0006, wall_s=0.1, wakes=1, reads=1, lag_p99_ms=0.25)


def sample(number: int, *arrivals_ms: float, sent_ms: float = 0, **changes: Any) -> Sample:
    stamps = tuple(round(at * MS) for at in arrivals_ms)
    values: dict[str, Any] = {"id": f"r{number}", "sent_ns": round(sent_ms * MS), "arrivals_ns": stamps}
    values |= {"ended_ns": stamps[-1] if stamps else None, "event_tokens": (1,) * len(stamps)}
    return Sample(**{**values, **changes})


def truth(*sends_ms: float, late_ms: float = 0, call_ms: float = 0.01, **changes: Any) -> TrueTimes:
    sends = [round(at * MS) for at in sends_ms]
    values: dict[str, Any] = {
        "due_ns": [at - round(late_ms * MS) for at in sends],
        "sends_ns": sends,
        "returns_ns": [at + round(call_ms * MS) for at in sends],
        "blocked": 0,
        "cpu_ns": (5 * MS, 15 * MS),
    }
    return TrueTimes(**{**values, **changes})


def test_errors_are_matched_per_event() -> None:
    pairs = [
        (sample(0, 10.1, 30.3, 50.2, merged=2), truth(10, 30, 50, late_ms=1)),
        (sample(1, 15.4, 35.4, 55.4, sent_ms=5), truth(15, 35, 55, late_ms=3, call_ms=0.02)),
    ]
    found = level(ASKED, pairs, HEALTH, WINDOW)
    assert found.ttft_error_ms == Spread(p50=0.1, p99=None, max=0.4, n=2)
    assert found.itl_error_ms == Spread(p50=0.0, p99=None, max=0.2, n=4)
    assert found.server_late_ms == Spread(p50=1, p99=None, max=3, n=6)
    assert found.server_send_ms == Spread(p50=0.01, p99=None, max=0.02, n=6)
    assert found.unexplained_ms == Spread(p50=0.29, p99=None, max=0.38, n=6)
    assert found.server_cpu_share == pytest.approx(10 / 45)
    assert (found.requests, found.bad, found.clock, found.lag_p99_ms) == (2, 0, "kernel", 0.25)
    assert found.merged_share == pytest.approx(2 / 6)
    assert found.cpu_s_per_1000 == pytest.approx(0.1)
    assert found.events_s == pytest.approx(60)
    assert found.held_share == pytest.approx(0.5)


def test_an_event_with_several_tokens_shares_its_error() -> None:
    found = level(ASKED, [(sample(0, 10, 31, event_tokens=(4, 4)), truth(10, 30))], HEALTH, WINDOW)
    assert found.itl_error_ms.max == 0.25


@pytest.mark.parametrize(
    ("seen", "sent"),
    [
        (sample(0, 10, 30, error="timeout"), truth(10, 30)),
        (sample(0, 10, 30), None),
        (sample(0, 10, 30), truth(10, 30, 50)),
        (sample(0, 10, 30), truth(10, 30, blocked=1)),
        (sample(0), truth()),
    ],
    ids=["error", "no truth", "another number of events", "blocked", "nothing sent"],
)
def test_what_does_not_match_is_counted_and_left_out(seen: Sample, sent: TrueTimes | None) -> None:
    found = level(ASKED, [(seen, sent)], HEALTH, WINDOW)
    assert (found.requests, found.bad) == (1, 1)
    assert found.ttft_error_ms == Spread(p50=None, p99=None, max=None, n=0)
    assert calibration(found).cite(1, 1, "kernel") is None


def test_short_requests_count_for_ttft_alone() -> None:
    pairs = [(sample(0, 10.1, 30), truth(10, 30))]
    short = [
        (sample(1, 10.3, 30), truth(10, 30)),
        (sample(2, 10.9, 31), truth(10, 30, 50)),
        (sample(3, 10.2, 30), None),
    ]
    found = level(ASKED, pairs, HEALTH, WINDOW, short)
    assert (found.requests, found.short_requests, found.bad) == (1, 3, 2)
    assert (found.ttft_error_ms.n, found.ttft_error_ms.max) == (2, 0.3)
    assert found.itl_error_ms.n == 1
    assert found.events_s == pytest.approx(20)
    assert found.asked_events == 1 * 3 + 3


def test_nothing_at_all_gives_no_figures_rather_than_zero() -> None:
    found = level(ASKED, [], HEALTH, Window(begin_ns=0, end_ns=0))
    assert (found.merged_share, found.cpu_s_per_1000, found.events_s, found.held_share) == (None, None, None, None)
    assert found.server_cpu_share is None


def test_held_counts_from_the_first_send_to_the_last() -> None:
    assert held_share([(0, 10), (10, 20)], 1) == 1
    assert held_share([(0, 5), (10, 20)], 1) == 0.5
    assert held_share([(0, 10), (0, 10), (10, 20), (10, 20)], 2) == 1
    assert held_share([(0, 10)], 1) is None
    assert held_share([], 1) is None


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=300))
def test_percentiles_are_values_that_occurred(values: list[int]) -> None:
    found = spread(values)
    magnitudes = {abs(value) / 1e6 for value in values}
    assert {found.p50, found.max} <= magnitudes
    assert found.p99 is None
    assert found.most == found.max == max(magnitudes)
    assert found.n == len(values)
    assert found.p50 is not None
    assert sum(abs(value) / 1e6 <= found.p50 for value in values) * 2 >= len(values)


def test_a_p99_takes_as_many_values_as_those_of_runs_do() -> None:
    assert NEEDED[0.99] == NEEDED_FOR_P99
    too_few, enough = spread(range(NEEDED_FOR_P99 - 1)), spread(range(NEEDED_FOR_P99))
    assert (too_few.p99, too_few.most) == (None, 498 / 1e6)
    assert (enough.p99, enough.most, enough.max) == (494 / 1e6, 494 / 1e6, 499 / 1e6)


def at(streams: int, rate: float = 50, **changes: Any) -> CalibrationLevel:
    pairs = [(sample(0, 10.1, 30), truth(10, 30))]
    asked = Asked(streams=streams, rate=rate, tokens=2, at="2026-11-22T00:00:00+00:00", load_1m=None)
    made = level(asked, pairs, HEALTH, WINDOW)
    return made.model_copy(update={"events_s": streams * rate, **changes})


def calibration(*levels: CalibrationLevel) -> Calibration:
    return Calibration(host="h", dynamometer="0", levels=()).updated(levels)


@pytest.mark.parametrize(
    ("streams", "events_s", "clock", "cited", "covered"),
    [
        (1, 40, "kernel", 1, True),
        (1, 51, "kernel", 1, True),
        (1, 500, "kernel", 16, True),
        (17, 100, "kernel", 64, True),
        (64, 3200, "kernel", 64, True),
        (65, 100, "kernel", 64, False),
        (2, 9000, "kernel", 64, False),
        (1, 40, "user", 64, False),
    ],
)
def test_the_smallest_level_that_is_no_easier_than_the_run_is_cited(
    streams: int, events_s: float, clock: str, cited: int, covered: bool
) -> None:
    known = calibration(at(64), at(1), at(16))
    found = known.cite(streams, events_s, clock)
    assert found is not None
    assert (found.streams, found.covered, found.id) == (cited, covered, known.id)
    assert (found.ttft_error_p99_ms, found.ttft_error_max_ms, found.ttft_errors) == (None, 0.1, 1)
    assert (found.itl_error_p99_ms, found.itl_error_max_ms, found.itl_errors) == (None, 0.1, 1)
    assert bool(found.beyond) is not covered


def test_levels_with_errors_cover_nothing() -> None:
    assert calibration(at(64, bad=1)).cite(1, 1, "kernel") is None
    found = calibration(at(64, bad=1), at(1)).cite(2, 1, "kernel")
    assert found is not None
    assert (found.streams, found.covered) == (1, False)


@pytest.mark.parametrize(
    "changes",
    [{"merged_share": 0.02}, {"itl_error_ms": Spread(n=9, p50=0.1, p99=20.0, max=30.0)}],
    ids=["merged", "error"],
)
def test_a_level_that_the_client_did_not_keep_up_with_covers_nothing(changes: dict[str, Any]) -> None:
    found = calibration(at(64, **changes)).cite(1, 1, "kernel")
    assert found is not None
    assert not found.covered


@pytest.mark.parametrize(
    ("levels", "run", "cited", "beyond"),
    [
        ((at(1), at(16)), (17, 10, "kernel"), 16, ("streams",)),
        ((at(1), at(16)), (1, 9000, "kernel"), 16, ("events",)),
        ((at(16), at(64, clock="user")), (32, 10, "kernel"), 16, ("streams",)),
        ((at(16), at(64, merged_share=0.5)), (64, 2000, "kernel"), 64, ("behind",)),
        ((at(16), at(64, merged_share=0.5)), (99, 9000, "kernel"), 16, ("streams", "events")),
        ((at(16),), (20, 9000, "user"), 16, ("streams", "events", "stamps")),
        ((at(16), at(64, processes=2)), (32, 10, "kernel", 3), 64, ("processes",)),
        ((at(16), at(16, processes=2)), (16, 10, "kernel", 2), 16, ()),
    ],
    ids=["streams", "events", "same stamps first", "behind", "fewest", "all", "processes", "as many processes"],
)
def test_a_run_beyond_all_levels_is_told_in_what(
    levels: tuple[CalibrationLevel, ...], run: tuple[Any, ...], cited: int, beyond: tuple[str, ...]
) -> None:
    found = calibration(*levels).cite(*run)
    assert found is not None
    assert (found.streams, found.covered, found.beyond) == (cited, not beyond, beyond)


def test_a_level_from_fewer_events_never_displaces_a_fuller_one() -> None:
    full, quick = at(16, tokens=96, requests=32), at(16, tokens=16, requests=32, quick=True)
    again = full.model_copy(update={"at": "later"})
    assert calibration(full).updated([quick]).levels == (full,)
    assert calibration(full).updated([quick], replace=True).levels == (quick,)
    assert calibration(quick).updated([full]).levels == (full,)
    assert calibration(full).updated([again]).levels == (again,)
    broken = full.model_copy(update={"bad": 1})
    assert calibration(broken).updated([quick]).levels == (quick,)


@pytest.mark.parametrize("worse", [{"merged_share": 0.5}, {"bad": 1}], ids=["behind", "went wrong"])
def test_a_level_that_covers_no_run_never_displaces_one_that_does(worse: dict[str, Any]) -> None:
    quick, outlier = at(16, tokens=16, quick=True), at(16, tokens=96, requests=32, **worse)
    assert calibration(quick).updated([outlier]).levels == (quick,)
    assert calibration(outlier).updated([quick]).levels == (quick,)
    assert calibration(quick).updated([outlier], replace=True).levels == (outlier,)


def test_a_citation_says_that_a_level_is_quick() -> None:
    found = calibration(at(1), at(16, quick=True)).cite(2, 10, "kernel")
    assert found is not None
    assert found.quick


def test_a_level_measured_again_takes_the_place_of_the_old_one() -> None:
    first = calibration(at(16), at(1))
    again = first.updated((at(16, requests=7), at(16, rate=100)))
    assert [(one.streams, one.rate, one.requests) for one in again.levels] == [(1, 50, 1), (16, 50, 7), (16, 100, 1)]
    assert again.id != first.id
    assert Calibration.model_validate_json(again.model_dump_json()).id == again.id
