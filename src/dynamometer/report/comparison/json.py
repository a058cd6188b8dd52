"""The comparison as JSON: the Comparison itself, as one document with its ``schema_version``."""

from __future__ import annotations

import json

from dynamometer.domain.comparison import Comparison


def render(comparison: Comparison) -> str:
    """Everything a Comparison has. A value that does not exist is null with a reason beside it; NaN never occurs."""
    return json.dumps(comparison.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
