"""A page of plain text: its width, its colours, and tables whose columns line up."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dynamometer.report.doubts import Doubted
from dynamometer.report.figures import limited, one_line

NARROWEST = 40
"""Terminals below it are laid out for it."""
GAP = "  "
_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}


@dataclass(frozen=True, slots=True)
class Page:
    """Where text goes."""

    width: int
    colour: bool

    def style(self, text: str, style: str | None) -> str:
        """``text`` in bold, dim or a colour, if this page has colours."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour and text and style else text

    def wrap(self, text: str, first: str = "", later: str | None = None) -> list[str]:
        """Lines no wider than the page, the first with one indent, the others with another."""
        indent = " " * len(first) if later is None else later
        return textwrap.wrap(one_line(text), self.width, initial_indent=first, subsequent_indent=indent) or [first]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, wide enough for its cells."""

    heads: tuple[str, str]
    cells: tuple[str, ...]
    width: int
    right: bool
    styles: tuple[str | None, ...] = ()
    """Style of each cell; none when empty."""

    def narrowed(self, width: int) -> Column:
        """The same with another width, at least that of its heads."""
        return replace(self, width=max(width, *map(width_of, self.heads)))

    def pad(self, text: str) -> str:
        """``text`` as wide as the column."""
        space = " " * (self.width - width_of(text))
        return space + text if self.right else text + space

    def cell(self, index: int, page: Page) -> str:
        """One cell, padded and styled."""
        text = self.pad(self.cells[index])
        return page.style(text, self.styles[index]) if self.styles else text


def column(title: str, unit: str, cells: Sequence[str], *, right: bool = True) -> Column:
    """A column as wide as its widest cell."""
    width = max(width_of(text) for text in (title, unit, *cells))
    return Column((title, unit), tuple(cells), width, right)


def tabulated(columns: Sequence[Column], page: Page) -> Iterator[str]:
    """The lines of a table; the first column's cells are broken to its width."""
    for index in (0, 1):
        yield page.style(GAP.join(one.pad(one.heads[index]) for one in columns).rstrip(), "bold")
    yield GAP.join("─" * one.width for one in columns)
    name, *rest = columns
    for index, label in enumerate(name.cells):
        pieces = broken(label, name.width)
        figures = GAP.join(one.cell(index, page) for one in rest)
        yield (name.pad(pieces[0]) + GAP + figures).rstrip()
        yield from (f"  {piece}" for piece in pieces[1:])


def doubts_listed(doubts: Sequence[Doubted], page: Page) -> list[str]:
    """The numbered doubts under their heading; of many of one kind the first few."""
    found = [page.style("Doubts", "bold")] if doubts else []
    for number, one in enumerate(doubts, start=1):
        for index, text in enumerate(limited(one.messages, 4)):
            wrapped = page.wrap(text, "    " if index else f"{number:2}. ", "    ")
            found += [page.style(line, "yellow") for line in wrapped]
        if one.hint:
            found += page.wrap(f"hint: {one.hint}", "    ")
    return found


def broken(label: str, width: int) -> list[str]:
    """A name in pieces of at most ``width`` cells (later ones two less), broken after a slash where there is one."""
    pieces = []
    rest, room = label, width
    while width_of(rest) > room:
        fits = 1
        while fits < len(rest) and width_of(rest[: fits + 1]) <= room:
            fits += 1
        cut = max(rest.rfind(mark, 0, fits) for mark in "/ ,") + 1
        cut = cut if cut > fits // 3 else fits
        pieces.append(rest[:cut])
        rest, room = rest[cut:], width - 2
    return [*pieces, rest]


def width_of(text: str) -> int:
    """Terminal cells that ``text`` takes: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
