"""What happens to a campaign, as the journal keeps it. State is a fold over these; nothing else is the truth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from dynamometer.domain.base import Value
from dynamometer.domain.failure import Failure


class Opened(Value):
    """The campaign folder was made."""

    event: Literal["opened"] = "opened"
    campaign_id: str
    name: str
    source: str
    """Campaign file as the user named it."""
    config_hash: str
    """SHA-256 of the canonical campaign."""
    runs: int
    """Runs planned."""
    version: str
    """Version of Dynamometer."""


class Claimed(Value):
    """A process took ownership and begins to work."""

    event: Literal["claimed"] = "claimed"
    pid: int
    process_start: float
    """Start time of that process as the kernel tells it, to tell it from a later one with its pid."""
    host: str
    remaining: int
    """Runs left to do."""


class Replanned(Value):
    """The file, or the number of cycles, changed since the last plan."""

    event: Literal["replanned"] = "replanned"
    config_hash: str
    added: tuple[str, ...] = ()
    """Run ids that are new."""
    removed: tuple[str, ...] = ()
    """Run ids that are no longer planned; their results are kept."""
    runs: int
    """Runs planned now."""


class Started(Value):
    """An attempt at a run begins."""

    event: Literal["started"] = "started"
    run: str
    attempt: int


class AttemptFailed(Value):
    """An attempt failed, and another will follow."""

    event: Literal["attempt_failed"] = "attempt_failed"
    run: str
    attempt: int
    failure: Failure


class Done(Value):
    """A run gave a valid record."""

    event: Literal["done"] = "done"
    run: str
    attempt: int
    record: str
    """Path of the record, relative to the campaign folder."""
    record_sha256: str
    duration_s: float
    """Wall time of the attempt by the monotonic clock."""


class Failed(Value):
    """A run failed for good (until somebody asks to retry it)."""

    event: Literal["failed"] = "failed"
    run: str
    attempt: int
    failure: Failure
    duration_s: float


class Skipped(Value):
    """A run was left out on purpose."""

    event: Literal["skipped"] = "skipped"
    run: str
    reason: str


class InterruptedRun(Value):
    """An attempt was cut off by us or by a crash; it counts as not made."""

    event: Literal["interrupted"] = "interrupted"
    run: str
    attempt: int
    reason: str


class Closed(Value):
    """The owning process stopped working on the campaign."""

    event: Literal["closed"] = "closed"
    state: Literal["completed", "failed", "interrupted", "stopped"]
    """completed: every run done. failed: came to its end with failures. interrupted: by a signal.
    stopped: by a policy (failure threshold, disk full); resumable."""
    reason: str = ""


Event = Annotated[
    Opened | Claimed | Replanned | Started | AttemptFailed | Done | Failed | Skipped | InterruptedRun | Closed,
    Field(discriminator="event"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Stamped(Value):
    """An event with its place in the journal."""

    seq: Annotated[int, Field(ge=0)]
    """Counts from 0, without gaps."""
    at: str
    """Wall-clock time, ISO 8601 with zone. For people only: order is seq, durations are measured elsewhere."""
    body: Event
    """What happened."""
