"""Interval charts as SVG, drawn by lets-plot. The only module that imports it; imported by ``html`` alone.

What lets-plot exports is made fit for a page: no style sheet of its own (rules of one chart would reach the others),
identifiers that are the same each time and unlike those of other charts, figures to a tenth of a pixel. Colours are a
few fixed ones, which the page's style sheet replaces for dark screens (``STYLE``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count, pairwise
from typing import Any

from lets_plot import (
    aes,
    element_blank,
    element_line,
    geom_hline,
    geom_point,
    geom_rect,
    geom_segment,
    geom_vline,
    ggplot,
    ggsize,
    labs,
    scale_color_manual,
    scale_x_continuous,
    scale_x_log10,
    scale_y_continuous,
    theme,
    theme_minimal,
)

from dynamometer.domain.comparison import Comparison, Effect, Verdict
from dynamometer.domain.summary import Estimate, ExperimentSummary, MetricInfo, Summary
from dynamometer.report.figures import headline, one_line
from dynamometer.report.names import shorter

MOST_ROWS = 30
"""Experiments in one chart; more are unreadable, so the best are drawn and the rest counted."""
LOG_FROM = 20.0
"""Largest / smallest value from which the axis is logarithmic."""

MOST_TICKS = 9
"""Values at an axis; more would run into each other."""

_WIDTH = 860
_ROW = 30
_FRAME = 62
_LABEL = 46
_INK, _GRID = "#222222", "#dddddd"
_GREY, _LIGHT_GREY = "#6b7280", "#a3acb8"
_ENGINE_COLOURS = ("#0b62a4", "#c2410c", "#0f766e", "#9d174d", "#7c5e10", "#5b21b6")
_DARK_COLOURS = ("#6cb6ff", "#ff9d6b", "#5ad1c1", "#ff8fc1", "#e5c566", "#b9a2ff")

STYLE = (
    ".chart svg text{fill:var(--ink);font-family:inherit}"
    "@media screen and (prefers-color-scheme:dark){"
    + "".join(
        f'.chart [fill="{light}"]{{fill:{dark}}}.chart [stroke="{light}"]{{stroke:{dark}}}'
        for light, dark in (
            *(
                (f"rgb({int(c[1:3], 16)},{int(c[3:5], 16)},{int(c[5:], 16)})", d)
                for c, d in zip(_ENGINE_COLOURS, _DARK_COLOURS, strict=True)
            ),
            *zip(_ENGINE_COLOURS, _DARK_COLOURS, strict=True),
            ("rgb(107,114,128)", _LIGHT_GREY),
            (_GREY, _LIGHT_GREY),
            ("rgb(221,221,221)", "#3a4048"),
            (_GRID, "#3a4048"),
        )
    )
    + "}"
)
"""Rules that a page with these charts needs; ``--ink`` is its text colour."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric, drawn."""

    metric: MetricInfo
    svg: str
    caption: str
    """What it shows, and what it leaves out."""


@dataclass(frozen=True, slots=True)
class _Bar:
    label: str
    engine: str
    model: str
    estimate: Estimate
    value: float


def charts(summary: Summary) -> list[Chart]:
    """A chart for each headline metric that at least one experiment has a value of."""
    drawn = []
    for number, info in enumerate(headline(summary)):
        bars = _bars(summary.experiments, info)
        if bars:
            shown = _shown(bars, info)
            svg = _portable(
                _plot(shown, info).to_svg(), f"c{number}", _drawable(f"{info.title} of {len(shown)} experiments")
            )
            drawn.append(Chart(info, svg, _caption(shown, bars, summary, info)))
    return drawn


def _bars(rows: Sequence[ExperimentSummary], info: MetricInfo) -> list[_Bar]:
    labels = short_labels([row.name for row in rows])
    found = ((label, row, row.estimate(info.key)) for label, row in zip(labels, rows, strict=True))
    return [
        _Bar(
            label + (" (simulated)" if row.simulated else ""),
            _drawable(row.engine),
            row.model,
            estimate,
            estimate.value,
        )
        for label, row, estimate in found
        if estimate is not None and estimate.value is not None
    ]


def _shown(bars: list[_Bar], info: MetricInfo) -> list[_Bar]:
    if len(bars) <= MOST_ROWS or info.better == "neither":
        return bars[:MOST_ROWS]
    return sorted(bars, key=lambda bar: bar.value, reverse=info.better == "higher")[:MOST_ROWS]


def _caption(shown: Sequence[_Bar], bars: Sequence[_Bar], summary: Summary, info: MetricInfo) -> str:
    parts = ["Large dots: estimates. Lines: intervals. Small dots: each cycle."]
    if info.better != "neither":
        parts.append(f"{info.better.capitalize()} is better.")
    parts.append("Logarithmic axis." if _is_wide(shown) else "The axis does not begin at zero.")
    if len(shown) < len(bars):
        which = "first" if info.better == "neither" else "best"
        parts.append(f"Only the {len(shown)} {which} of {len(bars)} experiments are drawn; the table has all.")
    if without := len(summary.experiments) - len(bars):
        parts.append(f"{without} of {len(summary.experiments)} experiments have no value.")
    return " ".join(parts)


def short_labels(names: Sequence[str]) -> list[str]:
    """Names without the parts that all of them share, at most 46 characters, fit for lets-plot.

    The last part is always kept.
    """
    labels = shorter(names)[1] if len(names) > 1 else [name.rsplit("/", 1)[-1] for name in names]
    return [label_of(label) for label in labels]


def label_of(name: str) -> str:
    """A name as it stands in a chart."""
    return _clipped(_drawable(name))


def _drawable(text: str) -> str:
    """``text`` without what lets-plot takes for links and formulas, and without control characters."""
    return one_line(text).translate({60: "‹", 62: "›", 92: "∖"})


def _clipped(label: str) -> str:
    return label if len(label) <= _LABEL else f"{label[: _LABEL // 2 - 1]}…{label[-_LABEL // 2 :]}"


def _is_wide(bars: Sequence[_Bar]) -> bool:
    values = [value for bar in bars for value in _extent(bar)]
    return min(values) > 0 and max(values) / min(values) > LOG_FROM


def _extent(bar: _Bar) -> list[float]:
    cycles = [value for value in bar.estimate.per_cycle if value is not None]
    return [value for value in (bar.value, bar.estimate.low, bar.estimate.high, *cycles) if value is not None]


def _plot(bars: Sequence[_Bar], info: MetricInfo) -> Any:
    """Rows from top to bottom; each cycle's dot a little below its interval, so that neither hides the other."""
    engines = list(dict.fromkeys(bar.engine for bar in bars))
    places = _places(bars)
    colours = [_ENGINE_COLOURS[index % len(_ENGINE_COLOURS)] for index in range(len(engines))]
    points = {"y": places, "value": [bar.value for bar in bars], "engine": [bar.engine for bar in bars]}
    spans = [
        (place, bar.engine, bar.estimate.low, bar.estimate.high)
        for place, bar in zip(places, bars, strict=True)
        if bar.estimate.low is not None and bar.estimate.high is not None
    ]
    dots = [
        (place - 0.24, bar.engine, value)
        for place, bar in zip(places, bars, strict=True)
        for value in bar.estimate.per_cycle
        if value is not None and bar.estimate.n > 1
    ]
    several = len(engines) > 1
    plot = (
        ggplot()
        + geom_hline(
            yintercept=None, data={"y": places}, mapping=aes(yintercept="y"), color=_GRID, size=0.4, tooltips="none"
        )
        + geom_point(
            aes("value", "y", color="engine"), data=_columns(("y", "engine", "value"), dots), size=2.2, alpha=0.55
        )
        + geom_segment(
            aes(x="low", xend="high", y="y", yend="y", color="engine"),
            data=_columns(("y", "engine", "low", "high"), spans),
            size=1.6,
        )
        + geom_point(aes("value", "y", color="engine"), data=points, size=4.2)
        + scale_color_manual(values=colours, breaks=engines, limits=engines, guide=None if several else "none")
        + scale_y_continuous(
            breaks=places, labels=[bar.label for bar in bars], limits=[places[-1] - 0.55, 0.55], expand=[0, 0]
        )
        + labs(x=_drawable(f"{info.title} ({info.unit})"), y="", color="engine")
        + _plain(legend=several)
        + ggsize(_WIDTH, round(_ROW * (1 - places[-1])) + _FRAME + (34 if several else 0))
    )
    if not _is_wide(bars):
        return plot + scale_x_continuous()
    return plot + _log_axis(value for bar in bars for value in _extent(bar))


def _log_axis(values: Iterable[float]) -> Any:
    """A logarithmic axis with room beside the outermost values: lets-plot leaves none, and cuts their dots."""
    exponents = [min(max(math.log10(value), -300), 300) for value in values]  # beyond it, limits are 0 or infinite
    low, high = min(exponents), max(exponents)
    room = max(0.04 * (high - low), 0.001)
    limits = 10 ** (low - room), 10 ** (high + room)
    breaks = log_ticks(*limits)
    return scale_x_log10(limits=limits, expand=[0, 0], breaks=breaks, labels=[f"{tick:,.12g}" for tick in breaks])


def log_ticks(low: float, high: float) -> list[float]:
    """Round values from ``low``, which is above 0, to ``high``: 1, 2, 5 times powers of ten.

    Powers alone where these are too many, multiples of one of them where they are fewer than four.
    """
    ticks = _round_values(low, high, (1, 2, 5))
    if len(ticks) < 4:
        return _multiples(low, high)
    if len(ticks) <= MOST_TICKS:
        return ticks
    powers = _round_values(low, high, (1,))
    return powers[:: math.ceil(len(powers) / MOST_TICKS)]


def _round_values(low: float, high: float, leads: Sequence[int]) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = (float(f"{lead}e{power}") for power in powers for lead in leads)
    return [value for value in values if low <= value <= high]


def _multiples(low: float, high: float) -> list[float]:
    """Multiples of the smallest round step that gives no more than ``MOST_TICKS`` of them."""
    least = (high - low) / (MOST_TICKS - 1)
    step = _round_values(least, 10 * least, (1, 2, 5))[0]
    return [float(f"{number * step:.12g}") for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _plain(*, legend: bool) -> Any:
    """Nothing but what is measured: no frame, no ticks, light vertical lines to read values by."""
    return theme_minimal() + theme(
        plot_background=element_blank(),
        panel_background=element_blank(),
        legend_background=element_blank(),
        panel_grid_major_y=element_blank(),
        panel_grid_minor=element_blank(),
        panel_grid_major_x=element_line(color=_GRID, size=0.6),
        axis_line=element_blank(),
        axis_ticks=element_blank(),
        axis_tooltip="blank",
        plot_margin=[2, 24, 2, 2],  # room for the last label of the axis
        legend_position="top" if legend else "none",
    )


def _places(bars: Sequence[_Bar]) -> list[float]:
    """Heights of the rows, the first at 0, with a gap where another model or engine begins, if these stand together."""
    groups = [(bar.engine, bar.model) for bar in bars]
    changes = [before != after for before, after in pairwise(groups)]
    gap = 0.6 if sum(changes) == len(set(groups)) - 1 else 0.0
    places = [0.0]
    for changed in changes:
        places.append(places[-1] - 1.0 - (gap if changed else 0.0))
    return places


_VERDICT_COLOURS: dict[Verdict, str] = {
    "better": "#0f766e",
    "worse": "#c2410c",
    "differs": "#7c5e10",
    "equivalent": "#0b62a4",
    "cannot_tell": _GREY,
}


@dataclass(frozen=True, slots=True)
class EffectChart:
    """Ratios B / A with their intervals, drawn."""

    title: str
    svg: str
    caption: str


def effect_charts(comparison: Comparison, metrics: Sequence[MetricInfo], titles: Sequence[str]) -> list[EffectChart]:
    """One chart of all metrics for one pair of rows; for several pairs one chart for each metric.

    ``titles``: what the pairs are called.
    """
    if len(comparison.pairs) == 1:
        found = [(info.title, effect) for info in metrics if (effect := comparison.pairs[0].effect(info.key))]
        groups = [("All metrics", found)]
    else:
        labels = [label_of(title) for title in titles]
        groups = [
            (
                f"{info.title}, {info.better} is better" if info.better != "neither" else info.title,
                [
                    (label, effect)
                    for label, pair in zip(labels, comparison.pairs, strict=True)
                    if (effect := pair.effect(info.key))
                ],
            )
            for info in metrics
        ]
    drawn = []
    for number, (title, effects) in enumerate(groups):
        ratios = [(label, effect) for label, effect in effects if effect.kind == "ratio" and effect.value is not None]
        if ratios:
            plot = _effect_plot(ratios[:MOST_ROWS], comparison.at_least)
            svg = _portable(plot.to_svg(), f"e{number}", _drawable(f"B / A of {title}"))
            drawn.append(EffectChart(title, svg, _effect_caption(ratios, len(effects), comparison.at_least)))
    return drawn


def _effect_caption(ratios: Sequence[tuple[str, Effect]], total: int, at_least: float) -> str:
    parts = ["Dots: B / A. Lines: intervals. At 1 the two are alike; logarithmic axis."]
    if at_least:
        parts.append(f"Shaded: within {at_least:.1%}, too small to matter.")
    if len(ratios) > MOST_ROWS:
        parts.append(f"Only the first {MOST_ROWS} of {len(ratios)} are drawn; the table has all.")
    if without := total - len(ratios):
        parts.append(f"{without} without a ratio are not drawn.")
    return " ".join(parts)


def _effect_plot(ratios: Sequence[tuple[str, Effect]], at_least: float) -> Any:
    """One row for each ratio, coloured by its verdict."""
    words = {key: key.replace("_", " ") for key in _VERDICT_COLOURS}
    present = [key for key in _VERDICT_COLOURS if any(effect.verdict == key for _, effect in ratios)]
    places = [float(-row) for row in range(len(ratios))]
    spans = [
        (place, words[effect.verdict], effect.low, effect.high)
        for place, (_, effect) in zip(places, ratios, strict=True)
        if effect.low is not None and effect.high is not None
    ]
    dots = [(place, words[effect.verdict], effect.value) for place, (_, effect) in zip(places, ratios, strict=True)]
    ends = [end for _, effect in ratios for end in (effect.low, effect.value, effect.high) if end is not None]
    plot = ggplot() + geom_hline(
        yintercept=None, data={"y": places}, mapping=aes(yintercept="y"), color=_GRID, size=0.4, tooltips="none"
    )
    if at_least:
        plot += geom_rect(
            xmin=1 / (1 + at_least),
            xmax=1 + at_least,
            ymin=places[-1] - 0.55,
            ymax=0.55,
            fill=_GREY,
            alpha=0.15,
            size=0,
        )
    return (
        plot
        + geom_vline(xintercept=1, color=_GREY, size=0.8)
        + geom_segment(
            aes(x="low", xend="high", y="y", yend="y", color="verdict"),
            data=_columns(("y", "verdict", "low", "high"), spans),
            size=1.6,
        )
        + geom_point(aes("value", "y", color="verdict"), data=_columns(("y", "verdict", "value"), dots), size=4.2)
        + scale_color_manual(
            values=[_VERDICT_COLOURS[key] for key in present],
            breaks=[words[key] for key in present],
            limits=[words[key] for key in present],
        )
        + scale_y_continuous(
            breaks=places, labels=[label for label, _ in ratios], limits=[places[-1] - 0.55, 0.55], expand=[0, 0]
        )
        + _log_axis([1 / (1 + at_least), 1 + at_least, *ends])
        + labs(x="B / A", y="", color="verdict on B")
        + _plain(legend=True)
        + ggsize(_WIDTH, round(_ROW * (1 - places[-1])) + _FRAME + 34)
    )


def _columns(keys: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> dict[str, list[object]]:
    return {key: [row[index] for row in rows] for index, key in enumerate(keys)}


_STYLE_BLOCK = re.compile(r"\s*<style[^>]*>.*?</style>", re.DOTALL)
_ROOT = re.compile(r"<svg[^>]*?width=\"([\d.]+)\" height=\"([\d.]+)\"[^>]*>")
_FRACTION = re.compile(r"\d+\.\d{2,}(?:E-?\d+)?")
_TAG = re.compile(r"<[^>]*>")
_ID = re.compile(r'id="([^"]+)"')


def _tenths(fraction: re.Match[str]) -> str:
    return f"{float(fraction[0]):.1f}"


def _portable(svg: str, prefix: str, label: str) -> str:
    """The SVG as one of several in a page: see the module's docstring. Scales with its box, keeps its proportions."""
    bare = _STYLE_BLOCK.sub("", svg)
    numbers = count()
    names = {found: f"{prefix}-{next(numbers)}" for found in dict.fromkeys(_ID.findall(bare))}
    named = _ID.sub(lambda match: f'id="{names[match[1]]}"', bare)
    for old, new in names.items():
        named = named.replace(f"#{old})", f"#{new})")
    tidy = _TAG.sub(lambda tag: _FRACTION.sub(_tenths, tag[0]), re.sub(r">\s+<", "><", named))
    safe = escape(label)
    return _ROOT.sub(
        lambda match: f'<svg viewBox="0 0 {match[1]} {match[2]}" role="img" aria-label="{safe}">', tidy, count=1
    )
