"""Files that are whole or not there: temp file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from dynamometer.errors import DiskFull, PreconditionError

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte. One write may be short without an error: a nearly full disk takes what fits."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_whole(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """Put ``data`` at ``path`` so that a crash leaves the old file or the new one, never a part.

    Raises PreconditionError when the disk is full or the folder is not writable; what stood there stays.
    """
    raw = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(descriptor, raw)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_problem(error, path) from error
    finally:  # also when a signal handler ended the writing
        with suppress(OSError):  # the first error tells more than that its rest could not be removed
            temporary.unlink(missing_ok=True)


def write_into(path: Path, data: str) -> None:
    """Write to a device, a pipe or whatever else is at ``path`` and must stay what it is.

    Raises PreconditionError when it takes no data. A pipe that nobody reads is waited for.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            write_all(descriptor, data.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_problem(error, path) from error


def remove_temporaries(folder: Path) -> None:
    """Remove what writers that were killed left in a folder. Only its owner may: others may be in the making."""
    for path in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, exclusive: bool = False) -> None:
    """Make a folder and those above it, so that no power cut takes them away, and what will be in them.

    ``exclusive`` raises FileExistsError when it is there.
    """
    try:
        for above in reversed([above for above in folder.parents if not above.exists()]):
            _make_durable(above, exist_ok=True)
        _make_durable(folder, exist_ok=not exclusive)
    except FileExistsError as error:
        if exclusive and folder.exists():
            raise
        raise storage_problem(error, folder) from error
    except OSError as error:
        raise storage_problem(error, folder) from error


def _make_durable(folder: Path, *, exist_ok: bool) -> None:
    """A folder that was there is left alone: the one above it need not be ours to read."""
    if exist_ok and folder.is_dir():
        return
    folder.mkdir(exist_ok=exist_ok)
    sync_folder(folder.parent)


def storage_problem(error: OSError, path: Path) -> PreconditionError:
    """What a failed write means, for people."""
    if error.errno in OUT_OF_SPACE:
        return DiskFull(f"the disk is full: cannot write {path}", hint="free some space")
    return PreconditionError(f"cannot write {path}: {error.strerror or error}", hint="check that you may write there")
