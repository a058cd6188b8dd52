"""The report as CSV (RFC 4180): one row per experiment, four columns per metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dynamometer.domain.summary import ExperimentSummary, Summary

IDENTITY = ("experiment_id", "name", "engine", "model", "quant", "load", "benchmark", "simulated")
COUNTS = ("cycles_done", "cycles_planned", "failed")


def render(summary: Summary) -> str:
    """All metrics: value, bounds and number of cycles; an empty cell is a value that does not exist, never 0.

    Columns stand in the order of the summary's metrics. Lines end with CRLF, as the RFC wants.
    """
    keys = [info.key for info in summary.metrics]
    heads = [*IDENTITY, *COUNTS, *(f"{key}{part}" for key in keys for part in ("", "_low", "_high", "_n"))]
    table = [heads, *([*_cells(row, keys)] for row in summary.experiments)]
    return "".join(",".join(map(quoted, row)) + "\r\n" for row in table)


def _cells(row: ExperimentSummary, keys: Sequence[str]) -> Iterator[str]:
    yield from (harmless(row.experiment_id), harmless(row.name), harmless(row.engine), harmless(row.model))
    yield from (harmless(row.quant or ""), harmless(row.load), harmless(row.benchmark), str(row.simulated).lower())
    yield from map(str, (row.cycles_done, row.cycles_planned, row.failed))
    for key in keys:
        estimate = row.estimate(key)
        figures = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
        yield from ("" if figure is None else repr(figure) for figure in figures)
        yield str(estimate.n if estimate else 0)


def harmless(text: str) -> str:
    """A text that a spreadsheet would take for a formula, marked as text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def quoted(cell: str) -> str:
    """A cell as the RFC writes it."""
    if any(char in cell for char in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
