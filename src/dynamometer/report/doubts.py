"""Doubts as reports list them: those that the same would help against stand together, and the help is said once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dynamometer.domain.summary import Doubt, Summary
from dynamometer.report.names import listed


@dataclass(frozen=True, slots=True)
class Doubted:
    """Doubts of one kind."""

    messages: tuple[str, ...]
    """What is doubtful, each with what it is about in brackets."""
    hint: str | None
    """What would help against all of them."""


def together(doubts: Iterable[tuple[Doubt, str]]) -> list[Doubted]:
    """Doubts of the same kind and hint as one, in the order of first appearance; each comes with what it is about."""
    groups: dict[tuple[str, str | None], list[str]] = {}
    for doubt, about in doubts:
        where = f" ({about})" if about else ""
        groups.setdefault((doubt.code, doubt.hint), []).append(f"{doubt.message}{where}")
    return [Doubted(tuple(messages), hint) for (_, hint), messages in groups.items()]


def doubts_of(summary: Summary) -> list[Doubted]:
    """The doubts of the campaign, then those of rows; rows with the very same doubt share one."""
    rows: dict[Doubt, list[str]] = {}
    for row in summary.experiments:
        for doubt in row.doubts:
            rows.setdefault(doubt, []).append(row.name)
    about = ((doubt, _about(list(dict.fromkeys(names)), len(summary.experiments))) for doubt, names in rows.items())
    return together([*((doubt, "overall") for doubt in summary.doubts), *about])


def _about(rows: Sequence[str], total: int) -> str:
    """Which rows, in few words."""
    return f"all {total} rows" if len(rows) == total > 1 else listed(rows, 3)
