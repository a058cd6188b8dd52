"""The index behind ``dyno campaign list``: one SQLite row per campaign folder. Always rebuildable from the folders."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynamometer.domain.event import Claimed, Closed, Done, Failed, Opened, Replanned, Stamped
from dynamometer.domain.status import CampaignStatus
from dynamometer.errors import DynoError, PreconditionError
from dynamometer.store import journal
from dynamometer.store.layout import CampaignFolder, is_campaign

SCHEMA = 1
LEAST_INTERVAL_S = 1.0
_TABLE = """
CREATE TABLE IF NOT EXISTS campaigns (
    folder TEXT PRIMARY KEY,
    campaign_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    state TEXT NOT NULL,
    planned INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One campaign as the index knows it."""

    folder: Path
    campaign_id: str
    name: str
    created: str
    updated: str
    state: str
    planned: int
    completed: int
    failed: int


class Index:
    """The index file. It uses the rollback journal: WAL can lose rows in SQLite 3.7.0 to 3.51.2, which many have."""

    def __init__(self, path: Path) -> None:
        """Use, and make when needed, the index at ``path``."""
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=30)
        except (OSError, sqlite3.OperationalError) as error:
            raise PreconditionError(
                f"cannot open the index {self._path}: {error}", hint="set DYNO_HOME to a folder you may write to"
            ) from error
        try:
            with connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, SCHEMA):
                    raise PreconditionError(
                        f"{self._path} was written by another version (schema {version})",
                        hint="rebuild it: remove the file, then run dyno index",
                    )
                if version == 0:
                    connection.execute(_TABLE)
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
                yield connection
        except sqlite3.DatabaseError as error:
            raise PreconditionError(
                f"cannot use the index {self._path}: {error}", hint="rebuild it: remove the file, then run dyno index"
            ) from error
        finally:
            connection.close()

    def put(self, folder: Path, status: CampaignStatus) -> None:
        """Insert or replace one campaign's row."""
        tally = status.tally()
        row = (
            str(folder.resolve()),
            status.campaign_id,
            status.name,
            status.created,
            status.updated,
            status.state,
            status.planned,
            tally.get("completed", 0),
            tally.get("failed", 0),
        )
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO campaigns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def entries(self) -> tuple[Entry, ...]:
        """All campaigns, the newest last."""
        if not self._path.exists():
            return ()
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM campaigns ORDER BY created, campaign_id").fetchall()
        return tuple(Entry(Path(row[0]), *row[1:]) for row in rows)

    def rebuild(self, roots: tuple[Path, ...]) -> tuple[int, tuple[str, ...]]:
        """Forget folders that are gone, read again those known and those under ``roots``.

        Returns how many campaigns there are, and one line for each folder that could not be read.
        """
        known = {entry.folder for entry in self.entries()}
        found = {child.resolve() for root in roots if root.is_dir() for child in root.iterdir() if is_campaign(child)}
        problems = []
        count = 0
        with self._open() as connection:
            connection.execute("DELETE FROM campaigns")
        for folder in sorted(known | found):
            if not is_campaign(folder):
                continue
            try:
                self.put(folder, journal.read(CampaignFolder(folder).journal).status())
                count += 1
            except DynoError as error:
                problems.append(f"{folder}: {error.message}")
        return count, tuple(problems)


class IndexWriter:
    """Listener that keeps one campaign's row near the truth: counts at most once a second, states at once."""

    def __init__(
        self, index: Index, folder: Path, status: CampaignStatus, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep the row of ``folder`` as ``status``, which the journal's writer keeps up to date."""
        self._index, self._folder, self._status, self._clock = index, folder, status, clock
        self._next = float("-inf")

    def __call__(self, stamped: Stamped) -> None:
        """Write the row when this event changed it and it is time."""
        at_once = isinstance(stamped.body, (Opened, Claimed, Replanned, Closed))
        now = self._clock()
        if at_once or (isinstance(stamped.body, (Done, Failed)) and now >= self._next):
            self._index.put(self._folder, self._status)
            self._next = now + LEAST_INTERVAL_S
