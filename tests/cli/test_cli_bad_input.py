"""Bad files, bad folders, bad state: told with the place and a way out, never a traceback, never silence."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.lab import Lab, assert_finished

from dynamometer.cli.app import main
from dynamometer.store import journal

BASE = "name: x\nmodels: [{name: m, path: MODEL}]\nengines: [{name: fake}]\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
)


@pytest.fixture
def here(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same user in this process."""
    monkeypatch.chdir(lab.cwd)
    monkeypatch.setenv("DYNO_HOME", str(lab.home))
    return lab


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("- name: x\n", "list"),
        ("just words\n", ""),
        ("name: x\n\tcycles: 3\n", "bad.yaml:2:"),
        ("name: x\nname: y\n", "bad.yaml:2:"),
        (BOMB, ""),
        ("name: !!python/object/apply:os.system ['touch canary']\n", "bad.yaml:1:"),
        ("name: x\nmodels: [{name: m, path: MODEL}]\nengines: [{name: nosuch}]\n", "bad.yaml:3:"),
        (BASE + "cycles: -3\n", "bad.yaml:4:"),
        (BASE + "workload: {requests: -1}\n", "bad.yaml:4:"),
        (BASE + "execution: {timeout: -5s}\n", "bad.yaml:4:"),
        (BASE + "execution: {timeout: 0s}\n", "bad.yaml:4:"),
        (BASE + "seed: .nan\n", "bad.yaml:4:"),
        (BASE + "cycles: 1e999\n", "bad.yaml:4:"),
        ("[" * 100_000, ""),
        ("name: 'x\x00y'\n", ""),
        (BASE + "grid: {engines: [fake], models: [m], fake: {seed: " + str(list(range(2000))) + ", ttft_ms: "
         + str(list(range(2000))) + "}}\n", "max_experiments"),
    ],
    ids=[
        "empty", "comment", "list", "words", "tab", "duplicate", "bomb", "python object", "unknown engine", "cycles",
        "requests", "timeout", "no time", "nan", "infinite", "brackets", "nul", "explosion",
    ],
)  # fmt: skip
def test_a_bad_file_is_2_with_its_place_and_starts_nothing(
    text: str, told: str, here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here.cwd / "bad.yaml"
    path.write_text(text.replace("MODEL", str(here.model)))
    for command in ("validate", "run"):
        assert main(["campaign", command, str(path)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert told in said.err
        assert "Traceback" not in said.err
        assert "unexpected" not in said.err
    assert [child.name for child in here.cwd.iterdir()] == ["bad.yaml"]


NO_TEXT = [b"\xff\xfe\x00n", b"name: \xff\n", bytes(range(128, 192)), "name: x\n".encode("utf-16")]


@pytest.mark.parametrize("raw", NO_TEXT)
def test_bytes_that_are_no_text(raw: bytes, here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = here.cwd / "bad.yaml"
    path.write_bytes(raw)
    assert main(["campaign", "validate", str(path)]) == 2
    assert "unexpected" not in capsys.readouterr().err


def test_a_folder_and_an_unreadable_file_in_place_of_a_campaign(
    here: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["campaign", "run", str(here.cwd)]) == 2
    assert "is a folder" in capsys.readouterr().err
    path = here.file()

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    assert main(["campaign", "validate", str(path)]) == 8
    assert "Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "..", "%2e%2e/x", "CON", "-rf", "x" * 200, "ä/ö\\ü"])
def test_a_name_never_leaves_the_results_folder(name: str, here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = here.file(cycles=1, loads=[1], execution={"mode": "simulated"})
    data = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**data, "name": name}))
    assert main(["campaign", "run", str(path), "-q"]) == 0
    assert here.folder.root.parent == here.cwd / "results"
    assert sorted(child.name for child in here.cwd.iterdir()) == [".dyno-state", "results", "small.yaml"]
    assert sorted(child.name for child in here.root.iterdir()) == ["home", "work"]
    assert main(["campaign", "run", str(path), "--resume"]) == 0
    assert "nothing left" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["missing", "cut short", "not a model", "empty"])
def test_weights_that_are_none_are_refused_with_the_reason(
    damage: str, here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = here.root / "bad.gguf"
    if damage != "missing":
        whole = here.model.read_bytes()
        bad.write_bytes({"cut short": whole[:-1000], "not a model": b"hello" * 100, "empty": b""}[damage])
    path = here.file(models=[{"name": "tiny", "path": str(bad)}])
    assert main(["campaign", "validate", str(path)]) == 0
    said = capsys.readouterr()
    assert "left out" in said.out
    assert "bad.gguf" in said.out
    assert "cannot be run as it is" in said.out
    assert "hint: the path of a model is a .gguf file, a folder of weights, or demo:NAME" in said.out
    assert main(["campaign", "run", str(path)]) == 8
    told = capsys.readouterr().err
    assert told.startswith("error: nothing can be run, since every experiment is left out:\n")
    assert "no weights of tiny: " in told
    assert f"{bad}" in told
    assert "hint: the path of a model is" in told
    assert not (here.cwd / "results").exists()


def test_a_model_that_goes_away_between_plan_and_run_fails_its_runs(lab: Lab) -> None:
    lab.model = Path(shutil.copy(lab.model, lab.root / "going.gguf"))
    pause = {"thermal": {"between_experiments": "0s", "between_cycles": "3s"}}
    file = lab.file(cycles=2, loads=[1], execution=pause)
    process = lab.start("campaign", "run", file)
    assert lab.until("done", 1, process)
    lab.model.unlink()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "going.gguf" in errors
    assert lab.journal().status().tally() == {"completed": 1, "failed": 1}


@pytest.mark.parametrize("blocked", ["results", ".dyno-state"])
def test_a_file_where_a_folder_should_be(blocked: str, here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    (here.cwd / blocked).write_text("mine")
    assert main(["campaign", "run", str(here.file(execution={"mode": "simulated"}))]) == 8
    assert blocked in capsys.readouterr().err
    assert (here.cwd / blocked).read_text() == "mine"


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[Path]:
    """2 MB where results go."""
    disk = lab.cwd / "results"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True, capture_output=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 4096)


@pytest.mark.root
def test_a_read_only_results_folder(lab: Lab, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ended = lab.dyno("campaign", "run", lab.file(execution={"mode": "simulated"}))
    assert (ended.code, ended.out) == (8, "")
    assert "Read-only file system" in ended.err
    assert "hint: check that you may write there" in ended.err


@pytest.mark.root
def test_a_finished_campaign_reads_on_a_read_only_disk(lab: Lab, small_disk: Path) -> None:
    file = lab.file(execution={"mode": "simulated"})
    assert lab.dyno("campaign", "run", file, "-q").code == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    status = lab.dyno("campaign", "status", "--json").json()
    assert (status["state"], status["alive"]) == ("completed", False)
    assert lab.dyno("campaign", "report").code == 0
    assert lab.dyno("campaign", "run", file, "--resume", "-q").code == 8


@pytest.mark.root
def test_a_full_disk_stops_with_8_and_resume_finishes_when_there_is_room(lab: Lab, small_disk: Path) -> None:
    file = lab.file(cycles=4, loads=[1], options={"ttft_ms": 100})
    process = lab.start("campaign", "run", file)
    assert lab.until("started", 2, process)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 8, errors
    assert "the disk is full" in errors
    assert f"hint: free some space, then go on with: dyno campaign run {file} --resume" in errors
    assert "Traceback" not in errors
    assert journal.read(lab.folder.journal).torn is None
    assert not lab.left_over()
    assert lab.dyno("campaign", "status", "--json").json()["state"] in ("stopped", "interrupted")
    filler.unlink()
    again = lab.dyno("campaign", "run", file, "--resume", "-q")
    assert again.code == 0, again.err
    assert_finished(lab.folder, most_repeats=1)


@pytest.mark.root
def test_results_larger_than_the_room_that_is_left_stop_with_8_and_no_run_fails(lab: Lab, small_disk: Path) -> None:
    workload = {"requests": 64, "max_output_tokens": 800}
    file = lab.file(cycles=1, loads=[64], workload=workload, options={"ttft_ms": 0})
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (2 * 1024 * 1024 - 512 * 1024))
    ended = lab.dyno("campaign", "run", file)
    assert ended.code == 8, ended.err
    assert "the disk is full: cannot write" in ended.err
    assert f"hint: free some space, then go on with: dyno campaign run {file} --resume" in ended.err
    assert lab.events() == ["opened", "claimed", "started", "interrupted", "closed"]
    filler.unlink()
    again = lab.dyno("campaign", "run", file, "--resume", "-q")
    assert again.code == 0, again.err
    assert_finished(lab.folder, most_repeats=1)
    samples = next(lab.folder.runs.rglob("samples.jsonl"))
    assert samples.stat().st_size > 512 * 1024


@pytest.mark.root
@pytest.mark.parametrize("free", [0, 8192, 100_000])
def test_a_disk_that_is_full_from_the_start(free: int, lab: Lab, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (2 * 1024 * 1024 - free))
    ended = lab.dyno("campaign", "run", lab.file(execution={"mode": "simulated"}))
    assert ended.code == 8, ended.err
    assert "the disk is full" in ended.err
    (small_disk / "filler").unlink()
    assert lab.dyno("campaign", "run", lab.cwd / "small.yaml", "--resume", "-q").code == 0


@pytest.fixture
def ran(here: Lab) -> Lab:
    """A finished simulated campaign of six runs."""
    assert main(["campaign", "run", str(here.file(cycles=3, execution={"mode": "simulated"})), "-q"]) == 0
    return here


def test_a_damaged_journal_is_3_with_its_line_and_repair_finds_what_the_records_prove(
    ran: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path, file = ran.folder.journal, str(ran.cwd / "small.yaml")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"attempt", b"attEmpt")
    path.write_bytes(b"".join(lines))
    identity = ran.folder.root.name
    capsys.readouterr()
    for words in (["status"], ["report"], ["run", file, "--resume"], ["status", "--json"]):
        assert main(["campaign", *words]) == 3
        said = capsys.readouterr()
        assert said.out == ""
        assert f"{path.relative_to(ran.cwd)}:6: the journal is damaged here" in said.err or f"{path}:6:" in said.err
        assert "dyno campaign repair" in said.err
    assert path.read_bytes() == b"".join(lines)
    assert main(["campaign", "list"]) == 0
    assert "damaged" in capsys.readouterr().out
    assert main(["campaign", "repair", identity]) == 0
    assert "kept 5 events before the damage, entered 5 runs again" in capsys.readouterr().out
    assert main(["campaign", "run", file, "--resume"]) == 0
    assert "nothing left to do: 6 of 6" in capsys.readouterr().err
    assert_finished(ran.folder)
    assert main(["campaign", "repair", identity]) == 0
    assert "nothing was changed" in capsys.readouterr().out


def test_repair_runs_again_what_nothing_proves(ran: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path, file = ran.folder.journal, str(ran.cwd / "small.yaml")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b"{}\n", *lines[4:]]))
    victim = sorted(ran.folder.attempts())[2] / "record.json"
    victim.write_bytes(victim.read_bytes()[:-9])
    assert main(["campaign", "repair", ran.folder.root.name]) == 0
    assert main(["campaign", "run", file, "--resume", "-q"]) == 0
    assert_finished(ran.folder)
    assert (victim.parents[1] / "attempt-2" / "record.json").exists()


def test_not_one_good_line_is_not_a_new_campaign(ran: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = ran.folder.journal
    path.write_bytes(b"garbage\n" + path.read_bytes())
    assert main(["campaign", "run", str(ran.cwd / "small.yaml"), "--resume"]) == 3
    assert "journal.jsonl:1: the journal is damaged here" in capsys.readouterr().err
    assert main(["campaign", "repair", str(ran.folder.root)]) == 3
    assert "restore the file from a backup" in capsys.readouterr().err
    assert len(list((ran.cwd / "results").iterdir())) == 1


def test_a_torn_last_line_is_told_and_cut_off(ran: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = ran.folder.journal
    path.write_bytes(path.read_bytes()[:-20])
    capsys.readouterr()
    assert main(["campaign", "status"]) == 0
    assert "was torn by a crash; it does not count" in capsys.readouterr().out
    assert main(["campaign", "run", str(ran.cwd / "small.yaml"), "--resume"]) == 0
    assert "the last line of the journal was torn" in capsys.readouterr().err
    assert_finished(ran.folder)


@pytest.mark.parametrize("name", ["plan.json", "record.json"])
def test_state_of_a_newer_version_is_refused_by_name(name: str, ran: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(ran.folder.root.rglob(name))
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "schema_version": 99, "novelty": 1}))
    capsys.readouterr()
    code = main(["campaign", "report"])
    assert code == (3 if name == "plan.json" else 0)
    assert "was written by a newer version of Dynamometer (schema 99; this one knows 1)" in capsys.readouterr().err


def test_a_deleted_plan_is_told_and_made_again(ran: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    ran.folder.plan.unlink()
    capsys.readouterr()
    assert main(["campaign", "status"]) == 3
    assert "hint: make it again from the campaign file: dyno campaign run FILE --resume" in capsys.readouterr().err
    assert main(["campaign", "list"]) == 0
    assert main(["campaign", "run", str(ran.cwd / "small.yaml"), "--resume"]) == 0
    assert "nothing left to do: 6 of 6" in capsys.readouterr().err
    assert_finished(ran.folder)


@pytest.mark.parametrize("damage", ["deleted", "changed", "samples", "cut", "edited"])
def test_a_record_that_went_wrong_later_is_left_out_and_told(
    damage: str, ran: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(ran.folder.root.rglob("record.json"))
    if damage == "deleted":
        path.unlink()
    elif damage == "changed":
        path.write_text(path.read_text().replace('"good": ', '"good":  '))
    else:
        samples = path.with_name("samples.jsonl")
        whole = samples.read_bytes()
        spoilt = {
            "samples": whole.replace(b"status", b"stAtus", 1),
            "cut": whole[: whole.rindex(b"\n", 0, -1) + 1],
            "edited": whole.replace(b'"sent_ns":', b'"sent_ns":1', 1),
        }
        samples.write_bytes(spoilt[damage])
        assert spoilt[damage] != whole
    capsys.readouterr()
    assert main(["campaign", "report"]) == 0
    said = capsys.readouterr()
    assert "left out, damaged: " in said.err
    assert str(path.parent.name) in said.err
    assert "(2)" in said.out or " 2 " in said.out


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_campaign_none_of_whose_records_reads_is_3(form: str, ran: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    paths = sorted(ran.folder.root.rglob("record.json"))
    for path in paths[1:]:
        path.write_text("{}")
    capsys.readouterr()
    assert main(["campaign", "report", "-f", form]) == 0
    paths[0].write_text("{}")
    capsys.readouterr()
    assert main(["campaign", "report", "-f", form]) == 3
    said = capsys.readouterr()
    assert "fake/tiny" in said.out
    assert said.err.count("left out, damaged: ") == len(paths)
    assert "error: no record of this campaign reads: " in said.err
    assert "hint: restore the folder from a backup" in said.err


def test_lines_a_crash_left_before_the_journal_was_begun(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed between making the folder and the first event: the next run begins anew and nobody stumbles."""
    file = str(here.file(execution={"mode": "simulated"}))
    assert main(["campaign", "run", file, "-q"]) == 0
    here.folder.journal.write_bytes(b"")
    capsys.readouterr()
    assert main(["campaign", "list"]) == 0
    assert here.folder.root.name in capsys.readouterr().out
    assert main(["campaign", "run", file, "--resume", "-q"]) == 0
    assert len(here.folders) == 2
