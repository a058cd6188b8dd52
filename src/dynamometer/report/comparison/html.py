"""The comparison as one page, with a chart of the effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dynamometer.domain.comparison import Campaign, Comparison
from dynamometer.domain.summary import MetricInfo
from dynamometer.report import charts
from dynamometer.report.comparison.words import PairWords, RowWords, Words, in_words
from dynamometer.report.figures import Notes, limited
from dynamometer.report.webpage import breakable, doubts_listed, figure_of, note_list, safe, section, whole

_STYLE = """
:root{--good:#0f6b52;--goodbg:#e3f5ee;--calm:#0b62a4}
@media screen and (prefers-color-scheme:dark){:root{--good:#5ad1a8;--goodbg:#12332a;--calm:#6cb6ff}}
.verdict{font-weight:600;white-space:nowrap}.better,.held{color:var(--good)}.worse,.broken{color:var(--bad)}
.equivalent{color:var(--calm)}.differs,.undecided{color:var(--warn)}.cannot_tell{color:var(--dim);font-weight:400}
.effects tbody th{min-width:7rem}
.effects th:first-child{width:22%}.effects th:nth-child(2){width:18%}.effects th:nth-child(3){width:22%}
.effects th:nth-child(4),.effects th:nth-child(5){width:17%}
.gates li,.refused li{margin:.3rem 0}h3.pair{margin-top:1.6rem}.failure h3{font-size:.95rem}
"""


def render(comparison: Comparison) -> str:
    """The whole page. Every text of the campaigns is escaped."""
    words = in_words(comparison)
    sections = [
        _header(words, comparison.version),
        section("limits", "Limits", _limits(words)),
        section("refused", "Not compared, because unlike", _refused(words)),
        section("effects", "Effects", _pairs(words, words.first, "note")),
        section("charts", "Charts", _charts(comparison, words)),
        section("doubts", "Doubts", doubts_listed(words.doubts)),
        section("all", "All metrics", _folded(words)),
        section("provenance", "Where the numbers come from", _provenance(words)),
        section("definitions", "Definitions", _definitions(comparison)),
        section("intervals", "How intervals were made", _intervals(words)),
    ]
    return whole(safe(words.heading), sections, charts.STYLE + _STYLE)


def _header(words: Words, version: str) -> str:
    campaigns = "".join(
        f"<p>{side}: <strong>{safe(campaign.name)}</strong> "
        f'<span class="dim">{safe(campaign.campaign_id)}, made {safe(campaign.created)}</span></p>'
        for side, campaign in words.campaigns
    )
    counted = f"<p><strong>{safe(words.counts)}</strong></p>" if words.pairs else ""
    counted += f"<p>{safe(words.terms)}</p>" if words.compares else ""
    common = "".join(f"<p>{breakable(text)}</p>" for text in words.common)
    alone = "".join(f'<p class="dim">{breakable(text)}</p>' for text in words.alone)
    banner = f'<p class="banner"><strong>Simulated:</strong> {words.simulated}</p>' if words.simulated else ""
    return (
        f"<header>\n<h1>{safe(words.heading)}</h1>\n{campaigns}{counted}{common}{alone}"
        f'<p class="dim">Dynamometer {safe(version)}</p>{banner}\n</header>'
    )


def _limits(words: Words) -> Iterator[str]:
    if words.limits:
        items = (
            f'<li><span class="verdict {limit.result.outcome}">{limit.result.outcome}</span>: '
            f"<code>{safe(limit.result.gate)}</code> · {safe(limit.result.message)}"
            + (f' <span class="dim">({breakable(limit.pair)})</span></li>' if limit.pair else "</li>")
            for limit in words.limits
        )
        yield f'<ul class="gates">{"".join(items)}</ul>'


def _refused(words: Words) -> Iterator[str]:
    for refused in words.refused:
        end = f"<code>{refused.option}</code> compares all the same." if refused.option else "These are never compared."
        texts = "".join(f"<li>{safe(reason)}</li>" for reason in refused.reasons)
        yield (
            f'<div class="failure refused"><h3>{breakable(refused.pairs)}</h3>'
            f'<ul>{texts}</ul><p class="dim">{end}</p></div>'
        )


def _pairs(words: Words, metrics: Sequence[MetricInfo], anchor: str) -> Iterator[str]:
    notes = Notes()
    for pair in words.pairs:
        mark = ' <span class="badge">simulated</span>' if pair.simulated else ""
        yield f'<h3 class="pair">{breakable(pair.title)}{mark}</h3>'
        yield from (f'<p class="dim">{safe(fact)}</p>' for fact in pair.facts)
        yield from _table(pair, metrics, notes, anchor)
    yield from note_list(notes, anchor)


def _table(pair: PairWords, metrics: Sequence[MetricInfo], notes: Notes, anchor: str) -> Iterator[str]:
    rows = [row for row in pair.rows if row.info in metrics]
    if not rows:
        return
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Table of effects">'
    yield '<table class="effects"><thead><tr>'
    yield '<th scope="col" class="left">Metric</th><th scope="col" class="left">Verdict on B</th>'
    yield '<th scope="col">B / A</th><th scope="col">A</th><th scope="col">B</th><th scope="col">n</th>'
    yield "</tr></thead><tbody>"
    yield from (_row(row, notes, anchor) for row in rows)
    yield "</tbody></table></div>"


def _row(row: RowWords, notes: Notes, anchor: str) -> str:
    mark = notes.mark(row.why) if row.why else 0
    sup = f'<sup><a href="#{anchor}-{mark}">{mark}</a></sup>' if mark else ""
    cells = "".join(f"<td>{_ranged(text)}</td>" for text in (row.change, row.a, row.b))
    words = f'<span class="verdict {row.kind}">{safe(row.verdict)}</span>'
    arrow = {"higher": " ↑", "lower": " ↓", "neither": ""}[row.info.better]
    return (
        f'<tr><th scope="row">{safe(row.info.title)} <small class="dim">{safe(row.info.unit)}{arrow}</small></th>'
        f'<td class="left">{words}{sup}</td>{cells}<td>{row.n}</td></tr>'
    )


def _ranged(text: str) -> str:
    value, bracket, bounds = text.partition(" [")
    return safe(value) + (f' <span class="range">{safe(bracket[1:] + bounds)}</span>' if bounds else "")


def _charts(comparison: Comparison, words: Words) -> Iterator[str]:
    titles = [pair.title for pair in words.pairs]
    for chart in charts.effect_charts(comparison, words.first, titles):
        yield figure_of(chart.title, chart.svg, chart.caption)


def _folded(words: Words) -> Iterator[str]:
    others = {info.key for info in words.others}
    if any(row.info.key in others for pair in words.pairs for row in pair.rows):
        yield "<details><summary>The other metrics</summary>"
        yield from _pairs(words, words.others, "more")
        yield "</details>"


def _provenance(words: Words) -> Iterator[str]:
    for side, campaign in words.campaigns:
        yield f"<h3>{side}</h3><dl>{''.join(_facts(campaign))}</dl>"


def _facts(campaign: Campaign) -> Iterable[str]:
    for name, texts in campaign.provenance:
        if texts:
            yield f"<dt>{name.capitalize()}</dt>" + "".join(f"<dd>{safe(text)}</dd>" for text in limited(texts))


def _definitions(comparison: Comparison) -> Iterator[str]:
    yield "<dl>"
    for info in comparison.metrics:
        name = f"{safe(info.title)} <code>{safe(info.key)}</code>, {safe(info.unit)}"
        yield f"<dt>{name}</dt><dd>{safe(info.description)}</dd>"
    yield "</dl>"


def _intervals(words: Words) -> Iterator[str]:
    yield (
        "<p>B / A is a ratio of geometric means over cycles; its interval is taken over cycles, in pairs where the "
        "cycles of both were interleaved. Better or worse: the interval leaves out 1. Cannot tell: it holds 1, which "
        "does not show that the two are alike; for that, give the smallest effect that matters (--at-least).</p>"
    )
    if words.methods:
        yield "<ul>" + "".join(f"<li>{safe(text)}</li>" for text in words.methods) + "</ul>"
