"""SHA-256 of weights, remembered, so that 100 GB are not read before each run."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dynamometer.domain.ident import text_hash

FOLDER = "sha256"


def sha256_of(files: Sequence[Path], *, cache_dir: Path) -> str:
    """SHA-256 in hex of one file; of several, that of the lines ``sha256  name`` in the order given.

    Remembered under ``cache_dir`` by path, size, time of change and inode. Raises OSError when a file is unreadable.
    """
    if len(files) == 1:
        return _remembered(files[0].resolve(), cache_dir / FOLDER)
    lines = (f"{_remembered(file.resolve(), cache_dir / FOLDER)}  {file.name}\n" for file in files)
    return text_hash("".join(lines))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hex, read now."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remembered(path: Path, folder: Path) -> str:
    before = _stamp(path)
    entry = folder / f"{text_hash(str(path))[:32]}.json"
    known = _recall(entry)
    if known is not None and known[0] == before:
        return known[1]
    sha256 = file_sha256(path)
    if _stamp(path) == before:
        _remember(entry, before, sha256)
    return sha256


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev]


def _recall(entry: Path) -> tuple[list[int], str] | None:
    try:
        stamp, sha256 = json.loads(entry.read_bytes())
    except (OSError, ValueError, TypeError):
        return None
    return (stamp, sha256) if isinstance(stamp, list) and isinstance(sha256, str) else None


def _remember(entry: Path, stamp: list[int], sha256: str) -> None:
    """Spare us the reading next time. A cache that is full, or not ours to write, costs time and nothing else."""
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=entry.parent)
        try:
            with os.fdopen(handle, "w") as stream:
                json.dump([stamp, sha256], stream)
            Path(name).replace(entry)
        except OSError:
            Path(name).unlink()
