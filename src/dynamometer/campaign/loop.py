"""The loop: walk the runs that are left, one after the other, and write down what happens."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dynamometer.campaign.policies import Threshold, again
from dynamometer.campaign.stop import StopRequest
from dynamometer.domain.event import AttemptFailed, Closed, Done, Failed, InterruptedRun, Started
from dynamometer.domain.failure import Failure
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.status import RunStatus
from dynamometer.domain.step import Step
from dynamometer.errors import DiskFull, PreconditionError
from dynamometer.executors.base import Executor, Exit, Handle
from dynamometer.plan.estimate import pause_before
from dynamometer.plan.resume import Remaining
from dynamometer.store.files import make_folder
from dynamometer.store.journal import JournalWriter
from dynamometer.store.layout import RECORD, CampaignFolder
from dynamometer.store.records import Success, log_tail, outcome, write_step

STOP_GRACE_S = 5.0
OVERDUE_S = 30.0
"""How long past its own time limit a worker may take to report; then it is stopped from outside."""
LEAST_FREE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Places:
    """Where an experiment's files are on the machine that runs it."""

    weights: str | None
    dataset: str | None
    trace: str | None = None


class Stopped(Exception):
    """We were told to stop while a run was under way."""


@dataclass(slots=True)
class Loop:
    """One owner's walk over a plan."""

    plan: Plan
    folder: CampaignFolder
    journal: JournalWriter
    executor: Executor
    stop: StopRequest
    places: Callable[[int], Places]
    """Experiment (index in the plan) -> where its files are; raises PreconditionError when they are gone."""
    go_on: Callable[[str], bool] = lambda _: False
    """Asked when the failure threshold is broken."""
    on_pause: Callable[[float], None] = lambda _: None
    """Told before a thermal pause, in seconds."""

    def walk(self, remaining: Remaining) -> Closed:
        """Run what is left. Returns how it ended, which is in the journal by then.

        Raises DiskFull; the campaign can then be resumed.
        """
        for run_id in remaining.stale:
            attempt = self.journal.status.runs[run_id].attempts
            self.journal.append(InterruptedRun(run=run_id, attempt=attempt, reason="its process died"))
        try:
            closed = self._walk(remaining)
        except PreconditionError as error:
            self._close_short(error)
            raise
        self.journal.append(closed)
        return closed

    def _close_short(self, error: PreconditionError) -> None:
        """Say in the journal why we stop, if it can still be written; if not, the lock tells that nobody works."""
        with suppress(PreconditionError):
            for run_id, run in self.journal.status.runs.items():
                if run.state == "running":
                    self.journal.append(InterruptedRun(run=run_id, attempt=run.attempts, reason=error.message))
            self.journal.append(Closed(state="stopped", reason=error.message))

    def _walk(self, remaining: Remaining) -> Closed:
        threshold = Threshold(self.plan.campaign.execution.failure_threshold)
        previous: RunRef | None = None
        for run_id, run in remaining.runs:
            self._pause(previous, run)
            if self.stop.requested:
                return self._interrupted()
            try:
                failed = self._run(run_id, run)
            except Stopped:
                return self._interrupted()
            reason = threshold.finished(run.cycle, failed=failed)
            if reason and run_id != remaining.runs[-1][0]:  # after the last run there is nothing to stop
                if not self.go_on(reason):
                    return Closed(state="stopped", reason=reason)
                threshold.accept(run.cycle)
            previous = run
        tally = self.journal.status.tally()
        return Closed(state="failed" if tally.get("failed") else "completed")

    def _interrupted(self) -> Closed:
        name = self.stop.signal.name if self.stop.signal else "a request"
        return Closed(state="interrupted", reason=f"stopped by {name}")

    def _pause(self, previous: RunRef | None, run: RunRef) -> None:
        seconds = pause_before(previous, run, self.plan.campaign.execution.thermal)
        if seconds:
            self.on_pause(seconds)
            self.stop.pause(seconds)

    def _run(self, run_id: str, run: RunRef) -> bool:
        """Try a run until it gives a record or fails for good; returns whether it failed."""
        retries = self.plan.campaign.execution.retry.max_attempts
        failures = 0
        while True:
            attempt = self._next_attempt(run_id)
            begin = time.monotonic()
            result = self._attempt(run_id, run, attempt)
            duration = time.monotonic() - begin
            if isinstance(result, Success):
                record = self.folder.relative(self.folder.attempt(run_id, attempt) / RECORD)
                self.journal.append(
                    Done(run=run_id, attempt=attempt, record=record, record_sha256=result.sha256, duration_s=duration)
                )
                return False
            failures += 1
            if not again(result, failures, retries):
                self.journal.append(Failed(run=run_id, attempt=attempt, failure=result, duration_s=duration))
                return True
            self.journal.append(AttemptFailed(run=run_id, attempt=attempt, failure=result))

    def _next_attempt(self, run_id: str) -> int:
        """A number that neither the journal nor a folder has: after a repair, there may be more folders than events."""
        attempt = self.journal.status.runs.get(run_id, RunStatus()).attempts + 1
        while self.folder.attempt(run_id, attempt).exists():
            attempt += 1
        return attempt

    def _attempt(self, run_id: str, run: RunRef, attempt: int) -> Success | Failure:
        """One attempt in a folder of its own. Raises Stopped when we are told to stop."""
        self._require_space()
        self.journal.append(Started(run=run_id, attempt=attempt))
        folder = self.folder.attempt(run_id, attempt)
        step = self._step(run_id, run, attempt)
        if isinstance(step, Failure):
            return step
        make_folder(folder)
        write_step(folder, step)
        ended = self._wait(self.executor.start(step, folder), run_id, attempt, step.timeout_s)
        self._require_space()
        found = outcome(folder, step)
        if found is None and self.stop.requested:
            # A terminal's Ctrl-C reaches its whole group, and a worker is in it until it has one of its own.
            self._note_interruption(run_id, attempt)
        found = found or _no_report(ended, folder)
        if isinstance(found, Failure) and found.stops_campaign:
            raise DiskFull(found.message, found.hint)
        return found

    def _step(self, run_id: str, run: RunRef, attempt: int) -> Step | Failure:
        experiment, campaign = self.plan.experiment_of(run), self.plan.campaign
        try:
            places = self.places(run.experiment)
        except PreconditionError as error:
            return Failure(kind="config", message=error.message, hint=error.hint)
        return Step(
            campaign_id=self.journal.status.campaign_id,
            run_id=run_id,
            cycle=run.cycle,
            attempt=attempt,
            experiment=experiment,
            weights_path=places.weights,
            dataset_path=places.dataset,
            trace_path=places.trace,
            timeout_s=campaign.execution.timeout,
            energy_source=campaign.energy.source,
            client_processes=campaign.execution.client_processes,
        )

    def _wait(self, handle: Handle, run_id: str, attempt: int, timeout_s: float) -> Exit:
        ended = handle.wait(timeout_s + OVERDUE_S, self.stop.wake_fd)
        if ended is not None:
            return ended
        if self.stop.requested:
            self.stop.calm()
            handle.stop(STOP_GRACE_S if self.stop.times == 1 else 0.0, self.stop.wake_fd)
            self._note_interruption(run_id, attempt)
        return handle.stop(STOP_GRACE_S)

    def _note_interruption(self, run_id: str, attempt: int) -> NoReturn:
        self.journal.append(InterruptedRun(run=run_id, attempt=attempt, reason=self._interrupted().reason))
        raise Stopped

    def _require_space(self) -> None:
        """Stop while the journal can still be written, not after every run has failed for want of room."""
        space = os.statvfs(self.folder.root)
        if space.f_bavail * space.f_frsize < LEAST_FREE_BYTES:
            raise DiskFull(
                f"the disk is full: {self.folder.root} has less than {LEAST_FREE_BYTES // 1024} kB left",
                hint="free some space",
            )


def _no_report(ended: Exit, folder: Path) -> Failure:
    """A worker that left neither record nor failure."""
    how = f"signal {ended.signal}" if ended.signal is not None else f"exit code {ended.code}"
    words = f": {ended.message}" if ended.message else ""
    kind = "resource" if ended.signal == 9 else "runtime"
    return Failure(kind=kind, message=f"the worker ended without a report ({how}){words}", log_tail=log_tail(folder))
