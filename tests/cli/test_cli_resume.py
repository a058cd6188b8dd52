"""Going on: more cycles, more or fewer experiments, failed runs, nothing left; done runs are never touched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.lab import Lab, assert_finished

from dynamometer.cli.app import main

SIMULATED = {"mode": "simulated"}


@pytest.fixture
def here(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same user in this process."""
    monkeypatch.chdir(lab.cwd)
    monkeypatch.setenv("DYNO_HOME", str(lab.home))
    return lab


def run(file: Path, *words: str) -> int:
    return main(["campaign", "run", str(file), *words])


def records(lab: Lab) -> dict[str, str]:
    """Record -> hash of its bytes."""
    found = lab.folder.root.rglob("record.json")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_more_cycles_are_topped_up_and_done_runs_keep_their_records(
    here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here.file(cycles=3, execution=SIMULATED)
    assert run(file, "-q") == 0
    before = records(here)
    assert len(before) == 6
    assert run(file, "--resume", "--cycles", "5") == 0
    assert "the campaign changed: 4 runs added, 0 removed" in capsys.readouterr().err
    after = records(here)
    assert len(after) == 10
    assert before.items() <= after.items()
    assert_finished(here.folder)
    assert here.events().count("started") == 10


def test_an_added_experiment_is_queued_and_a_removed_one_told_and_kept(
    here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    run(here.file(cycles=2, loads=[1, 2], execution=SIMULATED), "-q")
    before = records(here)
    file = here.file(cycles=2, loads=[2, 4], execution=SIMULATED)
    assert run(file, "--resume") == 0
    said = capsys.readouterr()
    assert "the campaign changed: 2 runs added, 2 removed (their results are kept)" in said.err
    assert before.items() <= records(here).items()
    assert len(records(here)) == 6
    assert here.journal().status().tally() == {"completed": 4}
    assert main(["campaign", "status"]) == 0
    assert "2 runs left the plan; their results are kept" in capsys.readouterr().out
    manifest = json.loads(here.folder.manifest.read_text())
    assert (len(manifest["runs"]), len(manifest["removed"])) == (4, 2)
    assert run(here.file(cycles=2, loads=[1, 2, 4], execution=SIMULATED), "--resume") == 0
    assert "2 runs added, 0 removed" in capsys.readouterr().err
    assert here.events().count("started") == 6, "what was removed and comes back is not run again"
    assert here.journal().status().tally() == {"completed": 6}


def test_fewer_runs_with_nothing_left_is_told_and_written_down(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run(here.file(cycles=3, execution=SIMULATED), "-q")
    capsys.readouterr()
    assert run(here.file(cycles=2, execution=SIMULATED), "--resume") == 0
    said = capsys.readouterr().err
    assert "0 runs added, 2 removed" in said
    assert "nothing left to do: 4 of 4" in said
    assert len(json.loads(here.folder.manifest.read_text())["runs"]) == 4


def test_nothing_left_is_0_and_appends_nothing(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    file = here.file(execution=SIMULATED)
    run(file, "-q")
    before = here.folder.journal.read_bytes()
    capsys.readouterr()
    assert run(file, "--resume") == 0
    said = capsys.readouterr()
    assert "nothing left to do: 2 of 2 runs are completed" in said.err
    assert "report: " in said.out
    assert here.folder.journal.read_bytes() == before


def test_without_resume_a_new_campaign_begins_and_resume_takes_the_newest(here: Lab) -> None:
    file = here.file(execution=SIMULATED)
    assert run(file, "--resume", "-q") == 0
    assert run(file, "-q") == 0
    assert len(here.folders) == 2
    assert run(file, "--resume", "--cycles", "2", "-q") == 0
    assert sorted(len(list(folder.attempts())) for folder in here.folders) == [2, 4]


def test_a_campaign_by_its_id_or_a_beginning_or_its_folder(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    file = here.file(execution=SIMULATED)
    run(file, "-q")
    identity = here.folder.root.name
    for cycles, wanted in ((2, identity), (3, identity[:-2]), (4, str(here.folder.root))):
        assert run(file, "--campaign-id", wanted, "--cycles", str(cycles), "-q") == 0
        assert here.journal().status().tally() == {"completed": 2 * cycles}
    run(file, "-q")
    capsys.readouterr()
    assert run(file, "--campaign-id", "small-") == 2
    assert "2 campaigns begin with 'small-'" in capsys.readouterr().err


def test_the_file_of_another_campaign_is_refused(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run(here.file("one", loads=[1], execution=SIMULATED), "-q")
    before = here.folder.journal.read_bytes()
    other = here.file("other", loads=[3], execution=SIMULATED)
    capsys.readouterr()
    assert run(other, "--campaign-id", here.folder.root.name) == 2
    assert "no run in common" in capsys.readouterr().err
    assert here.folder.journal.read_bytes() == before
    renamed = here.file("renamed", loads=[1, 3], execution=SIMULATED)
    assert run(renamed, "--campaign-id", here.folder.root.name, "-q") == 0
    assert here.journal().status().tally() == {"completed": 2}


def test_a_folder_that_moved_goes_on(here: Lab) -> None:
    file = here.file(execution=SIMULATED)
    run(file, "-q")
    moved = here.folder.root.rename(here.folder.root.parent / "moved")
    assert run(file, "--campaign-id", str(moved), "--cycles", "2", "-q") == 0
    assert_finished(here.folder)


def test_a_crash_between_the_new_plan_and_the_word_of_it(here: Lab) -> None:
    """plan.json says one thing already, the journal not yet: the journal has the last word on its runs."""
    run(here.file(cycles=2, loads=[1, 2], execution=SIMULATED), "-q")
    status, old = here.folder.journal.read_bytes(), here.folder.plan.read_bytes()
    file = here.file(cycles=1, loads=[1], execution=SIMULATED)
    run(file, "--resume", "-q")
    new = here.folder.plan.read_bytes()
    assert new != old
    here.folder.journal.write_bytes(status)
    assert run(file, "--resume", "-q") == 0
    assert here.journal().status().tally() == {"completed": 1}
    assert len(here.journal().status().removed) == 3


BROKEN: dict[str, Any] = {"options": {"fault": "start_failure"}}


def test_everything_failed_is_4_and_never_completed_and_failed_runs_are_retried_or_left(
    here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here.file(cycles=1, **BROKEN)
    assert run(file) == 4
    said = capsys.readouterr()
    assert "completed" not in said.err + said.out.partition("\n")[0]
    assert "error: 2 of 2 runs failed" in said.err
    assert here.journal().status().state == "failed"
    before = here.folder.journal.read_bytes()
    assert run(file, "--resume", "--skip-failed") == 4
    assert "2 failed ones are left as they are" in capsys.readouterr().err
    assert here.folder.journal.read_bytes() == before
    assert run(file, "--resume", "--retry-failed", "-q") == 4
    assert here.events().count("failed") == 4
    assert run(here.file(cycles=1, execution=SIMULATED), "--resume", "-q") == 0, "other options are other experiments"
    assert here.journal().status().tally() == {"completed": 2}


def test_skip_failed_runs_what_never_ran(here: Lab) -> None:
    run(here.file(cycles=1, **BROKEN), "-q")
    assert run(here.file(cycles=2, **BROKEN), "--resume", "--skip-failed", "-q") == 4
    runs = here.journal().status().runs
    assert sorted(run_id[-2:] for run_id in runs) == ["c1", "c1", "c2", "c2"]
    assert {run.attempts for run in runs.values()} == {1}


def test_the_failure_threshold_stops_and_says_so(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(here.file(cycles=4, **BROKEN)) == 4
    said = capsys.readouterr().err
    assert "5 of 5 runs of the campaign failed, more than failure_threshold.rate (0.5)" in said
    assert here.journal().status().state == "stopped"
    assert here.journal().status().tally() == {"failed": 5, "pending": 3}
