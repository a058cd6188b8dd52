"""Other load on the host: what all processes used, without what ours did."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from dynamometer.meters.base import Target
from dynamometer.meters.others import OthersMeter

BURN = "import time\nend = time.monotonic() + 60\nprint('burning', flush=True)\nwhile time.monotonic() < end: pass"


def proc(root: Path, busy: int, engine: int, client: int, child: int = 0) -> Path:
    """A /proc with one engine process (7, in group 7), the client (3) and a stranger (9)."""
    (root / "stat").write_text(f"cpu  {busy} 0 0 99999 5 0 0 0 0 0\ncpu0 1 1 1 1\n")
    for pid, group, ticks in ((7, 7, engine), (3, 3, client), (9, 9, 12345)):
        folder = root / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(f"{pid} (a b) c) S 1 {group} 1 0 0 0 0 0 0 0 {ticks} {child} 0 0 20 0 1\n")
    return root


def test_others_are_all_less_ours(tmp_path: Path) -> None:
    times = iter([0.0, 10.0])
    meter = OthersMeter(proc(tmp_path, 1000, 100, 50), lambda: next(times), 100, client=3)
    meter.open(Target(7))
    proc(tmp_path, 1000 + 1600, 100 + 900, 50 + 100)
    (reading,) = meter.close()
    assert (reading.quantity, reading.unit, reading.value) == ("other_cpu", "cores", 0.6)


def test_a_client_may_be_several_processes(tmp_path: Path) -> None:
    times = iter([0.0, 10.0])
    folder = tmp_path / "4"
    folder.mkdir()
    stat = "4 (python) S 3 3 1 0 0 0 0 0 0 0 {} 0 0 0 20 0 1\n"
    (folder / "stat").write_text(stat.format(0))
    meter = OthersMeter(proc(tmp_path, 1000, 100, 50), lambda: next(times), 100, client=3)
    meter.open(Target(7))
    proc(tmp_path, 1000 + 1600, 100 + 900, 50 + 50)
    (folder / "stat").write_text(stat.format(50))
    assert meter.close()[0].value == 0.6


def test_a_quiet_host_is_nought_not_less(tmp_path: Path) -> None:
    times = iter([0.0, 10.0])
    meter = OthersMeter(proc(tmp_path, 1000, 100, 50), lambda: next(times), 100, client=3)
    meter.open(Target(7))
    proc(tmp_path, 1000 + 99, 100 + 90, 50 + 10)
    assert meter.close()[0].value == 0.0


def test_without_counters_there_is_a_reason(tmp_path: Path) -> None:
    meter = OthersMeter(tmp_path)
    assert meter.close()[0].missing == "the meter was not opened"
    meter.open(Target(7))
    assert meter.close()[0].missing == f"no processor times under {tmp_path}"


def test_a_real_stranger_is_seen_and_our_own_engine_is_not() -> None:
    def burning() -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", BURN], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "burning\n"
        return child

    with burning() as engine:
        meter = OthersMeter()
        begin = time.monotonic()
        meter.open(Target(os.getpgid(engine.pid)))
        before = time.process_time()
        while time.process_time() - before < 0.3:
            pass
        seconds = time.monotonic() - begin
        (reading,) = meter.close()
        cores = os.cpu_count() or 1
        assert reading.value is not None
        assert reading.value <= cores - 0.3 * 0.3 / seconds, "what the engine and we used is not counted as others'"
        engine.kill()
