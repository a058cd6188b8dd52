"""Validate and dry run: the same plan, nothing written, features that are not there yet told and refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from tests.lab import Lab

from dynamometer.cli.app import main

SEEDS = Path(__file__).parents[1] / "data" / "seeds"


@pytest.fixture
def here(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same user in this process."""
    monkeypatch.chdir(lab.cwd)
    monkeypatch.setenv("DYNO_HOME", str(lab.home))
    return lab


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """Every path below, its time of change and its content."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in [root, *root.rglob("*")]
    }


LOOKING = [
    ["validate"],
    ["validate", "--json"],
    ["run", "--dry-run"],
    ["run", "--validate-only"],
    ["run", "--dry-run", "--resume", "--cycles", "7"],
    ["show", "--canonical"],
]


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_at_a_plan_writes_nothing(words: list[str], here: Lab) -> None:
    file = here.file(cycles=2, execution={"mode": "simulated"})
    assert main(["campaign", "run", str(file), "-q"]) == 0
    before = tree(here.root)
    assert main(["campaign", words[0], str(file), *words[1:]]) == 0
    assert tree(here.root) == before


def test_looking_in_an_empty_home_makes_none(here: Lab) -> None:
    file = here.file()
    before = tree(here.root)
    for words in (["validate"], ["run", "--dry-run"]):
        assert main(["campaign", words[0], str(file), *words[1:]]) == 0
    assert main(["campaign", "list"]) == 0
    assert main(["campaign", "status"]) == 7
    assert main(["model", "list"]) == 0
    assert tree(here.root) == before


def test_validate_and_dry_run_print_the_plan_that_is_run(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(here.file(cycles=2, execution={"mode": "simulated"}))
    shown = {}
    for words in (["validate"], ["run", "--dry-run"], ["run", "--validate-only"]):
        for form in ((), ("--json",)):
            main(["campaign", words[0], file, *words[1:], *form])
            shown[(*words, *form)] = capsys.readouterr().out
    text = shown["run", "--dry-run"]
    assert shown["validate",].startswith(text.rstrip("\n"))
    assert shown["run", "--validate-only"] == text
    assert "2 experiments x 2 cycles = 4 runs, order interleaved" in text
    documents = {value for key, value in shown.items() if "--json" in key}
    assert len(documents) == 1
    assert '"schema_version": 1' in documents.pop()
    main(["campaign", "run", file, "-q"])
    planned = here.journal().status().runs
    assert list(planned)
    assert all(run.rpartition("-")[0] in text for run in planned)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("000_campaign.yaml", {"disk.reserve_gb": 27, "disk.cleanup_after_run": 28, "notifications.desktop": 31,
                               "models_from.devon_managed": 42}),
        ("003_grid.yaml", {}),
    ],
)  # fmt: skip
def test_the_seed_files_are_valid_and_say_what_is_not_there_yet(
    name: str, lines: dict[str, int], here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shutil.copy(SEEDS / name, here.cwd)
    if name == "003_grid.yaml":
        (here.cwd / "configs").mkdir()
        (here.cwd / "configs" / "tensorrt_special_case.yaml").write_text("engine: tensorrt\nmodel: gpt2\n")
    before = tree(here.root)
    assert main(["campaign", "validate", str(file)]) == 0
    out = capsys.readouterr().out
    listed = out.partition("not available yet (run refuses these):")[2]
    assert listed
    for where, line in lines.items():
        assert f"  {where} (line {line}): " in listed
    assert main(["campaign", "run", str(file)]) == 8
    said = capsys.readouterr()
    assert said.out == ""
    assert "what this version cannot do yet" in said.err
    for where in lines:
        assert where in said.err
    assert tree(here.root) == before


@pytest.mark.parametrize("missing", ["model", "prompts"])
def test_files_that_are_not_here_are_told_before_anything_is_made(
    missing: str, here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(__file__).parents[2] / "examples" / "campaigns" / "quickstart.yaml"
    if missing == "prompts":
        file = here.file(workload={"dataset": "mine.jsonl"})
    before = tree(here.root)
    assert main(["campaign", "validate", str(file)]) == 0
    capsys.readouterr()
    assert main(["campaign", "run", str(file)]) == 8
    told = {"model": "hint: run: dyno model fetch", "prompts": f"no prompts at {here.cwd / 'mine.jsonl'}"}
    assert told[missing] in capsys.readouterr().err
    assert tree(here.root) == before


TRACE = "at_s,input_tokens,output_tokens\n0,32,16\n0.1,256,48\n"
ABOUT = "prompts are about so long before the chat template; the server's own count is in the report"


@pytest.mark.parametrize(
    ("trace", "dataset", "shown"),
    [
        (TRACE, "builtin", "the whole trace, 32–256 -> 16–48 tokens, by the trace"),
        ("at_s\n0\n1\n", "builtin", "the whole trace, 64 -> 4 tokens"),
        ("at_s,output_tokens\n0,7\n1,7\n", "mine.jsonl", "the whole trace, own prompts -> 7 tokens, by the trace"),
        (None, "mine.jsonl", "2 requests, own prompts -> 4 tokens"),
        (None, "synthetic", "2 requests, 64 -> 4 tokens"),
    ],
)
def test_the_plan_shows_the_lengths_that_will_be_sent(
    trace: str | None, dataset: str, shown: str, here: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    load: dict[str, object] = {"concurrency": 1}
    if trace is not None:
        (here.cwd / "mine.csv").write_text(trace)
        load = {"trace": "mine.csv"}
    file = here.file(
        workload={"load": load, "dataset": dataset, "max_input_tokens": 64, "requests": None if trace else 2}
    )
    assert main(["campaign", "validate", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"{shown}\n" in out
    assert (ABOUT in out) == (dataset != "mine.jsonl")


def test_the_plan_as_json_bounds_the_lengths_of_traces(here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    (here.cwd / "mine.csv").write_text("at_s,input_tokens\n0,32\n0.1,256\n")
    file = here.file(workload={"load": {"trace": "mine.csv"}, "requests": None})
    assert main(["campaign", "validate", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["traces"]
    assert found == {"mine.csv": {"requests": 2, "input_tokens": {"min": 32, "max": 256}, "output_tokens": None}}
