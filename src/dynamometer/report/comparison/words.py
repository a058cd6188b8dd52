"""How effects and verdicts are written, the same in every form for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dynamometer.domain.comparison import Campaign, Comparison, Effect, Pair, SideDoubt
from dynamometer.domain.summary import Doubt, MetricInfo
from dynamometer.report.figures import HEADLINE, number

FEW = 6
"""Metrics of several pairs that are all shown at once; of more, only those of ``HEADLINE``."""
SIDES = {"a": "A", "b": "B", "both": "A and B"}
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "differs": "differs",
    "equivalent": "equivalent",
    "cannot_tell": "cannot tell",
}
ALLOW = {
    "host": "other machines",
    "prompts": "other prompts",
    "model": "another model file",
    "tokens": "other lengths",
    "energy": "another energy sensor",
}


def sides(comparison: Comparison) -> list[tuple[str, Campaign]]:
    """The campaigns with what they stand for; one campaign may be both."""
    if comparison.a == comparison.b:
        return [("A and B", comparison.a)]
    return [("A", comparison.a), ("B", comparison.b)]


def heading(comparison: Comparison) -> str:
    """What is compared, in few words."""
    if comparison.a == comparison.b:
        return f"Rows of {comparison.a.name}"
    return f"{comparison.b.name} against {comparison.a.name}"


def shown(comparison: Comparison) -> list[MetricInfo]:
    """Metrics to see first: all of one pair, or of few metrics; else the headline ones."""
    if len(comparison.pairs) <= 1 or len(comparison.metrics) <= FEW:
        return list(comparison.metrics)
    gated = {gate.gate.partition(">")[0].partition("<")[0].strip() for gate in comparison.gates}
    return [info for info in comparison.metrics if info.key in HEADLINE or info.key in gated]


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


def verdict(effect: Effect, comparison: Comparison) -> str:
    """``worse (+19.3 %)``, ``cannot tell``, ``equivalent (within 2 %)``."""
    words = VERDICTS[effect.verdict]
    if effect.verdict == "equivalent":
        return f"{words} (within {comparison.at_least * 100:g} %)"
    if effect.verdict == "cannot_tell" or effect.value is None:
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


def title(pair: Pair) -> str:
    """What the names of both rows have in common, then what not: ``llama_cpp/M/c8 (Q4_1 → Q8_0)``."""
    return names(pair.a.name, pair.b.name)


def names(a: str, b: str) -> str:
    """Two names as one."""
    one, other = a.split("/"), b.split("/")
    common = "/".join(part for part in one if part in other)
    only_a = "/".join(part for part in one if part not in other) or "default"
    only_b = "/".join(part for part in other if part not in one) or "default"
    if a == b:
        return a
    return f"{common} ({only_a} → {only_b})" if common else f"{a} → {b}"


def how(pair: Pair) -> str:
    """How the two were compared."""
    pairing = "in pairs of cycles" if pair.paired else f"cycles not in pairs ({pair.unpaired})"
    return f"{pairing}; {pair.a.cycles} cycles of A, {pair.b.cycles} of B"


def methods(comparison: Comparison) -> list[str]:
    """How the intervals were made, one sentence per method."""
    used = {(e.method, e.confidence) for pair in comparison.pairs for e in pair.effects if e.method}
    return [f"{round(confidence * 100, 3):g} %, {method}: {_METHODS[method]}" for method, confidence in sorted(used)]


_METHODS = {
    "paired-t-log": "Student's t on the logarithms of B / A of each cycle; the ratio is one of geometric means",
    "paired-t": "Student's t on B - A of each cycle",
    "welch-t-log": "Welch's t on the logarithms of the cycles' values; the ratio is one of geometric means",
    "welch-t": "Welch's t on the cycles' values; the difference is one of means",
}


@dataclass(frozen=True, slots=True)
class SharedDoubt:
    """A doubt with the side it is about and the pairs; no pairs: the comparison as a whole."""

    doubt: Doubt
    side: str
    pairs: tuple[str, ...]


def shared_doubts(comparison: Comparison) -> list[SharedDoubt]:
    """Doubts about the comparison, then those of pairs; pairs with the very same doubt share one."""
    pairs: dict[SideDoubt, list[str]] = {}
    for pair in comparison.pairs:
        for doubt in pair.doubts:
            pairs.setdefault(doubt, []).append(title(pair))
    whole = [SharedDoubt(one.doubt, SIDES[one.side], ()) for one in comparison.doubts]
    return whole + [SharedDoubt(one.doubt, SIDES[one.side], tuple(names)) for one, names in pairs.items()]


def about(shared: SharedDoubt, total: int, show: int = 2) -> str:
    """Which side and which pairs a doubt is about, in few words."""
    if not shared.pairs or total == 1:
        return shared.side
    if len(shared.pairs) == total:
        return f"{shared.side}, all {total} pairs"
    rest = len(shared.pairs) - show
    return f"{shared.side}: " + ", ".join(shared.pairs[:show]) + (f" and {rest} more" if rest > 0 else "")


def counts(comparison: Comparison) -> str:
    """``2 pairs, 24 comparisons: 3 better, 1 worse, 20 cannot tell``."""
    tally: dict[str, int] = {}
    for pair in comparison.pairs:
        for effect in pair.effects:
            if effect.value is not None:
                tally[effect.verdict] = tally.get(effect.verdict, 0) + 1
    parts = ", ".join(f"{tally[key]} {words}" for key, words in VERDICTS.items() if key in tally)
    pairs = "1 pair" if len(comparison.pairs) == 1 else f"{len(comparison.pairs)} pairs"
    return f"{pairs}, {sum(tally.values())} comparisons" + (f": {parts}" if parts else "")


def unmatched(comparison: Comparison) -> list[str]:
    """Rows that nothing was found for, one sentence per side."""
    return [
        f"only in {side}: {_listed(names)}"
        for side, names in (("A", comparison.unmatched_a), ("B", comparison.unmatched_b))
        if names
    ]


def how_to_allow(kinds: Iterable[str]) -> str | None:
    """The option that compares all the same; None where nothing does."""
    allowed = [kind for kind in ALLOW if kind in kinds]
    return f"--allow {','.join(allowed)}" if allowed else None


def _listed(names: Sequence[str], most: int = 8) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
