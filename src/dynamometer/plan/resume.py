"""What is left to do: a reading of the plan and of what the journal tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.status import CampaignStatus


@dataclass(frozen=True, slots=True)
class Remaining:
    """Runs to execute, in the order of the plan, and why the others are not among them."""

    runs: tuple[tuple[str, RunRef], ...]
    """Run id and run."""
    done: int
    """Runs with a valid record."""
    failed: int
    """Failed runs that are left as they are."""
    stale: tuple[str, ...]
    """Runs that a crash left running: their attempt counts as not made, and they are in ``runs``."""


def remaining(plan: Plan, status: CampaignStatus, *, retry_failed: bool) -> Remaining:
    """Runs of the plan that have no valid record yet.

    Done runs are never repeated. Failed ones are when ``retry_failed`` says so. Interrupted, skipped and never
    started ones always are, and so is one that stands as running: the caller owns the campaign, so nobody runs it.
    """
    todo: list[tuple[str, RunRef]] = []
    stale: list[str] = []
    states: Counter[str] = Counter()
    for run_id, run in plan.by_run_id.items():
        known = status.runs.get(run_id)
        state = known.state if known else "pending"
        states[state] += 1
        if state == "completed" or (state == "failed" and not retry_failed):
            continue
        todo.append((run_id, run))
        if state == "running":
            stale.append(run_id)
    left_failed = 0 if retry_failed else states["failed"]
    return Remaining(tuple(todo), states["completed"], left_failed, tuple(stale))


@dataclass(frozen=True, slots=True)
class Change:
    """How a plan differs from the one before it."""

    added: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def compare_plans(old: Collection[str] | Sequence[str], new: Sequence[str]) -> Change:
    """Run ids that came and that went, each in its own plan's order."""
    before, after = set(old), set(new)
    return Change(
        added=tuple(run for run in new if run not in before), removed=tuple(run for run in old if run not in after)
    )
