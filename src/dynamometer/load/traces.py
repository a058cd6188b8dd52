"""Traces: send times from a file, as JSONL or CSV, with prompt and output lengths where it has them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dynamometer.domain.experiment import MOST_REQUESTS
from dynamometer.domain.units import NS_PER_S
from dynamometer.errors import CampaignError, Problem

KEYS = ("at_s", "input_tokens", "output_tokens")
MOST_TOKENS = 10_000_000
MOST_SECONDS = 10_000_000
HINT = 'each line is {"at_s": 1.5}, with input_tokens and output_tokens if you like, or CSV with these as its header'


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace, whole and in order."""

    times_ns: tuple[int, ...]
    """Send times from the first on, which is 0."""
    input_tokens: tuple[int, ...] | None = None
    """Length of each prompt; None when the trace has none."""
    output_tokens: tuple[int, ...] | None = None
    """Tokens to generate for each; None when the trace has none."""


def parse_trace(text: str, file: str = "trace") -> Trace:
    """The trace of a file: CSV where its name ends so, else one JSON object per line; other keys are left alone.

    Only gaps count: the first request is sent at once. Raises CampaignError with every wrong line: a time that is
    missing, negative, not a number or before the one above it, a length that is none or stands on some lines only.
    """
    reader = _Reader(file)
    for line, values in _csv(text) if file.lower().endswith(".csv") else _jsonl(text):
        reader.add(line, values)
    return reader.trace()


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []
        self._times: list[float] = []
        self._tokens: dict[str, list[int]] = {key: [] for key in KEYS[1:]}
        self._has: frozenset[str] | None = None

    def add(self, line: int, values: Mapping[str, Any] | str) -> None:
        """One entry, or what is wrong with its line."""
        if isinstance(values, str):
            self._problems.append(Problem(values, file=self._file, line=line))
            return
        try:
            self._add(values)
        except ValueError as error:
            self._problems.append(Problem(str(error), file=self._file, line=line))

    def _add(self, values: Mapping[str, Any]) -> None:
        given = frozenset(key for key in KEYS[1:] if values.get(key) is not None)
        time = _seconds(values.get("at_s"))
        if self._times and time < self._times[-1]:
            raise ValueError(f"out of order: at_s {time:g} comes after {self._times[-1]:g}")
        lengths = {key: _tokens(key, values[key]) for key in sorted(given)}
        self._times.append(time)
        if self._has is None:
            self._has = given
        elif given != self._has:
            odd = ", ".join(sorted(given ^ self._has))
            raise ValueError(f"{odd}: give it on every line or on none")
        for key, length in lengths.items():
            self._tokens[key].append(length)

    def trace(self) -> Trace:
        """What was read. Raises CampaignError for what was wrong."""
        if not self._times and not self._problems:
            self._problems.append(Problem("holds no send times", file=self._file))
        if len(self._times) > MOST_REQUESTS:
            self._problems.append(Problem(f"holds more than {MOST_REQUESTS:,} send times", file=self._file))
        if self._problems:
            raise CampaignError(self._problems, HINT)
        first = self._times[0]
        times = tuple(round((time - first) * NS_PER_S) for time in self._times)
        lengths = (tuple(self._tokens[key]) or None for key in KEYS[1:])
        return Trace(times, *lengths)


def _jsonl(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "not JSON"
            continue
        yield number, value if isinstance(value, dict) else "not a JSON object"


def _csv(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    reader = csv.DictReader(text.removeprefix("\ufeff").splitlines(), skipinitialspace=True)
    try:
        if "at_s" not in (reader.fieldnames or ()):
            yield 1, "the first line must name the columns, at_s among them"
            return
        for row in reader:
            yield reader.line_num, {key: _cell(value) for key, value in row.items() if isinstance(value, str)}
    except csv.Error as error:
        yield reader.line_num, f"not CSV: {error}"


def _cell(text: str) -> float | str | None:
    """A cell of CSV as JSON would have it: a number where it is one, None where it is empty."""
    try:
        return float(text)
    except ValueError:
        return text.strip() or None


def _seconds(value: object) -> float:
    if value is None:
        raise ValueError("needs at_s: the send time in seconds")
    seconds = _number(value)
    if seconds is None or not math.isfinite(seconds):
        raise ValueError(f"at_s must be a number of seconds, not {value!r}")
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(f"at_s must be at least 0 and at most {MOST_SECONDS}, not {seconds:g}")
    return seconds


def _tokens(key: str, value: object) -> int:
    number = _number(value)
    if number is None or not number.is_integer() or not 1 <= number <= MOST_TOKENS:
        raise ValueError(f"{key} must be a whole number from 1 to {MOST_TOKENS}, not {value!r}")
    return int(number)


def _number(value: object) -> float | None:
    """A number; None for anything else, truth values and texts included, and for one too large to be one here."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
