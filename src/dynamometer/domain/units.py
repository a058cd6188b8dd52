"""Units in text: durations such as ``60s`` or ``30m``, and numbers made readable for people."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_DURATION_PATTERN = r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+$"


def parse_duration(text: object) -> float:
    """Seconds of a duration written with its unit: ``500ms``, ``60s``, ``1h 30m``.

    A bare number is refused, because its unit would have to be guessed; only 0 needs none.
    Raises ValueError for anything else.
    """
    if isinstance(text, bool):
        raise ValueError("a duration needs a number and a unit, such as 60s, 30m or 6h")
    if isinstance(text, (int, float)):
        if text == 0:
            return 0.0
        raise ValueError(f"a duration needs a unit: {text:g}s, {text:g}m or {text:g}h")
    if not isinstance(text, str) or not re.fullmatch(_DURATION_PATTERN, text):
        raise ValueError("a duration needs a number and a unit, such as 60s, 30m or 6h")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


def format_duration(seconds: float) -> str:
    """The shortest text that ``parse_duration`` reads back, exactly: 90.0 -> ``90s``, 1800.0 -> ``30m``."""
    for unit in ("d", "h", "m", "s"):
        size = _SECONDS[unit]
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds / size)}{unit}"
    text = f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:g}s"
    exact = re.fullmatch(_DURATION_PATTERN, text) and parse_duration(text) == seconds
    return text if exact else f"{Decimal(repr(seconds)):f}s"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(ge=0),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": _DURATION_PATTERN}, {"const": 0}],
            "description": "A duration with its unit, e.g. 500ms, 60s, 30m, 6h.",
        }
    ),
]
"""Seconds inside; in files a text with its unit."""


def human_duration(seconds: float) -> str:
    """A duration as people say it: ``0.4 s``, ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def human_bytes(size: float) -> str:
    """Bytes in decimal units, as disks are sold: ``98.4 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
