"""The user's cache folder: demo models and remembered hashes."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def default_cache() -> Path:
    """``cache`` under DYNO_HOME where that is set, else the XDG cache folder of dynamometer."""
    if own_home := os.environ.get("DYNO_HOME"):
        return Path(own_home).expanduser() / "cache"
    return platformdirs.user_cache_path("dynamometer", appauthor=False)
