"""Where weights come from, and what they are."""

from __future__ import annotations

from dynamometer.sources.local import discover, locate, model_facts

__all__ = ["discover", "locate", "model_facts"]
