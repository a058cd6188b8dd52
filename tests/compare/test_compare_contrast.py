"""Effects against scipy, and what has no interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from dynamometer.analysis.contrast import paired, unpaired

A, B = [10.0, 11.0, 10.5, 12.0], [12.0, 13.5, 12.2, 14.9]
POSITIVE = st.lists(st.floats(1e-3, 1e6), min_size=3, max_size=12)


def test_pairs_are_those_of_scipy() -> None:
    found = paired(A, B)
    expected = oracle.ttest_rel(np.log(B), np.log(A)).confidence_interval()
    assert (found.low, found.high) == pytest.approx((math.exp(expected.low), math.exp(expected.high)))
    assert (found.kind, found.n, found.method) == ("ratio", 4, "paired-t-log")
    assert found.value == pytest.approx(math.exp(np.mean(np.log(B) - np.log(A))))


def test_unpaired_is_welch_as_in_scipy() -> None:
    found = unpaired(A, [*B, 13.0])
    expected = oracle.ttest_ind(np.log([*B, 13.0]), np.log(A), equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((math.exp(expected.low), math.exp(expected.high)), rel=1e-6)
    assert (found.n, found.method) == (4, "welch-t-log")


def test_a_zero_makes_a_difference_and_so_does_a_share() -> None:
    assert unpaired([0.0, 0.1, 0.2], [0.3, 0.2, 0.4]).kind == "difference"
    found = paired([0.5, 0.6, 0.7], [0.6, 0.8, 0.9], as_difference=True)
    assert (found.kind, found.method) == ("difference", "paired-t")
    assert found.value == pytest.approx(0.5 / 3)


def test_what_has_no_interval_says_why() -> None:
    assert paired([1.0, 2.0], [1.0, 3.0]).reason == "2 pairs of cycles, an interval takes 3"
    assert "on one side" in (unpaired([1.0, 2.0], [1.0, 3.0, 2.0]).reason or "")
    assert paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).reason == "the same value in all cycles of both"
    steady = unpaired([2.0] * 3, [4.0] * 3)
    assert steady.value == pytest.approx(2.0)
    assert steady.low is None
    assert "no spread seen" in (steady.reason or "")
    with pytest.raises(ValueError, match="as many values"):
        paired([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="no values"):
        unpaired([], [1.0])


@given(POSITIVE, POSITIVE)
def test_the_other_way_round_is_the_inverse(a: list[float], b: list[float]) -> None:
    one, other = unpaired(a, b), unpaired(b, a)
    assert one.value == pytest.approx(1 / other.value, rel=1e-6)
    if one.low is not None and one.high is not None and other.high:
        assert one.low <= one.value <= one.high
        assert one.low == pytest.approx(1 / other.high, rel=1e-6)
