"""The report as CSV (RFC 4180): one row per experiment and metric, with everything that its figure is."""

from __future__ import annotations

from collections.abc import Iterator

from dynamometer.domain.summary import Estimate, ExperimentSummary, MetricInfo, Summary

IDENTITY = ("experiment_id", "name", "engine", "model", "quant", "load", "benchmark", "simulated")
COUNTS = ("cycles_done", "cycles_planned", "failed")
METRIC = ("metric", "unit", "better", "statistic", "over_cycles")
FIGURES = ("value", "low", "high", "level", "method", "n", "samples", "missing", "no_interval")


def render(summary: Summary) -> str:
    """All metrics of all rows, in the order of both; an empty cell is what does not exist, never 0.

    ``statistic`` is what the value of one cycle is, ``over_cycles`` what ``value`` is of these; ``level`` and
    ``method`` are those of the interval from ``low`` to ``high``. Lines end with CRLF, as the RFC wants.
    """
    rows = (
        [*_identity(row), *_metric(info, found), *_figures(found)]
        for row in summary.experiments
        for info in summary.metrics
        for found in [row.estimate(info.key) or Estimate(metric=info.key, value=None, missing="not computed")]
    )
    table = [[*IDENTITY, *COUNTS, *METRIC, *FIGURES], *rows]
    return "".join(",".join(map(quoted, row)) + "\r\n" for row in table)


def _identity(row: ExperimentSummary) -> Iterator[str]:
    yield from map(harmless, (row.experiment_id, row.name, row.engine, row.model, row.quant or "", row.load))
    yield from (harmless(row.benchmark), str(row.simulated).lower())
    yield from map(str, (row.cycles_done, row.cycles_planned, row.failed))


def _metric(info: MetricInfo, estimate: Estimate) -> Iterator[str]:
    yield from map(harmless, (info.key, info.unit, info.better, info.statistic, estimate.over_cycles or ""))


def _figures(estimate: Estimate) -> Iterator[str]:
    level = estimate.confidence if estimate.low is not None else None
    figures = (estimate.value, estimate.low, estimate.high, level)
    yield from ("" if figure is None else repr(figure) for figure in figures)
    yield from (harmless(estimate.method or ""), str(estimate.n), str(estimate.samples))
    yield from (harmless(estimate.missing or ""), harmless(estimate.no_interval or ""))


def harmless(text: str) -> str:
    """A text that a spreadsheet would take for a formula, marked as text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def quoted(cell: str) -> str:
    """A cell as the RFC writes it."""
    if any(char in cell for char in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
