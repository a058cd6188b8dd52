"""How figures and their reasons are written, the same in every report for people."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dynamometer.domain.summary import Doubt, Estimate, ExperimentSummary, MetricInfo, Summary

HEADLINE = ("output_tok_s", "ttft_ms", "itl_ms", "peak_rss_mb", "energy_j_per_token")
"""Metrics that people see first; all of them are in the full tables, CSV and JSON."""


WHERE_THERE = ("scheduled_e2e_ms", "goodput")
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


def shortened(summary: Summary) -> tuple[str | None, Summary]:
    """What all rows' names have in common, and the summary with names without it; None when that is nothing.

    Names are parts joined by slashes; the last one always stays.
    """
    names = [row.name for row in summary.experiments]
    parts = [name.split("/") for name in names]
    shared = [part for part in parts[0][:-1] if all(part in other[:-1] for other in parts)] if len(parts) > 1 else []
    short = {name: "/".join(part for part in own if part not in shared) for name, own in zip(names, parts, strict=True)}
    if not shared or len(set(short.values())) < len(set(names)):
        return None, summary
    rows = tuple(row.model_copy(update={"name": short[row.name]}) for row in summary.experiments)
    failures = tuple(
        failure.model_copy(update={"name": short.get(failure.name, failure.name)}) for failure in summary.failures
    )
    return "/".join(shared), summary.model_copy(update={"experiments": rows, "failures": failures})


@dataclass(slots=True)
class Notes:
    """Numbered reasons beneath a table: each reason once, in the order of first use."""

    texts: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> int:
        """The number of this reason, from 1."""
        if reason not in self.texts:
            self.texts.append(reason)
        return self.texts.index(reason) + 1


@dataclass(frozen=True, slots=True)
class SharedDoubt:
    """A doubt with the rows it is about; no rows: the campaign."""

    doubt: Doubt
    rows: tuple[str, ...]


def shared_doubts(summary: Summary) -> list[SharedDoubt]:
    """The doubts of the campaign, then those of rows; rows with the very same doubt share one."""
    rows: dict[Doubt, list[str]] = {}
    for row in summary.experiments:
        for doubt in row.doubts:
            rows.setdefault(doubt, []).append(row.name)
    campaign = [SharedDoubt(doubt, ()) for doubt in summary.doubts]
    return campaign + [SharedDoubt(doubt, tuple(dict.fromkeys(names))) for doubt, names in rows.items()]


def about(shared: SharedDoubt, total: int, show: int = 3) -> str:
    """Which rows a doubt is about, in few words."""
    if not shared.rows:
        return "campaign"
    if len(shared.rows) == total > 1:
        return f"all {total} rows"
    rest = len(shared.rows) - show
    return ", ".join(shared.rows[:show]) + (f" and {rest} more" if rest > 0 else "")


def runs_in_words(summary: Summary) -> str:
    """``6 runs: 5 completed, 1 failed``."""
    total = sum(summary.runs.values())
    parts = ", ".join(f"{count} {state}" for state, count in summary.runs.items())
    return f"{total} {'run' if total == 1 else 'runs'}" + (f": {parts}" if parts else "")


def cycles_in_words(row: ExperimentSummary) -> str:
    """``3`` when all are done, else ``2/3``."""
    return str(row.cycles_done) if row.cycles_done == row.cycles_planned else f"{row.cycles_done}/{row.cycles_planned}"


def methods_in_words(summary: Summary) -> list[str]:
    """How the intervals in this report were made, one sentence per method."""
    used = {(e.method, e.confidence) for row in summary.experiments for e in row.estimates if e.method}
    return [f"{confidence:.0%}, {method}: {_explain(method)}" for method, confidence in sorted(used)]


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
