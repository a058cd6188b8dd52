"""A plan becomes a running campaign, owned by this process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dynamometer import __version__
from dynamometer.campaign.loop import Loop
from dynamometer.campaign.stop import StopRequest
from dynamometer.domain.event import Claimed, Closed, Opened, Replanned, Stamped
from dynamometer.domain.status import CampaignStatus
from dynamometer.engines.process import sweep
from dynamometer.errors import UsageError
from dynamometer.executors.base import Executor
from dynamometer.plan.resume import Change, Remaining, compare_plans, remaining
from dynamometer.store import open as campaigns
from dynamometer.store.files import make_folder, remove_temporaries, write_whole
from dynamometer.store.index import Index, IndexWriter
from dynamometer.store.journal import JournalWriter
from dynamometer.store.layout import CampaignFolder
from dynamometer.store.lock import own, process_start
from dynamometer.store.manifest import ManifestWriter, write_manifest, write_progress
from dynamometer.store.plans import config_hash, read_plan, write_plan
from dynamometer.wiring.folders import home
from dynamometer.wiring.planning import Prepared, check_files, check_runnable, executor_for, places_of


@dataclass(slots=True)
class Session:
    """One owner's work on a campaign folder: what came before, what is left, and the journal to write to."""

    prepared: Prepared
    folder: CampaignFolder
    journal: JournalWriter
    remaining: Remaining
    change: Change
    swept: int
    """Left-over processes of an earlier owner that were killed."""

    @property
    def status(self) -> CampaignStatus:
        """Where the campaign stands, kept up to date."""
        return self.journal.status


Listener = Callable[[Stamped], None]


@dataclass(slots=True)
class Hooks:
    """What the caller wants to see and to decide."""

    stop: StopRequest
    on_begin: Callable[[Session], None] = lambda _: None
    """Told what came before, once the campaign is ours."""
    listeners: Callable[[Session], Sequence[Listener]] = lambda _: ()
    """Asked for listeners when there is something to run."""
    retry_failed: Callable[[int], bool] = lambda _: True
    """Asked with the number of failed runs when a campaign is resumed."""
    go_on: Callable[[str], bool] = lambda _: False
    on_pause: Callable[[float], None] = lambda _: None
    executor: Executor | None = None


def new_campaign(prepared: Prepared) -> CampaignFolder:
    """Make the folder of a new campaign."""
    check_runnable(prepared.plan)
    check_files(prepared, range(len(prepared.plan.experiments)))
    now = datetime.now(UTC)
    return campaigns.create(prepared.results, prepared.campaign.name, prepared.text, prepared.plan, now)


def find_campaign(wanted: str, results: Path = Path("results")) -> Path:
    """The folder of a campaign by path, id, or beginning of it; in the index or under ``results``."""
    known = [entry.folder for entry in Index(home().index).entries()]
    return campaigns.find(wanted, known, results)


def newest_campaign(results: Path = Path("results")) -> Path:
    """The campaign that was made last, in the index or under ``results``."""
    return campaigns.newest([entry.folder for entry in Index(home().index).entries()], results)


def resumable(prepared: Prepared) -> Path | None:
    """The newest campaign of that name under its results folder."""
    return campaigns.latest_of(prepared.campaign.name, prepared.results)


def run(prepared: Prepared, folder: CampaignFolder, hooks: Hooks) -> tuple[Session, Closed | None]:
    """Own the campaign and walk what is left of it; Closed is None when nothing was left.

    Raises LockedError when another process owns it, PreconditionError when this machine cannot run it.
    """
    check_runnable(prepared.plan)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    with own(folder.lock, since), JournalWriter(folder.journal) as journal:
        session = _begin(prepared, folder, journal, hooks)
        hooks.on_begin(session)
        for listener in _listeners(session):
            journal.listen(listener)
        if not session.remaining.runs:
            _settle(session)
            return session, None
        check_files(prepared, {ref.experiment for _, ref in session.remaining.runs})
        for listener in hooks.listeners(session):
            journal.listen(listener)
        start = process_start(os.getpid()) or 0.0
        left = len(session.remaining.runs)
        journal.append(Claimed(pid=os.getpid(), process_start=start, host=socket.gethostname(), remaining=left))
        loop = Loop(
            plan=prepared.plan,
            folder=folder,
            journal=journal,
            executor=hooks.executor or executor_for(prepared.campaign),
            stop=hooks.stop,
            places=places_of(prepared),
            go_on=hooks.go_on,
            on_pause=hooks.on_pause,
        )
        try:
            closed = loop.walk(session.remaining)
        finally:
            write_manifest(folder.manifest, prepared.plan, journal.status)
        return session, closed


def _settle(session: Session) -> None:
    """Nothing is left to run: have the journal, and all that is read from it, say how the campaign stands.

    An owner that died after its last run, a repair, or fewer cycles leave that unsaid.
    """
    state: Literal["failed", "completed"] = "failed" if session.status.counts.get("failed") else "completed"
    if session.status.state != state:
        session.journal.append(Closed(state=state))
    write_manifest(session.folder.manifest, session.prepared.plan, session.status)


def _begin(prepared: Prepared, folder: CampaignFolder, journal: JournalWriter, hooks: Hooks) -> Session:
    plan, change = prepared.plan, Change((), ())
    digest = config_hash(plan)
    if not journal.status.campaign_id:
        journal.append(
            Opened(
                campaign_id=folder.root.name,
                name=plan.campaign.name,
                source=prepared.source,
                config_hash=digest,
                runs=len(plan.runs),
                version=__version__,
            )
        )
    else:
        change = _change(prepared, folder, journal.status)
        if change or digest != journal.status.config_hash or not folder.plan.exists():
            write_whole(folder.campaign, prepared.text)
            write_plan(folder.plan, plan)
            journal.append(
                Replanned(config_hash=digest, added=change.added, removed=change.removed, runs=len(plan.runs))
            )
    swept = sweep(folder.root.resolve())
    remove_temporaries(folder.root)
    failed = journal.status.counts.get("failed", 0)
    retry = hooks.retry_failed(failed) if failed else True
    left = remaining(plan, journal.status, retry_failed=retry)
    for run_id in left.stale:
        remove_temporaries(folder.attempt(run_id, journal.status.runs[run_id].attempts))
    return Session(prepared, folder, journal, left, change, swept)


def _change(prepared: Prepared, folder: CampaignFolder, status: CampaignStatus) -> Change:
    """What the file adds to the campaign and takes from it.

    The journal has the last word on runs it knows: plan.json may be gone, and a crash may have come between writing it
    and saying so. Raises UsageError when the file is that of another campaign.
    """
    plan = prepared.plan
    earlier = read_plan(folder.plan).run_ids if folder.plan.exists() else plan.run_ids
    before = [run for run in dict.fromkeys([*earlier, *status.runs]) if run not in status.removed]
    if plan.campaign.name != status.name and not plan.by_run_id.keys() & before:
        raise UsageError(
            f"{prepared.source} is campaign {plan.campaign.name!r}; {folder.root.name} is {status.name!r}, "
            "and they have no run in common",
            hint="name the campaign of this file, or leave --campaign-id out",
        )
    return compare_plans(before, plan.run_ids)


def _listeners(session: Session) -> list[Listener]:
    status, folder = session.status, session.folder
    state_dir = Path(session.prepared.campaign.io.state_dir).expanduser()
    make_folder(state_dir)
    progress = state_dir / f"{status.campaign_id}.json"

    def write_progress_file(stamped: Stamped) -> None:
        if stamped.body.event in ("claimed", "done", "failed", "closed"):
            write_progress(progress, status, folder.root.resolve())

    return [
        ManifestWriter(folder.manifest, session.prepared.plan, status),
        write_progress_file,
        IndexWriter(Index(home().index), folder.root, status),
    ]
