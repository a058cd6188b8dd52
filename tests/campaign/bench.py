"""A campaign on the simulated executor, without command line and without engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.plan.builders import model, plan

from dynamometer.campaign.loop import Loop, Places
from dynamometer.campaign.stop import StopRequest
from dynamometer.domain.event import Closed, Opened
from dynamometer.domain.plan import Plan
from dynamometer.executors.base import Executor
from dynamometer.executors.simulated import SimulatedExecutor
from dynamometer.plan.resume import remaining
from dynamometer.store import journal
from dynamometer.store import open as campaigns
from dynamometer.store.journal import Journal, JournalWriter
from dynamometer.store.layout import CampaignFolder

NO_PAUSE = {"between_experiments": "0s", "between_cycles": "0s"}


def small_plan(**keys: Any) -> Plan:
    """Two experiments x two cycles, without pauses."""
    execution = {"thermal": NO_PAUSE, **keys.pop("execution", {})}
    return plan(
        **{"models": [model("small")], "engines": [{"name": "alpha"}], "cycles": 2, "execution": execution, **keys}
    )


@dataclass
class Bench:
    """A campaign folder and what is needed to walk it."""

    folder: CampaignFolder
    plan: Plan
    stop: StopRequest

    def walk(self, executor: Executor | None = None, *, retry_failed: bool = True, **loop: Any) -> Closed | None:
        """Walk what is left, as a new owner would."""
        with JournalWriter(self.folder.journal) as writer:
            if not writer.status.campaign_id:
                writer.append(
                    Opened(
                        campaign_id="c", name="n", source="f", config_hash="h", runs=len(self.plan.runs), version="0"
                    )
                )
            left = remaining(self.plan, writer.status, retry_failed=retry_failed)
            if not left.runs:
                return None
            return Loop(
                plan=self.plan,
                folder=self.folder,
                journal=writer,
                executor=executor or SimulatedExecutor(),
                stop=self.stop,
                places=loop.pop("places", lambda _: Places(None, None)),
                **loop,
            ).walk(left)

    def journal(self) -> Journal:
        """What the journal says."""
        return journal.read(self.folder.journal)

    def events(self) -> list[str]:
        """Names of the events, in order."""
        return [stamped.body.event for stamped in self.journal().events]


@contextmanager
def bench(root: Path, made: Plan | None = None) -> Iterator[Bench]:
    """A new campaign folder under ``root``."""
    made = made or small_plan()
    stop = StopRequest()
    try:
        yield Bench(campaigns.create(root, made.campaign.name, "name: test\n", made, datetime.now(UTC)), made, stop)
    finally:
        stop.close()
