"""The report as one page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from dynamometer.domain.summary import ExperimentSummary, MetricInfo, Summary
from dynamometer.report import charts
from dynamometer.report.doubts import doubts_of
from dynamometer.report.figures import (
    Notes,
    absent_everywhere,
    cycles_in_words,
    figure,
    headline,
    limited,
    lines,
    methods_in_words,
    percentiles_in_words,
    prompts_in_words,
    runs_in_words,
    shortened,
    why,
)
from dynamometer.report.webpage import breakable, doubts_listed, figure_of, note_list, safe, section, whole


def render(summary: Summary) -> str:
    """The whole page. Every text of the campaign is escaped; a policy forbids the browser to load anything."""
    notes = Notes()
    name = safe(summary.name)
    common, summary = shortened(summary)
    sections = [
        _header(summary),
        section("results", "Results", _results(summary, notes, common)),
        section("charts", "Charts", _charts(summary)),
        section("doubts", "Doubts", doubts_listed(doubts_of(summary))),
        section("failures", "Failures", _failures(summary)),
        section("all", "All metrics", _all_metrics(summary)),
        section("provenance", "Where the numbers come from", _provenance(summary)),
        section("definitions", "Definitions", _definitions(summary)),
        section("intervals", "How intervals were made", _intervals(summary)),
    ]
    return whole(name, sections, charts.STYLE)


def _header(summary: Summary) -> str:
    made = f" · made {safe(summary.created)}" if summary.created else ""
    banner = (
        '<p class="banner"><strong>Simulated.</strong> Rows marked so are not measurements.</p>'
        if summary.simulated
        else ""
    )
    description = "".join(f"<p>{escape(line)}</p>" for line in lines([summary.description]))
    return (
        f'<header>\n<h1>{safe(summary.name)}</h1>\n<p><span class="badge">{summary.state}</span> '
        f"{safe(runs_in_words(summary))} · {summary.cycles} {'cycle' if summary.cycles == 1 else 'cycles'}</p>\n"
        f'{description}<p class="dim">Campaign {safe(summary.campaign_id or "without an id")}{made} · '
        f"Dynamometer {safe(summary.version)}</p>{banner}\n</header>"
    )


def _results(summary: Summary, notes: Notes, common: str | None) -> Iterator[str]:
    if not summary.experiments:
        yield "<p>No experiments.</p>"
        return
    if common:
        yield f"<p>All rows: <strong>{breakable(common)}</strong></p>"
    yield "<p>Each cell: estimate over cycles, then its interval in brackets. n: cycles finished.</p>"
    yield from (f"<p>{safe(text)}.</p>" for text in percentiles_in_words(headline(summary)))
    yield from _table(summary, headline(summary), notes, "note")
    if prompts := prompts_in_words(summary):
        yield f'<p class="dim">{safe(prompts)}</p>'
    yield from note_list(notes, "note")


def _table(summary: Summary, wanted: list[MetricInfo], notes: Notes, anchor: str) -> Iterator[str]:
    """Metrics as columns, which scroll beside the names; those that no row has are named beneath."""
    absent = absent_everywhere(wanted, summary.experiments)
    metrics = [info for info in wanted if info.key not in absent]
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Table of results"><table><thead><tr>'
    yield '<th scope="col" class="left">Experiment</th><th scope="col">n</th>'
    for info in metrics:
        arrow = {"higher": " ↑", "lower": " ↓", "neither": ""}[info.better]
        yield f'<th scope="col">{safe(info.title)}<small>{safe(info.unit)}{arrow}</small></th>'
    yield "</tr></thead><tbody>"
    for row in summary.experiments:
        badge = ' <span class="badge">simulated</span>' if row.simulated else ""
        yield f'<tr><th scope="row">{breakable(row.name)}{badge}</th><td>{cycles_in_words(row)}</td>'
        yield "".join(_cell(row, info.key, notes, anchor) for info in metrics) + "</tr>"
    yield "</tbody></table></div>"
    for reason in dict.fromkeys(absent.values()):
        titles = ", ".join(info.title for info in wanted if absent.get(info.key) == reason)
        yield f'<p class="dim">{safe(titles)}: n/a, {safe(reason)}</p>'


def _cell(row: ExperimentSummary, key: str, notes: Notes, anchor: str) -> str:
    estimate = row.estimate(key)
    value, _, bounds = (figure(estimate) if estimate else "n/a").partition(" ")
    reason = why(estimate) if estimate else "not computed"
    mark = notes.mark(reason) if reason else 0
    sup = f'<sup><a href="#{anchor}-{mark}">{mark}</a></sup>' if mark else ""
    interval = f' <span class="range">{bounds}</span>' if bounds else ""
    return f"<td>{value}{sup}{interval}</td>"


def _charts(summary: Summary) -> Iterator[str]:
    for chart in charts.charts(summary):
        yield figure_of(chart.metric.title, chart.svg, chart.caption)


def _failures(summary: Summary) -> Iterator[str]:
    for failure in summary.failures:
        attempts = "1 attempt" if failure.attempts == 1 else f"{failure.attempts} attempts"
        message = "<br>".join(escape(line) for line in lines([failure.message]))
        log = "\n".join(escape(line) for line in lines(failure.log_tail))
        tail = f"<details><summary>last lines of the engine's log</summary><pre>{log}</pre></details>" if log else ""
        yield (
            f'<div class="failure"><h3>{safe(failure.name)}, cycle {failure.cycle}</h3><p>{message}</p>'
            f'<p class="dim">{attempts}, {safe(failure.kind)}</p>{tail}</div>'
        )


def _all_metrics(summary: Summary) -> Iterator[str]:
    """The other metrics, where there are any; folded away, since it is wide."""
    first = {info.key for info in headline(summary)}
    others = [info for info in summary.metrics if info.key not in first]
    if summary.experiments and others:
        notes = Notes()
        yield "<details><summary>The other metrics, with their intervals</summary>"
        yield from _table(summary, others, notes, "more")
        yield from note_list(notes, "more")
        yield "</details>"


def _provenance(summary: Summary) -> Iterator[str]:
    yield "<dl>"
    for title, texts in summary.provenance:
        if texts:
            yield f"<dt>{title.capitalize()}</dt>" + "".join(f"<dd>{safe(text)}</dd>" for text in limited(texts))
    yield f"<dt>Dynamometer</dt><dd>{safe(summary.version)}</dd></dl>"


def _definitions(summary: Summary) -> Iterator[str]:
    if summary.metrics:
        yield "<dl>"
        for info in summary.metrics:
            yield (
                f"<dt>{safe(info.title)} <code>{safe(info.key)}</code>, {safe(info.unit)}</dt>"
                f"<dd>{safe(info.description)}</dd>"
            )
        yield "</dl>"


def _intervals(summary: Summary) -> Iterator[str]:
    yield (
        "<p>One run is one sample of a configuration, because requests inside a run are not independent; so intervals "
        "are taken over cycles. Fewer than 3 cycles give no interval. Below 10, a bootstrap would be too narrow, so "
        "Student's t is used.</p>"
    )
    if methods := methods_in_words(summary):
        yield "<ul>" + "".join(f"<li>{safe(method)}</li>" for method in methods) + "</ul>"
