"""One step in a folder: a valid record or a classified failure, whatever the engine does, and nothing left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.lab import Lab, until

from dynamometer import __version__
from dynamometer.domain.experiment import Experiment, Load, Warmup, Weights, Workload
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.engines import shield
from dynamometer.store.records import Success, outcome, read_mark, read_samples, write_step

FAST: dict[str, Any] = {"ttft_ms": 1.0, "itl_ms": 0.0}


def step(model: Path | None, timeout_s: float = 20, engine: str = "fake", **options: Any) -> Step:
    workload = Workload(
        load=Load(concurrency=1), requests=2, max_output_tokens=4, warmup=Warmup(max_requests=0), dataset="builtin"
    )
    weights = Weights(format="gguf", source="path", ref="m.gguf")
    return Step(
        campaign_id="c",
        run_id="r-c1",
        cycle=1,
        attempt=1,
        experiment=Experiment(engine=engine, model="m", weights=weights, options=options, workload=workload),
        weights_path=str(model) if model else None,
        timeout_s=timeout_s,
        energy_source="none",
    )


def worked(lab: Lab, made: Step, *words: str) -> tuple[int, Success | Failure | None, str]:
    """Run the worker; its exit code, what it left, and what it said."""
    folder = lab.cwd / "attempt-1"
    folder.mkdir()
    write_step(folder, made)
    said = lab.dyno("worker", folder, *words)
    return said.code, outcome(folder, made), said.err


def test_a_good_step_leaves_a_record_its_samples_and_the_engines_log(lab: Lab) -> None:
    code, found, err = worked(lab, step(lab.model, **FAST))
    assert isinstance(found, Success), err
    assert code == 0
    record = found.record
    samples = read_samples(lab.cwd / "attempt-1" / record.samples_file)
    assert record.requests == record.good == sum(sample.phase == "window" for sample in samples) == 2
    assert record.simulated
    assert record.model.sha256
    assert 0 < record.window.end_ns - record.window.begin_ns < record.duration_ns
    assert "listens on" in (lab.cwd / "attempt-1" / "engine.log").read_text()
    mark = read_mark(lab.cwd / "attempt-1")
    assert mark is not None
    assert mark.engine_pgid is not None
    assert not psutil.pid_exists(mark.engine_pgid)


def test_several_client_processes_are_recorded_and_gone(lab: Lab) -> None:
    alone = step(lab.model, **FAST)
    workload = alone.experiment.workload.model_copy(update={"load": Load(concurrency=2), "requests": 8})
    experiment = alone.experiment.model_copy(update={"workload": workload})
    code, found, err = worked(lab, alone.model_copy(update={"experiment": experiment, "client_processes": 2}))
    assert isinstance(found, Success), err
    assert code == 0
    assert (found.record.client.processes, found.record.requests, found.record.good) == (2, 8, 8)
    assert found.record.client.cpu_s > 0
    assert not lab.left_over()


def test_a_client_process_that_dies_fails_the_run(lab: Lab) -> None:
    alone = step(lab.model, ttft_ms=50.0, itl_ms=50.0)
    workload = alone.experiment.workload.model_copy(update={"load": Load(concurrency=2), "requests": 800})
    experiment = alone.experiment.model_copy(update={"workload": workload})
    folder = lab.cwd / "attempt-1"
    folder.mkdir()
    shared = alone.model_copy(update={"experiment": experiment, "client_processes": 2})
    write_step(folder, shared)
    worker = lab.start("worker", folder)
    clients: list[psutil.Process] = []

    def begun() -> bool:
        children = psutil.Process(worker.pid).children()
        with suppress(psutil.NoSuchProcess):  # another child may end while we look
            clients[:] = [each for each in children if "dynamometer.client.process" in each.cmdline()]
            return len(clients) == 2 and all(len(each.net_connections()) == 1 for each in clients)
        return False

    until(begun)
    clients[0].kill()
    _, err = worker.communicate(timeout=60)
    found = outcome(folder, shared)
    assert isinstance(found, Failure), err
    assert (found.kind, found.message) == ("resource", "a process of the client died (signal SIGKILL)")
    assert not lab.left_over()


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"fault": "start_failure", "log_kb": 1}, "config", "could not start"),
        ({"fault": "crash"}, "runtime", "crashed"),
        ({"fault": "kill"}, "runtime", ""),
        ({"fault": "never_healthy"}, "resource", "not ready within execution.timeout"),
        ({"fault": "hang"}, "resource", "answered"),
        ({"fault": "status"}, "runtime", "answered whole: 2 × "),
        ({"fault": "html"}, "runtime", "answered whole: 2 × "),
        ({"fault": "no_answer"}, "runtime", "answered whole: 2 × "),
        ({"fault": "malformed"}, "runtime", "answered whole: 2 × "),
        ({"fault": "empty"}, "runtime", "answered whole: 2 × "),
    ],
)
def test_failures_are_classified_and_carry_the_log(options: dict[str, Any], kind: str, words: str, lab: Lab) -> None:
    # What ends by the time limit has one that it can wait for; the others have all the time of a slow machine.
    timeout_s = {"never_healthy": 1.5, "hang": 4.0}.get(options["fault"], 60.0)
    code, found, err = worked(lab, step(lab.model, timeout_s=timeout_s, **FAST, **options))
    assert code == 1, err
    assert isinstance(found, Failure), err
    assert (found.kind, words in found.message) == (kind, True), found
    assert found.log_tail
    assert not (lab.cwd / "attempt-1" / "record.json").exists()
    assert not lab.left_over()


def test_one_good_answer_of_two_is_a_record_that_says_so(lab: Lab) -> None:
    _, found, err = worked(lab, step(lab.model, **FAST, fault="status", fault_after=2))
    assert isinstance(found, Success), err
    assert (found.record.requests, found.record.good) == (2, 1)
    assert sum(found.record.errors.values()) == 1


@pytest.mark.parametrize("damage", ["cut", "gone", "engine", "prompts"])
def test_what_cannot_work_is_a_configuration_failure_and_no_engine_is_started(damage: str, lab: Lab) -> None:
    bad = lab.root / "bad.gguf"
    bad.write_bytes(lab.model.read_bytes()[:-5000])
    made = {
        "cut": lambda: step(bad),
        "gone": lambda: step(lab.root / "nowhere.gguf"),
        "engine": lambda: step(lab.model, engine="nosuch"),
        "prompts": lambda: step(lab.model).model_copy(update={"dataset_path": "/no/such.jsonl"}),
    }[damage]()
    code, found, err = worked(lab, made)
    assert code == 1, err
    assert isinstance(found, Failure), err
    assert found.kind in ("config", "resource")
    assert not (lab.cwd / "attempt-1" / "engine.log").exists()


CRASH = """
from dynamometer.worker import step
def broken(found, folder):
    folder.no_such_name
step.run_step = broken
"""


def test_a_bug_of_ours_is_told_with_its_place_and_the_log_has_what_a_report_needs(lab: Lab) -> None:
    (lab.root / "sitecustomize.py").write_text(CRASH)
    folder = lab.cwd / "attempt-1"
    folder.mkdir()
    made = step(lab.model)
    write_step(folder, made)
    said = lab.dyno("worker", folder, env={"PYTHONPATH": f"{lab.root}{os.pathsep}{lab.env['PYTHONPATH']}"})
    found = outcome(folder, made)
    assert said.code == 1
    assert isinstance(found, Failure), said.err
    assert found.message.startswith(
        "the worker crashed: AttributeError: 'PosixPath' object has no attribute 'no_such_name'"
    )
    assert re.search(r" \(worker/step\.py:\d+, in main\)$", found.message)
    assert "runs/r-c1/attempt-1/worker.log" in (found.hint or "")
    assert found.log_tail[-1].startswith("AttributeError")
    assert f"the worker crashed: dyno {__version__}, Python {sys.version.split()[0]}" in said.err
    assert "Traceback (most recent call last)" in said.err


def test_a_worker_told_to_stop_leaves_neither_record_nor_failure_nor_engine(lab: Lab) -> None:
    folder = lab.cwd / "attempt-1"
    folder.mkdir()
    made = step(lab.model, **{**FAST, "ttft_ms": 60_000.0})
    write_step(folder, made)
    process = lab.start("worker", folder)
    until(lambda: (mark := read_mark(folder)) is not None and mark.engine_pgid is not None)
    mark = read_mark(folder)
    assert mark is not None
    assert mark.engine_pgid is not None
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert outcome(folder, made) is None
    assert not psutil.pid_exists(mark.engine_pgid)


def test_a_worker_whose_parent_is_gone_starts_nothing(lab: Lab) -> None:
    code, found, err = worked(lab, step(lab.model), "--parent", "999999999")
    assert (code, found) == (1, None)
    assert "the parent process 999999999 is gone" in err
    assert not (lab.cwd / "attempt-1" / "engine.log").exists()


def shielded(parent: int, *argv: str) -> list[str]:
    return [sys.executable, "-I", "-S", shield.__file__, str(parent), *argv]


def test_the_shield_starts_nothing_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    ended = subprocess.run(
        shielded(999_999_999, "touch", str(canary)), capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 1
    assert "is gone" in ended.stderr
    assert not canary.exists()


def test_the_shield_hands_arguments_over_byte_for_byte(tmp_path: Path) -> None:
    nasty = ["$(touch canary)", "`id`", ";", "a\nb", "-x", "--privileged", "*", "", "ä\udcff", "'\""]
    show = "import sys, os; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    ended = subprocess.run(
        shielded(os.getpid(), sys.executable, "-I", "-c", show, *nasty), capture_output=True, cwd=tmp_path, check=True
    )
    assert ended.stdout.split(b"\0") == [os.fsencode(word) for word in nasty]
    assert not list(tmp_path.iterdir())


def test_the_shielded_die_with_their_parent() -> None:
    sleeper = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
    start = f"[{sys.executable!r}, '-I', '-S', {shield.__file__!r}, str(os.getpid()), *{sleeper!r}]"
    code = f"import subprocess, os, time; p = subprocess.Popen({start}); print(p.pid, flush=True); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        until(lambda: "time.sleep(600)" in " ".join(child.cmdline()) and shield.__file__ not in child.cmdline())
        parent.send_signal(signal.SIGKILL)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_durations_come_from_the_monotonic_clock(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that jumps back an hour at every look changes no duration."""
    site = lab.root / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import time, itertools\nreal, looks = time.time, itertools.count()\n"
        "time.time = lambda: real() - 3600 * next(looks)\n"
        "time.time_ns = lambda: int(time.time() * 1e9)\n"
    )
    folder = lab.cwd / "attempt-1"
    folder.mkdir()
    made = step(lab.model, **FAST)
    write_step(folder, made)
    begin = time.monotonic()
    path = os.pathsep.join([str(site), lab.env["PYTHONPATH"]])
    said = lab.dyno("worker", folder, env={"PYTHONPATH": path})
    took = time.monotonic() - begin
    found = outcome(folder, made)
    assert isinstance(found, Success), said.err
    assert 0 < found.record.duration_ns / 1e9 < took
    assert found.record.engine.load_ns is not None
    assert 0 < found.record.engine.load_ns / 1e9 < took
    assert 0 < found.record.client.wall_s < took
