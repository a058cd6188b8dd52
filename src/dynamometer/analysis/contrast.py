"""B against A over cycles, with an interval: as a ratio on the log scale, or as a difference.

Student's t throughout: the logarithms of ratios of cycles' values are close to normal, and few cycles are the rule.
Paired values share what a cycle did to both; the others are compared by Welch's t, which lets the two sides vary
unequally (Welch 1947, with Satterthwaite's degrees of freedom).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from dynamometer.analysis.stats import FEWEST, LARGEST_LOG, cycles_in_words, t_quantile

Kind = Literal["ratio", "difference"]
SAME = "the same value in all cycles of both"
"""Why there is no interval where nothing differs."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """B / A or B - A. ``low`` and ``high`` are None when there is no interval, and ``reason`` says why.

    ``n``: pairs; of an unpaired contrast, values of the side that has fewer.
    """

    kind: Kind
    value: float
    low: float | None
    high: float | None
    n: int
    method: str | None
    reason: str | None = None


def paired(
    a: Sequence[float], b: Sequence[float], *, as_difference: bool = False, confidence: float = 0.95
) -> Contrast:
    """Values of the same cycles, in the same order. A ratio takes positive values; others give a difference.

    Raises ValueError for lists that are empty or unlike in length.
    """
    if len(a) != len(b) or not a:
        raise ValueError("pairs take as many values of B as of A, and at least one")
    kind = _kind(a, b, as_difference)
    steps = [after - before for before, after in zip(_scaled(a, kind), _scaled(b, kind), strict=True)]
    n, centre = len(steps), fmean(steps)
    if n < FEWEST:
        return _without(kind, centre, n, f"{n} pairs of cycles, an interval takes {FEWEST}")
    spread = _variance(steps)
    if _is_nothing(spread, steps):
        return _without(kind, centre, n, _no_spread(centre))
    half = t_quantile(0.5 + confidence / 2, n - 1) * math.sqrt(spread / n)
    return _with(kind, centre, half, n, "paired-t")


def unpaired(
    a: Sequence[float], b: Sequence[float], *, as_difference: bool = False, confidence: float = 0.95
) -> Contrast:
    """Values of cycles that have nothing to do with each other. Raises ValueError for an empty list."""
    if not a or not b:
        raise ValueError("no values, no contrast")
    kind = _kind(a, b, as_difference)
    one, other = _scaled(a, kind), _scaled(b, kind)
    n, centre = min(len(a), len(b)), fmean(other) - fmean(one)
    if n < FEWEST:
        return _without(kind, centre, n, f"{cycles_in_words(n)} on one side, an interval takes {FEWEST} on each")
    errors = [0.0 if _is_nothing(v := _variance(side), side) else v / len(side) for side in (one, other)]
    if sum(errors) == 0:
        return _without(kind, centre, n, _no_spread(centre))
    freedom = sum(errors) ** 2 / sum(e**2 / (len(side) - 1) for e, side in zip(errors, (one, other), strict=True))
    half = t_quantile(0.5 + confidence / 2, freedom) * math.sqrt(sum(errors))
    return _with(kind, centre, half, n, "welch-t")


def _no_spread(centre: float) -> str:
    """Why values that differ by the same in all cycles give no interval."""
    if abs(centre) <= 1e-12:
        return SAME
    return "the same change in all cycles: no spread seen, which is not the same as certainty"


def _kind(a: Sequence[float], b: Sequence[float], as_difference: bool) -> Kind:
    return "difference" if as_difference or min(*a, *b) <= 0 else "ratio"


def _scaled(values: Sequence[float], kind: Kind) -> list[float]:
    return [math.log(value) for value in values] if kind == "ratio" else list(values)


def _variance(values: Sequence[float]) -> float:
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _is_nothing(spread: float, values: Sequence[float]) -> bool:
    """Whether a variance is no more than rounding leaves of equal values."""
    return math.sqrt(spread) <= 1e-12 * max(1.0, *(abs(value) for value in values))


def _with(kind: Kind, centre: float, half: float, n: int, method: str) -> Contrast:
    if kind == "difference":
        return Contrast(kind, centre, centre - half, centre + half, n, method)
    if abs(centre) + half > LARGEST_LOG:
        return _without(kind, centre, n, "values too far apart")
    return Contrast(kind, math.exp(centre), math.exp(centre - half), math.exp(centre + half), n, f"{method}-log")


def _without(kind: Kind, centre: float, n: int, reason: str) -> Contrast:
    value = math.exp(min(max(centre, -LARGEST_LOG), LARGEST_LOG)) if kind == "ratio" else centre
    return Contrast(kind, value, None, None, n, None, reason)
