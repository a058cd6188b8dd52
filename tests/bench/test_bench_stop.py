"""Ctrl-C in the middle of ``dyno bench``: what was measured is kept."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.bench.test_bench_endpoint import answering
from tests.lab import Lab, until

LONG = ["-c", "2", "-d", "100s", "--output-tokens", "4", "--warmup", "1", "--model", "m"]


@pytest.fixture
def seen() -> list[tuple[str, str | None]]:
    return []


@pytest.fixture
def url(seen: list[tuple[str, str | None]]) -> Iterator[str]:
    with answering(200, b"", seen) as address:
        yield address


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
    assert "stopping when the requests in flight have ended" in err
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
    silent = subprocess.Popen(
        lab.argv("mock", "--fault", "hang", "--port", "0"), stdout=subprocess.PIPE, text=True, env=lab.env
    )
    try:
        assert silent.stdout is not None
        with silent.stdout:
            address = silent.stdout.readline().strip()
            process = lab.start("bench", address, *LONG, "--warmup", "0", "--processes", "2")
            until(lambda: len(psutil.Process(process.pid).children()) == 2)
            until(lambda: process.poll() is not None or len(psutil.Process(silent.pid).net_connections()) >= 3)
            assert process.stderr is not None
            process.send_signal(signal.SIGINT)
            assert "stopping when" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    finally:
        silent.kill()
        silent.wait()
    assert process.returncode == 130
    assert "stopping at once" in err
    assert "0 of 1 runs" in err
    assert out == "", "there is nothing to show"
