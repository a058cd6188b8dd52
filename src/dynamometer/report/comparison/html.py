"""The comparison as one page, with a chart of the effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dynamometer.domain.comparison import Campaign, Comparison, Effect, Pair
from dynamometer.domain.summary import MetricInfo
from dynamometer.report import charts
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
from dynamometer.report.figures import Notes, figure, limited
from dynamometer.report.webpage import breakable, note_list, safe, section, whole

_STYLE = """
:root{--good:#0f6b52;--goodbg:#e3f5ee;--calm:#0b62a4}
@media screen and (prefers-color-scheme:dark){:root{--good:#5ad1a8;--goodbg:#12332a;--calm:#6cb6ff}}
.verdict{font-weight:600;white-space:nowrap}.better,.held{color:var(--good)}.worse,.broken{color:var(--bad)}
.equivalent{color:var(--calm)}.differs,.undecided{color:var(--warn)}.cannot_tell{color:var(--dim);font-weight:400}
.effects tbody th{min-width:7rem}
.gates li,.refused li{margin:.3rem 0}h3.pair{margin-top:1.6rem}.failure h3{font-size:.95rem}
"""


def render(comparison: Comparison) -> str:
    """The whole page. Every text of the campaigns is escaped."""
    metrics = shown(comparison)
    first = {info.key for info in metrics}
    others = [info for info in comparison.metrics if info.key not in first]
    sections = [
        _header(comparison),
        section("limits", "Limits", _gates(comparison)),
        section("refused", "Not compared, because unlike", _refused(comparison)),
        section("effects", "Effects", _pairs(comparison, metrics, "note")),
        section("charts", "Charts", _charts(comparison, metrics)),
        section("doubts", "Doubts", _doubts(comparison)),
        section("all", "All metrics", _folded(comparison, others)),
        section("provenance", "Where the numbers come from", _provenance(comparison)),
        section("definitions", "Definitions", _definitions(comparison)),
        section("intervals", "How intervals were made", _intervals(comparison)),
    ]
    return whole(safe(heading(comparison)), sections, charts.STYLE + _STYLE)


def _header(comparison: Comparison) -> str:
    campaigns = "".join(
        f"<p>{side}: <strong>{safe(campaign.name)}</strong> "
        f'<span class="dim">{safe(campaign.campaign_id)}, made {safe(campaign.created)}</span></p>'
        for side, campaign in sides(comparison)
    )
    banner = (
        '<p class="banner"><strong>Simulated.</strong> Rows marked so are not measurements.</p>'
        if comparison.a.simulated or comparison.b.simulated
        else ""
    )
    alone = "".join(f'<p class="dim">{safe(text)}</p>' for text in unmatched(comparison))
    return (
        f"<header>\n<h1>{safe(heading(comparison))}</h1>\n{campaigns}"
        f'<p>{safe(counts(comparison))}</p>{alone}<p class="dim">Dynamometer {safe(comparison.version)}</p>{banner}\n'
        "</header>"
    )


def _gates(comparison: Comparison) -> Iterator[str]:
    if comparison.gates:
        items = (
            f'<li><span class="verdict {gate.outcome}">{gate.outcome}</span>: <code>{safe(gate.gate)}</code> · '
            f'{safe(gate.message)} <span class="dim">({breakable(gate.b)})</span></li>'
            for gate in comparison.gates
        )
        yield f'<ul class="gates">{"".join(items)}</ul>'


def _refused(comparison: Comparison) -> Iterator[str]:
    for refused in comparison.refused:
        can = all(reason.can_allow for reason in refused.reasons)
        option = how_to_allow({reason.kind for reason in refused.reasons}) if can else None
        end = f"<code>{option}</code> compares all the same." if option else "These are never compared."
        texts = "".join(f"<li>{safe(reason.message)}</li>" for reason in refused.reasons)
        yield (
            f'<div class="failure refused"><h3>{breakable(names(refused.a.name, refused.b.name))}</h3>'
            f'<ul>{texts}</ul><p class="dim">{end}</p></div>'
        )


def _pairs(comparison: Comparison, metrics: Sequence[MetricInfo], anchor: str) -> Iterator[str]:
    if not comparison.pairs or not metrics:
        return
    notes = Notes()
    for pair in comparison.pairs:
        mark = ' <span class="badge">simulated</span>' if pair.a.simulated or pair.b.simulated else ""
        differs = f"Differs in {safe('; '.join(pair.differs))}. " if pair.differs else ""
        yield f'<h3 class="pair">{breakable(title(pair))}{mark}</h3>'
        yield f'<p class="dim">{differs}Compared {safe(how(pair))}.</p>'
        yield from _table(pair, comparison, metrics, notes, anchor)
    yield from note_list(notes, anchor)


def _table(
    pair: Pair, comparison: Comparison, metrics: Sequence[MetricInfo], notes: Notes, anchor: str
) -> Iterator[str]:
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Table of effects">'
    yield '<table class="effects"><thead><tr>'
    yield '<th scope="col" class="left">Metric</th><th scope="col" class="left">Verdict on B</th>'
    yield '<th scope="col">B / A</th><th scope="col">A</th><th scope="col">B</th><th scope="col">n</th>'
    yield "</tr></thead><tbody>"
    for info in metrics:
        effect = pair.effect(info.key)
        if effect is not None and (effect.a.value, effect.b.value) != (None, None):
            yield _row(info, effect, comparison, notes, anchor)
    yield "</tbody></table></div>"


def _row(info: MetricInfo, effect: Effect, comparison: Comparison, notes: Notes, anchor: str) -> str:
    reason = why(effect)
    mark = notes.mark(reason) if reason else 0
    sup = f'<sup><a href="#{anchor}-{mark}">{mark}</a></sup>' if mark else ""
    prefix = "B - A: " if effect.kind == "difference" and effect.value is not None else ""
    cells = "".join(f"<td>{_ranged(text)}</td>" for text in (figure(effect.a), figure(effect.b)))
    words = f'<span class="verdict {effect.verdict}">{safe(verdict(effect, comparison))}</span>'
    arrow = {"higher": " ↑", "lower": " ↓", "neither": ""}[info.better]
    return (
        f'<tr><th scope="row">{safe(info.title)} <small class="dim">{safe(info.unit)}{arrow}</small></th>'
        f'<td class="left">{words}{sup}</td><td>{prefix}{_ranged(change(effect))}</td>{cells}'
        f"<td>{effect.n or ''}</td></tr>"
    )


def _ranged(text: str) -> str:
    value, _, bounds = text.partition(" ")
    return value + (f' <span class="range">{bounds}</span>' if bounds else "")


def _charts(comparison: Comparison, metrics: Sequence[MetricInfo]) -> Iterator[str]:
    for chart in charts.effect_charts(comparison, metrics):
        yield (
            f'<figure class="chart"><h3>{safe(chart.title)}</h3><div class="scroll">{chart.svg}</div>'
            f"<figcaption>{safe(chart.caption)}</figcaption></figure>"
        )


def _doubts(comparison: Comparison) -> Iterator[str]:
    shared = shared_doubts(comparison)
    if not shared:
        return
    yield "<ol>"
    for one in shared:
        hint = f'<span class="hint">Hint: {safe(one.doubt.hint)}</span>' if one.doubt.hint else ""
        where = safe(about(one, len(comparison.pairs)))
        yield f'<li>{safe(one.doubt.message)} <span class="dim">({where})</span>{hint}</li>'
    yield "</ol>"


def _folded(comparison: Comparison, others: Sequence[MetricInfo]) -> Iterator[str]:
    if comparison.pairs and others:
        yield "<details><summary>The other metrics</summary>"
        yield from _pairs(comparison, others, "more")
        yield "</details>"


def _provenance(comparison: Comparison) -> Iterator[str]:
    for side, campaign in sides(comparison):
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


def _intervals(comparison: Comparison) -> Iterator[str]:
    yield (
        "<p>B / A is a ratio of geometric means over cycles; its interval is taken over cycles, in pairs where the "
        "cycles of both were interleaved. Better or worse: the interval leaves out 1. Cannot tell: it holds 1, which "
        "does not show that the two are alike; for that, give the smallest effect that matters (--at-least).</p>"
    )
    if texts := methods(comparison):
        yield "<ul>" + "".join(f"<li>{safe(text)}</li>" for text in texts) + "</ul>"
    if comparison.together:
        yield "<p>The intervals are wide enough for all of them to hold at once (Bonferroni).</p>"
