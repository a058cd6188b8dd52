"""Estimates over cycles, with intervals whose coverage is what they say.

A run is one sample of a configuration: requests inside a run are not independent, so the values here are those of
cycles. Below 10 cycles a bootstrap lies (simulated on log-normal data, nominal 95 % covers about 72 % at n = 3), so
Student's t on the log scale is used there, and BCa from 10 on. Our own code, checked against scipy in the tests.

A percentile is that of each cycle, and its interval one over cycles, too. Both ways to draw requests beside cycles were
simulated (``benchmarks/bench_coverage.py``) and left: a percentile of all requests together hangs on the one or two
worst cycles wherever cycles vary more than requests (a nominal 95 % covers 40 to 70 % at 10 cycles), and drawing
requests again inside the cycles drawn counts their spread twice (99 to 100 % wherever requests vary more).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamometer.domain.summary import OverCycles

Floats = NDArray[np.float64]
Method = Literal["bootstrap", "student-t"]

FEWEST = 3
"""Values that an interval takes at least."""
BOOTSTRAP_FROM = 10
"""Values from which the bootstrap is used."""
RESAMPLES = 9999
_CHUNK = 2_000_000
LARGEST_LOG = 700.0
"""Logarithms beyond it have no number."""
_NORMAL = NormalDist()
_LOG = "student-t-log"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A centre with its bounds, and how they were made."""

    centre: float
    low: float
    high: float
    method: str


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate over cycles. ``low`` and ``high`` are None when there is no interval, and ``reason`` says why.

    ``centre`` belongs to the method: the geometric mean for t on the log scale, the arithmetic mean for plain t and
    for BCa. Of one or two values it is what t would take.
    """

    centre: float
    low: float | None
    high: float | None
    method: str | None
    n: int
    over_cycles: OverCycles
    """What ``centre`` is of the values."""
    reason: str | None = None


def interval(
    values: Sequence[float],
    *,
    seed: int,
    force: Method | None = None,
    confidence: float = 0.95,
    additive: bool = False,
) -> Interval:
    """The estimate of ``values`` with its interval: none below 3 values, t below 10, BCa from 10 on.

    ``additive`` values, such as shares, add up rather than multiply: their centre is the arithmetic mean at any number,
    and t is taken on the values themselves. ``force`` takes one method whatever the number. From 10 on BCa is widened
    for small samples (see ``expanded``); below, nothing would make it honest. Equal values give no interval: they show
    no spread, which is not the same as
    certainty. Raises ValueError for no values at all.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values, no interval")
    if min(values) == max(values) or n < FEWEST:
        reason = (
            f"{cycles_in_words(n)}, an interval takes {FEWEST}"
            if n < FEWEST
            else f"all {n} values are equal: no spread seen"
        )
        centre = math.fsum(values) / n if additive else _centre(values)
        mean: OverCycles = "mean" if additive or min(values) <= 0 else "geometric mean"
        return Interval(centre, None, None, None, n, "one cycle" if n == 1 else mean, reason)
    if force == "bootstrap" or (force is None and n >= BOOTSTRAP_FROM):
        is_widened = n >= BOOTSTRAP_FROM
        bounds = bca_bootstrap(values, seed, expanded(confidence, n) if is_widened else confidence)
        name = "bca-bootstrap-expanded" if is_widened else "bca-bootstrap"
        bounds = Bounds(bounds.centre, bounds.low, bounds.high, f"{name} ({RESAMPLES} resamples, seed {seed})")
    else:
        bounds = student_t(values, confidence) if additive else student_t_log(values, confidence)
    mean = "geometric mean" if bounds.method == _LOG else "mean"
    return Interval(bounds.centre, bounds.low, bounds.high, bounds.method, n, mean)


def student_t(values: Sequence[float], confidence: float = 0.95) -> Bounds:
    """Arithmetic mean ± t · s / √n. Needs two values."""
    n = len(values)
    mean = math.fsum(values) / n
    half = t_quantile(0.5 + confidence / 2, n - 1) * _deviation(values, mean) / math.sqrt(n)
    return Bounds(mean, mean - half, mean + half, "student-t")


def student_t_log(values: Sequence[float], confidence: float = 0.95) -> Bounds:
    """Geometric mean ×/÷ exp(t · s / √n) of the logarithms. Needs two values.

    A value of 0 or less has no logarithm, and a spread over hundreds of powers of ten no bounds that are numbers:
    then plain t, and the method says so.
    """
    if min(values) <= 0:
        return _plain(values, confidence, "a value is not positive")
    logs = student_t([math.log(value) for value in values], confidence)
    if max(abs(logs.low), abs(logs.high)) > LARGEST_LOG:
        return _plain(values, confidence, "values too far apart")
    return Bounds(math.exp(logs.centre), math.exp(logs.low), math.exp(logs.high), _LOG)


def _plain(values: Sequence[float], confidence: float, why: str) -> Bounds:
    plain = student_t(values, confidence)
    return Bounds(plain.centre, plain.low, plain.high, f"student-t (not on the log scale: {why})")


def bca_bootstrap(values: Sequence[float], seed: int, confidence: float = 0.95, resamples: int = RESAMPLES) -> Bounds:
    """Bias-corrected and accelerated bootstrap of the arithmetic mean (Efron 1987). Needs two values.

    Equal values give bounds equal to them, where the formula itself would divide 0 by 0.
    """
    data = np.asarray(values, dtype=np.float64)
    mean = float(data.mean())
    if data.min() == data.max():
        return Bounds(mean, mean, mean, "bca-bootstrap")
    means = _resampled_means(data, seed, resamples)
    left_out = (data.sum() - data) / (len(data) - 1)
    low, high = bca_bounds(means, mean, left_out, confidence)
    return Bounds(mean, low, high, "bca-bootstrap")


def bca_bounds(resampled: Floats, centre: float, left_out: Floats, confidence: float) -> tuple[float, float]:
    """Bounds from estimates of resamples, the estimate itself, and the estimates with one value left out each."""
    resamples = len(resampled)
    below = (np.count_nonzero(resampled < centre) + np.count_nonzero(resampled <= centre)) / (2 * resamples)
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    spread = left_out.mean() - left_out
    spread /= np.abs(spread).max() or 1.0  # the ratio below has no scale; tiny values must not underflow in it
    squares = float((spread**2).sum())
    acceleration = float((spread**3).sum()) / (6 * squares**1.5) if squares else 0.0
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [_adjusted(tail, bias, acceleration), _adjusted(1 - tail, bias, acceleration)])
    return float(low), float(high)


def expanded(confidence: float, n: int) -> float:
    """The nominal confidence at which a bootstrap of ``n`` values covers ``confidence`` (Hesterberg 2015, § 5.3).

    A bootstrap takes the spread without the correction n / (n - 1) and the normal where t belongs; this puts both back.
    """
    t = t_quantile(0.5 + confidence / 2, n - 1)
    return 2 * _NORMAL.cdf(math.sqrt(n / (n - 1)) * t) - 1


def quantile(values: ArrayLike, q: float) -> float:
    """The ``q`` quantile by linear interpolation between order statistics (Hyndman and Fan's type 7)."""
    return float(np.quantile(np.asarray(values, dtype=np.float64), q))


def relative_mad(values: Sequence[float]) -> float | None:
    """Median absolute deviation from the median / median: how unsteady, whatever the outliers. None at median 0."""
    data = np.asarray(values, dtype=np.float64)
    median = float(np.median(data))
    return float(np.median(np.abs(data - median))) / abs(median) if median else None


@dataclass(frozen=True, slots=True)
class Drift:
    """A trend over cycles: ``change`` from first to last, relative to the median, and how likely by chance."""

    change: float
    p: float


def drift(values: Sequence[float]) -> Drift | None:
    """Theil-Sen slope over the order of cycles, tested by Spearman's rank correlation: exactly up to 9 values without
    ties, else by the t approximation, which finds 1.0-1.4 % where it says 1 %.

    None below 5 values, where even a perfect order says little, for equal values, and for a median of 0.
    """
    n = len(values)
    data = np.asarray(values, dtype=np.float64)
    median = float(np.median(data)) if n else 0.0
    if n < 5 or median == 0 or data.min() == data.max():
        return None
    ranks = _ranks(data)
    if n <= EXACT_TO and len(np.unique(data)) == n:
        p = _order_chance([round(rank) for rank in ranks])
    else:
        rho = float(np.corrcoef(np.arange(n), ranks)[0, 1])
        p = 0.0 if abs(rho) >= 1 else 2 * (1 - t_cdf(abs(rho) * math.sqrt((n - 2) / (1 - rho * rho)), n - 2))
    first, second = np.triu_indices(n, k=1)
    slope = float(np.median((data[second] - data[first]) / (second - first)))
    return Drift(slope * (n - 1) / abs(median), p)


EXACT_TO = 9
"""Values up to which all orders are counted."""


def _order_chance(ranks: Sequence[int]) -> float:
    """Chance that n values in random order correlate with their order as much as ``ranks`` (from 1), up or down."""
    n = len(ranks)
    total = sum(place * rank for place, rank in enumerate(ranks, 1))
    most = max(total, n * (n + 1) ** 2 // 2 - total)  # of the order and its mirror image
    counts = _order_totals(n)
    return min(1.0, 2 * sum(count for of, count in counts.items() if of >= most) / math.factorial(n))


@lru_cache(maxsize=EXACT_TO)
def _order_totals(n: int) -> Mapping[int, int]:
    """Sum of place times rank -> orders of n ranks with that sum; place by place, over sets of used ranks."""
    sums: dict[int, Counter[int]] = {0: Counter({0: 1})}
    for place in range(1, n + 1):
        following: dict[int, Counter[int]] = {}
        for used, counts in sums.items():
            for rank in range(1, n + 1):
                if not used >> rank & 1:
                    totals = following.setdefault(used | 1 << rank, Counter())
                    for total, count in counts.items():
                        totals[total + place * rank] += count
        sums = following
    return next(iter(sums.values()))


@lru_cache(maxsize=1024)
def t_quantile(p: float, df: float) -> float:
    """Quantile of Student's t: bisection on ``t_cdf``, then Newton's steps. Raises ValueError outside 0 < p < 1."""
    if not 0 < p < 1 or df <= 0:
        raise ValueError(f"no t quantile for p = {p}, df = {df}")
    if p <= 0.5:
        return -t_quantile(1 - p, df) if p < 0.5 else 0.0
    low, high = 0.0, 2.0
    while t_cdf(high, df) < p:
        low, high = high, high * 2
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    t = (low + high) / 2
    for _ in range(3):
        t += (p - t_cdf(t, df)) / _t_density(t, df)
    return t


def _t_density(t: float, df: float) -> float:
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    return math.exp(scale - (df + 1) / 2 * math.log1p(t * t / df))


def t_cdf(t: float, df: float) -> float:
    """Distribution function of Student's t, through the incomplete beta function."""
    tail = _incomplete_beta(df / (df + t * t), df / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta I_x(a, b) by Lentz's continued fraction (Numerical Recipes, 6.4)."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            step = c * d
            fraction *= step
        if abs(step - 1) < 1e-15:
            break
    return front * fraction


def _not_zero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300


def _resampled_means(data: Floats, seed: int, resamples: int) -> Floats:
    """Means of ``resamples`` draws with replacement, a few at a time so that memory stays bounded."""
    random = np.random.default_rng(seed)
    n = len(data)
    means = np.empty(resamples)
    rows = max(1, _CHUNK // n)
    for begin in range(0, resamples, rows):
        count = min(rows, resamples - begin)
        means[begin : begin + count] = data[random.integers(0, n, size=(count, n))].mean(axis=1)
    return means


def _adjusted(tail: float, bias: float, acceleration: float) -> float:
    shifted = bias + _NORMAL.inv_cdf(tail)
    return _NORMAL.cdf(bias + shifted / (1 - acceleration * shifted))


def _ranks(data: Floats) -> Floats:
    """Ranks from 1; ties share their mean rank."""
    _, place, counts = np.unique(data, return_inverse=True, return_counts=True)
    mean_ranks: Floats = np.cumsum(counts) - (counts - 1) / 2
    return mean_ranks[place]


def _centre(values: Sequence[float]) -> float:
    if min(values) == max(values):
        return values[0]
    mean = math.fsum(values) / len(values)
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if min(values) > 0 else mean


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def cycles_in_words(n: int) -> str:
    """``1 cycle``, ``3 cycles``."""
    return "1 cycle" if n == 1 else f"{n} cycles"
