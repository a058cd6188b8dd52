"""One owner per campaign, by a lock that the kernel frees when its holder dies."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import psutil

from dynamometer.errors import LockedError, PreconditionError
from dynamometer.store.files import storage_problem, write_whole


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock."""

    pid: int
    host: str
    since: str


@contextmanager
def own(path: Path, since: str) -> Iterator[None]:
    """Hold the lock at ``path`` for as long as the block runs.

    Raises LockedError, naming the owner, when another process holds it. A holder that died needs no unlocking.
    """
    lock = filelock.FileLock(path, timeout=0.3, mode=0o644)  # a little patience: is_owned takes it for a moment
    try:
        lock.acquire(poll_interval=0.02)
    except filelock.Timeout as error:
        raise LockedError(
            f"another process is running this campaign{_described(owner_of(path))}",
            hint="wait for it, or stop it with Ctrl-C there; nothing was changed",
        ) from error
    except OSError as error:
        raise storage_problem(error, path) from error
    except NotImplementedError as error:
        raise PreconditionError(
            f"{path.parent} is on a file system without locks", hint="use a local folder"
        ) from error
    try:
        write_whole(_owner_file(path), json.dumps(asdict(Owner(os.getpid(), socket.gethostname(), since))))
        yield
    finally:
        _owner_file(path).unlink(missing_ok=True)
        lock.release()


def is_owned(path: Path) -> bool:
    """Whether some live process holds the lock. Looks only: a lock that nobody ever took is not made."""
    if not path.exists():
        return False
    lock = filelock.FileLock(path, timeout=0.05, mode=0o644)  # another that only looks holds it for a moment
    try:
        lock.acquire(poll_interval=0.01)
    except filelock.Timeout:
        return True
    except OSError:  # a folder we may not write to: what the owner wrote down is all there is to go by
        owner = owner_of(path)
        return owner is not None and (owner.host != socket.gethostname() or psutil.pid_exists(owner.pid))
    lock.release()
    return False


def owner_of(path: Path) -> Owner | None:
    """Who holds the lock, as far as the holder could write it down."""
    try:
        return Owner(**json.loads(_owner_file(path).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def process_start(pid: int) -> float | None:
    """Start time of a process as the kernel tells it; with the pid it names a process for ever."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _owner_file(path: Path) -> Path:
    return path.with_suffix(".owner")


def _described(owner: Owner | None) -> str:
    return f" (process {owner.pid} on {owner.host}, since {owner.since})" if owner else ""
