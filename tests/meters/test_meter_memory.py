from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynamometer.domain.record import Reading
from dynamometer.meters.base import Target
from dynamometer.meters.memory import MemoryMeter
from dynamometer.meters.processes import members, peak_rss_bytes

MB = 1_000_000

OBEY = """
import os, sys
held = []
for line in sys.stdin:
    word, *rest = line.split()
    if word == "hold":
        held.append(bytearray(b"x") * int(rest[0]))
    elif word == "drop":
        held.clear()
    elif word == "fork":
        if os.fork() == 0:
            held.append(bytearray(b"x") * int(rest[0]))
            print("ok", os.getpid(), flush=True)
            os.read(int(rest[1]), 1)
            os._exit(0)
        continue
    print("ok", flush=True)
"""


class Group:
    """A process group that does as it is told."""

    def __init__(self) -> None:
        self.gate_out, self.gate_in = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", OBEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
            pass_fds=(self.gate_out,),
        )
        self.pgid = self.process.pid

    def tell(self, words: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def stop(self) -> None:
        os.close(self.gate_in)
        os.close(self.gate_out)
        self.process.kill()
        self.process.communicate()


@contextmanager
def group() -> Iterator[Group]:
    made = Group()
    try:
        made.tell("hold 1")
        yield made
    finally:
        made.stop()


def only(readings: tuple[Reading, ...]) -> Reading:
    (reading,) = readings
    assert reading.meter == "memory"
    assert (reading.quantity, reading.unit, reading.source) == ("peak_rss", "bytes", "proc-vmhwm")
    return reading


def value(reading: Reading) -> float:
    assert reading.value is not None
    return reading.value


def test_the_peak_of_the_window_is_kept_after_it_is_over() -> None:
    with group() as engine:
        meter = MemoryMeter()
        meter.open(Target(engine.pgid))
        engine.tell(f"hold {200 * MB}")
        engine.tell("drop")
        reading = only(meter.close())
    assert 200 * MB < value(reading) < 300 * MB
    assert "since the window opened" in (reading.scope or "")


def test_a_peak_before_the_window_does_not_count() -> None:
    with group() as engine:
        engine.tell(f"hold {200 * MB}")
        engine.tell("drop")
        meter = MemoryMeter()
        meter.open(Target(engine.pgid))
        reading = only(meter.close())
    assert value(reading) < 100 * MB


def test_processes_of_the_group_are_added_and_called_an_upper_bound() -> None:
    with group() as engine:
        meter = MemoryMeter()
        meter.open(Target(engine.pgid))
        engine.tell(f"fork {100 * MB} {engine.gate_out}")
        engine.tell(f"hold {50 * MB}")
        reading = only(meter.close())
    assert value(reading) > 150 * MB
    assert "sum of the peaks of 2 processes (an upper bound)" in (reading.scope or "")


def test_an_engine_that_is_gone_has_no_memory_not_zero() -> None:
    meter = MemoryMeter()
    with group() as engine:
        meter.open(Target(engine.pgid))
    reading = only(meter.close())
    assert reading.value is None
    assert "is alive" in (reading.missing or "")


def test_a_meter_that_was_not_opened_says_so() -> None:
    assert only(MemoryMeter().close()).missing == "the meter was not opened"


def fake_process(proc: Path, pid: int, pgid: int, peak_kb: int, *, resettable: bool = True, state: str = "S") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (odd ) name) {state} 1 {pgid} {pgid} 0")
    (folder / "status").write_text(f"Name:\todd\nVmHWM:\t{peak_kb} kB\nVmRSS:\t1 kB\n")
    if not resettable:
        (folder / "clear_refs").mkdir()


def test_without_permission_to_reset_the_scope_says_since_the_start(tmp_path: Path) -> None:
    fake_process(tmp_path, 7, 7, 1000, resettable=False)
    meter = MemoryMeter(tmp_path)
    meter.open(Target(7))
    reading = only(meter.close())
    assert value(reading) == 1_024_000
    assert "since the start of the process" in (reading.scope or "")


def test_a_process_that_ended_inside_the_window_is_told(tmp_path: Path) -> None:
    fake_process(tmp_path, 7, 7, 1000)
    fake_process(tmp_path, 8, 7, 1000)
    meter = MemoryMeter(tmp_path)
    meter.open(Target(7))
    (tmp_path / "8" / "status").unlink()
    reading = only(meter.close())
    assert value(reading) == 1_024_000
    assert "without 1 that ended before" in (reading.scope or "")


def test_members_leave_out_strangers_and_zombies(tmp_path: Path) -> None:
    fake_process(tmp_path, 7, 7, 1)
    fake_process(tmp_path, 8, 7, 1, state="Z")
    fake_process(tmp_path, 9, 9, 1)
    (tmp_path / "self").mkdir()
    assert members(7, tmp_path) == (7,)


def test_a_kernel_thread_has_no_peak(tmp_path: Path) -> None:
    fake_process(tmp_path, 2, 0, 1)
    (tmp_path / "2" / "status").write_text("Name:\tkthreadd\n")
    assert peak_rss_bytes(2, tmp_path) is None


def test_this_process_is_in_its_own_group() -> None:
    assert os.getpid() in members(os.getpgrp())
