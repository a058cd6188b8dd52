"""A user at the command line: an own home, an own folder, small campaigns, and what must be true after any of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from dynamometer.domain.event import Done, Started
from dynamometer.engines.process import MARK, kill_all, marked
from dynamometer.store import journal
from dynamometer.store import open as campaigns
from dynamometer.store.journal import Journal
from dynamometer.store.layout import CampaignFolder, is_campaign
from dynamometer.store.manifest import manifest
from dynamometer.store.plans import read_plan
from dynamometer.store.records import outcome, read_record, read_step

SOURCE = Path(__file__).parents[1] / "src"
PATIENCE_S = 100.0


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its standard output as one document."""
        return json.loads(self.out)


@dataclass(slots=True)
class Lab:
    """One user."""

    root: Path
    model: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    def at(cls, root: Path, model: Path) -> Lab:
        """A user whose folders are under ``root``."""
        made = cls(root, model)
        made.cwd.mkdir()
        return made

    @property
    def cwd(self) -> Path:
        """Where commands are started."""
        return self.root / "work"

    @property
    def home(self) -> Path:
        """DYNO_HOME."""
        return self.root / "home"

    @property
    def env(self) -> dict[str, str]:
        """Environment of commands: ours, without what users may have set for dyno."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DYNO", "PYTEST", "COV"))}
        path = os.pathsep.join(filter(None, [str(SOURCE), kept.get("PYTHONPATH")]))
        return {**kept, "DYNO_HOME": str(self.home), "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}

    def argv(self, *words: str | Path) -> list[str]:
        """``dyno`` with these words."""
        return [sys.executable, "-P", "-m", "dynamometer", *map(str, words)]

    def dyno(self, *words: str | Path, stdin: str = "", env: Mapping[str, str] | None = None) -> Said:
        """Run a command to its end."""
        ended = subprocess.run(
            self.argv(*words),
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.cwd,
            env={**self.env, **(env or {})},
            timeout=250,
            check=False,
        )
        return Said(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *words: str | Path, **how: Any) -> subprocess.Popen[str]:
        """Start a command in a session of its own, and go on."""
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **how}
        process = subprocess.Popen(
            self.argv(*words), text=True, cwd=self.cwd, env=self.env, start_new_session=True, **how
        )
        self.started.append(process)
        return process

    def file(self, name: str = "small", **keys: Any) -> Path:
        """Write a campaign on the fake engine whose runs take almost no time: one experiment for each of ``loads``."""
        options = {"ttft_ms": 1, "itl_ms": 0, **keys.pop("options", {})}
        options = {key: value for key, value in options.items() if value is not None}
        workload = {"requests": 2, "max_output_tokens": 4, "warmup": {"max_requests": 0}, **keys.pop("workload", {})}
        workload.setdefault("load", {"concurrency": keys.pop("loads", [1, 2])})
        execution = {
            "thermal": {"between_experiments": "0s", "between_cycles": "0s"},
            "retry": {"max_attempts": 0},
            **keys.pop("execution", {}),
        }
        data = {
            "name": name,
            "models": [{"name": "tiny", "path": str(self.model)}],
            "engines": [{"name": keys.pop("engine", "fake"), "options": options}],
            "workload": workload,
            "execution": execution,
            **keys,
        }
        path = self.cwd / f"{name}.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    @property
    def folders(self) -> list[CampaignFolder]:
        """Campaign folders, the oldest first."""
        return [CampaignFolder(path) for path in sorted((self.cwd / "results").glob("*")) if is_campaign(path)]

    @property
    def folder(self) -> CampaignFolder:
        """The one campaign folder there is."""
        (only,) = self.folders
        return only

    def journal(self) -> Journal:
        """What the journal of the one campaign says."""
        return journal.read(self.folder.journal)

    def events(self) -> list[str]:
        """Names of its events, in order; none before it exists."""
        return [stamped.body.event for stamped in self.journal().events] if self.folders else []

    def until(self, what: str, count: int, process: subprocess.Popen[str]) -> bool:
        """Wait for the ``count``-th event of that name in the journal, or the end of the process; False then."""
        until(lambda: process.poll() is not None or self.events().count(what) >= count)
        return process.poll() is None

    def left_over(self) -> list[psutil.Process]:
        """Live processes that belong to attempts of this user's campaigns."""
        return [process for process in marked(str(self.cwd.resolve())) if is_alive(process)]

    def clear(self) -> None:
        """Kill what is left of everything we started, and close its pipes."""
        for process in self.started:
            process.kill()
            process.communicate()
        kill_all(self.left_over())


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Wait until it holds; fails when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def gone(lab: Lab, seconds: float = PATIENCE_S) -> None:
    """Wait until no process of an attempt lives; fails when one lives for ``seconds``."""
    until(lambda: not lab.left_over(), seconds)


def assert_finished(folder: CampaignFolder, *, most_repeats: int = 0) -> None:
    """Every planned run is in the results exactly once, proven by its record; the manifest equals the journal.

    At most ``most_repeats`` attempts were made beyond one for each run, and nothing temporary is left.
    """
    found, plan = journal.read(folder.journal), read_plan(folder.plan)
    done = [stamped.body for stamped in found.events if isinstance(stamped.body, Done)]
    assert sorted(event.run for event in done) == sorted(plan.run_ids), "runs done are not those planned"
    for event in done:
        path = folder.root / event.record
        record = read_record(path)
        assert record.sha256 == event.record_sha256
        assert (record.record.run_id, record.record.attempt) == (event.run, event.attempt)
        assert outcome(path.parent, read_step(path.parent)) == record
    started = sum(isinstance(stamped.body, Started) for stamped in found.events)
    assert started <= len(done) + most_repeats
    status = found.status()
    assert (status.state, status.tally()) == ("completed", {"completed": len(plan.runs)}), status
    assert json.loads(folder.manifest.read_text()) == manifest(plan, status), "the manifest is not the journal's fold"
    assert not campaigns.read_status(folder.root).alive
    left = [path for path in folder.root.rglob("*") if path.suffix in (".tmp", ".owner")]
    assert not left, left


__all__ = ["MARK", "Lab", "Said", "assert_finished", "gone", "is_alive", "until"]
