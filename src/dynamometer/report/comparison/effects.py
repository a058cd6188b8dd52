"""How one effect is written, the same in every form for people."""

from __future__ import annotations

from collections.abc import Callable

from dynamometer.domain.comparison import Effect
from dynamometer.report.figures import number

VERDICTS = {
    "better": "better",
    "worse": "worse",
    "differs": "differs",
    "equivalent": "equivalent",
    "cannot_tell": "cannot tell",
}


def change(effect: Effect) -> str:
    """``1.193 [1.150, 1.238]`` of a ratio, ``+0.021 [+0.010, +0.032]`` of a difference, ``n/a``."""
    if effect.value is None:
        return "n/a"
    if effect.kind == "difference":
        return _bounded(effect, lambda value: f"{'+' if value > 0 else ''}{number(value)}")
    places = _places(effect)
    return _bounded(effect, lambda value: number(value, places) if value < 1000 else number(value))


def _places(effect: Effect) -> int:
    """As many decimals as the width of a ratio's interval deserves, and enough to tell a bound beside 1 from 1."""
    if effect.low is None or effect.high is None:
        return 3
    places = 3 if effect.high - effect.low >= 0.004 else 4
    beside = [bound for bound in (effect.low, effect.high) if bound != 1]
    return next((more for more in range(places, 9) if all(round(bound, more) != 1 for bound in beside)), 9)


def _bounded(effect: Effect, write: Callable[[float], str]) -> str:
    if effect.value is None:
        return "n/a"
    if effect.low is None or effect.high is None:
        return write(effect.value)
    return f"{write(effect.value)} [{write(effect.low)}, {write(effect.high)}]"


def marked(effect: Effect) -> str:
    """The change under a heading that says B / A: a difference says that it is one."""
    return f"B - A: {change(effect)}" if effect.kind == "difference" and effect.value is not None else change(effect)


def verdict(effect: Effect) -> str:
    """``worse (+19.3 %)``, ``equivalent``, ``cannot tell``."""
    words = VERDICTS[effect.verdict]
    if effect.verdict in ("equivalent", "cannot_tell") or effect.value is None:
        return words
    return f"{words} ({by_how_much(effect)})"


def by_how_much(effect: Effect) -> str:
    """``+19.3 %``, ``×12.4`` of a large ratio, ``+2.1 points`` of shares."""
    value = effect.value or 0.0
    if effect.kind == "difference":
        return f"{value * 100:+.1f} points" if abs(value) <= 1 else f"{value:+.3g}"
    return f"{(value - 1) * 100:+.1f} %" if 1 / 3 < value < 3 else f"×{value:.3g}"


def why(effect: Effect) -> str | None:
    """Why there is no effect, or no interval."""
    if effect.value is None:
        return effect.missing or "no reason given"
    if effect.low is None:
        return f"no interval: {effect.no_interval or 'no reason given'}"
    return None
