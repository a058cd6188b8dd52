"""Our statistics against scipy, and their coverage against simulation."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from dynamometer.analysis.stats import (
    bca_bootstrap,
    drift,
    expanded,
    interval,
    quantile,
    relative_mad,
    student_t,
    student_t_log,
    t_quantile,
)

POSITIVE = st.lists(st.floats(1e-6, 1e9), min_size=3, max_size=25)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 9, 29, 200, 10_000])
@pytest.mark.parametrize("p", [0.001, 0.3, 0.6, 0.9, 0.975, 0.995, 0.9999])
def test_t_quantile_is_that_of_scipy(p: float, df: int) -> None:
    assert t_quantile(p, df) == pytest.approx(oracle.t.ppf(p, df), rel=1e-8)


def test_t_quantile_refuses_what_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(1.0, 3)


def test_student_t_is_that_of_scipy() -> None:
    values = [3.1, 2.9, 3.6, 3.3]
    low, high = oracle.t.interval(0.95, 3, loc=np.mean(values), scale=oracle.sem(values))
    found = student_t(values)
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [10, 30])
def test_bca_is_that_of_scipy(n: int) -> None:
    values = np.exp(np.random.default_rng(7).normal(size=n))
    found = bca_bootstrap(values.tolist(), seed=1)
    reference = oracle.bootstrap((values,), np.mean, method="BCa", n_resamples=9999, rng=np.random.default_rng(2))
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert found.low == pytest.approx(reference.confidence_interval.low, abs=0.04 * width)
    assert found.high == pytest.approx(reference.confidence_interval.high, abs=0.04 * width)


def test_bca_repeats_itself_by_seed_and_survives_constant_data() -> None:
    values = [float(value) for value in range(1, 12)]
    assert bca_bootstrap(values, seed=0) == bca_bootstrap(values, seed=0)
    assert bca_bootstrap(values, seed=0) != bca_bootstrap(values, seed=1)
    constant = bca_bootstrap([2.0] * 12, seed=0)
    assert (constant.low, constant.high) == (2.0, 2.0)


@pytest.mark.parametrize("n", [3, 5, 9])
def test_t_on_logs_covers_what_it_says(n: int) -> None:
    random = np.random.default_rng(11)
    trials = [student_t_log(np.exp(0.3 * random.standard_normal(n)).tolist()) for _ in range(3000)]
    assert 0.92 <= sum(found.low <= 1 <= found.high for found in trials) / len(trials) <= 0.98


@pytest.mark.parametrize("n", [10, 30])
def test_bca_widened_for_small_samples_covers_what_it_says(n: int) -> None:
    random, mean = np.random.default_rng(13), math.exp(0.2**2 / 2)
    confidence = expanded(0.95, n)
    trials = [
        bca_bootstrap(np.exp(0.2 * random.standard_normal(n)).tolist(), seed, confidence, resamples=999)
        for seed in range(1000)
    ]
    assert 0.92 <= sum(found.low <= mean <= found.high for found in trials) / len(trials) <= 0.98


def test_a_bootstrap_of_three_lies() -> None:
    random = np.random.default_rng(17)
    draws = [np.exp(0.2 * random.standard_normal(3)).tolist() for _ in range(500)]
    trials = [bca_bootstrap(draw, seed, resamples=499) for seed, draw in enumerate(draws)]
    covered = sum(found.low <= math.exp(0.02) <= found.high for found in trials) / len(trials)
    assert covered < 0.85


def test_interval_takes_the_method_that_fits_n() -> None:
    growing = [1.0 + step / 10 for step in range(12)]
    assert interval(growing[:2], seed=0).reason == "2 cycles, an interval takes 3"
    assert interval(growing[:1], seed=0).low is None
    assert interval(growing[:3], seed=0).method == "student-t-log"
    assert interval(growing[:9], seed=0).method == "student-t-log"
    assert (interval(growing[:10], seed=5).method or "").startswith("bca-bootstrap-expanded (9999 resamples, seed 5)")
    assert (interval(growing[:3], seed=0, force="bootstrap").method or "").startswith("bca-bootstrap (")
    assert interval(growing, seed=0, force="student-t").method == "student-t-log"


def test_equal_values_give_no_interval_because_they_show_no_spread() -> None:
    found = interval([5.0] * 4, seed=0)
    assert (found.centre, found.low, found.high) == (5.0, None, None)
    assert found.reason == "all 4 values are equal: no spread seen"


def test_a_zero_has_no_logarithm_and_the_method_says_so() -> None:
    found = interval([0.0, 0.1, 0.2], seed=0)
    assert found.method == "student-t (not on the log scale: a value is not positive)"
    assert found.centre == pytest.approx(0.1)


@given(POSITIVE, st.integers(0, 5))
def test_the_estimate_lies_in_its_interval(values: list[float], seed: int) -> None:
    found = interval(values, seed=seed)
    if found.low is None or found.high is None:
        assert found.reason
    else:
        assert math.isfinite(found.low)
        assert math.isfinite(found.high)
        assert found.low <= found.centre * (1 + 1e-9)
        assert found.centre <= found.high * (1 + 1e-9)


@given(POSITIVE, st.floats(0, 1))
def test_quantile_is_that_of_numpy_and_within_the_data(values: list[float], q: float) -> None:
    assert min(values) <= quantile(values, q) <= max(values)


def test_drift_sees_a_trend_and_not_noise() -> None:
    trend = drift([10.0, 10.2, 10.4, 10.6, 10.8, 11.0])
    assert trend is not None
    assert trend.change == pytest.approx(1 / 10.5)
    assert trend.p < 0.01
    noise = drift([10.0, 11.0, 10.1, 10.9, 10.2, 10.4])
    assert noise is not None
    assert noise.p > 0.1
    assert drift([1.0, 2.0, 3.0, 4.0]) is None


def test_drift_uses_the_ranks_of_scipy() -> None:
    values = [3.0, 1.0, 3.0, 2.0, 5.0, 4.0, 4.0]
    found = drift(values)
    assert found is not None
    assert found.p == pytest.approx(oracle.spearmanr(range(7), values).pvalue)


def test_relative_mad_of_a_zero_median_is_not_a_number_we_invent() -> None:
    assert relative_mad([1.0, 2.0, 3.0]) == 0.5
    assert relative_mad([0.0, 0.0, 1.0]) is None


@pytest.mark.parametrize("n", [5, 6, 7])
def test_the_chance_of_an_order_is_counted_over_all_orders(n: int) -> None:
    """Against plain counting: how many orders correlate with their order at least as much, up or down."""
    orders = list(permutations(range(1, n + 1)))
    strengths = [abs(oracle.spearmanr(range(n), order).statistic) for order in orders[:: max(1, len(orders) // 60)]]
    every = sorted(abs(sum(i * r for i, r in enumerate(order, 1)) - n * (n + 1) ** 2 / 4) for order in orders)
    for order, strength in zip(orders[:: max(1, len(orders) // 60)], strengths, strict=True):
        found = drift([float(100 + rank) for rank in order])
        assert found is not None
        mine = abs(sum(i * r for i, r in enumerate(order, 1)) - n * (n + 1) ** 2 / 4)
        assert found.p == pytest.approx(min(1.0, sum(one >= mine for one in every) / len(orders)) if mine else 1.0)
        assert (strength > 0) == (mine > 0)


def test_a_perfect_order_of_five_is_not_unlikely_enough_for_a_drift() -> None:
    five, six = drift([1.0, 1.1, 1.2, 1.3, 1.4]), drift([1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    assert five is not None
    assert six is not None
    assert five.p == pytest.approx(2 / 120)
    assert six.p == pytest.approx(2 / 720)
