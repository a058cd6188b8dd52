"""The comparison as Markdown (GitHub's), for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dynamometer.domain.comparison import Comparison, Pair
from dynamometer.domain.summary import MetricInfo
from dynamometer.report.comparison.words import (
    about,
    change,
    counts,
    heading,
    how,
    how_to_allow,
    methods,
    names,
    shared_doubts,
    shown,
    sides,
    title,
    unmatched,
    verdict,
    why,
)
from dynamometer.report.figures import Notes, figure
from dynamometer.report.markdown import escape

SIGNS = {"better": "🟢 ", "worse": "🔴 ", "differs": "🟡 ", "equivalent": "⚪ ", "cannot_tell": ""}
OUTCOMES = {"held": "✅", "broken": "❌", "undecided": "❔"}


def render(comparison: Comparison) -> str:
    """The whole comparison."""
    notes = Notes()
    pairs = [line for pair in comparison.pairs for line in _pair(pair, comparison, shown(comparison), notes)]
    sections = [
        _head(comparison),
        _section("Limits", _gates(comparison)),
        pairs,
        [f"{number}. {escape(text)}" for number, text in enumerate(notes.texts, start=1)],
        _section("Not compared, because unlike", _refused(comparison)),
        _section("Doubts", _doubts(comparison)),
        _section("Intervals", (f"- {escape(text)}" for text in methods(comparison))),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _head(comparison: Comparison) -> list[str]:
    campaigns = [
        f"- {side}: {escape(campaign.name)} ({escape(campaign.campaign_id)}, made {escape(campaign.created)})"
        for side, campaign in sides(comparison)
    ]
    head = [f"# {escape(heading(comparison))}", "", *campaigns, "", counts(comparison)]
    if comparison.a.simulated or comparison.b.simulated:
        head += ["", "**Simulated: these are not measurements.**"]
    return [*head, *(line for text in unmatched(comparison) for line in ("", escape(text)))]


def _pair(pair: Pair, comparison: Comparison, metrics: Sequence[MetricInfo], notes: Notes) -> Iterator[str]:
    mark = " (simulated)" if pair.a.simulated or pair.b.simulated else ""
    yield from (f"## {escape(title(pair))}{mark}", "")
    differs = f"Differs in {escape('; '.join(pair.differs))}. " if pair.differs else ""
    yield from (f"{differs}Compared {escape(how(pair))}.", "")
    yield "| metric | A | B | B / A | n | verdict on B |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for info in metrics:
        effect = pair.effect(info.key)
        if effect is None or (effect.a.value, effect.b.value) == (None, None):
            continue
        reason = why(effect)
        note = f" <sup>{notes.mark(reason)}</sup>" if reason else ""
        prefix = "B - A: " if effect.kind == "difference" and effect.value is not None else ""
        name = f"{escape(info.title)} ({escape(info.unit)})"
        cells = [name, figure(effect.a), figure(effect.b), prefix + change(effect), str(effect.n or "")]
        yield f"| {' | '.join(cells)} | {SIGNS[effect.verdict]}{verdict(effect, comparison)}{note} |"
    yield ""


def _section(heading: str, content: Iterable[str]) -> list[str]:
    body = list(content)
    return [f"## {heading}", "", *body] if body else []


def _gates(comparison: Comparison) -> Iterator[str]:
    for gate in comparison.gates:
        yield f"- {OUTCOMES[gate.outcome]} {gate.outcome}: {escape(f'{gate.gate} · {gate.message} · {gate.b}')}"


def _refused(comparison: Comparison) -> Iterator[str]:
    for refused in comparison.refused:
        texts = "; ".join(reason.message for reason in refused.reasons)
        can = all(reason.can_allow for reason in refused.reasons)
        option = how_to_allow({reason.kind for reason in refused.reasons}) if can else None
        end = f"`{option}` compares all the same." if option else "These are never compared."
        yield f"- {escape(names(refused.a.name, refused.b.name))}: {escape(texts)}. {end}"


def _doubts(comparison: Comparison) -> Iterator[str]:
    for number, one in enumerate(shared_doubts(comparison), start=1):
        hint = f" Hint: {one.doubt.hint}." if one.doubt.hint else ""
        yield f"{number}. " + escape(f"{one.doubt.message} ({about(one, len(comparison.pairs))}).{hint}")
