"""A comparison in words and figures, made once for the forms that people read: they only lay it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dynamometer.domain.comparison import (
    Campaign,
    Comparison,
    Difference,
    Effect,
    GateResult,
    Pair,
    Reason,
    Verdict,
)
from dynamometer.domain.summary import Doubt, MetricInfo
from dynamometer.report.comparison.effects import VERDICTS, marked, verdict, why
from dynamometer.report.comparison.labels import Labels, couple, labels, left_over
from dynamometer.report.doubts import Doubted, together
from dynamometer.report.figures import HEADLINE, WHERE_THERE, figure, percentiles_in_words
from dynamometer.report.names import listed

FEW = 6
"""Metrics of several pairs that are all shown at once; of more, only those of ``HEADLINE`` and ``WHERE_THERE``."""
ALLOW = {
    "host": "other machines",
    "prompts": "other prompts",
    "model": "another model file",
    "trace": "another trace",
    "tokens": "other lengths",
    "energy": "another energy sensor",
}


@dataclass(frozen=True, slots=True)
class RowWords:
    """One metric of a pair."""

    info: MetricInfo
    a: str
    b: str
    change: str
    """B / A, or B - A, which it then says."""
    n: str
    kind: Verdict
    verdict: str
    why: str | None
    """Why there is no effect, or no interval."""


@dataclass(frozen=True, slots=True)
class PairWords:
    """One pair of rows."""

    title: str
    facts: tuple[str, ...]
    """What differs, and how the two were compared; what holds for all pairs alike is in ``Words.common``."""
    rows: tuple[RowWords, ...]
    """Metrics that have a value on one side at least."""
    simulated: bool
    """Whether this pair is, and others are not."""


@dataclass(frozen=True, slots=True)
class LimitWords:
    """One limit for one pair."""

    result: GateResult
    pair: str
    """What the pair is called; empty when there is only one."""


@dataclass(frozen=True, slots=True)
class RefusedWords:
    """Pairs that are unlike in the same."""

    pairs: str
    reasons: tuple[str, ...]
    option: str | None
    """What compares them all the same; None when nothing does."""


@dataclass(frozen=True, slots=True)
class Words:
    """All that is said, in the order in which it is read."""

    heading: str
    campaigns: tuple[tuple[str, Campaign], ...]
    """What each stands for; one campaign may be both sides."""
    counts: str
    terms: str
    """What counts as an effect that matters."""
    simulated: str | None
    common: tuple[str, ...]
    """What holds for all of several pairs."""
    alone: tuple[str, ...]
    pairs: tuple[PairWords, ...]
    first: tuple[MetricInfo, ...]
    """Metrics to see first; ``others`` are the rest."""
    others: tuple[MetricInfo, ...]
    methods: tuple[str, ...]
    limits: tuple[LimitWords, ...]
    refused: tuple[RefusedWords, ...]
    doubts: tuple[Doubted, ...]

    @property
    def compares(self) -> bool:
        """Whether there is anything that could be judged."""
        return any(pair.rows for pair in self.pairs)


def in_words(comparison: Comparison) -> Words:
    """Everything that every form says."""
    first = shown(comparison)
    keys = {info.key for info in first}
    titles = pair_titles(comparison)
    facts = [_facts(pair) for pair in comparison.pairs]
    alike = [fact for fact in facts[0] if all(fact in other for other in facts)] if len(facts) > 1 else []
    name = [titles.common] if titles.common else []
    return Words(
        heading=heading(comparison),
        campaigns=tuple(_sides(comparison)),
        counts=counts(comparison),
        terms=_terms(comparison),
        simulated=_simulated(comparison),
        common=tuple(f"all pairs: {text}" for text in (*name, *alike)),
        alone=tuple(_alone(comparison)),
        pairs=tuple(
            PairWords(
                title,
                tuple(fact for fact in own if fact not in alike),
                tuple(_rows(pair, comparison)),
                _is_simulated(pair) and not all(map(_is_simulated, comparison.pairs)),
            )
            for title, own, pair in zip(titles.each, facts, comparison.pairs, strict=True)
        ),
        first=tuple(first),
        others=tuple(info for info in comparison.metrics if info.key not in keys),
        methods=tuple(_methods(comparison)),
        limits=tuple(_limits(comparison, titles)),
        refused=tuple(_refused(comparison)),
        doubts=tuple(_doubts(comparison, titles)),
    )


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
    return [info for info in comparison.metrics if info.key in (*HEADLINE, *WHERE_THERE, *gated)]


def pair_titles(comparison: Comparison) -> Labels:
    """What each pair is called."""
    return labels([couple(pair.a.name, pair.b.name, pair.differs) for pair in comparison.pairs])


def counts(comparison: Comparison) -> str:
    """``2 pairs, 24 comparisons: 3 better, 1 worse, 20 cannot tell; 4 more without an interval``."""
    effects = [effect for pair in comparison.pairs for effect in pair.effects if effect.value is not None]
    judged = [effect.verdict for effect in effects if effect.low is not None]
    parts = ", ".join(f"{judged.count(key)} {words}" for key, words in VERDICTS.items() if key in judged)
    pairs = _number(len(comparison.pairs), "pair")
    without = len(effects) - len(judged)
    if not judged:
        return f"{pairs}, no comparison with an interval" + (f" ({without} without)" if without else "")
    return f"{pairs}, {_number(len(judged), 'comparison')}: {parts}" + (
        f"; {without} more without an interval" if without else ""
    )


def how_to_allow(kinds: Iterable[str]) -> str | None:
    """The option that compares all the same; None where nothing does."""
    allowed = [kind for kind in ALLOW if kind in kinds]
    return f"--allow {','.join(allowed)}" if allowed else None


def _sides(comparison: Comparison) -> list[tuple[str, Campaign]]:
    if comparison.a == comparison.b:
        return [("A and B", comparison.a)]
    return [("A", comparison.a), ("B", comparison.b)]


def _terms(comparison: Comparison) -> str:
    if not comparison.at_least:
        return "smallest effect that matters: none given, so nothing is called equivalent (--at-least 2%)"
    share = comparison.at_least
    return (
        f"smallest effect that matters: {share * 100:g} %; an interval within 1/{1 + share:g} and {1 + share:g}, of "
        f"shares ±{share * 100:g} points, is called equivalent"
    )


def _simulated(comparison: Comparison) -> str | None:
    if not comparison.a.simulated and not comparison.b.simulated:
        return None
    if all(map(_is_simulated, comparison.pairs)):
        return "these are not measurements."
    return "rows marked (simulated) are not measurements."


def _is_simulated(pair: Pair) -> bool:
    return pair.a.simulated or pair.b.simulated


def _facts(pair: Pair) -> tuple[str, ...]:
    differs = "; ".join(map(_difference, pair.differs))
    pairing = "in pairs of cycles" if pair.paired else f"cycles not in pairs ({pair.unpaired})"
    how = f"{pairing}; {_number(pair.a.cycles, 'cycle')} of A, {pair.b.cycles} of B"
    empty = [name for name, side in (("A", pair.a), ("B", pair.b)) if not side.cycles]
    if empty:
        how = f"no finished run in {' and '.join(empty)}: nothing to compare"
    return (*([f"differs in {differs}"] if differs else []), how)


def _difference(found: Difference) -> str:
    return f"{found.key}: {found.a} → {found.b}"


def _rows(pair: Pair, comparison: Comparison) -> Iterable[RowWords]:
    if not pair.a.cycles or not pair.b.cycles:
        return
    for info in comparison.metrics:
        effect = pair.effect(info.key)
        if effect is not None and (effect.a.value, effect.b.value) != (None, None):
            yield _row(info, effect)


def _row(info: MetricInfo, effect: Effect) -> RowWords:
    return RowWords(
        info=info,
        a=figure(effect.a),
        b=figure(effect.b),
        change=marked(effect),
        n=str(effect.n or ""),
        kind=effect.verdict,
        verdict=verdict(effect),
        why=why(effect),
    )


def _alone(comparison: Comparison) -> Iterable[str]:
    for side, names, matched in (
        ("A", comparison.unmatched_a, [pair.a.name for pair in comparison.pairs]),
        ("B", comparison.unmatched_b, [pair.b.name for pair in comparison.pairs]),
    ):
        if names:
            yield f"only in {side}, not compared: {listed(left_over(names, matched), 8)}"


def _methods(comparison: Comparison) -> Iterable[str]:
    """What the figures are taken over, and how the intervals were made."""
    yield from percentiles_in_words(comparison.metrics)
    used = sorted({(e.method, e.confidence) for pair in comparison.pairs for e in pair.effects if e.method})
    yield from (f"{round(confidence * 100, 3):g} %, {method}: {_METHODS[method]}" for method, confidence in used)
    if comparison.together and comparison.intervals > 1:
        yield f"intervals are wide enough for all {comparison.intervals} to hold at once with 95 % (Bonferroni)"


_METHODS = {
    "paired-t-log": "Student's t on the logarithms of B / A of each cycle; the ratio is one of geometric means",
    "paired-t": "Student's t on B - A of each cycle",
    "welch-t-log": "Welch's t on the logarithms of the cycles' values; the ratio is one of geometric means",
    "welch-t": "Welch's t on the cycles' values; the difference is one of means",
}


def _limits(comparison: Comparison, titles: Labels) -> Iterable[LimitWords]:
    names = {(pair.a.name, pair.b.name): title for pair, title in zip(comparison.pairs, titles.each, strict=True)}
    for gate in comparison.gates:
        yield LimitWords(gate, names[gate.a, gate.b] if len(names) > 1 else "")


def _refused(comparison: Comparison) -> Iterable[RefusedWords]:
    """Pairs refused for the same reasons are told of together."""
    found: dict[tuple[Reason, ...], list[str]] = {}
    titles = labels([couple(one.a.name, one.b.name) for one in comparison.refused])
    for one, title in zip(comparison.refused, titles.each, strict=True):
        found.setdefault(one.reasons, []).append(title)
    for reasons, pairs in found.items():
        kinds = {reason.kind for reason in reasons}
        option = how_to_allow(kinds) if all(reason.can_allow for reason in reasons) else None
        name = f"{titles.common}: " if titles.common else ""
        yield RefusedWords(name + listed(pairs, 8), tuple(reason.message for reason in reasons), option)


def _doubts(comparison: Comparison, titles: Labels) -> list[Doubted]:
    """Doubts about the comparison, then those of pairs; the very same doubt is told once, with sides and pairs."""
    found: dict[Doubt, dict[str, list[str]]] = {}
    for pair, title in zip(comparison.pairs, titles.each, strict=True):
        for one in pair.doubts:
            for side in ("A", "B") if one.side == "both" else (one.side.upper(),):
                found.setdefault(one.doubt, {}).setdefault(side, []).append(title)
    total = len(comparison.pairs)
    whole = [(one.doubt, "" if one.side == "both" else one.side.upper()) for one in comparison.doubts]
    return together([*whole, *((doubt, _where(sides, total)) for doubt, sides in found.items())])


def _where(sides: dict[str, list[str]], total: int) -> str:
    """``A and B, all 8 pairs``; ``A: c1; B: c1, c4 and 3 more``."""
    if len(sides) == 2 and sides["A"] == sides["B"]:
        sides = {"A and B": sides["A"]}
    return "; ".join(f"{side}{_pairs(titles, total)}" for side, titles in sides.items())


def _pairs(titles: Sequence[str], total: int) -> str:
    if total == 1:
        return ""
    return f", all {total} pairs" if len(titles) == total else f": {listed(titles, 3)}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
