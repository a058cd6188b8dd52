"""Making, finding and reading campaign folders."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dynamometer.domain.ident import slug
from dynamometer.domain.plan import Plan
from dynamometer.domain.status import CampaignStatus
from dynamometer.errors import NotFoundError, UsageError
from dynamometer.store import journal
from dynamometer.store.files import make_folder, write_whole
from dynamometer.store.journal import Torn
from dynamometer.store.layout import CampaignFolder, is_campaign
from dynamometer.store.lock import is_owned
from dynamometer.store.plans import read_plan, write_plan

_ID_TAIL = re.compile(r"-\d{8}-\d{6}-[0-9a-f]{4}")
"""What an id has behind the campaign's name."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A campaign folder as read."""

    folder: CampaignFolder
    plan: Plan
    status: CampaignStatus
    torn: Torn | None
    alive: bool
    """Whether a process owns it now."""


def create(results: Path, name: str, text: str, plan: Plan, now: datetime) -> CampaignFolder:
    """Make the folder of a new campaign, with its file and its plan in it. Its name is the campaign's id.

    The folder is made exclusively, so two campaigns of one name in one second get two folders.
    """
    while True:
        identity = f"{slug(name)}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        try:
            make_folder(results / identity, exclusive=True)
        except FileExistsError:
            continue
        break
    folder = CampaignFolder(results / identity)
    write_whole(folder.campaign, text)
    write_plan(folder.plan, plan)
    make_folder(folder.runs)
    return folder


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a campaign stands, without its plan."""

    status: CampaignStatus
    torn: Torn | None
    alive: bool


def read(root: Path) -> Opened:
    """Read a campaign folder, plan and all."""
    folder = CampaignFolder(root)
    standing = read_status(root)
    return Opened(folder, read_plan(folder.plan), standing.status, standing.torn, standing.alive)


def read_status(root: Path) -> Standing:
    """Where a campaign stands. A run that stands as running while nobody owns the campaign was interrupted."""
    folder = CampaignFolder(root)
    found = journal.read(folder.journal)
    status, alive = found.status(), is_owned(folder.lock)
    if not alive and status.state == "running":
        status.state, status.reason = "interrupted", "its process died"
        for run_id, run in status.runs.items():
            if run.state == "running":
                run.state, run.reason = "interrupted", "its process died"
                if run_id not in status.removed:
                    status.counts["running"] = status.counts.get("running", 0) - 1
                    status.counts["interrupted"] = status.counts.get("interrupted", 0) + 1
    return Standing(status, found.torn, alive)


def find(wanted: str, known: Iterable[Path], results: Path) -> Path:
    """The folder of a campaign: by path, by id, by name, or by a beginning of these, as far as that fits only one.

    Raises NotFoundError, or UsageError when several fit.
    """
    direct = Path(wanted)
    if is_campaign(direct):
        return direct
    folders = {folder.resolve() for folder in (*known, *_children(results)) if is_campaign(folder)}
    exact = [folder for folder in folders if folder.name == wanted]
    named = [folder for folder in folders if _ID_TAIL.fullmatch(folder.name.removeprefix(wanted))]
    fitting = exact or named or [folder for folder in folders if folder.name.startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise NotFoundError(f"no campaign {wanted!r}", hint="see the campaigns there are: dyno campaign list")
    names = ", ".join(sorted(folder.name for folder in fitting)[-5:])
    raise UsageError(f"{len(fitting)} campaigns begin with {wanted!r}: {names}", hint="give more of the id")


def _children(results: Path) -> tuple[Path, ...]:
    return tuple(results.iterdir()) if results.is_dir() else ()


def latest_of(name: str, results: Path) -> Path | None:
    """The newest campaign of that name under a results folder; by the journal, since folder names are slugs.

    Raises DamageError when a campaign that may be it cannot tell its name any more.
    """
    newest: tuple[str, str] | None = None
    for child in _children(results):
        if not is_campaign(child) or not _ID_TAIL.fullmatch(child.name.removeprefix(slug(name))):
            continue
        first = journal.first_event(CampaignFolder(child).journal)
        if first is None:
            journal.read(CampaignFolder(child).journal)  # damage is told; only a torn first line may be passed over
        elif first.name == name:
            newest = max(newest or ("", ""), (first.at, str(child)))
    return Path(newest[1]) if newest else None


def newest(folders: Iterable[Path], results: Path) -> Path:
    """The campaign that was made last. Raises NotFoundError when there is none."""
    born: dict[Path, str] = {}
    for folder in {folder.resolve() for folder in (*folders, *_children(results)) if is_campaign(folder)}:
        first = journal.first_event(CampaignFolder(folder).journal)
        born[folder] = first.at if first else ""
    if not born:
        raise NotFoundError("there are no campaigns yet", hint="begin one with: dyno campaign run FILE")
    return max(born, key=lambda folder: (born[folder], folder.name))
