"""The power goes at any moment of a campaign: what was told to be done is never lost, and resume finishes the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.e2e.disk_states import Disk
from tests.lab import SOURCE, Lab

HERE = Path(__file__).parent
CUTS = HERE / "power_cuts.py"
RECORDER = HERE / "storage_trace"


def call(name: str, **facts: object) -> str:
    return json.dumps({"call": name, "pid": 1, **facts})


def test_after_a_cut_only_what_was_synced_is_certain(tmp_path: Path) -> None:
    make = os.O_WRONLY | os.O_CREAT
    trace = [
        call("open", fd=3, path="/top/area/.a.tmp", flags=make),
        call("write", fd=3, data="b25l"),
        call("fsync", fd=3),
        call("write", fd=3, data="dHdv"),
        call("replace", path="/top/area/.a.tmp", to="/top/area/a"),
        call("open", fd=4, path="/top/area", flags=os.O_RDONLY),
        call("fsync", fd=4),
        call("mkdir", path="/top/area/b"),
        call("unlink", path="/top/area/a"),
    ]
    disk = Disk(trace, Path("/top"), ["area"])

    def state(cut: int, seed: int = 0) -> dict[str, bytes]:
        place = tmp_path / f"{cut}-{seed}"
        disk.write(place, disk.before + cut, Random(seed) if seed else None)
        files = (path for path in place.rglob("*") if path.is_file())
        return {str(path.relative_to(place)): path.read_bytes() for path in files}

    assert disk.calls == disk.before + 8
    assert state(5) == {}, "no name is safe before its folder was synced"
    assert state(6) == state(8) == {"area/a": b"one"}
    chances = [state(8, seed) for seed in range(1, 400)]
    assert {} in chances
    assert {"area/a": b"onetwo"} in chances
    assert {"area/a": b"onet"} in chances
    assert all(not found or found["area/a"].startswith(b"one") for found in chances)
    assert {*chances_of_names(disk, tmp_path)} == {("area/a",), ("area/.a.tmp",), ()}


def chances_of_names(disk: Disk, tmp_path: Path) -> list[tuple[str, ...]]:
    found = []
    for seed in range(1, 60):
        place = tmp_path / f"names-{seed}"
        disk.write(place, disk.before + 5, Random(seed))
        found.append(tuple(sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())))
    return found


@pytest.mark.timeout(600)
def test_after_a_power_cut_at_any_call_nothing_told_is_lost_and_resume_finishes(lab: Lab) -> None:
    file = lab.file(cycles=2, loads=[1])
    trace = lab.root / "trace"
    recorded = {"STORAGE_TRACE": str(trace), "PYTHONPATH": f"{RECORDER}{os.pathsep}{lab.env['PYTHONPATH']}"}
    lab.home.mkdir()
    for words in (["--cycles", "1"], ["--resume"]):
        ended = lab.dyno("campaign", "run", file, "-q", *words, env=recorded)
        assert ended.code == 0, ended.err
    states = lab.root / "states"
    states.mkdir()
    paths = os.pathsep.join([str(SOURCE), str(HERE.parents[1])])
    found = subprocess.run(
        [sys.executable, "-P", str(CUTS), str(trace), str(lab.root), str(file), "1"],
        env={**lab.env, "PYTHONPATH": paths},
        cwd=states,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    tried = [json.loads(line) for line in found.stdout.splitlines()]
    assert not [state for state in tried if state["code"] != 0], found.stderr
    assert len(tried) > 100
    assert {state["told"] for state in tried} == {0, 1, 2}
