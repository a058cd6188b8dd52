"""Being told to stop: at once, resumable, with the right code, and with the words to go on."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest
from tests.lab import Lab, assert_finished, until

from dynamometer.store.records import read_mark

SLOW = {"ttft_ms": 600_000}
"""Longer than a test may take: a command that waits for an answer does not pass."""
INTERRUPTED = ["opened", "claimed", "started", "interrupted", "closed"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_one_signal_in_a_run_ends_it_and_says_how_to_go_on(number: signal.Signals, code: int, lab: Lab) -> None:
    file = lab.file(options=SLOW)
    process = lab.start("campaign", "run", file)
    assert lab.until("started", 1, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert lab.events() == INTERRUPTED
    assert f"stopped by {number.name}" in err
    assert err.count(f"dyno campaign run {file} --resume") == 2, "when asked to stop, and as the last word"
    assert "report: results/" in out
    assert not lab.left_over()
    lab.file()
    again = lab.dyno("campaign", "run", file, "--resume", "-q")
    assert again.code == 0, again.err


PATIENT = "from dynamometer.campaign import loop\nloop.STOP_GRACE_S = 600.0\n"


def test_a_second_signal_stops_at_once_an_engine_that_will_not_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.root / "sitecustomize.py").write_text(PATIENT)  # the grace is longer than a test may take
    monkeypatch.setenv("PYTHONPATH", str(lab.root))
    file = lab.file(options={**SLOW, "ignore_sigterm": True, "orphan": True})
    process = lab.start("campaign", "run", file)
    assert lab.until("started", 1, process)
    until(lambda: len(lab.left_over()) >= 3)
    (mark,) = [read_mark(attempt) for attempt in lab.folder.attempts()]
    assert mark is not None
    os.kill(mark.pid, signal.SIGSTOP)  # the worker hears nothing: it can only be killed
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    asked = next(line for line in process.stderr if "again to stop at once" in line)
    assert "state is saved; go on with: dyno campaign run" in asked
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping at once" in err
    assert lab.events() == INTERRUPTED
    assert "go on with: dyno campaign run" in err
    assert not lab.left_over()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_a_thermal_pause_ends_it(number: signal.Signals, code: int, lab: Lab) -> None:
    file = lab.file(cycles=1, execution={"thermal": {"between_experiments": "1h"}, "mode": "simulated"})
    process = lab.start("campaign", "run", file)
    assert process.stderr is not None
    assert any("pause of 3600 s" in line for line in process.stderr)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert lab.events() == ["opened", "claimed", "started", "done", "closed"]
    assert lab.dyno("campaign", "status", "--json").json()["state"] == "interrupted"


def on_terminal(lab: Lab, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """A command whose controlling terminal is a new pty, as in a terminal window."""
    ours, theirs = pty.openpty()
    login = "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", login, *lab.argv(*words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=lab.cwd,
        env={**lab.env, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_to_end(terminal: int) -> str:
    shown = b""
    try:
        while data := os.read(terminal, 65536):
            shown += data
    except OSError:  # how Linux tells that the other side is closed
        return shown.decode()
    return shown.decode()


def test_ctrl_c_on_a_terminal(lab: Lab) -> None:
    file = lab.file(options=SLOW)
    process, terminal = on_terminal(lab, "campaign", "run", str(file))
    until(lambda: "started" in lab.events())
    os.write(terminal, b"\x03")
    shown = read_to_end(terminal)
    assert process.wait(60) == 130
    os.close(terminal)
    assert "stopping (again to stop at once)" in shown
    assert "hint: " in shown
    assert lab.events() == INTERRUPTED
    assert not lab.left_over()


def test_a_closed_terminal_window_stops_the_campaign_cleanly(lab: Lab) -> None:
    file = lab.file(options=SLOW)
    process, terminal = on_terminal(lab, "campaign", "run", str(file))
    until(lambda: "started" in lab.events())
    os.close(terminal)
    assert process.wait(60) == 143
    assert lab.events() == INTERRUPTED
    assert not lab.left_over()


def test_what_was_interrupted_is_finished_on_a_terminal_with_a_live_display(lab: Lab) -> None:
    file = lab.file(cycles=1)
    process, terminal = on_terminal(lab, "campaign", "run", str(file))
    shown = read_to_end(terminal)
    assert process.wait(60) == 0
    os.close(terminal)
    assert "campaign completed" in shown
    assert "2/2" in shown
    assert_finished(lab.folder)
