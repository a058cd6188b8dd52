"""Nominal 95 % intervals of every method we print hold the truth in about 95 % of simulated campaigns.

``benchmarks/bench_coverage.py`` prints the same with more trials, and what was rejected.
"""

from __future__ import annotations

import pytest
from benchmarks.bench_coverage import DATA, of_bca, of_contrast, of_drift, of_log_t, of_percentile, of_plain_t

TRIALS = 1500
SYMMETRIC = ("log-normal, σ 0.02", "normal, 10 %")
SHAPES = [(0.0, 0.3), (0.1, 0.3), (0.1, 0.05)]


def honest(covered: float, n: int) -> bool:
    """93 to 97 %, or 92 to 98 % of few values; half a per cent is the noise of so many trials."""
    low, high = (0.92, 0.98) if n <= 10 else (0.93, 0.97)
    return low - 0.005 <= covered <= high + 0.005


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("data", DATA)
def test_t_on_logs_is_honest(data: str, n: int) -> None:
    assert honest(of_log_t(DATA[data], n, TRIALS), n)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("data", SYMMETRIC)
def test_plain_t_is_honest_where_values_are_not_skewed(data: str, n: int) -> None:
    assert honest(of_plain_t(DATA[data], n, TRIALS), n)


@pytest.mark.parametrize("n", [10, 30])
@pytest.mark.parametrize("data", DATA)
def test_the_widened_bootstrap_is_honest(data: str, n: int) -> None:
    assert honest(of_bca(DATA[data], n, TRIALS), n)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("in_pairs", [True, False])
@pytest.mark.parametrize("data", DATA)
def test_ratios_are_honest(data: str, in_pairs: bool, n: int) -> None:
    assert honest(of_contrast(DATA[data], n, TRIALS, in_pairs=in_pairs, as_difference=False), n)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("in_pairs", [True, False])
@pytest.mark.parametrize("data", SYMMETRIC)
def test_differences_are_honest_where_values_are_not_skewed(data: str, in_pairs: bool, n: int) -> None:
    assert honest(of_contrast(DATA[data], n, TRIALS, in_pairs=in_pairs, as_difference=True), n)


@pytest.mark.parametrize("cycles", [5, 10])
@pytest.mark.parametrize(("between", "within"), SHAPES)
def test_percentiles_are_honest_whether_cycles_or_requests_vary_more(
    between: float, within: float, cycles: int
) -> None:
    assert honest(of_percentile(cycles, 200, 0.95, between, within, 800), cycles)


def test_a_drifting_campaign_is_told_and_a_steady_one_is_not() -> None:
    assert of_drift(10, 500, change=0.3, noise=0.03) > 0.99
    assert of_drift(30, 500, change=0.3, noise=0.1) > 0.8
    assert of_drift(10, 500, change=0.0, noise=0.03) < 0.02
    assert of_drift(30, 500, change=0.0, noise=0.1) < 0.02
