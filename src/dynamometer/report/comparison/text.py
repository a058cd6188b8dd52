"""The comparison for a terminal: a table for each pair of rows, refusals, limits and doubts beneath."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dynamometer.domain.comparison import Comparison, Effect, Pair
from dynamometer.domain.summary import Estimate, MetricInfo
from dynamometer.report.comparison.words import (
    about,
    change,
    counts,
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
from dynamometer.report.figures import Notes, figure, one_line
from dynamometer.report.page import GAP, NARROWEST, Column, Page, column, tabulated

COLOURS = {"better": "green", "worse": "red", "differs": "yellow", "equivalent": "bold", "cannot_tell": "dim"}
OUTCOMES = {"held": "green", "broken": "red", "undecided": "yellow"}


def render(comparison: Comparison) -> str:
    """The comparison as plain text for a file: 120 columns, no colour."""
    return terminal(comparison, width=120, colour=False)


def terminal(comparison: Comparison, *, width: int, colour: bool) -> str:
    """The comparison for a terminal of that width, with a newline at its end."""
    page, notes = Page(max(width, NARROWEST), colour), Notes()
    metrics = shown(comparison)
    blocks = [
        list(_head(comparison, page)),
        *(list(_pair(pair, comparison, metrics, page, notes)) for pair in comparison.pairs),
        list(_notes(comparison, metrics, page, notes)),
        list(_gates(comparison, page)),
        list(_refused(comparison, page)),
        list(_doubts(comparison, page)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(comparison: Comparison, page: Page) -> Iterator[str]:
    for side, campaign in sides(comparison):
        for line in page.wrap(f"{side}: {campaign.name} ({campaign.campaign_id}, made {campaign.created})"):
            yield page.style(line, "bold")
    yield from page.wrap(counts(comparison))
    if comparison.a.simulated or comparison.b.simulated:
        for line in page.wrap("SIMULATED: rows marked (simulated) are not measurements."):
            yield page.style(line, "yellow")
    for text in unmatched(comparison):
        yield from page.wrap(text, "", "    ")


def _pair(pair: Pair, comparison: Comparison, metrics: Sequence[MetricInfo], page: Page, notes: Notes) -> Iterator[str]:
    mark = " (simulated)" if pair.a.simulated or pair.b.simulated else ""
    for line in page.wrap(title(pair) + mark, "", "    "):
        yield page.style(line, "bold")
    if pair.differs:
        yield from page.wrap("; ".join(pair.differs), "differs in ", "    ")
    yield from page.wrap(how(pair))
    rows = [
        (info, effect)
        for info in metrics
        if (effect := pair.effect(info.key)) and (effect.a.value, effect.b.value) != (None, None)
    ]
    if not rows:
        yield "No metric has a value."
        return
    metric, *rest = _columns(rows, comparison, notes)
    a, b = ([getattr(effect, side) for _, effect in rows] for side in ("a", "b"))
    own = [column("A", "", [*map(figure, a)]), column("B", "", [*map(figure, b)])]
    plain = [column("A", "", [*map(_without_interval, a)]), column("B", "", [*map(_without_interval, b)])]
    wide, narrower, narrowest = ([metric, *two, *rest] for two in (own, plain, []))
    yield from tabulated(next((one for one in (wide, narrower) if _width(one) <= page.width), narrowest), page)


def _width(columns: Sequence[Column]) -> int:
    return sum(one.width for one in columns) + len(GAP) * (len(columns) - 1)


def _without_interval(estimate: Estimate) -> str:
    return figure(estimate).partition(" ")[0]


def _columns(rows: Sequence[tuple[MetricInfo, Effect]], comparison: Comparison, notes: Notes) -> list[Column]:
    reasons = [why(effect) for _, effect in rows]
    marks = [f" ({notes.mark(reason)})" if reason else "" for reason in reasons]
    verdicts = [verdict(effect, comparison) + mark for (_, effect), mark in zip(rows, marks, strict=True)]
    styles = tuple(COLOURS[effect.verdict] for _, effect in rows)
    last = column("verdict", "on B", verdicts, right=False)
    return [
        column("metric", "", [f"{one_line(info.title)} ({one_line(info.unit)})" for info, _ in rows], right=False),
        column("B / A", "", [_marked(effect) for _, effect in rows]),
        column("n", "", [str(effect.n) if effect.n else "" for _, effect in rows]),
        Column(last.heads, last.cells, last.width, last.right, styles),
    ]


def _marked(effect: Effect) -> str:
    return f"B - A: {change(effect)}" if effect.kind == "difference" and effect.value is not None else change(effect)


def _notes(comparison: Comparison, metrics: Sequence[MetricInfo], page: Page, notes: Notes) -> Iterator[str]:
    if not comparison.pairs:
        return
    if texts := methods(comparison):
        together = "; wide enough for all of them to hold at once (Bonferroni)" if comparison.together else ""
        yield from page.wrap(f"effect [interval over cycles]: {'; '.join(texts)}{together}")
    for number, text in enumerate(notes.texts, start=1):
        yield from page.wrap(text, f"({number}) ")
    if hidden := len(comparison.metrics) - len(metrics):
        yield from page.wrap(f"{hidden} more metrics: --metrics, or the formats csv, json and html")


def _gates(comparison: Comparison, page: Page) -> Iterator[str]:
    if not comparison.gates:
        return
    yield page.style("Limits", "bold")
    for gate in comparison.gates:
        where = f" · {gate.b}" if len(comparison.pairs) > 1 else ""
        for line in page.wrap(f"{gate.outcome}: {gate.gate} · {gate.message}{where}", "  ", "      "):
            yield page.style(line, OUTCOMES[gate.outcome])


def _refused(comparison: Comparison, page: Page) -> Iterator[str]:
    if not comparison.refused:
        return
    yield page.style("Not compared, because unlike", "bold")
    for refused in comparison.refused:
        yield from page.wrap(names(refused.a.name, refused.b.name), "  ", "      ")
        for reason in refused.reasons:
            for line in page.wrap(reason.message, "    - ", "      "):
                yield page.style(line, "red")
        kinds = {reason.kind for reason in refused.reasons}
        if any(not reason.can_allow for reason in refused.reasons):
            yield from page.wrap("these are never compared", "    ")
        elif option := how_to_allow(kinds):
            yield from page.wrap(f"hint: compare all the same with {option}", "    ")


def _doubts(comparison: Comparison, page: Page) -> Iterator[str]:
    shared = shared_doubts(comparison)
    if not shared:
        return
    yield page.style("Doubts", "bold")
    for number, one in enumerate(shared, start=1):
        text = f"{one.doubt.message} ({about(one, len(comparison.pairs))})"
        for line in page.wrap(text, f"{number:2}. "):
            yield page.style(line, "yellow")
        if one.doubt.hint:
            yield from page.wrap(f"hint: {one.doubt.hint}", "    ")
