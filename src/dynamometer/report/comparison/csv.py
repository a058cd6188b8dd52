"""The comparison as CSV (RFC 4180): one row per pair of rows and metric."""

from __future__ import annotations

from collections.abc import Iterator

from dynamometer.domain.comparison import Comparison, Effect, Pair
from dynamometer.domain.summary import Estimate
from dynamometer.report.comparison.effects import why
from dynamometer.report.csv import harmless, quoted

IDENTITY = ("a_campaign", "a_name", "b_campaign", "b_name", "metric", "unit", "paired")
FIGURES = ("a", "a_low", "a_high", "a_n", "b", "b_low", "b_high", "b_n", "kind", "effect", "effect_low", "effect_high")
REST = ("n", "confidence", "method", "verdict", "why_not", "simulated")


def render(comparison: Comparison) -> str:
    """All metrics; an empty cell is a value that does not exist, never 0. Lines end with CRLF, as the RFC wants."""
    units = {info.key: info.unit for info in comparison.metrics}
    table = [[*IDENTITY, *FIGURES, *REST]]
    table += [
        [*_identity(pair, effect, units[effect.metric]), *_figures(effect), *_rest(pair, effect)]
        for pair in comparison.pairs
        for effect in pair.effects
    ]
    return "".join(",".join(map(quoted, row)) + "\r\n" for row in table)


def _identity(pair: Pair, effect: Effect, unit: str) -> Iterator[str]:
    yield from map(harmless, (pair.a.campaign_id, pair.a.name, pair.b.campaign_id, pair.b.name, effect.metric, unit))
    yield str(pair.paired).lower()


def _figures(effect: Effect) -> Iterator[str]:
    for side in (effect.a, effect.b):
        yield from _estimate(side)
    yield effect.kind
    yield from ("" if figure is None else repr(figure) for figure in (effect.value, effect.low, effect.high))


def _estimate(estimate: Estimate) -> Iterator[str]:
    yield from ("" if one is None else repr(one) for one in (estimate.value, estimate.low, estimate.high))
    yield str(estimate.n)


def _rest(pair: Pair, effect: Effect) -> Iterator[str]:
    yield from (str(effect.n), repr(effect.confidence), effect.method or "", effect.verdict)
    yield harmless(why(effect) or "")
    yield str(pair.a.simulated or pair.b.simulated).lower()
