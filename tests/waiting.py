"""Knowing that a thread waits, from outside it."""

from __future__ import annotations

from pathlib import Path

LOOKS = 200


def until_it_waits(pid: int, thread: int) -> None:
    """Until a thread of a process slept whenever we looked, many times in a row."""
    looks = 0
    while looks < LOOKS:
        state = Path(f"/proc/{pid}/task/{thread}/stat").read_text("ascii").rpartition(")")[2].split()[0]
        looks = looks + 1 if state == "S" else 0
