"""Limits on effects, for scripts: ``ttft_ms>+5%`` breaks when B's TTFT is certainly more than 5 % above A's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from dynamometer.analysis.contrast import SAME
from dynamometer.domain.comparison import Effect, Outcome
from dynamometer.errors import UsageError

_GATE = re.compile(r"\s*([a-z][a-z0-9_]*)(?::(p\d+))?\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*%\s*")
_PERCENTILE = re.compile(r"(.+)(_[a-z]+)")


@dataclass(frozen=True, slots=True)
class Gate:
    """``metric`` must not change beyond ``limit``: a share of A, or of shares such as errors, points."""

    text: str
    metric: str
    sign: Literal["<", ">"]
    limit: float


def parse_gate(text: str, metrics: Collection[str]) -> Gate:
    """``METRIC>+5%`` or ``METRIC<-5%``; ``ttft_ms:p95`` is another way to write ``ttft_p95_ms``.

    Raises UsageError, with a near name for a metric that does not exist.
    """
    found = _GATE.fullmatch(text)
    if found is None:
        raise UsageError(f"not a limit: {text!r}", hint="write METRIC>+N% or METRIC<-N%, such as ttft_ms>+5%")
    key, percentile, sign, number = found.groups()
    if percentile and (parts := _PERCENTILE.fullmatch(key)):
        key = f"{parts[1]}_{percentile}{parts[2]}" if percentile != "p50" else key
    if key not in metrics:
        raise unknown_metric(key, metrics)
    return Gate(text.strip(), key, ">" if sign == ">" else "<", float(number) / 100)


def unknown_metric(key: str, metrics: Collection[str]) -> UsageError:
    """The error for a metric that does not exist."""
    near = difflib.get_close_matches(key, metrics, 1)
    return UsageError(
        f"unknown metric {key!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
        hint=f"metrics: {', '.join(metrics)}",
    )


def judge(gate: Gate, effect: Effect | None, *, is_share: bool) -> tuple[Outcome, str]:
    """Broken: the whole interval lies beyond the limit. Held: none of it does. Undecided: some, or no interval.

    The same value in all cycles of both is no change, although it has no interval.
    """
    if effect is None or effect.value is None:
        return "undecided", (effect.missing if effect else None) or "it was not compared"
    if effect.kind == "difference" and not is_share:
        return "undecided", "a value of 0 has no ratio, so a limit in per cent says nothing"
    if effect.no_interval == SAME:
        no_change_is_fine = gate.limit >= 0 if gate.sign == ">" else gate.limit <= 0
        return ("held" if no_change_is_fine else "broken"), SAME
    if effect.low is None or effect.high is None:
        return "undecided", f"no interval: {effect.no_interval or 'no reason given'}"
    none = 0.0 if effect.kind == "difference" else 1.0
    low, high = effect.low - none, effect.high - none
    text = f"change {effect.value - none:+.1%} [{low:+.1%}, {high:+.1%}]"
    if gate.sign == ">":
        return ("broken" if low > gate.limit else "held" if high <= gate.limit else "undecided"), text
    return ("broken" if high < gate.limit else "held" if low >= gate.limit else "undecided"), text
