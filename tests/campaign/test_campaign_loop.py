"""The loop: every run exactly once, failures kept apart, and a stop at any moment that loses nothing."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from tests.campaign.bench import Bench, bench, small_plan
from tests.waiting import until_it_waits

from dynamometer.campaign.loop import Places
from dynamometer.campaign.policies import Threshold, again
from dynamometer.campaign.stop import listening
from dynamometer.domain.campaign import FailureThreshold
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.errors import DiskFull, PreconditionError
from dynamometer.executors.base import Exit, Handle
from dynamometer.executors.simulated import Finished, SimulatedExecutor
from dynamometer.store.records import outcome, read_record, read_step

RUNTIME = Failure(kind="runtime", message="broken", log_tail=("last words",))
CONFIG = Failure(kind="config", message="wrong")


def completed(made: Bench) -> list[str]:
    return [run_id for run_id, run in made.journal().status().runs.items() if run.state == "completed"]


def test_every_run_is_done_once_in_order_and_the_second_walk_has_nothing_left(tmp_path: Path) -> None:
    with bench(tmp_path) as made:
        closed = made.walk()
        assert closed is not None
        assert closed.state == "completed"
        assert completed(made) == list(made.plan.run_ids)
        assert made.events() == ["opened", *["started", "done"] * 4, "closed"]
        assert made.walk() is None


def test_the_same_step_leaves_the_same_valid_record(tmp_path: Path) -> None:
    with bench(tmp_path) as made:
        made.walk()
        for run in made.journal().status().runs.values():
            assert run.record is not None
            found = read_record(made.folder.root / run.record)
            assert found.sha256 == run.record_sha256
            assert found.record.simulated
            folder = (made.folder.root / run.record).parent
            assert outcome(folder, read_step(folder)) == found


def test_failures_are_retried_and_kept_apart_and_a_config_error_never_is(tmp_path: Path) -> None:
    first, second = small_plan().experiments
    tries: list[tuple[str, int]] = []

    def fails(step: Step) -> Failure | None:
        tries.append((step.run_id, step.attempt))
        if step.experiment.id == first.id:
            return CONFIG
        return RUNTIME if step.attempt == 1 else None

    with bench(tmp_path) as made:
        closed = made.walk(SimulatedExecutor(fails=fails))
        assert closed is not None
        assert closed.state == "failed"
        assert tries == [
            (f"{first.id}-c1", 1),
            (f"{second.id}-c1", 1),
            (f"{second.id}-c1", 2),
            (f"{first.id}-c2", 1),
            (f"{second.id}-c2", 1),
            (f"{second.id}-c2", 2),
        ]
        assert made.journal().status().tally() == {"failed": 2, "completed": 2}


def test_a_failure_that_every_run_would_meet_stops_the_campaign_and_resume_makes_the_run_again(tmp_path: Path) -> None:
    full = Failure(kind="resource", message="the disk is full", hint="free some space", stops_campaign=True)
    with bench(tmp_path) as made:
        with pytest.raises(DiskFull, match="the disk is full") as caught:
            made.walk(SimulatedExecutor(fails=lambda _: full))
        assert caught.value.hint == "free some space"
        assert made.events() == ["opened", "started", "interrupted", "closed"]
        assert made.journal().status().tally() == {"interrupted": 1, "pending": 3}
        closed = made.walk()
        assert closed is not None
        assert closed.state == "completed"


def test_resume_retries_failed_runs_or_leaves_them_as_asked_and_never_repeats_done_ones(tmp_path: Path) -> None:
    first, _ = small_plan().experiments
    with bench(tmp_path) as made:
        made.walk(SimulatedExecutor(fails=lambda step: RUNTIME if step.experiment.id == first.id else None))
        assert made.walk(retry_failed=False) is None
        before = {run_id: run.record_sha256 for run_id, run in made.journal().status().runs.items() if run.record}
        closed = made.walk(retry_failed=True)
        assert closed is not None
        assert closed.state == "completed"
        after = made.journal().status().runs
        assert {run_id: after[run_id].record_sha256 for run_id in before} == before
        assert after[f"{first.id}-c1"].attempts == 3


def test_the_retry_policy() -> None:
    assert again(RUNTIME, 1, 1)
    assert not again(RUNTIME, 2, 1)
    assert again(Failure(kind="resource", message="out of memory"), 1, 1)
    assert not again(CONFIG, 1, 5)
    assert not again(RUNTIME, 1, 0)


def test_the_failure_threshold_stops_a_campaign_that_can_be_resumed(tmp_path: Path) -> None:
    made_plan = small_plan(cycles=10, execution={"retry": {"max_attempts": 0}})
    with bench(tmp_path, made_plan) as made:
        closed = made.walk(SimulatedExecutor(fails=lambda _: RUNTIME))
        assert closed is not None
        assert closed.state == "stopped"
        assert "5 of 5 runs of the campaign failed, more than failure_threshold.rate (0.5)" in closed.reason
        assert made.journal().status().tally() == {"failed": 5, "pending": 15}
        assert made.walk(go_on=lambda _: True) is not None
        assert made.journal().status().tally() == {"completed": 20}


def test_the_threshold_counts_by_scope() -> None:
    overall = Threshold(FailureThreshold(rate=0.5))
    per_cycle = Threshold(FailureThreshold(rate=0.5, scope="per_cycle"))
    outcomes = [(1, False)] * 5 + [(2, True)] * 5
    assert [bool(overall.finished(cycle, failed=failed)) for cycle, failed in outcomes] == [False] * 10
    assert [bool(per_cycle.finished(cycle, failed=failed)) for cycle, failed in outcomes] == [False] * 9 + [True]
    per_cycle.accept(2)
    assert per_cycle.finished(2, failed=True) is None


class StopsAtRun:
    """An executor whose n-th run hangs until it is stopped."""

    def __init__(self, made: Bench, at: int, times: int = 1) -> None:
        self.made, self.at, self.times, self.graces = made, at, times, list[float]()

    def start(self, step: Step, folder: Path, /) -> Handle:
        self.at -= 1
        if self.at:
            return SimulatedExecutor().start(step, folder)
        for _ in range(self.times):
            self.made.stop.request(signal.SIGINT)
        return Hanging(self.graces)


class Hanging:
    def __init__(self, graces: list[float]) -> None:
        self.graces = graces

    def wait(self, _timeout_s: float, _wake_fd: int | None = None, /) -> Exit | None:
        return None

    def stop(self, grace_s: float, _wake_fd: int | None = None, /) -> Exit:
        self.graces.append(grace_s)
        return Exit(None, 15)


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize(("times", "grace"), [(1, 5.0), (2, 0.0)])
def test_a_stop_in_a_run_interrupts_it_and_resume_finishes_everything_once(
    at: int, times: int, grace: float, tmp_path: Path
) -> None:
    with bench(tmp_path) as made:
        executor = StopsAtRun(made, at, times)
        closed = made.walk(executor)
        assert closed is not None
        assert (closed.state, closed.reason) == ("interrupted", "stopped by SIGINT")
        assert executor.graces == [grace]
        assert made.events()[-2:] == ["interrupted", "closed"]
    with bench(tmp_path) as again_made:
        again_made.folder = made.folder
        again_made.walk()
        assert sorted(completed(again_made)) == sorted(made.plan.run_ids)
        assert again_made.events().count("done") == 4


def test_a_worker_that_the_same_ctrl_c_ended_was_interrupted_and_did_not_fail(tmp_path: Path) -> None:
    """A terminal's Ctrl-C reaches a worker that has not yet left our group."""

    class Shared:
        def start(self, _step: Step, _folder: Path, /) -> Handle:
            made.stop.request(signal.SIGINT)
            return Finished(Exit(None, signal.SIGINT))

    with bench(tmp_path) as made:
        closed = made.walk(Shared())
        assert closed is not None
        assert closed.state == "interrupted"
        assert made.events() == ["opened", "started", "interrupted", "closed"]


def test_a_run_that_a_crash_left_running_is_marked_and_run_in_a_new_attempt(tmp_path: Path) -> None:
    class Dies(Exception):
        pass

    class Crashing:
        def start(self, _step: Step, _folder: Path, /) -> Handle:
            raise Dies

    with bench(tmp_path) as made:
        with pytest.raises(Dies):
            made.walk(Crashing())
        assert made.events() == ["opened", "started"]
        made.walk()
        assert made.events()[2:5] == ["interrupted", "started", "done"]
        run = made.journal().status().runs[made.plan.run_ids[0]]
        assert (run.state, run.attempts) == ("completed", 2)


@pytest.mark.parametrize("ended", [Exit(0), Exit(1, None, "Traceback"), Exit(None, 9), Exit(None, 11)])
def test_an_exit_code_is_never_success(ended: Exit, tmp_path: Path) -> None:
    class LeavesNothing:
        def start(self, _step: Step, _folder: Path, /) -> Handle:
            return Finished(ended)

    with bench(tmp_path, small_plan(cycles=1, execution={"retry": {"max_attempts": 0}})) as made:
        closed = made.walk(LeavesNothing())
        assert closed is not None
        assert closed.state == "failed"
        run = made.journal().status().runs[made.plan.run_ids[0]]
        assert run.failure is not None
        assert "the worker ended without a report" in run.failure.message
        assert run.failure.kind == ("resource" if ended.signal == 9 else "runtime")


@pytest.mark.parametrize("damage", ["record", "samples", "other run"])
def test_a_record_that_does_not_hold_up_is_a_failure(damage: str, tmp_path: Path) -> None:
    class Damages:
        def start(self, step: Step, folder: Path, /) -> Handle:
            if damage == "other run":
                step = step.model_copy(update={"run_id": "other"})
            handle = SimulatedExecutor().start(step, folder)
            if damage != "other run":
                path = folder / ("record.json" if damage == "record" else "samples.jsonl")
                path.write_bytes(path.read_bytes()[:-40])
            return handle

    with bench(tmp_path, small_plan(cycles=1, execution={"retry": {"max_attempts": 0}})) as made:
        made.walk(Damages())
        run = made.journal().status().runs[made.plan.run_ids[0]]
        assert run.state == "failed"
        assert run.failure is not None
        assert "the record does not hold up" in run.failure.message


def test_files_that_went_away_fail_their_runs_as_configuration(tmp_path: Path) -> None:
    def gone(_: int) -> Places:
        raise PreconditionError("models/m.gguf is gone")

    with bench(tmp_path) as made:
        made.walk(places=gone)
        kinds = {run.failure.kind for run in made.journal().status().runs.values() if run.failure}
        assert kinds == {"config"}
        assert made.events().count("attempt_failed") == 0


def test_pauses_come_between_runs_and_longer_ones_between_cycles(tmp_path: Path) -> None:
    heard: list[float] = []
    thermal = {"between_experiments": "1ms", "between_cycles": "2ms"}
    with bench(tmp_path, small_plan(execution={"thermal": thermal})) as made:
        made.walk(on_pause=heard.append)
    assert heard == [0.001, 0.002, 0.001]


def test_a_stop_during_a_pause_ends_it_at_once(tmp_path: Path) -> None:
    with bench(tmp_path, small_plan(execution={"thermal": {"between_experiments": "1h"}})) as made:
        closed = made.walk(on_pause=lambda _: made.stop.request(signal.SIGTERM))
        assert closed is not None
        assert closed.reason == "stopped by SIGTERM"
        assert made.journal().status().tally() == {"completed": 1, "pending": 3}


def test_a_threshold_broken_by_the_last_run_stops_nothing(tmp_path: Path) -> None:
    made_plan = small_plan(cycles=3, execution={"retry": {"max_attempts": 0}})
    with bench(tmp_path, made_plan) as made:
        first, *_ = made.plan.run_ids
        made.walk(SimulatedExecutor(fails=lambda step: RUNTIME if step.run_id != first else None), go_on=lambda _: True)
        assert made.journal().status().state == "failed"
    only_five = small_plan(cycles=5, quants={"include_only": ["Q4_0"]}, execution={"retry": {"max_attempts": 0}})
    with bench(tmp_path, only_five) as made:
        closed = made.walk(SimulatedExecutor(fails=lambda _: RUNTIME))
        assert closed is not None
        assert closed.state == "failed"


def test_who_is_told_of_a_signal_may_wait_for_what_the_interrupted_code_holds() -> None:
    display = threading.Lock()
    told: list[int] = []

    def on_request(times: int) -> None:
        with display:
            told.append(times)

    with listening(on_request) as stop, display:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert (stop.times, stop.signal, told) == (2, signal.SIGINT, [])
    assert told == [1, 2]


def test_a_signal_that_interrupts_no_wait_ends_it() -> None:
    """Another thread gets the signal, when we wait: the wait is as untouched as by one that comes right before it."""
    us = threading.get_native_id()

    def signal_when_it_waits() -> None:
        until_it_waits(os.getpid(), us)
        os.kill(os.getpid(), signal.SIGHUP)

    with listening(lambda _times: None) as stop:
        other = threading.Thread(target=signal_when_it_waits)
        other.start()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
        try:
            stop.pause(600)  # longer than a test may take
            assert stop.requested
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            other.join()
