"""The comparison for a terminal: a table for each pair of rows, refusals, limits and doubts beneath."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dynamometer.domain.comparison import Comparison
from dynamometer.report.comparison.words import PairWords, RowWords, Words, in_words
from dynamometer.report.figures import Notes, one_line
from dynamometer.report.page import GAP, NARROWEST, Column, Page, column, doubts_listed, tabulated

COLOURS = {"better": "green", "worse": "red", "differs": "yellow", "equivalent": "bold", "cannot_tell": "dim"}
OUTCOMES = {"held": "green", "broken": "red", "undecided": "yellow"}


def render(comparison: Comparison) -> str:
    """The comparison as plain text for a file: 120 columns, no colour."""
    return terminal(comparison, width=120, colour=False)


def terminal(comparison: Comparison, *, width: int, colour: bool) -> str:
    """The comparison for a terminal of that width, with a newline at its end."""
    page, notes, words = Page(max(width, NARROWEST), colour), Notes(), in_words(comparison)
    blocks = [
        list(_head(words, page)),
        *(list(_pair(pair, words, page, notes)) for pair in words.pairs),
        list(_notes(words, page, notes)),
        list(_limits(words, page)),
        list(_refused(words, page)),
        doubts_listed(words.doubts, page),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(words: Words, page: Page) -> Iterator[str]:
    for side, campaign in words.campaigns:
        for line in page.wrap(f"{side}: {campaign.name} ({campaign.campaign_id}, made {campaign.created})"):
            yield page.style(line, "bold")
    if words.simulated:
        for line in page.wrap(f"SIMULATED: {words.simulated}"):
            yield page.style(line, "yellow")
    for text in (
        *([words.counts] if words.pairs else []),
        *([words.terms] if words.compares else []),
        *words.common,
        *words.alone,
    ):
        yield from page.wrap(text, "", "    ")


def _pair(pair: PairWords, words: Words, page: Page, notes: Notes) -> Iterator[str]:
    for line in page.wrap(pair.title + (" (simulated)" if pair.simulated else ""), "", "    "):
        yield page.style(line, "bold")
    for fact in pair.facts:
        yield from page.wrap(fact, "", "    ")
    rows = [row for row in pair.rows if row.info in words.first]
    if not rows:
        return
    metric, *rest = _columns(rows, notes)
    own = [column("A", "", [row.a for row in rows]), column("B", "", [row.b for row in rows])]
    plain = [column(side.heads[0], "", [cell.partition(" ")[0] for cell in side.cells]) for side in own]
    wide, narrower, narrowest = ([metric, *two, *rest] for two in (own, plain, []))
    yield from tabulated(next((one for one in (wide, narrower) if _width(one) <= page.width), narrowest), page)


def _width(columns: Sequence[Column]) -> int:
    return sum(one.width for one in columns) + len(GAP) * (len(columns) - 1)


def _columns(rows: Sequence[RowWords], notes: Notes) -> list[Column]:
    verdicts = [row.verdict + (f" ({notes.mark(row.why)})" if row.why else "") for row in rows]
    styles = tuple(COLOURS[row.kind] for row in rows)
    last = column("verdict", "on B", verdicts, right=False)
    return [
        column("metric", "", [f"{one_line(row.info.title)} ({one_line(row.info.unit)})" for row in rows], right=False),
        column("B / A", "", [row.change for row in rows]),
        column("n", "", [row.n for row in rows]),
        Column(last.heads, last.cells, last.width, last.right, styles),
    ]


def _notes(words: Words, page: Page, notes: Notes) -> Iterator[str]:
    if not words.compares:
        return
    for text in words.methods:
        yield from page.wrap(text, "", "    ")
    for number, text in enumerate(notes.texts, start=1):
        yield from page.wrap(text, f"({number}) ")
    if hidden := len(words.others):
        yield from page.wrap(f"{hidden} more metrics: --metrics, or the formats csv, json and html")


def _limits(words: Words, page: Page) -> Iterator[str]:
    if not words.limits:
        return
    yield page.style("Limits", "bold")
    for limit in words.limits:
        where = f" · {limit.pair}" if limit.pair else ""
        text = f"{limit.result.outcome}: {limit.result.gate} · {limit.result.message}{where}"
        for line in page.wrap(text, "  ", "      "):
            yield page.style(line, OUTCOMES[limit.result.outcome])


def _refused(words: Words, page: Page) -> Iterator[str]:
    if not words.refused:
        return
    yield page.style("Not compared, because unlike", "bold")
    for refused in words.refused:
        yield from page.wrap(refused.pairs, "  ", "      ")
        for reason in refused.reasons:
            for line in page.wrap(reason, "    - ", "      "):
                yield page.style(line, "red")
        end = f"hint: compare all the same with {refused.option}" if refused.option else "these are never compared"
        yield from page.wrap(end, "    ")
