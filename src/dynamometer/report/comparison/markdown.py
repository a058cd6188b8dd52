"""The comparison as Markdown (GitHub's), for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterator

from dynamometer.domain.comparison import Comparison
from dynamometer.report.comparison.words import PairWords, Words, in_words
from dynamometer.report.figures import Notes
from dynamometer.report.markdown import doubts_listed, escape, numbered, section

SIGNS = {"better": "🟢 ", "worse": "🔴 ", "differs": "🟡 ", "equivalent": "⚪ ", "cannot_tell": ""}
OUTCOMES = {"held": "✅", "broken": "❌", "undecided": "❔"}


def render(comparison: Comparison) -> str:
    """The whole comparison."""
    words, notes = in_words(comparison), Notes()
    pairs = [line for pair in words.pairs for line in _pair(pair, words, notes)]
    sections = [
        list(_head(words)),
        section("Limits", _limits(words)),
        pairs,
        numbered(notes.texts),
        section("Not compared, because unlike", _refused(words)),
        section("Doubts", doubts_listed(words.doubts)),
        section("Intervals", (f"- {escape(text)}" for text in words.methods)),
    ]
    return "\n\n".join("\n".join(section).rstrip("\n") for section in sections if section) + "\n"


def _head(words: Words) -> Iterator[str]:
    yield from (f"# {escape(words.heading)}", "")
    for side, campaign in words.campaigns:
        yield f"- {side}: {escape(campaign.name)} ({escape(campaign.campaign_id)}, made {escape(campaign.created)})"
    yield from (f"- {escape(text)}" for text in words.common)
    yield from (f"- {escape(text)}" for text in words.alone)
    if words.pairs:
        terms = f" {escape(words.terms[0].upper() + words.terms[1:])}." if words.compares else ""
        yield from ("", f"{escape(words.counts)}.{terms}")
    if words.simulated:
        yield from ("", f"**Simulated: {words.simulated}**")


def _pair(pair: PairWords, words: Words, notes: Notes) -> Iterator[str]:
    yield from (f"## {escape(pair.title)}{' (simulated)' if pair.simulated else ''}", "")
    yield from (f"{escape(fact)}\n" for fact in pair.facts)
    rows = [row for row in pair.rows if row.info in words.first]
    if not rows:
        return
    yield "| metric | A | B | B / A | n | verdict on B |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        note = f" <sup>{notes.mark(row.why)}</sup>" if row.why else ""
        cells = [f"{escape(row.info.title)} ({escape(row.info.unit)})", row.a, row.b, row.change, row.n]
        yield f"| {' | '.join(cells)} | {SIGNS[row.kind]}{row.verdict}{note} |"
    yield ""


def _limits(words: Words) -> Iterator[str]:
    for limit in words.limits:
        result = limit.result
        text = " · ".join(filter(None, (result.gate, result.message, limit.pair)))
        yield f"- {OUTCOMES[result.outcome]} {result.outcome}: {escape(text)}"


def _refused(words: Words) -> Iterator[str]:
    for refused in words.refused:
        end = f"`{refused.option}` compares all the same." if refused.option else "These are never compared."
        yield f"- {escape(refused.pairs)}: {escape('; '.join(refused.reasons))}. {end}"
