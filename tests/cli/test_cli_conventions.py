"""What every command keeps: data on stdout, words on stderr, exit codes that are documented and true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click
import pytest
from tests.lab import Lab

from dynamometer.cli.app import CAMPAIGN, COMMANDS, CONFIG, MODEL, dyno, main
from dynamometer.cli.lazy import LazyGroup
from dynamometer.errors import EXIT_CODES, DynoError

HEAVY = {"numpy", "pydantic", "rich", "lets_plot", "yaml", "psutil", "sqlite3", "httptools", "asyncio"}


def every_command(group: LazyGroup = dyno, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Words of every command and group there is, hidden ones too."""
    found: list[tuple[str, ...]] = [path]
    for name in group.lazy:
        command = group.get_command(click.Context(group), name)
        found += every_command(command, (*path, name)) if isinstance(command, LazyGroup) else [(*path, name)]
    return found


@pytest.fixture
def here(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same user in this process."""
    monkeypatch.chdir(lab.cwd)
    monkeypatch.setenv("DYNO_HOME", str(lab.home))
    return lab


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_help_works_and_is_documentation(words: tuple[str, ...], here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"Usage: dyno{' ' if words else ''}{' '.join(words)}")
    assert len(said.out.splitlines()) > 4
    assert said.err == ""
    assert not list(here.cwd.iterdir())


def test_the_tables_say_what_the_commands_say() -> None:
    for table, path in ((COMMANDS, ()), (CAMPAIGN, ("campaign",)), (CONFIG, ("config",)), (MODEL, ("model",))):
        assert {(*path, name) for name in table} <= set(every_command())


@pytest.mark.parametrize("words", [["--help"], ["campaign", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str], lab: Lab) -> None:
    code = "import sys; from dynamometer.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    argv = [sys.executable, "-P", "-c", code, *words]
    ended = subprocess.run(argv, env=lab.env, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stderr.split()}
    assert "click" in loaded
    assert not HEAVY & loaded


def test_help_lists_every_exit_code_and_every_error_has_one(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    shown = capsys.readouterr().out
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning.split(':')[0].split(' (')[0]}" in shown

    def classes(kind: type[DynoError]) -> list[type[DynoError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in classes(child))]

    assert {kind.exit_code for kind in classes(DynoError)} == set(EXIT_CODES) - {0}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["campain"], "Did you mean 'campaign'?"),
        (["campaign", "statsu"], "Did you mean 'status'?"),
        (["campaign", "run", "f.yaml", "--resum"], "--resume"),
        (["campaign", "run"], "Missing argument 'FILE'"),
        (["campaign", "run", "f.yaml", "--cycles", "0"], "0 is not in the range"),
        (["campaign", "report", "-f", "pdf"], "'pdf' is not one of"),
        (["nonsense"], "There are: campaign, experiment"),
    ],
)
def test_wrong_words_are_usage_with_the_near_ones(
    words: list[str], told: str, here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == 2


READS = [
    ["campaign", "status"],
    ["campaign", "report"],
    ["campaign", "status", "no-such"],
    ["campaign", "report", "no-such"],
    ["campaign", "show", "no-such.yaml"],
    ["campaign", "validate", "no-such.yaml"],
    ["campaign", "run", "no-such.yaml"],
]


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_what_is_not_there_is_7(words: list[str], here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 7
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: no ") or said.err.startswith("error: there are no ")
    assert main([*words, "--json"]) == 7
    said = capsys.readouterr()
    assert said.out == ""
    error = json.loads(said.err)
    assert error["schema_version"] == 1
    assert error["error"]["code"] == 7


def test_mistakes_in_a_file_are_2_with_every_line(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = here.cwd / "bad.yaml"
    path.write_text("name: x\ncycels: 3\nmodels: [{name: m, path: m.gguf}]\nengines: [{name: vlm}]\nseed: -1\n")
    assert main(["campaign", "validate", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for line, word in ((2, "cycles"), (4, "vllm"), (5, "seed")):
        assert any(f"bad.yaml:{line}:" in row and word in row for row in said.err.splitlines()), said.err
    assert main(["campaign", "run", str(path), "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["code"], error["line"], error["file"]) == (2, error["problems"][0]["line"], str(path))
    assert {problem["line"] for problem in error["problems"]} == {2, 4, 5}
    assert not (here.cwd / "results").exists()


def test_a_bug_is_1_with_a_report_to_paste(
    here: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oh no")

    monkeypatch.setattr(dyno, "invoke", lambda _: broken())
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: oh no" in said
    assert "Traceback" not in said
    report = Path(said.split("please report it with ")[1].strip())
    text = report.read_text()
    report.unlink()
    assert text.startswith("# dyno ")
    assert "Traceback" in text
    assert "ZeroDivisionError: oh no" in text


def test_a_reader_that_has_enough_ends_us_quietly(lab: Lab) -> None:
    for words in (["config", "schema"], ["--help"], ["campaign", "run", lab.file(cycles=1), "--json"]):
        process = lab.start(*words)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(30) == 0
    assert lab.journal().status().state == "completed"


def test_a_campaign_on_json_lines_and_every_document(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab = here
    ended = lab.dyno("campaign", "run", lab.file(cycles=1), "--json")
    assert ended.err == ""
    lines = [json.loads(line) for line in ended.out.splitlines()]
    events = [line["body"]["event"] for line in lines[:-1]]
    assert events == ["claimed", "started", "done", "started", "done", "closed"]
    assert (lines[-1]["event"], lines[-1]["summary"]["state"]) == ("summary", "completed")
    identity = lab.folder.root.name
    for words in (
        ["campaign", "status", identity],
        ["campaign", "report", identity],
        ["campaign", "list"],
        ["campaign", "validate", lab.cwd / "small.yaml"],
        ["campaign", "run", lab.cwd / "small.yaml", "--dry-run"],
        ["model", "list"],
        ["version"],
        ["doctor"],
    ):
        code = main([*map(str, words), "--json"])
        assert json.loads(capsys.readouterr().out)["schema_version"] == 1, words
        assert code in ((0, 8) if words == ["doctor"] else (0,)), words
    for form in ("text", "markdown", "csv", "json", "html"):
        assert main(["campaign", "report", identity[:5], "-f", form]) == 0
        assert len(capsys.readouterr().out) > 100, form
    assert main(["campaign", "report"]) == 0
    assert "fake/tiny/F32" in capsys.readouterr().out


def test_a_report_is_written_whole_and_replaces_only_when_told(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    main(["campaign", "run", str(here.file(cycles=1, execution={"mode": "simulated"})), "-q"])
    report = ["campaign", "report", "-f", "csv", "-o"]
    assert main([*report, "r.csv"]) == 0
    path = here.cwd / "r.csv"
    path.write_text("mine")
    assert main([*report, "r.csv"]) == 2
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main([*report, "r.csv", "--force"]) == 0
    assert main([*report, "r.csv/x"]) == 8
    assert main([*report, "no/such/folder/r.csv"]) == 8
    assert main([*report, "results", "--force"]) == 8
    assert "engine" in path.read_text().splitlines()[0]


SCHEMA = ["config", "schema", "-o"]


def test_a_link_stays_and_what_it_points_to_is_replaced_when_told(
    here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.cwd / "real").mkdir()
    target, link, dangling = here.cwd / "real" / "s.json", here.cwd / "link", here.cwd / "dangling"
    target.write_text("mine")
    link.symlink_to(target)
    dangling.symlink_to(here.cwd / "real" / "new.json")
    assert main([*SCHEMA, "link"]) == 2
    assert target.read_text() == "mine"
    assert main([*SCHEMA, "link", "--force"]) == 0
    assert main([*SCHEMA, "dangling"]) == 0
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert json.loads(target.read_text()) == json.loads((here.cwd / "real" / "new.json").read_text())
    assert capsys.readouterr().err.count("wrote") == 2


@pytest.mark.parametrize("words", [["pipe"], ["pipe", "--force"], ["link", "--force"]])
def test_a_pipe_is_written_to_and_stays(words: list[str], lab: Lab) -> None:
    """As a device is; a test that fails must not replace one of those."""
    pipe = lab.cwd / "pipe"
    os.mkfifo(pipe)
    (lab.cwd / "link").symlink_to(pipe)
    process = lab.start(*SCHEMA, *words)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    try:
        assert process.wait(60) == 0
        assert "$defs" in json.loads(reader.communicate(timeout=60)[0])
    finally:
        reader.kill()
        reader.communicate()
    assert pipe.is_fifo()
    assert (lab.cwd / "link").is_symlink()


def test_a_campaign_from_standard_input(lab: Lab) -> None:
    text = lab.file(cycles=1, execution={"mode": "simulated"}).read_text()
    assert lab.dyno("campaign", "validate", "-", stdin=text).code == 0
    assert lab.dyno("campaign", "run", "-", "-q", stdin=text).code == 0
    assert lab.folder.campaign.read_text() == text


def test_a_single_experiment(lab: Lab) -> None:
    path = lab.cwd / "one.yaml"
    path.write_text(
        f"engine: fake\nmodel: {lab.model}\nrequests: 2\nload: {{concurrency: 1}}\n"
        "max_output_tokens: 3\nwarmup: {max_requests: 0}\n"
    )
    assert "1 experiments x 1 cycle = 1 runs" in lab.dyno("experiment", path, "--dry-run").out
    assert not (lab.cwd / "results").exists()
    ended = lab.dyno("experiment", path)
    assert ended.code == 0, ended.err
    assert lab.journal().status().tally() == {"completed": 1}


def test_folders_named_like_libraries_where_we_stand_change_nothing(lab: Lab) -> None:
    for name in ("click.py", "yaml.py", "dynamometer.py", "json.py"):
        (lab.cwd / name).write_text("raise SystemExit('the wrong module')\n")
    assert lab.dyno("campaign", "run", lab.file(cycles=1), "-q").code == 0


def test_completion_and_the_index(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        assert "_DYNO_COMPLETE" in capsys.readouterr().out
    file = str(here.file(cycles=1, execution={"mode": "simulated"}))
    main(["campaign", "run", file, "-q"])
    index = here.home / "state" / "index.sqlite"
    index.unlink()
    capsys.readouterr()
    assert main(["index"]) == 0
    assert capsys.readouterr().out.startswith("1 campaign in ")
    assert main(["campaign", "list", "--results-dir", "/nowhere"]) == 0
    assert here.folder.root.name in capsys.readouterr().out
    index.write_bytes(b"this is no database, but it is long enough" * 9)
    assert main(["campaign", "list"]) == 8
    assert "rebuild it: remove the file, then run dyno index" in capsys.readouterr().err
    assert main(["campaign", "run", file, "--resume", "-q"]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", [["config", "schema"], ["campaign", "list", "--json"]])
def test_an_output_that_does_not_fit_is_no_bug(lab: Lab, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        process = lab.start(*words, stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 8
    assert "cannot write the output: No space left on device" in err
    assert "bug" not in err


def test_ctrl_c_anywhere_is_told_as_json_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("dynamometer.cli.app.dyno.main", interrupted)
    assert main(["bench", "URL", "--json"]) == 130
    assert json.loads(capsys.readouterr().err)["error"] == {"code": 130, "message": "interrupted", "hint": None}
    assert main(["bench", "URL"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
