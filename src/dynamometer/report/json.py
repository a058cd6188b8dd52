"""The report as JSON: the Summary itself, as one document with its ``schema_version``."""

from __future__ import annotations

import json

from dynamometer.domain.summary import Summary


def render(summary: Summary) -> str:
    """Everything a Summary has. A value that does not exist is null with a reason beside it; NaN never occurs."""
    return json.dumps(summary.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
