"""The report as one page: no script, nothing from elsewhere, readable on light, dark, narrow and printed pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from dynamometer.domain.summary import ExperimentSummary, MetricInfo, Summary
from dynamometer.report import charts
from dynamometer.report.figures import (
    Notes,
    about,
    cycles_in_words,
    figure,
    headline,
    limited,
    lines,
    methods_in_words,
    one_line,
    runs_in_words,
    shared_doubts,
    shortened,
    why,
)

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--dim:#5b6470;--paper:#fff;--card:#f5f7f9;--line:#d7dce2;
--warn:#8a4b00;--warnbg:#fff4e0;--bad:#a4161a;--badbg:#fdecec;--link:#0b62a4}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--dim:#9aa4b0;--paper:#15181c;--card:#1d2227;
--line:#343b44;--warn:#ffc46b;--warnbg:#33270f;--bad:#ff9a9d;--badbg:#3a1b1d;--link:#6cb6ff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1.25rem 4rem;max-width:72rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.5rem 0 .6rem}
h3{font-size:1rem;margin:0}
a{color:var(--link)}p{margin:.4rem 0}.dim{color:var(--dim)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem;min-width:100%}
th,td{padding:.42rem .75rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;white-space:nowrap;
font-variant-numeric:tabular-nums}
thead th{border-bottom:2px solid var(--line);vertical-align:bottom}
th small{display:block;font-weight:400;color:var(--dim)}
tbody th,th.left,td.left{text-align:left}tbody th{font-weight:500;white-space:normal;min-width:14rem}
td.left{white-space:normal}
td .range{color:var(--dim)}sup a{text-decoration:none;padding:0 .1rem}
.badge{display:inline-block;padding:.05rem .5rem;border:1px solid var(--line);border-radius:1rem;font-size:.85rem}
.banner,.failure{border-left:.3rem solid var(--warn);background:var(--warnbg);padding:.5rem .9rem;margin:.8rem 0}
.failure{border-color:var(--bad);background:var(--badbg)}.failure h3{color:var(--bad)}
pre{overflow-x:auto;font-size:.82rem;line-height:1.35;margin:.5rem 0 0}
ol,ul{padding-left:1.5rem}li{margin:.3rem 0}.hint{color:var(--dim);display:block}
.chart{margin:1.2rem 0;break-inside:avoid}
.chart svg{display:block;width:100%;min-width:34rem;max-width:54rem;height:auto}
figcaption{color:var(--dim);font-size:.87rem}dt{font-weight:600;margin-top:.6rem}dd{margin:0 0 0 1rem}
@media print{body{max-width:none;padding:0;font-size:11px}.scroll{overflow:visible}.chart svg{min-width:0}}
"""


def render(summary: Summary) -> str:
    """The whole page. Every text of the campaign is escaped; a policy forbids the browser to load anything."""
    notes = Notes()
    name = _text(summary.name)
    common, summary = shortened(summary)
    sections = [
        _header(summary),
        _section("results", "Results", _results(summary, notes, common)),
        _section("charts", "Charts", _charts(summary)),
        _section("doubts", "Doubts", _doubts(summary)),
        _section("failures", "Failures", _failures(summary)),
        _section("all", "All metrics", _all_metrics(summary)),
        _section("provenance", "Where the numbers come from", _provenance(summary)),
        _section("definitions", "Definitions", _definitions(summary)),
        _section("intervals", "How intervals were made", _intervals(summary)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name} – Dynamometer</title>\n<style>{_STYLE}{charts.STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(one_line(text))


def _breakable(name: str) -> str:
    """A name that breaks after its slashes rather than anywhere."""
    return _text(name).replace("/", "/<wbr>")


def _section(key: str, title: str, body: Iterable[str]) -> str:
    content = "\n".join(body)
    return f'<section id="{key}">\n<h2>{title}</h2>\n{content}\n</section>' if content else ""


def _header(summary: Summary) -> str:
    made = f" · made {_text(summary.created)}" if summary.created else ""
    banner = (
        '<p class="banner"><strong>Simulated.</strong> Rows marked so are not measurements.</p>'
        if summary.simulated
        else ""
    )
    description = "".join(f"<p>{escape(line)}</p>" for line in lines([summary.description]))
    return (
        f'<header>\n<h1>{_text(summary.name)}</h1>\n<p><span class="badge">{summary.state}</span> '
        f"{_text(runs_in_words(summary))} · {summary.cycles} {'cycle' if summary.cycles == 1 else 'cycles'}</p>\n"
        f'{description}<p class="dim">Campaign {_text(summary.campaign_id or "without an id")}{made} · '
        f"Dynamometer {_text(summary.version)}</p>{banner}\n</header>"
    )


def _results(summary: Summary, notes: Notes, common: str | None) -> Iterator[str]:
    if not summary.experiments:
        yield "<p>No experiments.</p>"
        return
    if common:
        yield f"<p>All rows: <strong>{_breakable(common)}</strong></p>"
    yield "<p>Each cell: estimate, then its interval over cycles in brackets. n: cycles finished.</p>"
    yield from _table(summary, headline(summary), notes, "note")
    yield from _note_list(notes, "note")


def _table(summary: Summary, metrics: list[MetricInfo], notes: Notes, anchor: str) -> Iterator[str]:
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Table of results"><table><thead><tr>'
    yield '<th scope="col" class="left">Experiment</th><th scope="col">n</th>'
    for info in metrics:
        arrow = {"higher": " ↑", "lower": " ↓", "neither": ""}[info.better]
        yield f'<th scope="col">{_text(info.title)}<small>{_text(info.unit)}{arrow}</small></th>'
    yield "</tr></thead><tbody>"
    for row in summary.experiments:
        badge = ' <span class="badge">simulated</span>' if row.simulated else ""
        yield f'<tr><th scope="row">{_breakable(row.name)}{badge}</th><td>{cycles_in_words(row)}</td>'
        yield "".join(_cell(row, info.key, notes, anchor) for info in metrics) + "</tr>"
    yield "</tbody></table></div>"


def _cell(row: ExperimentSummary, key: str, notes: Notes, anchor: str) -> str:
    estimate = row.estimate(key)
    value, _, bounds = (figure(estimate) if estimate else "n/a").partition(" ")
    reason = why(estimate) if estimate else "not computed"
    mark = notes.mark(reason) if reason else 0
    sup = f'<sup><a href="#{anchor}-{mark}">{mark}</a></sup>' if mark else ""
    interval = f' <span class="range">{bounds}</span>' if bounds else ""
    return f"<td>{value}{interval}{sup}</td>"


def _note_list(notes: Notes, anchor: str) -> Iterator[str]:
    if notes.texts:
        items = (f'<li id="{anchor}-{n}">{_text(text)}</li>' for n, text in enumerate(notes.texts, start=1))
        yield f'<ol class="dim">{"".join(items)}</ol>'


def _charts(summary: Summary) -> Iterator[str]:
    for chart in charts.charts(summary):
        yield (
            f'<figure class="chart"><h3>{_text(chart.metric.title)}</h3><div class="scroll">{chart.svg}</div>'
            f"<figcaption>{_text(chart.caption)}</figcaption></figure>"
        )


def _doubts(summary: Summary) -> Iterator[str]:
    shared = shared_doubts(summary)
    if not shared:
        return
    yield "<ol>"
    for one in shared:
        hint = f'<span class="hint">Hint: {_text(one.doubt.hint)}</span>' if one.doubt.hint else ""
        rows = _text(about(one, len(summary.experiments)))
        yield f'<li>{_text(one.doubt.message)} <span class="dim">({rows})</span>{hint}</li>'
    yield "</ol>"


def _failures(summary: Summary) -> Iterator[str]:
    for failure in summary.failures:
        attempts = "1 attempt" if failure.attempts == 1 else f"{failure.attempts} attempts"
        message = "<br>".join(escape(line) for line in lines([failure.message]))
        log = "\n".join(escape(line) for line in lines(failure.log_tail))
        tail = f"<details><summary>last lines of the engine's log</summary><pre>{log}</pre></details>" if log else ""
        yield (
            f'<div class="failure"><h3>{_text(failure.name)}, cycle {failure.cycle}</h3><p>{message}</p>'
            f'<p class="dim">{attempts}, {_text(failure.kind)}</p>{tail}</div>'
        )


def _all_metrics(summary: Summary) -> Iterator[str]:
    """The other metrics, where there are any; folded away, since it is wide."""
    first = {info.key for info in headline(summary)}
    others = [info for info in summary.metrics if info.key not in first]
    if summary.experiments and others:
        notes = Notes()
        yield "<details><summary>The other metrics, with their intervals</summary>"
        yield from _table(summary, others, notes, "more")
        yield from _note_list(notes, "more")
        yield "</details>"


def _provenance(summary: Summary) -> Iterator[str]:
    yield "<dl>"
    for title, texts in summary.provenance:
        if texts:
            yield f"<dt>{title.capitalize()}</dt>" + "".join(f"<dd>{_text(text)}</dd>" for text in limited(texts))
    yield f"<dt>Dynamometer</dt><dd>{_text(summary.version)}</dd></dl>"


def _definitions(summary: Summary) -> Iterator[str]:
    if summary.metrics:
        yield "<dl>"
        for info in summary.metrics:
            yield (
                f"<dt>{_text(info.title)} <code>{_text(info.key)}</code>, {_text(info.unit)}</dt>"
                f"<dd>{_text(info.description)}</dd>"
            )
        yield "</dl>"


def _intervals(summary: Summary) -> Iterator[str]:
    yield (
        "<p>One run is one sample of a configuration, because requests inside a run are not independent; so intervals "
        "are taken over cycles. Fewer than 3 cycles give no interval. Below 10, a bootstrap would be too narrow, so "
        "Student's t is used.</p>"
    )
    if methods := methods_in_words(summary):
        yield "<ul>" + "".join(f"<li>{_text(method)}</li>" for method in methods) + "</ul>"
