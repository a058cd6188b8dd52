"""Cut the power after every storage call of a recorded campaign, and go on with what the disk then holds.

``python power_cuts.py TRACE TOP FILE SEEDS``: TOP is the folder with the user's ``work`` and ``home`` as recorded,
FILE the campaign. For each call, the state in which nothing unsafe is left, and SEEDS states in which chance decides
about that; each state once. A JSON line for each tells what was found. Each is tried in a fork of this process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.e2e.crash_points import forked
from tests.e2e.disk_states import Disk
from tests.lab import assert_finished

from dynamometer.campaign.stop import StopRequest
from dynamometer.errors import DynoError
from dynamometer.executors.simulated import SimulatedExecutor
from dynamometer.store import open as campaigns
from dynamometer.store.layout import CampaignFolder, is_campaign
from dynamometer.store.records import Success, outcome, read_step
from dynamometer.wiring import owning, planning
from dynamometer.wiring.owning import Hooks

Told = dict[str, tuple[str, str]]
"""Run -> its record and the hash of that, as the journal told before the cut."""


def told(disk: Disk, cut: int) -> Told:
    """Runs whose end was written down for good, so that people may have read of it."""
    lines = (json.loads(line.data or b"") for line in disk.journal if line.safe_at <= cut)
    bodies = [line["body"] for line in lines]
    return {body["run"]: (body["record"], body["record_sha256"]) for body in bodies if body["event"] == "done"}


def session(file: str) -> CampaignFolder:
    """What ``campaign run FILE --resume`` does, on the simulated executor."""
    prepared = planning.prepare(file)
    found = owning.resumable(prepared)
    folder = CampaignFolder(found) if found else owning.new_campaign(prepared)
    stop = StopRequest()
    owning.run(prepared, folder, Hooks(stop=stop, executor=SimulatedExecutor()))
    stop.close()
    return folder


def examine(file: str, known: Told, identity: str | None) -> None:
    """The state reads, nothing that was told is lost, and a resume finishes every run once. Raises AssertionError."""
    results = Path("results")
    there = [path for path in results.iterdir() if is_campaign(path)] if results.is_dir() else []
    if identity is not None:
        assert [path.name for path in there] == [identity], "the campaign is lost"
        kept(there[0], known)
    folder = session(file)
    assert identity in (None, folder.root.name)
    assert_finished(folder, most_repeats=1)
    kept(folder.root, known)


def kept(root: Path, known: Told) -> None:
    """Every run that was told of is completed with the very record it had."""
    runs = campaigns.read_status(root).status.runs
    for run, (record, sha256) in known.items():
        state = runs[run]
        assert (state.state, state.record, state.record_sha256) == ("completed", record, sha256), run
        attempt = (root / record).parent
        found = outcome(attempt, read_step(attempt))
        assert isinstance(found, Success), found
        assert found.sha256 == sha256, run


def states(disk: Disk, seeds: int, here: Path) -> Iterator[tuple[int, int, Path]]:
    """Cut, seed (0 leaves nothing unsafe) and the folder that holds the state; none twice."""
    seen = set()
    for cut in range(disk.before, disk.calls + 1):
        for seed in range(seeds + 1):
            place = here / f"cut-{cut}-{seed}"
            disk.write(place, cut, Random(f"{cut}:{seed}") if seed else None)
            if (content := digest(place)) in seen:
                shutil.rmtree(place)
                continue
            seen.add(content)
            yield cut, seed, place


def digest(place: Path) -> str:
    """Hash of all names and bytes in a folder."""
    found = hashlib.sha256()
    for path in sorted(place.rglob("*")):
        found.update(str(path.relative_to(place)).encode() + (b"\0" + path.read_bytes() if path.is_file() else b"/"))
    return found.hexdigest()


def main(trace: Path, top: Path, file: str, seeds: int) -> None:
    """Try every state."""
    with trace.open() as lines:
        disk = Disk(lines, top, ["work", "home"])
    born = min((line.safe_at for line in disk.journal), default=0)
    for cut, seed, place in states(disk, seeds, Path.cwd()):
        known = told(disk, cut)
        identity = campaign_of(disk) if cut >= born else None

        def work(place: Path = place, known: Told = known, identity: str | None = identity) -> int:
            os.chdir(place / "work")
            os.environ["DYNO_HOME"] = str(place / "home")
            try:
                examine(file, known, identity)
            except (AssertionError, KeyError, DynoError) as error:
                print(f"{place.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                return 1
            return 0

        code = forked(work)
        print(json.dumps({"cut": cut, "seed": seed, "told": len(known), "code": code}), flush=True)
        if code == 0:
            shutil.rmtree(place)


def campaign_of(disk: Disk) -> str:
    """The id of the recorded campaign."""
    return str(json.loads(disk.journal[0].data or b"")["body"]["campaign_id"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
