"""Where a campaign stands: a fold over its events, O(1) per event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dynamometer.domain.event import (
    AttemptFailed,
    Claimed,
    Closed,
    Done,
    Event,
    Failed,
    InterruptedRun,
    Opened,
    Replanned,
    Skipped,
    Stamped,
    Started,
)
from dynamometer.domain.failure import Failure
from dynamometer.domain.summary import CampaignState, RunState


@dataclass(slots=True)
class RunStatus:
    """One run so far. A run that no event names is pending and has none of these."""

    state: RunState = "pending"
    attempts: int = 0
    """Number of the last attempt begun; interrupted ones included, since each has a folder."""
    failures: int = 0
    """Attempts that failed since the run was last queued; what the retry policy counts."""
    failure: Failure | None = None
    record: str | None = None
    record_sha256: str | None = None
    duration_s: float | None = None
    reason: str | None = None
    started_at: str | None = None
    ended_at: str | None = None


@dataclass(slots=True)
class CampaignStatus:
    """A campaign so far. ``apply`` takes one event at a time, in order."""

    campaign_id: str = ""
    name: str = ""
    source: str = ""
    config_hash: str = ""
    version: str = ""
    created: str = ""
    updated: str = ""
    planned: int = 0
    """Runs of the current plan."""
    state: CampaignState = "pending"
    """As the journal tells it. Whether a running one is alive, only its lock can tell."""
    reason: str = ""
    owner: Claimed | None = None
    runs: dict[str, RunStatus] = field(default_factory=dict)
    """Run id -> status; only runs that something happened to."""
    counts: dict[RunState, int] = field(default_factory=dict)
    """Runs by state, without pending ones and without runs that left the plan."""
    removed: set[str] = field(default_factory=set)
    """Runs with events that the plan no longer has."""

    def apply(self, stamped: Stamped) -> None:
        """Take one event."""
        event, at = stamped.body, stamped.at
        self.updated = at
        match event:
            case Opened():
                self.campaign_id, self.name, self.source = event.campaign_id, event.name, event.source
                self.config_hash, self.version, self.created = event.config_hash, event.version, at
                self.planned = event.runs
            case Claimed():
                self.owner, self.state, self.reason = event, "running", ""
            case Replanned():
                self.config_hash, self.planned = event.config_hash, event.runs
                for run in event.removed:
                    self._count(run, leaves=True)
                for run in event.added:
                    self._count(run, leaves=False)
            case Closed():
                self.state, self.reason = event.state, event.reason
            case _:
                self._apply_to_run(event, at)

    def _apply_to_run(self, event: Started | AttemptFailed | Done | Failed | Skipped | InterruptedRun, at: str) -> None:
        run = self.runs.setdefault(event.run, RunStatus())
        before = run.state
        match event:
            case Started():
                if run.state in ("failed", "completed"):
                    run.failures = 0
                run.state, run.attempts, run.started_at, run.ended_at = "running", event.attempt, at, None
            case AttemptFailed():
                run.state, run.failure, run.ended_at = "pending", event.failure, at
                run.failures += 1
            case Done():
                run.state, run.record, run.record_sha256 = "completed", event.record, event.record_sha256
                run.duration_s, run.ended_at, run.failure = event.duration_s, at, None
            case Failed():
                run.state, run.failure, run.ended_at = "failed", event.failure, at
                run.failures += 1
                run.duration_s = event.duration_s
            case Skipped():
                run.state, run.reason, run.ended_at = "skipped", event.reason, at
            case InterruptedRun():
                run.state, run.reason, run.ended_at = "interrupted", event.reason, at
        if event.run not in self.removed and run.state != before:
            self._move(before, -1)
            self._move(run.state, 1)

    def _count(self, run_id: str, *, leaves: bool) -> None:
        """A run leaves the plan or comes back; its events stay, its count follows the plan."""
        if leaves == (run_id in self.removed):
            return
        (self.removed.add if leaves else self.removed.discard)(run_id)
        if run_id in self.runs:
            self._move(self.runs[run_id].state, -1 if leaves else 1)

    def _move(self, state: RunState, by: int) -> None:
        if state != "pending":
            self.counts[state] = self.counts.get(state, 0) + by

    def tally(self) -> dict[RunState, int]:
        """Runs of the plan by state, pending ones included; states without runs are left out."""
        tally: dict[RunState, int] = {state: count for state, count in self.counts.items() if count}
        pending = self.planned - sum(tally.values())
        return {"pending": pending, **tally} if pending > 0 else tally


def fold(events: Iterable[Stamped]) -> CampaignStatus:
    """The state that these events, in order, lead to."""
    status = CampaignStatus()
    for stamped in events:
        status.apply(stamped)
    return status


__all__ = ["CampaignStatus", "Event", "RunStatus", "fold"]
