"""Prompts of Hugging Face datasets: read once by a process of their own, and kept in the cache as JSONL."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dynamometer.domain.ident import slug, text_hash
from dynamometer.errors import PreconditionError

READER = "dynamometer.sources.hub_datasets_reader"
TIMEOUT_S = 3600
MOST_PROMPTS = 10_000
"""Rows read of a dataset, from its first on."""


def prompts_file(dataset: str, cache: Path) -> Path:
    """The file with the prompts of ``NAME[:CONFIG][@SPLIT][#COLUMN]``, fetched when the cache does not have it yet.

    NAME is that of a dataset on the hub, or a folder. Without a split it is ``train``; without a column, the one of
    prompt, messages, question, instruction and text that the dataset has. Raises PreconditionError when the package
    ``datasets`` is not installed, or when the dataset cannot be had (not there, gated, offline) or has no prompts.
    """
    path = cache / "datasets" / f"{slug(dataset)}-{text_hash(dataset)[:8]}.jsonl"
    if path.is_file():
        return path
    if importlib.util.find_spec("datasets") is None:
        message = f"dataset {dataset} is one of Hugging Face, and the package datasets is not installed"
        raise PreconditionError(message, hint="pip install 'dynamometer[datasets]'")
    _keep(path, _read(dataset))
    return path


def _keep(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).replace(path)
    except OSError as error:
        raise PreconditionError(f"cannot keep the prompts in {path.parent}: {error.strerror}") from error


def _read(dataset: str) -> str:
    argv = [sys.executable, "-P", "-m", READER, dataset, str(MOST_PROMPTS)]
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise PreconditionError(f"dataset {dataset}: not read within {TIMEOUT_S} s") from error
    if ended.returncode != 0:
        raise PreconditionError(f"dataset {dataset}: {_reason(ended)}", hint="see workload.dataset")
    return ended.stdout


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    """What the reader said last: a JSON object with its reason, or whatever ended it."""
    last = (ended.stderr.strip().splitlines() or [f"its reader ended with code {ended.returncode}"])[-1]
    try:
        said = json.loads(last)
    except ValueError:
        return last
    return str(said["reason"]) if isinstance(said, dict) and "reason" in said else last
