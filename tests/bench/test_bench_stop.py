"""Ctrl-C in the middle of ``dyno bench``: what was measured is kept."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import re
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.bench.test_bench_endpoint import answering
from tests.lab import Lab, until

from dynamometer.cli import main
from dynamometer.cli.bench_stop import Patience
from dynamometer.cli.options import write_file
from dynamometer.errors import DiskFull

LONG = ["-c", "2", "-d", "100s", "--output-tokens", "4", "--warmup", "1", "--model", "m"]


@pytest.fixture
def seen() -> list[tuple[str, str | None]]:
    return []


@pytest.fixture
def url(seen: list[tuple[str, str | None]]) -> Iterator[str]:
    with answering(200, b"", seen) as address:
        yield address


@contextmanager
def hanging(seen: list[str]) -> Iterator[str]:
    """A server that notes what it is asked, and does not answer while this lasts."""
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            over.wait(60)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def interrupted(lab: Lab, seen: list[Any], number: signal.Signals, *words: str | Path) -> tuple[int, str, str]:
    """Start a bench, send a signal when its window is open; its exit code and what it said."""
    process = lab.start("bench", *words)
    until(lambda: process.poll() is not None or len(seen) > 20)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("processes", ["1", "2"])
def test_ctrl_c_ends_the_window_and_keeps_it(lab: Lab, url: str, seen: list[Any], processes: str) -> None:
    save = lab.cwd / "raw.jsonl"
    code, out, err = interrupted(lab, seen, signal.SIGINT, url, *LONG, "--processes", processes, "--save", save)
    assert code == 130, err
    assert "stopping when the requests in flight have ended, at most 300 s (again to stop at once)" in err
    assert "interrupted \N{MIDDLE DOT} 1 run: 1 ended early \N{MIDDLE DOT} 1 cycle" in out
    assert "stopped: 0 of 1 runs went their whole length" in err
    assert "was ended on request, after" in out
    assert "of 100 s" in out
    saved = [json.loads(line) for line in save.read_text().splitlines()]
    assert len(saved) >= 20
    assert all("error" not in sample for sample in saved), "none was cut off"


def test_runs_after_it_are_not_begun(lab: Lab, url: str, seen: list[Any]) -> None:
    loads = ["1,2" if word == "2" else word for word in LONG]
    code, out, _ = interrupted(lab, seen, signal.SIGTERM, url, *loads, "--json")
    assert code == 143
    found = json.loads(out)
    assert found["state"] == "interrupted"
    assert found["runs"] == {"ended_early": 1, "pending": 1}
    (partial,) = (doubt["message"] for doubt in found["doubts"] if doubt["code"] == "partial")
    assert partial == "partial results: 0 of 2 runs are finished, 1 ended early"


def test_the_second_one_ends_it_at_once(lab: Lab) -> None:
    asked: list[str] = []
    with hanging(asked) as address:
        process = lab.start(
            "bench", address, *LONG, "-d", "50s", "--warmup", "0", "--processes", "2", "--timeout", "60s"
        )
        until(lambda: process.poll() is not None or len(asked) == 2)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        said = process.stderr.readline()
        assert "stopping when the requests in flight have ended, at most" in said
        assert 30 < int(re.findall(r"at most (\d+) s", said)[0]) <= 60, "no longer than --timeout lets it"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping at once" in err
    assert "0 of 1 runs" in err
    assert out == "", "there is nothing to show"


@pytest.mark.parametrize("before", ["what was there\n", None])
def test_one_is_enough_in_the_warm_up_and_no_file_is_replaced_by_nothing(lab: Lab, before: str | None) -> None:
    save = lab.cwd / "raw.jsonl"
    if before is not None:
        save.write_text(before)
    asked: list[str] = []
    with hanging(asked) as address:
        process = lab.start("bench", address, *LONG, "--save", save, "--force")
        until(lambda: process.poll() is not None or len(asked) == 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping at once" in err
    assert out == ""
    assert (save.read_text() if save.exists() else None) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_results_are_written_although_a_signal_comes_meanwhile(
    number: signal.Signals,
    code: int,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def disturbed(*what: Any, **how: Any) -> None:
        signal.raise_signal(number)
        write_file(*what, **how)

    monkeypatch.setattr("dynamometer.cli.bench.write_file", disturbed)
    save = tmp_path / "raw.jsonl"
    arguments = ["bench", url, "--model", "m", "-n", "3", "--output-tokens", "4", "--warmup", "0", "-q"]
    assert main([*arguments, "--save", str(save)]) == code
    assert len(save.read_text().splitlines()) == 3
    captured = capsys.readouterr()
    assert "completed \N{MIDDLE DOT} 1 run" in captured.out
    assert captured.err.count("results are being written (again to stop without them)") == 1
    assert captured.err.endswith("stopped: 1 of 1 runs went their whole length\n")


def is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


SHORT = ["--output-tokens", "4", "--warmup", "0", "--model", "m", "-q"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_reader_that_reads_no_more_is_given_up_at_the_second_one(
    lab: Lab, url: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int, unbuffered: str
) -> None:
    """The document does not fit into its pipe; what was to be saved before is there."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    save = lab.cwd / "raw.jsonl"
    read, write = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    process = lab.start("bench", url, *SHORT, "-n", "2", "--json", "--save", save, stdout=write)
    os.close(write)
    assert process.stderr is not None
    assert process.stderr.readline() == f"wrote {save}\n"
    process.send_signal(number)
    assert process.stderr.readline() == "results are being written (again to stop without them)\n"
    process.send_signal(number)
    err = process.stderr.read()
    assert process.wait(timeout=60) == code
    os.close(read)
    assert len(save.read_text().splitlines()) == 2
    assert err.startswith("stopping at once\n")
    assert json.loads(err.splitlines()[-1])["error"]["message"] == (
        f"stopped: 1 of 1 runs went their whole length; results were given up, written whole: --save {save}"
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_while_a_reader_is_waited_for_leaves_the_document_whole(
    lab: Lab, url: str, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    read, write = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    process = lab.start("bench", url, *SHORT, "-n", "2", "--json", stdout=write)
    until(lambda: process.poll() is not None or not select.select([], [write], [], 0)[1])
    os.close(write)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "results are being written (again to stop without them)\n"
    with os.fdopen(read, encoding="utf-8") as reader:
        document = json.load(reader)
    assert process.wait(timeout=30) == 130
    assert document["runs"] == {"completed": 1}


def test_a_full_pipe_for_both_outputs_keeps_nobody(lab: Lab, url: str) -> None:
    """Nothing can be said any more, and nothing waits for it."""
    read, write = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    process = lab.start("bench", url, *SHORT, "-n", "2", "--json", stdout=write, stderr=write)
    until(lambda: process.poll() is not None or not select.select([], [write], [], 0)[1])
    for _ in range(100):  # two that come at once may be taken for one
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
            break
    assert process.poll() == 130
    os.close(write)
    os.close(read)


def test_what_was_given_up_is_said(lab: Lab, url: str) -> None:
    """The requests go into a pipe that they do not fit into; the second Ctrl-C ends the waiting for its reader."""
    save = lab.cwd / "pipe"
    os.mkfifo(save)
    read = os.open(save, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    process = lab.start("bench", url, *SHORT, "-n", "400", "--save", save)
    until(lambda: process.poll() is not None or is_readable(read))
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "results are being written (again to stop without them)\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    os.close(read)
    assert (process.returncode, out) == (130, "")
    assert err == (
        "stopping at once\n"
        "error: stopped: 1 of 1 runs went their whole length; results were given up, written whole: nothing\n"
    )


def test_what_was_found_is_shown_although_it_cannot_be_saved(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_what: Any, **_how: Any) -> None:
        raise DiskFull("the disk is full")

    monkeypatch.setattr("dynamometer.cli.bench.write_file", full)
    arguments = ["bench", url, "--model", "m", "-n", "3", "--output-tokens", "4", "--warmup", "0", "-q"]
    assert main([*arguments, "--save", str(tmp_path / "raw.jsonl")]) == DiskFull.exit_code
    captured = capsys.readouterr()
    assert "completed \N{MIDDLE DOT} 1 run" in captured.out
    assert "the disk is full" in captured.err


def test_writing_goes_on_after_the_one_that_ends_everything_until_the_second() -> None:
    patience = Patience()
    patience.run_begins(60)
    patience.window_opens()
    answers = [(patience.is_over(times), patience.gave_up) for times in (1, 2, 3, 4)]
    assert answers == [(False, False), (True, False), (False, False), (True, True)]
    patience.run_begins(60)
    assert patience.is_over(1), "in a warm-up one is enough"
