"""The command line. One file per command; ``main`` is the only place that turns errors into text and exit codes."""

from __future__ import annotations

from dynamometer.cli.app import main

__all__ = ["main"]
