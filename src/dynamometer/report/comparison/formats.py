"""The forms of a comparison by name, those of ``report.FORMAT_NAMES``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynamometer.domain.comparison import Comparison
from dynamometer.report.comparison import csv, html, json, markdown, text

FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "text": text.render,
    "markdown": markdown.render,
    "csv": csv.render,
    "json": json.render,
    "html": html.render,
}
