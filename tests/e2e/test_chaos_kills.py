"""kill -9 of anybody at any moment: nothing survives, nothing is lost, nothing is counted twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
from tests.lab import Lab, assert_finished, gone, until

from dynamometer.domain.event import Failed
from dynamometer.store import open as campaigns
from dynamometer.store.records import WorkerMark, read_mark

LONGEST_WAIT_S = 0.5
"""A little longer than a run takes, so that kills fall anywhere in one."""


def orchestrator(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def group(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


@pytest.mark.parametrize(("kill", "seed"), [(orchestrator, 1), (orchestrator, 2), (group, 3)])
def test_killed_at_random_moments_and_resumed_until_done(kill: Callable[[int], None], seed: int, lab: Lab) -> None:
    random, kills = Random(seed), 0
    file = lab.file(cycles=3, loads=[1, 2])
    while kills < 6:
        process = lab.start("campaign", "run", file, "--resume", "-q")
        if not lab.until("claimed", kills + 1, process):
            break
        time.sleep(random.uniform(0, LONGEST_WAIT_S))
        kill(process.pid)
        process.wait()
        kills += 1
        gone(lab)
        standing = campaigns.read_status(lab.folder.root)
        assert standing.status.state in ("interrupted", "completed")
        assert not standing.alive
        assert "running" not in standing.status.tally()
    assert kills >= 3, "the campaign was over before it could be killed"
    told = lab.dyno("campaign", "status").out
    assert "(its process died)" in told or "completed" in told
    last = lab.dyno("campaign", "run", file, "--resume", "-q")
    assert last.code == 0, last.err
    assert_finished(lab.folder, most_repeats=kills)
    assert not lab.left_over()


def engine_up(lab: Lab) -> WorkerMark:
    """Wait until the running attempt has started its engine."""
    found: list[WorkerMark] = []

    def look() -> bool:
        mark = mark_of_the_running_attempt(lab)
        found[:] = [mark] if mark is not None and mark.engine_pgid is not None else []
        return bool(found)

    until(look)
    return found[0]


def mark_of_the_running_attempt(lab: Lab) -> WorkerMark | None:
    attempts = [attempt for folder in lab.folders for attempt in folder.attempts()]
    marks = [mark for attempt in attempts if (mark := read_mark(attempt)) is not None]
    return next((mark for mark in marks if psutil.pid_exists(mark.pid)), None)


@pytest.mark.parametrize("victim", ["worker", "engine"])
def test_a_killed_worker_or_engine_fails_its_attempt_and_the_campaign_goes_on(victim: str, lab: Lab) -> None:
    random = Random(victim)
    file = lab.file(
        cycles=3, loads=[1], options={"itl_ms": 120, "orphan": True}, execution={"retry": {"max_attempts": 9}}
    )
    process = lab.start("campaign", "run", file, "--json")
    pids: set[int] = set()

    def found() -> int | None:
        mark = mark_of_the_running_attempt(lab)
        return (mark.pid if victim == "worker" else mark.engine_pgid) if mark else None

    for _ in range(4):
        until(lambda: process.poll() is not None or (found() or 0) not in (0, *pids))
        time.sleep(random.uniform(0, 0.1))
        pid = found()
        assert pid is not None
        pids.add(pid)
        os.kill(pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    failures = [event for event in lab.events() if event == "attempt_failed"]
    assert len(failures) == 4
    assert_finished(lab.folder, most_repeats=4)
    assert not lab.left_over()


def test_all_killed_at_once_leaves_a_stray_that_the_next_owner_ends(lab: Lab) -> None:
    """The one process the kernel cannot end for us: it left its session and its parents died together."""
    file = lab.file(cycles=1, loads=[1], options={"ttft_ms": 1000, "orphan": True})
    process = lab.start("campaign", "run", file, "-q")
    mark = engine_up(lab)
    until(lambda: len(lab.left_over()) >= 3)
    os.kill(mark.pid, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    os.kill(mark.pid, signal.SIGKILL)
    process.wait()
    until(lambda: len(lab.left_over()) == 1)
    again = lab.dyno("campaign", "run", file, "--resume")
    assert again.code == 0
    assert "1 processes that an earlier crash left behind were stopped" in again.err
    assert_finished(lab.folder, most_repeats=1)
    assert not lab.left_over()


def test_killed_between_the_last_run_and_the_last_word(lab: Lab) -> None:
    file = lab.file(cycles=1)
    assert lab.dyno("campaign", "run", file, "-q").code == 0
    journal = lab.folder.journal
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b'"closed"' in lines[-1]
    journal.write_bytes(b"".join(lines[:-1]))
    assert lab.dyno("campaign", "status", "--json").json()["state"] == "interrupted"
    again = lab.dyno("campaign", "run", file, "--resume")
    assert (again.code, "nothing left to do: 2 of 2" in again.err) == (0, True)
    assert_finished(lab.folder)


FAULTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("start_failure", {"fault": "start_failure"}, "config", "could not start, as asked"),
    ("never_healthy", {"fault": "never_healthy"}, "resource", "was not ready within execution.timeout"),
    ("crash after one", {"fault": "crash", "fault_after": 1}, "runtime", "crash"),
    ("killed", {"fault": "kill", "fault_after": 1}, "runtime", "SIGKILL"),
    ("silent", {"fault": "hang"}, "resource", ""),
]


@pytest.mark.parametrize(
    ("options", "kind", "words"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_an_engine_that_fails_is_classified_told_and_gone(
    options: dict[str, Any], kind: str, words: str, lab: Lab
) -> None:
    options = {**options, "orphan": True} if options["fault"] != "start_failure" else options
    file = lab.file(
        cycles=1,
        loads=[1],
        options={**options, "log_kb": 1},
        execution={"timeout": "4s" if kind == "resource" else "100s"},  # only those end by it
    )
    ended = lab.dyno("campaign", "run", file)
    assert ended.code == 4
    assert "campaign failed" in ended.err
    failures = [stamped.body for stamped in lab.journal().events if isinstance(stamped.body, Failed)]
    assert [failure.failure.kind for failure in failures] == [kind]
    assert words in failures[0].failure.message
    assert failures[0].failure.log_tail
    assert failures[0].duration_s < 60
    status = lab.dyno("campaign", "status")
    assert f"{kind}: " in status.out
    assert not lab.left_over()


def test_an_engine_that_spams_its_log_and_leaves_a_child_is_measured_and_gone(lab: Lab) -> None:
    file = lab.file(cycles=1, loads=[1], options={"log_kb": 20_000, "orphan": True})
    ended = lab.dyno("campaign", "run", file, "-q")
    assert ended.code == 0, ended.err
    assert_finished(lab.folder)
    log = next(Path(lab.folder.runs).glob("*/attempt-1/engine.log"))
    assert log.stat().st_size >= 20_000 * 1024
    assert not lab.left_over()


@pytest.mark.engine
@pytest.mark.parametrize("kill", [orchestrator, group])
def test_the_real_engine_does_not_outlive_us_and_resume_finishes(kill: Callable[[int], None], lab: Lab) -> None:
    options = {"n_threads": 1, "n_parallel": 1, "ttft_ms": None, "itl_ms": None}
    file = lab.file(cycles=2, loads=[1], engine="llama_cpp", options=options, workload={"max_output_tokens": 64})
    process = lab.start("campaign", "run", file, "-q")
    mark = engine_up(lab)
    assert mark.engine_pgid is not None
    assert psutil.pid_exists(mark.engine_pgid)
    kill(process.pid)
    process.wait()
    gone(lab)
    assert not psutil.pid_exists(mark.engine_pgid)
    again = lab.dyno("campaign", "run", file, "--resume", "-q")
    assert again.code == 0, again.err
    assert_finished(lab.folder, most_repeats=1)
