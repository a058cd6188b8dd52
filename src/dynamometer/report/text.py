"""The report for a terminal: aligned columns that fit its width, reasons and doubts beneath."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dynamometer.domain.summary import ExperimentSummary, MetricInfo, Summary
from dynamometer.report.doubts import doubts_of
from dynamometer.report.figures import (
    Notes,
    absent_everywhere,
    cycles_in_words,
    figure,
    headline,
    lines,
    methods_in_words,
    one_line,
    percentiles_in_words,
    prompts_in_words,
    runs_in_words,
    shortened,
    why,
)
from dynamometer.report.page import GAP, NARROWEST, Column, Page, column, doubts_listed, tabulated, width_of

LOG_LINES = 5
"""Lines of an engine's log to show under a failure; the record has more."""


def render(summary: Summary) -> str:
    """The report as plain text for a file: 120 columns, no colour."""
    return terminal(summary, width=120, colour=False)


def terminal(summary: Summary, *, width: int, colour: bool) -> str:
    """The report for a terminal of that width, with a newline at its end. Below 40 columns it is laid out for 40."""
    page = Page(max(width, NARROWEST), colour)
    notes = Notes()
    common, summary = shortened(summary)
    blocks = [
        [*_head(summary, page), *(page.wrap(f"all rows: {common}", "", "    ") if common else ())],
        list(_tables(summary, page, notes)),
        list(_notes(summary, page, notes)),
        doubts_listed(doubts_of(summary), page),
        list(_failures(summary, page)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(summary: Summary, page: Page) -> Iterator[str]:
    cycles = "1 cycle" if summary.cycles == 1 else f"{summary.cycles} cycles"
    for line in page.wrap(f"{summary.name} · {summary.state} · {runs_in_words(summary)} · {cycles}"):
        yield page.style(line, "bold")
    for line in lines([summary.description]):
        yield from page.wrap(line)
    if summary.simulated:
        for line in page.wrap("SIMULATED: rows marked (simulated) are not measurements."):
            yield page.style(line, "yellow")


def _tables(summary: Summary, page: Page, notes: Notes) -> Iterator[str]:
    """One table, or as many as it takes for each to fit: every one repeats the name and n."""
    if not summary.experiments:
        yield "No experiments."
        return
    rows = summary.experiments
    longest = max(width_of(_label(row)) for row in rows)
    first = column("experiment", "", [_label(row) for row in rows], right=False)
    columns = [column("n", "", [cycles_in_words(row) for row in rows])]
    absent = absent_everywhere(headline(summary), rows)
    columns += [_metric_column(info, rows, notes) for info in headline(summary) if info.key not in absent]
    room = page.width - sum(column.width + len(GAP) for column in columns)
    if longest <= room:
        first = first.narrowed(longest)
        tables = [columns]
    else:
        first = first.narrowed(min(longest, max(room, page.width * 2 // 5)))
        tables = _fitting(columns[1:], columns[0], page.width - first.width)
    for number, table in enumerate(tables):
        if number:
            yield ""
        yield from tabulated([first, *table], page)
    for info in headline(summary):
        if info.key in absent:
            yield from page.wrap(f"{info.title} ({info.unit}): n/a, {absent[info.key]}", "", "    ")


def _metric_column(info: MetricInfo, rows: Sequence[ExperimentSummary], notes: Notes) -> Column:
    cells = []
    for row in rows:
        estimate = row.estimate(info.key)
        if estimate is None:
            cells.append(f"n/a ({notes.mark('not computed')})")
            continue
        reason = why(estimate)
        cells.append(figure(estimate) + (f" ({notes.mark(reason)})" if reason else ""))
    return column(one_line(info.title), one_line(info.unit), cells)


def _fitting(columns: Sequence[Column], n: Column, room: int) -> list[list[Column]]:
    """The columns in order, split so that each group fits; a group has at least one."""
    groups: list[list[Column]] = [[n]]
    used = n.width + len(GAP)
    for one in columns:
        wide = one.width + len(GAP)
        if used + wide > room and len(groups[-1]) > 1:
            groups.append([n])
            used = n.width + len(GAP)
        groups[-1].append(one)
        used += wide
    return groups


def _label(row: ExperimentSummary) -> str:
    return one_line(row.name) + (" (simulated)" if row.simulated else "")


def _notes(summary: Summary, page: Page, notes: Notes) -> Iterator[str]:
    for text in percentiles_in_words(headline(summary)):
        yield from page.wrap(text, "", "    ")
    if methods := methods_in_words(summary):
        yield from page.wrap("estimate [interval over cycles], n cycles: " + "; ".join(methods), "", "    ")
    if prompts := prompts_in_words(summary):
        yield from page.wrap(prompts, "", "    ")
    for number, text in enumerate(notes.texts, start=1):
        yield from page.wrap(text, f"({number}) ")


def _failures(summary: Summary, page: Page) -> Iterator[str]:
    if not summary.failures:
        return
    yield page.style("Failures", "bold")
    for failure in summary.failures:
        attempts = "1 attempt" if failure.attempts == 1 else f"{failure.attempts} attempts"
        title = f"{failure.name}, cycle {failure.cycle} ({attempts}, {failure.kind})"
        wrapped = page.wrap(title, "", "    ")
        for text in lines([failure.message]):
            wrapped += page.wrap(text, "    ")
        for line in wrapped:
            yield page.style(line, "red")
        for line in lines(failure.log_tail)[-LOG_LINES:]:
            yield page.style(f"    | {line}"[: page.width], "dim")
