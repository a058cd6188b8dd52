"""The report as Markdown (GitHub's), for a pull request or a job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from dynamometer.domain.summary import ExperimentSummary, Summary
from dynamometer.report.doubts import Doubted, doubts_of
from dynamometer.report.figures import (
    Notes,
    cycles_in_words,
    figure,
    headline,
    limited,
    lines,
    methods_in_words,
    one_line,
    percentiles_in_words,
    prompts_in_words,
    runs_in_words,
    shortened,
    why,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~>@$])")


def render(summary: Summary) -> str:
    """The whole report."""
    notes = Notes()
    common, summary = shortened(summary)
    table = list(_table(summary, notes))  # fills the notes
    sections = [
        _head(summary),
        [f"All rows: {escape(common)}"] if common else [],
        table,
        [escape(prompts)] if (prompts := prompts_in_words(summary)) else [],
        [escape(text) for text in percentiles_in_words(headline(summary))],
        numbered(notes.texts),
        section("Doubts", doubts_listed(doubts_of(summary))),
        section("Failures", _failures(summary)),
        section("Provenance", _provenance(summary)),
        section("Intervals", (f"- {escape(text)}" for text in methods_in_words(summary))),
    ]
    return "\n\n".join("\n".join(section) for section in map(list, sections) if section) + "\n"


def escape(text: str) -> str:
    """``text`` as Markdown that shows just that: no markup, no HTML, no table cell of its own."""
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", plain).replace("://", ":&#47;&#47;")


def _head(summary: Summary) -> list[str]:
    head = [f"# {escape(summary.name)}", "", f"{summary.state} · {runs_in_words(summary)} · cycles: {summary.cycles}"]
    head += ["", *map(escape, lines([summary.description]))] if summary.description else []
    return [*head, "", "**Simulated: these are not measurements.**"] if summary.simulated else head


def _table(summary: Summary, notes: Notes) -> Iterator[str]:
    metrics = headline(summary)
    heads = ["experiment", "n", *(f"{escape(info.title)} ({escape(info.unit)})" for info in metrics)]
    yield _row(heads)
    yield _row(["---", *["---:"] * (len(heads) - 1)])
    for row in summary.experiments:
        name = escape(row.name) + (" (simulated)" if row.simulated else "")
        yield _row([name, cycles_in_words(row), *(_cell(row, info.key, notes) for info in metrics)])


def _cell(row: ExperimentSummary, key: str, notes: Notes) -> str:
    estimate = row.estimate(key)
    reason = why(estimate) if estimate else "not computed"
    text = figure(estimate) if estimate else "n/a"
    return text + (f" <sup>{notes.mark(reason)}</sup>" if reason else "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def section(title: str, content: Iterable[str]) -> list[str]:
    """A section with a heading, or nothing for an empty one."""
    body = list(content)
    return [f"## {title}", "", *body] if body else []


def doubts_listed(doubts: Sequence[Doubted]) -> list[str]:
    """The numbered doubts; those of one kind share an item."""
    return numbered(
        "; ".join(limited(one.messages)) + ("." + f" Hint: {one.hint}." if one.hint else "") for one in doubts
    )


def numbered(texts: Iterable[str]) -> list[str]:
    """A numbered list of plain texts."""
    return [f"{number}. {escape(text)}" for number, text in enumerate(texts, start=1)]


def _failures(summary: Summary) -> Iterator[str]:
    for failure in summary.failures:
        title = f"{failure.name}, cycle {failure.cycle}, attempts: {failure.attempts}, {failure.kind}"
        yield f"- **{escape(title)}**: {escape(' '.join(lines([failure.message])))}"
        if failure.log_tail:
            yield ""
            yield from (f"      {line}" for line in lines(failure.log_tail))
            yield ""


def _provenance(summary: Summary) -> Iterator[str]:
    for title, texts in summary.provenance:
        yield from (f"- {title}: {escape(text)}" for text in limited(texts))
    yield f"- campaign {escape(summary.campaign_id or 'without an id')}, Dynamometer {escape(summary.version)}"
