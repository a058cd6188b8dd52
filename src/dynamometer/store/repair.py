"""The way out of a damaged journal: keep the good lines, enter again what the records prove, put the rest aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dynamometer.domain.event import Done, Stamped
from dynamometer.errors import DamageError, DynoError
from dynamometer.store import journal
from dynamometer.store.files import write_whole
from dynamometer.store.journal import JournalWriter
from dynamometer.store.layout import RECORD, CampaignFolder
from dynamometer.store.lock import own
from dynamometer.store.records import Success, outcome, read_step


@dataclass(frozen=True, slots=True)
class Repaired:
    """What repairing did."""

    kept: int
    """Events before the damage."""
    recovered: int
    """Runs entered again from their records."""
    aside: Path
    """The damaged journal, as it was."""


def repair(root: Path) -> Repaired | None:
    """Make a damaged journal readable; None when it was whole. Owns the campaign meanwhile.

    Raises DamageError when not even the first line is good: then nothing tells what the campaign was.
    """
    folder = CampaignFolder(root)
    now = datetime.now(UTC)
    with own(folder.lock, now.isoformat(timespec="seconds")):
        try:
            journal.read(folder.journal)
        except DamageError:
            good = _good_lines(folder.journal)
        else:
            return None
        if not good:
            raise DamageError(f"{folder.journal}: not one good line", hint="restore the file from a backup")
        damaged = folder.journal.read_bytes()
        aside = folder.journal.with_name(f"journal.damaged-{now:%Y%m%d-%H%M%S}.jsonl")
        write_whole(aside, damaged)
        write_whole(folder.journal, b"".join(damaged.splitlines(keepends=True)[: len(good)]))
        with JournalWriter(folder.journal) as writer:
            recovered = 0
            for done in _proven(folder):
                known = writer.status.runs.get(done.run)
                if known is None or known.state != "completed":
                    writer.append(done)
                    recovered += 1
        return Repaired(len(good), recovered, aside)


def _good_lines(path: Path) -> list[Stamped]:
    events: list[Stamped] = []
    crc = 0
    for line in path.read_bytes().split(b"\n"):
        try:
            stamped, crc = journal.decode(line, crc, len(events))
        except ValueError:
            break
        events.append(stamped)
    return events


def _proven(folder: CampaignFolder) -> list[Done]:
    """A Done for every attempt whose record holds up, the first such attempt of each run."""
    found: dict[str, Done] = {}
    for attempt in sorted(folder.attempts()):
        try:
            step = read_step(attempt)
            result = outcome(attempt, step)
        except DynoError:
            continue
        if isinstance(result, Success) and step.run_id not in found:
            found[step.run_id] = Done(
                run=step.run_id,
                attempt=step.attempt,
                record=folder.relative(attempt / RECORD),
                record_sha256=result.sha256,
                duration_s=result.record.duration_ns / 1e9,
            )
    return list(found.values())
