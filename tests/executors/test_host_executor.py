"""Workers as child processes: waited for without polling, stopped with all they started, words of theirs kept."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.lab import until

from dynamometer.domain.experiment import Experiment, Weights
from dynamometer.domain.step import Step
from dynamometer.engines.process import MARK, EngineProcess, marked, sweep
from dynamometer.executors.host import HostExecutor, last_words

STEP = Step(
    campaign_id="c",
    run_id="r-c1",
    cycle=1,
    attempt=1,
    experiment=Experiment(engine="fake", model="m", weights=Weights(format="gguf", source="path", ref="m")),
    timeout_s=9,
)
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""


def worker(tmp_path: Path, code: str) -> HostExecutor:
    """An executor whose worker is this program instead of ours."""
    program = tmp_path / "worker"
    program.write_text(f"#!{sys.executable} -I\n{code}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return HostExecutor(str(program))


def attempt(tmp_path: Path) -> Path:
    folder = tmp_path / "attempt-1"
    folder.mkdir()
    return folder


def until_said(folder: Path, words: str) -> None:
    until(lambda: words in (folder / "worker.log").read_text())


def test_what_a_worker_is_told_and_how_it_ended(tmp_path: Path) -> None:
    show = f"import os, sys; print(sys.argv[1:], os.environ[{MARK!r}], os.getsid(0) == os.getpid()); sys.exit(5)"
    folder = attempt(tmp_path)
    ended = worker(tmp_path, show).start(STEP, folder).wait(60)
    assert ended is not None
    assert (ended.code, ended.signal) == (5, None)
    argv = ["-P", "-m", "dynamometer", "worker", str(folder), "--parent", str(os.getpid())]
    assert ended.message == f"{argv} {folder} True"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("one\ntwo\n", "two"),
        (
            "noise\nerror: no module named x\nhint: report it with y\n",
            "error: no module named x; hint: report it with y",
        ),
        ("error: first\nerror: second\n", "error: second"),
    ],
)
def test_the_last_words_of_a_worker_are_its_error_and_not_only_its_hint(log: str, words: str) -> None:
    assert last_words(log) == words


def test_a_wait_ends_by_time_or_by_the_wake_descriptor(tmp_path: Path) -> None:
    handle = worker(tmp_path, "import time; time.sleep(600)").start(STEP, attempt(tmp_path))
    read, write = os.pipe()
    assert handle.wait(0.05) is None
    os.write(write, b"!")
    assert handle.wait(600, read) is None, "600 s are longer than a test may take"
    assert handle.stop(5).signal == 15
    assert handle.wait(1) == handle.stop(1)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("hurry", [False, True])
def test_a_worker_that_will_not_end_is_killed_with_what_it_daemonised(hurry: bool, tmp_path: Path) -> None:
    folder = attempt(tmp_path)
    handle = worker(tmp_path, STUBBORN).start(STEP, folder)
    until_said(folder, "ready")
    assert len(marked(str(folder))) == 2
    read, write = os.pipe()
    if hurry:
        os.write(write, b"!")
    ended = handle.stop(600 if hurry else 0.2, read)  # 600 s are longer than a test may take
    assert ended.signal == 9
    assert marked(str(folder)) == []
    os.close(read)
    os.close(write)


def test_a_mark_is_of_one_folder_and_not_of_its_namesakes(tmp_path: Path) -> None:
    for name in ("attempt-1", "attempt-10"):
        (tmp_path / name).mkdir()
    executor = worker(tmp_path, "import time; print('ready', flush=True); time.sleep(600)")
    handles = [executor.start(STEP, tmp_path / name) for name in ("attempt-1", "attempt-10")]
    for name in ("attempt-1", "attempt-10"):
        until_said(tmp_path / name, "ready")
    assert len(marked(str(tmp_path / "attempt-1"))) == 1
    assert len(marked(str(tmp_path))) == 2
    for handle in handles:
        handle.stop(0)


def test_an_engine_that_spams_is_drained_and_its_exit_code_told(tmp_path: Path) -> None:
    code = "import sys\nfor _ in range(300): sys.stderr.write('x' * 10_000)\nsys.exit(3)"
    process = EngineProcess([sys.executable, "-I", "-S", "-c", code], {}, tmp_path / "engine.log", tmp_path)
    until(lambda: process.exit_code() is not None)
    assert process.stop() == 3
    assert (tmp_path / "engine.log").stat().st_size == 3_000_000


def test_an_engine_that_ignores_term_is_killed_after_the_grace(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    process = EngineProcess([sys.executable, "-I", "-S", "-c", STUBBORN], {MARK: str(tmp_path)}, log, tmp_path)
    until(lambda: "ready" in log.read_text())
    assert process.stop(grace_s=0.2) == -9
    assert marked(str(tmp_path)) == []


def test_a_process_that_ends_while_it_is_looked_for_may_have_left_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was listed, its child was not: it ended before its mark was read."""
    marks = {**os.environ, MARK: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", ""], env=marks) as first:
        ended = psutil.Process(first.pid)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=marks) as left:
        until(lambda: len(marked(str(tmp_path))) == 1)
        looks = iter([[ended], [psutil.Process(left.pid)], []])
        monkeypatch.setattr(psutil, "process_iter", lambda: iter(next(looks)))
        assert sweep(tmp_path) == 1
        assert not psutil.pid_exists(left.pid)


def test_the_search_ends_on_a_machine_where_processes_always_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        ended = psutil.Process(process.pid)
    monkeypatch.setattr(psutil, "process_iter", lambda: iter([ended]))
    assert sweep(tmp_path) == 0
