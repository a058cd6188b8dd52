"""The journal: one event a line, appended and synced, chained by checksums. Everything else is a reading of it.

A line is the JSON of ``Stamped`` with a last key ``crc``: CRC-32 of the line without it, continued from the CRC of
the line before. A lost, altered, doubled or swapped line breaks the chain. Only a torn last line, which a power cut
or a full disk can leave, is cut off; damage before a good line is an error and is never overwritten.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from dynamometer.domain.event import Event, Opened, Stamped
from dynamometer.domain.status import CampaignStatus
from dynamometer.errors import DamageError, DynoError, NotFoundError
from dynamometer.store.files import storage_problem, sync_folder, write_all

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Torn:
    """A last line that was never finished."""

    line: int
    offset: int
    """Where it begins, in bytes."""
    length: int


@dataclass(frozen=True, slots=True)
class Journal:
    """What a journal file says."""

    events: tuple[Stamped, ...]
    torn: Torn | None
    crc: int
    """Checksum of the last good line, which the next one continues."""
    size: int
    """Bytes of good lines."""

    def status(self) -> CampaignStatus:
        """The state these events lead to."""
        status = CampaignStatus()
        for stamped in self.events:
            status.apply(stamped)
        return status


def encode(stamped: Stamped, crc: int) -> tuple[bytes, int]:
    """One line and its checksum."""
    body = stamped.model_dump_json(exclude_none=True).encode()
    crc = zlib.crc32(body, crc)
    return body[:-1] + f',"crc":"{crc:08x}"}}\n'.encode(), crc


def decode(line: bytes, crc: int, seq: int) -> tuple[Stamped, int]:
    """The event of a line (without its newline). Raises ValueError when it is not what was written there."""
    head, separator, tail = line.rpartition(b',"crc":"')
    if not separator or len(tail) != 10 or not tail.endswith(b'"}'):
        raise ValueError("not a journal line")
    body = head + b"}"
    found = zlib.crc32(body, crc)
    if f"{found:08x}".encode() != tail[:8]:
        raise ValueError("its checksum does not fit; it, or a line before it, was altered, lost or moved")
    stamped = Stamped.model_validate_json(body)
    if stamped.seq != seq:
        raise ValueError(f"it is event {stamped.seq} where {seq} should stand")
    return stamped, found


def read(path: Path) -> Journal:
    """Read a journal. A torn last line is reported and left out.

    Raises NotFoundError when there is none, DamageError, with the line, when anything else is wrong.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"no journal at {path}", hint="see the campaigns there are: dyno campaign list") from error
    events: list[Stamped] = []
    crc = offset = 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        is_last = number >= len(lines) - 1 and not any(lines[number:])
        if number == len(lines) and not line:
            break
        try:
            stamped, next_crc = decode(line, crc, len(events))
        except (ValueError, ValidationError) as error:
            if is_last and _is_torn(line, finished=number < len(lines)):
                return Journal(tuple(events), Torn(number, offset, len(data) - offset), crc, offset)
            raise _damage(path, number, error) from error
        if number == len(lines):  # all but its newline was written; it is not known to be durable
            return Journal(tuple(events), Torn(number, offset, len(line)), crc, offset)
        crc = next_crc
        events.append(stamped)
        offset += len(line) + 1
    return Journal(tuple(events), None, crc, offset)


def _is_torn(line: bytes, *, finished: bool) -> bool:
    """A torn line lacks its end. One that is whole JSON with a wrong checksum was altered, not torn."""
    if not finished:
        return True
    try:
        json.loads(line)
    except ValueError:
        return b"\0" in line  # a power cut can leave a block of zeros where the line should be
    return False


def _damage(path: Path, line: int, error: ValueError) -> DamageError:
    reason = "it is not an event this version knows" if isinstance(error, ValidationError) else str(error)
    return DamageError(
        f"{path}:{line}: the journal is damaged here: {reason}",
        hint=f"nothing was changed. Restore a backup, or keep what is good: dyno campaign repair {path.parent}",
    )


class JournalWriter:
    """Appends events. Whoever makes one owns the campaign's lock.

    Listeners get each event after it is on disk. One that raises is logged and switched off, since nothing that
    watches a campaign may end it.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open for appending; make the file when it is not there; cut a torn last line off.

        Raises DamageError when the journal is damaged elsewhere.
        """
        self._now = now
        self._listeners: list[Callable[[Stamped], None]] = []
        fresh = not path.exists()
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            if fresh:
                sync_folder(path.parent)
        except OSError as error:
            raise storage_problem(error, path) from error
        self._path = path
        try:
            journal = read(path)
        except DamageError:
            os.close(self._descriptor)
            raise
        self.torn = journal.torn
        if journal.torn is not None:
            os.ftruncate(self._descriptor, journal.size)
            os.fsync(self._descriptor)
        self._crc, self._size, self._seq = journal.crc, journal.size, len(journal.events)
        self.status = journal.status()

    def listen(self, listener: Callable[[Stamped], None]) -> None:
        """Have every further event told to ``listener``."""
        self._listeners.append(listener)

    def append(self, event: Event) -> Stamped:
        """Write one event, sync it, take it into ``status``, tell the listeners. O(1).

        Raises PreconditionError when it cannot be written; the journal then ends with the event before.
        """
        stamped = Stamped(seq=self._seq, at=self._now().isoformat(timespec="milliseconds"), body=event)
        line, crc = encode(stamped, self._crc)
        try:
            write_all(self._descriptor, line)
            os.fdatasync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise storage_problem(error, self._path) from error
        self._crc, self._size, self._seq = crc, self._size + len(line), self._seq + 1
        self.status.apply(stamped)
        self._tell(stamped)
        return stamped

    def _tell(self, stamped: Stamped) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(stamped)
            except (DynoError, OSError) as error:
                self._listeners.remove(listener)
                LOG.warning("switched off for the rest of this campaign: %s", error)
            except Exception:
                self._listeners.remove(listener)
                LOG.exception("a listener failed and is switched off: %s", listener)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class First:
    """What the first line of a journal tells of its campaign."""

    name: str
    at: str


def first_event(path: Path) -> First | None:
    """Name and birth of a campaign, by reading one line; None when even that line does not read."""
    with path.open("rb") as file:
        line = file.readline()
    try:
        stamped, _ = decode(line.rstrip(b"\n"), 0, 0)
    except (ValueError, ValidationError):
        return None
    return First(stamped.body.name, stamped.at) if isinstance(stamped.body, Opened) else None
