"""A Summary becomes text: for the terminal, Markdown, CSV, JSON, HTML. Pure.

``report.formats`` holds them all by name. It loads the charting library, so a command imports it only when it writes a
report; the names alone are here.
"""

from __future__ import annotations

FORMAT_NAMES: tuple[str, ...] = ("text", "markdown", "csv", "json", "html")
"""Names of the formats, as ``--format`` takes them."""
