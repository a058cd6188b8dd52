"""The formats of a report by name. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynamometer.domain.summary import Summary
from dynamometer.report import csv, html, json, markdown, text

FORMATS: Mapping[str, Callable[[Summary], str]] = {
    "text": text.render,
    "markdown": markdown.render,
    "csv": csv.render,
    "json": json.render,
    "html": html.render,
}
