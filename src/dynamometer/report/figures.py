"""How figures and their reasons are written, the same in every report for people."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dynamometer.domain.summary import Estimate, ExperimentSummary, MetricInfo, Summary
from dynamometer.report.names import shorter

HEADLINE = ("output_tok_s", "ttft_ms", "itl_ms", "peak_rss_mb", "energy_j_per_token")
"""Metrics that people see first; all of them are in the full tables, CSV and JSON."""


WHERE_THERE = ("scheduled_ttft_ms", "scheduled_e2e_ms", "goodput")
"""Seen first, too, where there are any: in open loops, and with a service level."""


def headline(summary: Summary) -> list[MetricInfo]:
    """The metrics seen first, as far as the summary has them; all of it has when it has none of these."""
    shown = [info for info in summary.metrics if info.key in HEADLINE or _matters_now(info.key, summary)]
    return shown or list(summary.metrics)


def _matters_now(key: str, summary: Summary) -> bool:
    """Whether a metric that is not always seen first has something to say here."""
    values = [found.value for row in summary.experiments if (found := row.estimate(key)) and found.value is not None]
    return any(value > 0 for value in values) if key == "error_share" else bool(values) and key in WHERE_THERE


def number(value: float, decimals: int | None = None) -> str:
    """A figure with three digits that say something, or with that many decimals; never in powers of ten below 1e15."""
    places = _decimals(value) if decimals is None else decimals
    text = f"{value:.{places}f}" if abs(value) < 1e15 else f"{value:.3g}"
    return "0" if value == 0 else text


def figure(estimate: Estimate) -> str:
    """``24.1 [23.0, 25.3]``, ``24.1`` without an interval, ``n/a`` without a value.

    As many decimals as give the value three digits, and the interval's half-width one.
    """
    if estimate.value is None:
        return "n/a"
    if estimate.low is None or estimate.high is None:
        return number(estimate.value)
    half = (estimate.high - estimate.low) / 2
    places = max(_decimals(estimate.value), _decimals(half, digits=1) if half > 0 else 0)
    low, value, high = (number(one, min(places, 9)) for one in (estimate.low, estimate.value, estimate.high))
    return f"{value} [{low}, {high}]"


def _decimals(value: float, digits: int = 3) -> int:
    if value == 0:
        return 0
    return min(9, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def why(estimate: Estimate) -> str | None:
    """Why there is no value, or no interval."""
    if estimate.value is None:
        return estimate.missing or "no reason given"
    if estimate.low is None or estimate.high is None:
        return f"no interval: {estimate.no_interval or 'no reason given'}"
    return None


def absent_everywhere(metrics: Iterable[MetricInfo], rows: Sequence[ExperimentSummary]) -> dict[str, str]:
    """Metrics that no row has, for one and the same reason: a line says it in less room than a column."""
    reasons = {info.key: {_why_absent(row.estimate(info.key)) for row in rows} for info in metrics}
    return {key: reason for key, found in reasons.items() if len(found) == 1 and (reason := next(iter(found)))}


def _why_absent(estimate: Estimate | None) -> str | None:
    return why(estimate) if estimate is not None and estimate.value is None else None


def shortened(summary: Summary) -> tuple[str | None, Summary]:
    """What all rows' names have in common, and the summary with names without it; None when that is nothing.

    Names are parts joined by slashes; the last one always stays.
    """
    names = [row.name for row in summary.experiments]
    shared, labels = shorter(names)
    if not shared:
        return None, summary
    short = dict(zip(names, labels, strict=True))
    rows = tuple(row.model_copy(update={"name": short[row.name]}) for row in summary.experiments)
    failures = tuple(
        failure.model_copy(update={"name": short.get(failure.name, failure.name)}) for failure in summary.failures
    )
    return shared, summary.model_copy(update={"experiments": rows, "failures": failures})


@dataclass(slots=True)
class Notes:
    """Numbered reasons beneath a table: each reason once, in the order of first use."""

    texts: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> int:
        """The number of this reason, from 1."""
        if reason not in self.texts:
            self.texts.append(reason)
        return self.texts.index(reason) + 1


def runs_in_words(summary: Summary) -> str:
    """``6 runs: 5 completed, 1 failed``."""
    total = sum(summary.runs.values())
    parts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in summary.runs.items())
    return f"{total} {'run' if total == 1 else 'runs'}" + (f": {parts}" if parts else "")


def cycles_in_words(row: ExperimentSummary) -> str:
    """``3`` when all are done, else ``2/3``."""
    return str(row.cycles_done) if row.cycles_done == row.cycles_planned else f"{row.cycles_done}/{row.cycles_planned}"


def prompts_in_words(summary: Summary) -> str | None:
    """How long prompts were by the servers' count, beside what was asked for; None when no server told.

    Rows for which the same was asked are told of together.
    """
    found: dict[str, list[float]] = {}
    for row in summary.experiments:
        estimate = row.estimate("prompt_tokens")
        if estimate is not None and estimate.value is not None:
            asked = f"{row.input_tokens} asked for" if row.input_tokens is not None else "lengths of their own"
            found.setdefault(asked, []).append(estimate.value)
    parts = [f"{_span(values)} ({asked})" for asked, values in found.items()]
    return f"prompt tokens by the server's count, chat template included: {', '.join(parts)}" if parts else None


def _span(values: Sequence[float]) -> str:
    """``94``, or ``62–94``."""
    return "–".join(dict.fromkeys(f"{value:.0f}" for value in (min(values), max(values))))


def percentiles_in_words(metrics: Iterable[MetricInfo]) -> list[str]:
    """What p50 and the other percentiles in the titles are taken over; nothing where no title has one."""
    if not any(" p50" in info.title for info in metrics):
        return []
    return ["p50: the median over the requests of a cycle; of ITL, over all its gaps between tokens. p95, p99 alike"]


def methods_in_words(summary: Summary) -> list[str]:
    """What the figures are over cycles, and how the intervals in this report were made, one sentence per method."""
    estimates = [estimate for row in summary.experiments for estimate in row.estimates]
    used = sorted({(e.method, e.confidence) for e in estimates if e.method})
    if used:
        return [f"{confidence * 100:g} %, {method}: {_explain(method)}" for method, confidence in used]
    most = max((estimate.n for estimate in estimates), default=0)
    return [] if most == 0 else [_OF_ONE_CYCLE if most == 1 else _OF_FEW_CYCLES]


_OF_ONE_CYCLE = "no interval; each figure is that of the one cycle"
_OF_FEW_CYCLES = "no interval; each figure is the geometric mean over n cycles, of shares and with zeros the mean"


def _explain(method: str) -> str:
    if method.startswith("student-t-log"):
        return "Student's t on the logarithms of the cycles' values; the estimate is their geometric mean"
    if method.startswith("student-t"):
        return "Student's t on the cycles' values; the estimate is their mean"
    if method.startswith("bca-bootstrap-expanded"):
        return "bias-corrected and accelerated bootstrap of the cycles' mean, widened for few cycles (Hesterberg 2015)"
    return "bias-corrected and accelerated bootstrap of the cycles' mean"


def one_line(text: str) -> str:
    """``text`` without anything that could move a cursor, colour a terminal or break a line."""
    return "".join(
        char if not unicodedata.category(char).startswith("C") else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def lines(texts: Iterable[str]) -> list[str]:
    """Each line of these texts, cleaned."""
    return [one_line(line) for text in texts for line in text.splitlines()]


def limited(texts: Sequence[str], most: int = 12) -> list[str]:
    """The first of many, and how many more there are (JSON has them all)."""
    rest = len(texts) - most
    return [*texts[:most], f"and {rest} more, in the JSON report"] if rest > 0 else list(texts)
