"""Reads a Hugging Face dataset and writes its prompts to standard output as JSONL. A process of its own.

The only module that imports ``datasets``, which brings threads, caches and a second of start-up with it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import datasets

COLUMNS = ("prompt", "messages", "question", "instruction", "text")
_NAME = re.compile(r"(?P<name>[^:@#]+)(:(?P<config>[^:@#]+))?(@(?P<split>[^:@#]+))?(#(?P<column>[^:@#]+))?")


class UnreadableError(Exception):
    """Why there are no prompts."""


def prompts(dataset: str, most: int) -> list[dict[str, Any]]:
    """The prompts of ``NAME[:CONFIG][@SPLIT][#COLUMN]``; empty ones are left out. Raises UnreadableError."""
    asked = _NAME.fullmatch(dataset)
    if asked is None:
        raise UnreadableError("must be NAME[:CONFIG][@SPLIT][#COLUMN]")
    try:
        rows = datasets.load_dataset(asked["name"], asked["config"], split=asked["split"] or "train")
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from error
    column = _column(asked["column"], rows.column_names)
    found = [prompt for row in rows.select(range(min(most, len(rows)))) for prompt in _prompt(row, column)]
    if not found:
        raise UnreadableError(f"column {column} has no prompts")
    return found


def _column(asked: str | None, columns: list[str]) -> str:
    found = asked or next((column for column in COLUMNS if column in columns), None)
    if found is None or found not in columns:
        wanted = asked or f"none of {', '.join(COLUMNS)}"
        raise UnreadableError(f"its columns are {', '.join(columns)}, not {wanted}; name one with #COLUMN")
    return found


def _prompt(row: Mapping[str, Any], column: str) -> Iterator[dict[str, Any]]:
    value = row[column]
    if isinstance(value, str) and value.strip():
        yield {"prompt": value}
    elif isinstance(value, list) and value and all(isinstance(message, dict) for message in value):
        yield {"messages": [{"role": message.get("role"), "content": message.get("content")} for message in value]}
    elif value is not None and not isinstance(value, str):
        raise UnreadableError(f"column {column} holds neither texts nor conversations")


def main(dataset: str, most: str) -> int:
    """Write the prompts; on failure, write the reason to standard error and return 1."""
    datasets.disable_progress_bars()
    try:
        found = prompts(dataset, int(most))
    except UnreadableError as error:
        sys.stderr.write(json.dumps({"reason": str(error)}) + "\n")
        return 1
    for prompt in found:
        sys.stdout.write(json.dumps(prompt) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
