"""The documentation says what the code does."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml

from dynamometer.analysis import caveats, doubts, summarise
from dynamometer.analysis.metrics import METRICS
from dynamometer.cli.app import dyno
from dynamometer.cli.lazy import LazyGroup
from dynamometer.domain.engine import Catalogue
from dynamometer.domain.event import Event
from dynamometer.domain.plan import Suite
from dynamometer.engines import BUILT_IN
from dynamometer.errors import EXIT_CODES
from dynamometer.spec.layers import ENVIRONMENT_PREFIX
from dynamometer.spec.parse import parse, parse_experiment
from dynamometer.spec.schema import json_schema
from dynamometer.spec.suites import parse_suite
from dynamometer.wiring import folders, planning

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CATALOGUE = Catalogue({name: engine.traits for name, engine in BUILT_IN.items()})


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No suites and no demo model of whoever runs the tests."""
    monkeypatch.setenv("DYNO_HOME", str(tmp_path))


def reference(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def groups_and_commands(
    command: click.Command = dyno, path: tuple[str, ...] = ("dyno",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, LazyGroup):
        for name in command.names():
            child = command.get_command(click.Context(command), name)
            assert child is not None
            yield from groups_and_commands(child, (*path, name))


COMMANDS = dict(groups_and_commands())


def section(text: str, title: str) -> str:
    """From the heading of that title to the next one."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def rows(text: str) -> set[str]:
    """First cells of the tables in a text."""
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def test_generated_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference"), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", [path for path in COMMANDS if len(path) > 1], ids=" ".join)
def test_every_command_and_option_has_its_place(path: tuple[str, ...]) -> None:
    text = section(reference("cli.md"), " ".join(path))
    for option in COMMANDS[path].params:
        if isinstance(option, click.Option):
            for word in (*option.opts, *option.secondary_opts):
                assert f"`{word}`" in text


def test_every_exit_code_is_listed_and_none_besides() -> None:
    assert rows(reference("exit-codes.md")) == {str(code) for code in EXIT_CODES}


def test_every_environment_variable_that_the_code_reads_is_listed() -> None:
    read = set()
    for path in (ROOT / "src").rglob("*.py"):
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", path.read_text("utf-8")))
    assert {"DYNO_HOME", "NO_COLOR"} <= read
    listed = rows(section(reference("cli.md"), "Environment variables"))
    assert read <= listed
    assert any(name.startswith(ENVIRONMENT_PREFIX) for name in listed)


def test_variables_beside_options_are_those_that_click_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    command = COMMANDS["dyno", "campaign", "validate"]
    assert "`DYNO_CYCLES`" in section(reference("cli.md"), "dyno campaign validate")
    monkeypatch.setenv("DYNO_CYCLES", "7")
    context = command.make_context("validate", ["file"])
    assert context.params["cycles"] == 7


def test_every_key_of_a_campaign_file_is_listed() -> None:
    schema = json_schema(CATALOGUE)
    listed = rows(reference("campaign-file.md"))
    engines = set(BUILT_IN)
    for name, kind in {"Campaign": schema, **schema["$defs"]}.items():
        if "." not in name:
            assert set(kind.get("properties", {})) - engines <= listed, name


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_engine_and_option_is_listed(name: str) -> None:
    traits = BUILT_IN[name].traits
    text = section(reference("engines.md"), name)
    assert rows(text) == set(traits.options.model_fields)
    for alias in traits.aliases:
        assert f"`{alias}`" in reference("engines.md")
    assert ("Not available yet" in text) == bool(traits.unavailable)


def test_every_metric_is_listed() -> None:
    assert rows(reference("metrics.md")) == {metric.info.key for metric in METRICS}


def test_every_doubt_is_listed() -> None:
    codes = set()
    for module in (caveats, doubts, summarise):
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text("utf-8"))
        codes |= {
            keyword.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Doubt"
            for keyword in node.keywords
            if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
        }
    text = reference("doubts.md")
    assert len(codes) > len(doubts.RULES)
    titles = ("About one row", "About the campaign", "About a comparison")
    assert codes == {code for title in titles for code in rows(section(text, title))}


def test_every_event_of_the_journal_is_listed() -> None:
    events = {kind.model_fields["event"].default for kind in get_args(get_args(Event)[0])}
    assert events <= rows(section(reference("record.md"), "journal.jsonl"))


def fenced(language: str) -> list[tuple[str, str]]:
    """(page and line, text) of every block with exactly that language."""
    pattern = re.compile(rf"^```{re.escape(language)}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    texts = [(str(page.relative_to(ROOT)), page.read_text("utf-8")) for page in PAGES]
    return [
        (f"{page}:{text[: match.start()].count(chr(10)) + 1}", match[1])
        for page, text in texts
        for match in pattern.finditer(text)
    ]


def packaged_suites() -> dict[str, Suite]:
    """Without suites of the user: DYNO_HOME is an empty folder."""
    return folders.suites()


@pytest.mark.parametrize(("place", "text"), fenced("yaml campaign"))
def test_campaigns_shown_parse(place: str, text: str) -> None:
    assert parse(text, file=place, catalogue=CATALOGUE, suites=packaged_suites()).dialect == "canonical"


@pytest.mark.parametrize(("place", "text"), fenced("yaml experiment"))
def test_experiments_shown_parse(place: str, text: str) -> None:
    assert parse_experiment(text, file=place, catalogue=CATALOGUE, suites=packaged_suites()).experiment


@pytest.mark.parametrize(("place", "text"), fenced("yaml suite"))
def test_suites_shown_parse(place: str, text: str) -> None:
    assert parse_suite(text, file=place).benchmarks


def test_campaigns_and_suites_are_shown_at_all() -> None:
    assert len(fenced("yaml campaign")) >= 5
    assert fenced("yaml experiment")
    assert fenced("yaml suite")


def commands_shown() -> list[tuple[str, str]]:
    """(page, command line) of every dyno command in a console or bash block, or in backquotes."""
    found = []
    for page in PAGES:
        name, text = str(page.relative_to(ROOT)), page.read_text("utf-8")
        blocks = re.findall(r"^```(?:console|bash)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`(dyno [a-z][^`\n]*)`", text)
        found += [(name, line) for line in lines if line.startswith("dyno ")]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(("page", "line"), commands_shown())
def test_commands_shown_exist_with_their_options(page: str, line: str) -> None:
    words = shlex.split(re.split(r" [<>|] ?| \|$", line)[0], comments=True)
    path: tuple[str, ...] = ("dyno",)
    while words[len(path) :] and isinstance(COMMANDS[path], LazyGroup) and (*path, words[len(path)]) in COMMANDS:
        path = (*path, words[len(path)])
    command, rest = COMMANDS[path], words[len(path) :]
    if isinstance(command, LazyGroup):
        assert rest in ([], ["--help"], ["--version"]), f"{page}: {line}: no such command"
        return
    context = click.Context(command, info_name=path[-1])
    _, left, _ = command.make_parser(context).parse_args([word for word in rest if word not in ("…", "--help")])
    assert not left, f"{page}: {line}: too many words"


def test_commands_are_shown_at_all() -> None:
    assert len(commands_shown()) > 20


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {"".join(c for c in title.lower() if c.isalnum() or c in " -_").replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|srcset)=\"([^\"]+)\"", text)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        assert there.is_relative_to(ROOT), f"{page.name}: {target} leads out of the repository"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_no_path_of_a_machine(page: Path) -> None:
    assert not re.search(r"/(home|Users|root|tmp|work)/\w", page.read_text("utf-8"))


EXAMPLES = sorted((ROOT / "examples" / "campaigns").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_campaigns_can_be_run(path: Path) -> None:
    plan = planning.prepare(str(path)).plan
    assert plan.runs
    assert not plan.unavailable
    assert not plan.excluded


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "experiments").glob("*.yaml")), ids=lambda path: path.name)
def test_example_experiments_can_be_run(path: Path) -> None:
    plan = planning.prepare_experiment(str(path)).plan
    assert (len(plan.runs), plan.unavailable, plan.excluded) == (1, (), ())


def test_the_readme_shows_the_quickstart() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = yaml.safe_load(re.findall(r"^```yaml campaign\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[0])
    real = yaml.safe_load((ROOT / "examples" / "campaigns" / "quickstart.yaml").read_text("utf-8"))
    assert {key: shown[key] for key in ("name", "cycles", "engines", "execution")} == {
        key: real[key] for key in ("name", "cycles", "engines", "execution")
    }


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "version"} <= citation.keys()
    done = subprocess.run(
        [sys.executable, "-m", "dynamometer", "version", "--json"], capture_output=True, text=True, check=True
    )
    assert citation["version"] == json.loads(done.stdout)["dynamometer"]


def test_hooks_call_tools_of_this_checkout() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks[0]["hooks"])
