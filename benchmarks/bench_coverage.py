"""How often a nominal 95 % interval holds the truth, for every method we print and for those we rejected.

``python benchmarks/bench_coverage.py [TRIALS]`` prints Markdown tables; with 4,000 trials it takes some minutes and a
figure is good to ± 0.7 %. ``tests/analysis/test_analysis_coverage.py`` asserts the same with fewer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dynamometer.analysis.contrast import paired, unpaired
from dynamometer.analysis.stats import bca_bootstrap, bca_bounds, drift, expanded, interval, student_t, student_t_log

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
SIZES = (3, 5, 10, 30)
RESAMPLES = 999

DATA: dict[str, Draw] = {
    "log-normal, σ 0.2": lambda random, n: np.exp(0.2 * random.standard_normal(n)),
    "log-normal, σ 0.02": lambda random, n: np.exp(0.02 * random.standard_normal(n)),
    "gamma, shape 16": lambda random, n: random.gamma(16.0, 1 / 16, n),
    "normal, 10 %": lambda random, n: 1 + 0.1 * random.standard_normal(n),
}


@lru_cache
def truth(draw: Draw, *, geometric: bool) -> float:
    """The mean of what is drawn, geometric for methods on the log scale."""
    values = draw(np.random.default_rng(1), 1_000_000)
    return float(np.exp(np.log(values).mean())) if geometric else float(values.mean())


def share(trials: int, holds: Callable[[np.random.Generator, int], bool], seed: int = 0) -> float:
    """Share of trials in which the interval holds the truth."""
    random = np.random.default_rng(seed)
    return sum(holds(random, trial) for trial in range(trials)) / trials


def of_log_t(draw: Draw, n: int, trials: int) -> float:
    """Student's t on logarithms."""
    centre = truth(draw, geometric=True)

    def holds(random: np.random.Generator, _: int) -> bool:
        found = student_t_log(draw(random, n).tolist())
        return found.low <= centre <= found.high

    return share(trials, holds)


def of_plain_t(draw: Draw, n: int, trials: int) -> float:
    """Student's t on values as they are, which is what is left when one is 0 or less."""
    centre = truth(draw, geometric=False)

    def holds(random: np.random.Generator, _: int) -> bool:
        found = student_t(draw(random, n).tolist())
        return found.low <= centre <= found.high

    return share(trials, holds)


def of_bca(draw: Draw, n: int, trials: int, *, widened: bool = True) -> float:
    """BCa of the mean."""
    centre = truth(draw, geometric=False)
    confidence = expanded(0.95, n) if widened else 0.95

    def holds(random: np.random.Generator, trial: int) -> bool:
        found = bca_bootstrap(draw(random, n).tolist(), trial, confidence, RESAMPLES)
        return found.low <= centre <= found.high

    return share(trials, holds)


def of_contrast(draw: Draw, n: int, trials: int, *, in_pairs: bool, as_difference: bool) -> float:
    """B against A where B is 10 % more and varies twice as much; in pairs, what a cycle does is in both."""
    factor = 1.1

    def sides(random: np.random.Generator) -> tuple[Floats, Floats]:
        shared = draw(random, n) if in_pairs else np.ones(n)
        return shared * draw(random, n), factor * shared * draw(random, n) ** 2

    a, b = sides_truth(draw, factor, geometric=not as_difference, in_pairs=in_pairs)
    centre = b - a if as_difference else b / a
    contrast = paired if in_pairs else unpaired

    def holds(random: np.random.Generator, _: int) -> bool:
        one, other = sides(random)
        found = contrast(one.tolist(), other.tolist(), as_difference=as_difference)
        assert found.low is not None
        assert found.high is not None
        return found.low <= centre <= found.high

    return share(trials, holds)


@lru_cache
def sides_truth(draw: Draw, factor: float, *, geometric: bool, in_pairs: bool) -> tuple[float, float]:
    """True means of both sides."""
    random, many = np.random.default_rng(2), 1_000_000
    one, square = draw(random, many), draw(random, many) ** 2
    shared = draw(random, many) if in_pairs else np.ones(many)
    if geometric:
        return tuple_of(np.exp([np.log(shared * one).mean(), np.log(factor * shared * square).mean()]))
    return tuple_of(np.array([(shared * one).mean(), (factor * shared * square).mean()]))


def tuple_of(two: Floats) -> tuple[float, float]:
    """Two floats."""
    return float(two[0]), float(two[1])


def requests(random: np.random.Generator, cycles: int, count: int, between: float, within: float) -> Floats:
    """Latencies of ``count`` requests in each of ``cycles`` cycles: cycles differ, and requests in them."""
    base = between * random.standard_normal((cycles, 1))
    return np.exp(base + within * random.standard_normal((cycles, count)))


def of_percentile(cycles: int, count: int, q: float, between: float, within: float, trials: int) -> float:
    """What we print: the percentile of each cycle, and the interval over cycles that fits their number."""
    geometric = cycles < 10
    many = np.quantile(requests(np.random.default_rng(3), 40_000, count, between, within), q, axis=1)
    centre = float(np.exp(np.log(many).mean()) if geometric else many.mean())

    def holds(random: np.random.Generator, trial: int) -> bool:
        values = np.quantile(requests(random, cycles, count, between, within), q, axis=1).tolist()
        found = student_t_log(values) if geometric else bca_bootstrap(values, trial, expanded(0.95, cycles), RESAMPLES)
        return found.low <= centre <= found.high

    return share(trials, holds)


def of_pooled(cycles: int, count: int, q: float, between: float, within: float, trials: int) -> float:
    """Rejected: the percentile of all requests of all cycles, cycles drawn whole, BCa, widened."""
    centre = float(np.exp(NormalDist().inv_cdf(q) * np.hypot(between, within)))

    def holds(random: np.random.Generator, _: int) -> bool:
        data = requests(random, cycles, count, between, within)
        drawn = np.quantile(data[random.integers(0, cycles, (RESAMPLES, cycles))].reshape(RESAMPLES, -1), q, axis=1)
        left_out = np.array([np.quantile(np.delete(data, row, axis=0), q) for row in range(cycles)])
        low, high = bca_bounds(drawn, float(np.quantile(data, q)), left_out, expanded(0.95, cycles))
        return low <= centre <= high

    return share(trials, holds)


def of_two_stages(cycles: int, count: int, q: float, between: float, within: float, trials: int) -> float:
    """Rejected: the mean of the cycles' percentiles, cycles drawn and then requests in each; not even widened."""
    centre = float(np.quantile(requests(np.random.default_rng(3), 40_000, count, between, within), q, axis=1).mean())

    def holds(random: np.random.Generator, _: int) -> bool:
        data = requests(random, cycles, count, between, within)
        drawn = []
        for _resample in range(RESAMPLES // 3):
            chosen = data[random.integers(0, cycles, cycles)]
            again = np.take_along_axis(chosen, random.integers(0, count, (cycles, count)), axis=1)
            drawn.append(np.quantile(again, q, axis=1).mean())
        low, high = np.quantile(drawn, [0.025, 0.975])
        return bool(low <= centre <= high)

    return share(trials, holds)


def of_drift(n: int, trials: int, change: float, noise: float) -> float:
    """Share of campaigns whose drift is told: a change from first cycle to last, and noise."""

    def told(random: np.random.Generator, _: int) -> bool:
        trend = drift((1 + np.linspace(0, change, n) + noise * random.standard_normal(n)).tolist())
        return trend is not None and trend.p < 0.01 and abs(trend.change) > 0.05

    return share(trials, told)


def table(title: str, heads: list[str], rows: Iterator[list[str]]) -> None:
    """One Markdown table, row by row as they come."""
    print(f"\n### {title}\n\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def by_size(name: str, cover: Callable[[Draw, int], float], sizes: tuple[int, ...] = SIZES) -> Iterator[list[str]]:
    """One row for each kind of data."""
    for kind, draw in DATA.items():
        yield [name, kind, *(f"{cover(draw, n):.1%}" if n in sizes else "" for n in SIZES)]


def main() -> None:
    """Print everything."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    assert interval([1.0, 1.1, 1.2], seed=0).method == "student-t-log"

    def single() -> Iterator[list[str]]:
        yield from by_size("student-t-log (3 to 9)", lambda draw, n: of_log_t(draw, n, trials))
        yield from by_size("student-t (values of 0)", lambda draw, n: of_plain_t(draw, n, trials))
        yield from by_size("bca-bootstrap-expanded (10 on)", lambda draw, n: of_bca(draw, n, trials), (10, 30))
        yield from by_size("bca-bootstrap (forced below 10)", lambda draw, n: of_bca(draw, n, trials, widened=False))

    def contrasts() -> Iterator[list[str]]:
        for name, in_pairs, as_difference in (
            ("paired-t-log", True, False),
            ("welch-t-log", False, False),
            ("paired-t", True, True),
            ("welch-t", False, True),
        ):
            cover = partial(of_contrast, trials=trials, in_pairs=in_pairs, as_difference=as_difference)
            yield from by_size(name, cover)

    def percentiles() -> Iterator[list[str]]:
        few = max(100, trials // 5)
        for q, count in ((0.5, 50), (0.95, 200), (0.99, 500)):
            for between, within in ((0.0, 0.3), (0.02, 0.3), (0.1, 0.3), (0.1, 0.05)):
                for cycles in (5, 10, 30):
                    shape = (cycles, count, q, between, within)
                    rejected = cycles >= 10
                    yield [
                        f"p{q * 100:g} of {count}",
                        f"{between:g} / {within:g}",
                        str(cycles),
                        f"{of_percentile(*shape, trials=trials):.1%}",
                        f"{of_pooled(*shape, trials=few):.1%}" if rejected and cycles == 10 else "",
                        f"{of_two_stages(*shape, trials=few):.1%}" if rejected and cycles == 10 else "",
                    ]

    def drifts() -> Iterator[list[str]]:
        for change, noise in ((0.0, 0.03), (0.1, 0.03), (0.3, 0.03), (0.3, 0.1)):
            yield [f"{change:.0%}", f"{noise:.0%}", *(f"{of_drift(n, trials, change, noise):.1%}" for n in (5, 10, 30))]

    print(f"Share of {trials} simulated samples whose nominal 95 % interval holds the truth.")
    table("One configuration", ["method", "values of cycles", *(f"n = {n}" for n in SIZES)], single())
    table("Two configurations", ["method", "values of cycles", *(f"n = {n}" for n in SIZES)], contrasts())
    heads = ["percentile", "σ of cycles / of requests", "cycles", "as printed", "pooled, cycles drawn", "two stages"]
    table("Percentiles", heads, percentiles())
    table("Drift told", ["change", "noise", "n = 5", "n = 10", "n = 30"], drifts())


if __name__ == "__main__":
    main()
