"""Ctrl-C in the middle of ``dyno bench``: what was measured is kept."""

from __future__ import annotations

import http.server
import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.bench.test_bench_endpoint import answering
from tests.lab import Lab, until

from dynamometer.cli import main
from dynamometer.cli.bench_stop import Patience
from dynamometer.cli.options import write_output
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
    assert "interrupted \N{MIDDLE DOT} 1 run" in out
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
    assert found["runs"] == {"completed": 1, "pending": 1}


def test_the_second_one_ends_it_at_once(lab: Lab) -> None:
    asked: list[str] = []
    with hanging(asked) as address:
        process = lab.start("bench", address, *LONG, "--warmup", "0", "--processes", "2", "--timeout", "60s")
        until(lambda: process.poll() is not None or len(asked) == 2)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        said = process.stderr.readline()
        assert "stopping when the requests in flight have ended, at most" in said
        assert 30 < int(re.findall(r"at most (\d+) s", said)[0]) <= 60, "no longer than --timeout lets it"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
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
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopping at once" in err
    assert out == ""
    assert (save.read_text() if save.exists() else None) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_results_are_written_whatever_comes_meanwhile(
    number: signal.Signals,
    code: int,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def disturbed(*what: Any, **how: Any) -> None:
        for _ in range(3):
            signal.raise_signal(number)
        write_output(*what, **how)

    monkeypatch.setattr("dynamometer.cli.bench.write_output", disturbed)
    save = tmp_path / "raw.jsonl"
    arguments = ["bench", url, "--model", "m", "-n", "3", "--output-tokens", "4", "--warmup", "0", "-q"]
    assert main([*arguments, "--save", str(save)]) == code
    assert len(save.read_text().splitlines()) == 3
    captured = capsys.readouterr()
    assert "completed \N{MIDDLE DOT} 1 run" in captured.out
    assert captured.err.count("results are being written") == 3
    assert "stopped: 1 of 1 runs went their whole length" in captured.err


def test_what_was_found_is_shown_although_it_cannot_be_saved(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_what: Any, **_how: Any) -> None:
        raise DiskFull("the disk is full")

    monkeypatch.setattr("dynamometer.cli.bench.write_output", full)
    arguments = ["bench", url, "--model", "m", "-n", "3", "--output-tokens", "4", "--warmup", "0", "-q"]
    assert main([*arguments, "--save", str(tmp_path / "raw.jsonl")]) == DiskFull.exit_code
    captured = capsys.readouterr()
    assert "completed \N{MIDDLE DOT} 1 run" in captured.out
    assert "the disk is full" in captured.err


def test_after_the_one_that_ends_everything_none_interrupts() -> None:
    patience = Patience()
    patience.run_begins(60)
    patience.window_opens()
    assert [patience.is_over(times) for times in (1, 2, 3, 4)] == [False, True, False, False]
    patience.run_begins(60)
    assert patience.is_over(1), "in a warm-up one is enough"
