"""Every key a campaign file may have acts, is refused as not available yet, or is a label. None is only accepted.

A new key fails ``test_every_key_is_accounted_for`` until a line here says, and a test shows, what it does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import yaml
from pydantic import BaseModel
from tests.lab import Lab

from dynamometer.campaign.stop import StopRequest
from dynamometer.cli.app import main
from dynamometer.domain.campaign import Campaign
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.errors import CampaignError, NotFoundError, PreconditionError
from dynamometer.executors.simulated import SimulatedExecutor
from dynamometer.wiring import owning, planning
from dynamometer.wiring.owning import Hooks

MATRIX: dict[str, Any] = {
    "name": "base",
    "models": [{"name": "tiny", "path": "MODEL"}],
    "engines": [{"name": "fake"}],
    "workload": {"requests": 4, "load": {"concurrency": 1}},
    "execution": {"mode": "simulated", "thermal": {"between_experiments": "0s", "between_cycles": "0s"}},
}
REMOTE = {**MATRIX, "models": [{"name": "tiny", "gguf_repo": "org/repo"}]}
GRID = {
    **{key: value for key, value in MATRIX.items() if key != "engines"},
    "grid": {"engines": ["fake"], "models": ["tiny"]},
}
EXPLICIT = {
    **{key: value for key, value in MATRIX.items() if key != "engines"},
    "experiments": [{"engine": "fake", "model": "tiny"}],
}
BY_FILE = {**EXPLICIT, "experiments": [{"config": "one.yaml"}]}

OPEN = {**MATRIX, "workload": {"requests": 4, "load": {"rate": 4}}}
OPEN_EXPLICIT = {**EXPLICIT, "experiments": [{"engine": "fake", "model": "tiny", "load": {"rate": 4}}]}
LASTING = {**MATRIX, "workload": {"load": {"concurrency": 1}}}
LASTING_EXPLICIT = {**EXPLICIT, "workload": {}}


class Instead(NamedTuple):
    """A value for the section above a key, where the keys in it exclude each other."""

    section: str
    value: Any


WORKLOAD: dict[str, Any] = {
    "suite": "standard",
    "dataset": "synthetic",
    "load.concurrency": 3,
    "load.rate": Instead("load", {"rate": 4}),
    "load.trace": Instead("load", {"trace": "trace.csv"}),
    "load.ramp": Instead("load", {"ramp": {"of": "concurrency", "start": 1, "end": 4, "over": "10s"}}),
    "requests": 5,
    "max_input_tokens": 33,
    "max_output_tokens": 33,
    "ignore_eos": False,
    "streaming": False,
    "decoder.preset": "default",
    "decoder.temperature": 0.5,
    "decoder.top_p": 0.5,
    "decoder.top_k": 5,
    "decoder.repetition_penalty": 1.5,
    "slo.ttft_ms": 100,
    "slo.itl_ms": 100,
    "slo.e2e_ms": 100,
    "warmup.until": "fixed",
    "warmup.max_requests": 3,
}
"""Key below workload (and below an experiment) -> another value."""

ACTS: dict[str, tuple[dict[str, Any], Any]] = {
    "cycles": (MATRIX, 2),
    "order": ({**MATRIX, "cycles": 2, "workload": {"load": {"concurrency": [1, 2]}}}, "grouped"),
    "seed": (MATRIX, 7),
    "models.name": (MATRIX, "other"),
    "models.path": (MATRIX, "nowhere.gguf"),
    "models.safetensors_repo": (REMOTE, "org/repo"),
    "models.gguf_repo": (MATRIX, "org/repo"),
    "models.ollama_tag": (REMOTE, "a:b"),
    "models.revision": (REMOTE, "v2"),
    "models.estimated_size_gb": (REMOTE, 3),
    "engines.name": (MATRIX, "llama_cpp"),
    "engines.suite": ({**MATRIX, "workload": {}}, "standard"),
    "engines.formats": (MATRIX, ["safetensors"]),
    "engines.options": (MATRIX, {"ttft_ms": 7}),
    "engines.mode": (MATRIX, "docker"),
    "quants.include_only": (MATRIX, ["Q4_K_M"]),
    "quants.skip_patterns": (MATRIX, ["F*"]),
    "grid.engines": (GRID, ["llama_cpp"]),
    "grid.models": (GRID, ["tiny", "org/other"]),
    "grid.precision": (GRID, ["float16", "bfloat16"]),
    "grid.decoder.preset": (GRID, "default"),
    "grid.decoder.temperature": (GRID, [0.1, 0.2]),
    "grid.decoder.top_p": (GRID, 0.5),
    "grid.decoder.top_k": (GRID, 5),
    "grid.decoder.repetition_penalty": (GRID, 1.5),
    "grid.max_input_tokens": (GRID, [8, 16]),
    "grid.max_output_tokens": (GRID, [8, 16]),
    "grid.streaming": (GRID, [True, False]),
    "grid.groups": (GRID, [[{"max_input_tokens": 8}, {"max_input_tokens": 16}]]),
    "grid.exclude": (GRID, [{"engine": "fake"}]),
    "grid.include": (GRID, [{"engine": "fake", "model": "tiny", "max_output_tokens": 9}]),
    "experiments.config": (BY_FILE, "two.yaml"),
    "experiments.overrides": (BY_FILE, {"max_output_tokens": 9}),
    "experiments.engine": (EXPLICIT, "llama_cpp"),
    "experiments.model": (EXPLICIT, "org/other"),
    "experiments.quant": (EXPLICIT, "Q4_K_M"),
    "experiments.precision": (EXPLICIT, "float16"),
    "experiments.options": (EXPLICIT, {"ttft_ms": 7}),
    **{f"experiments.{key}": (EXPLICIT, value) for key, value in WORKLOAD.items()},
    **{f"workload.{key}": (MATRIX, value) for key, value in WORKLOAD.items()},
    "workload.load.arrivals": (OPEN, "poisson"),
    "experiments.load.arrivals": (OPEN_EXPLICIT, "poisson"),
    "workload.load.max_in_flight": (OPEN, 9),
    "experiments.load.max_in_flight": (OPEN_EXPLICIT, 9),
    "workload.duration": (LASTING, "3s"),
    "experiments.duration": (LASTING_EXPLICIT, "3s"),
    "execution.mode": (MATRIX, "docker"),
    "execution.container.strategy": (MATRIX, "persistent"),
    "execution.container.startup": (MATRIX, "eager"),
    "execution.container.warmup_delay": (MATRIX, "3s"),
    "execution.container.auto_teardown": (MATRIX, False),
    "execution.agent": (MATRIX, "gpu-box"),
    "execution.parallel": (MATRIX, True),
    "execution.reuse_engine": (MATRIX, True),
    "execution.health_check.every": (MATRIX, "experiment"),
    "execution.health_check.interval_experiments": (MATRIX, 5),
    "execution.cold_start.force_cold_start": (MATRIX, True),
    "execution.cold_start.restart_container": (MATRIX, True),
    "execution.thermal.max_temperature_c": (MATRIX, 70),
    "energy.baseline": (MATRIX, True),
    "energy.carbon_g_per_kwh": (MATRIX, 100),
    "energy.price_per_kwh": (MATRIX, 0.3),
    "energy.pue": (MATRIX, 1.2),
    "models_from.devon_managed": (MATRIX, True),
    "models_from.devon_url": (MATRIX, "http://devon"),
    "models_from.prefetch": (MATRIX, True),
    "models_from.skip_gated": (MATRIX, False),
    "disk.reserve_gb": (MATRIX, 5),
    "disk.cleanup_after_run": (MATRIX, True),
    "disk.path": (MATRIX, "/models"),
    "limits.max_model_size_gb": (MATRIX, 0.00001),
    "limits.max_experiments": ({**MATRIX, "workload": {"load": {"concurrency": [1, 2]}}}, 1),
    "schedule.enabled": (MATRIX, True),
    "notifications.desktop": (MATRIX, True),
    "notifications.urls": (MATRIX, ["json://host"]),
    "io.config_dir": (BY_FILE, "elsewhere"),
    "io.volumes": (MATRIX, ["/a:/b"]),
}
"""Key -> a file without it, and a value that changes the plan, or has validate or run refuse the file."""

SEEN_BY_RUNS = {
    "execution.timeout",
    "execution.client_processes",
    "execution.retry.max_attempts",
    "execution.failure_threshold.rate",
    "execution.failure_threshold.scope",
    "execution.thermal.between_experiments",
    "execution.thermal.between_cycles",
    "energy.source",
    "io.results_dir",
    "io.state_dir",
}
"""Keys that the plan does not show; tests below run with them (and tests/campaign does, in detail)."""

WITH_A_SWITCH = {
    "schedule.at": "schedule.enabled",
    "schedule.interval": "schedule.enabled",
    "schedule.total_duration": "schedule.enabled",
    "schedule.timezone": "schedule.enabled",
    "notifications.on_complete": "notifications.desktop",
    "notifications.on_failure": "notifications.desktop",
}
"""Keys that say how, and the key that says whether; it is refused as not available yet."""

LABELS = {"name", "description", "models.params"}
"""For people: shown, never acted on."""


def models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def keys(kind: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Dotted keys of the canonical file."""
    for name, field in kind.model_fields.items():
        inner = models_in(field.annotation)
        if not inner:
            yield ".".join((*path, name))
        for model in dict.fromkeys(inner):
            yield from keys(model, (*path, name))


def with_key(base: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The file with the value at the dotted key; in the first entry, where there are several."""
    data = copy.deepcopy(base)
    if isinstance(value, Instead):
        key, value = f"{key.partition('.')[0]}.{value.section}", value.value
    *above, last = key.split(".")
    at: Any = data
    for part in above:
        at = at.setdefault(part, {})
        at = at[0] if isinstance(at, list) else at
    at[last] = value
    return data


def told(lab: Lab, data: dict[str, Any]) -> object:
    """Everything planning says of a file: the plan, or why there is none."""
    path = lab.cwd / "base.yaml"
    path.write_text(yaml.safe_dump(data).replace("MODEL", str(lab.model)))
    (lab.cwd / "one.yaml").write_text("engine: fake\nmodel: tiny\n")
    (lab.cwd / "two.yaml").write_text("engine: fake\nmodel: tiny\nmax_output_tokens: 5\n")
    try:
        plan = planning.prepare(str(path)).plan
    except (CampaignError, NotFoundError, PreconditionError) as error:
        return error.message
    experiments = [experiment.model_dump() for experiment in plan.experiments]
    return experiments, plan.run_ids, plan.excluded, plan.warnings, plan.unavailable


@pytest.fixture
def here(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same user in this process."""
    monkeypatch.chdir(lab.cwd)
    monkeypatch.setenv("DYNO_HOME", str(lab.home))
    return lab


def covered(key: str) -> bool:
    """A key is told of by its own line, or by that of the key above it, whose value it is a part of."""
    known = {*ACTS, *SEEN_BY_RUNS, *WITH_A_SWITCH, *LABELS}
    return any(part in known for part in (key, key.rpartition(".")[0], key.rpartition(".")[0].rpartition(".")[0]))


def test_every_key_is_accounted_for() -> None:
    assert [key for key in keys(Campaign) if not covered(key)] == []


PRESENT = set(keys(Campaign))


@pytest.mark.parametrize(
    "key", sorted(key for key in ACTS if any(f"{found}.".startswith(f"{key}.") for found in PRESENT))
)
def test_a_key_changes_the_plan_or_is_refused(key: str, here: Lab) -> None:
    base, value = ACTS[key]
    assert told(here, with_key(base, key, value)) != told(here, base)


@pytest.mark.parametrize("switch", sorted(set(WITH_A_SWITCH.values())))
def test_what_has_a_switch_is_refused_when_it_is_on(switch: str, here: Lab) -> None:
    before, after = told(here, MATRIX), told(here, with_key(MATRIX, switch, True))
    assert isinstance(before, tuple)
    assert isinstance(after, tuple)
    assert before[-1] == ()
    assert any(item.where in (switch, switch.partition(".")[0]) for item in after[-1])


@pytest.mark.parametrize("key", sorted(LABELS))
def test_a_label_is_shown_and_changes_no_run(key: str, here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    value = "8B" if key == "models.params" else "told to people"
    assert told(here, with_key(MATRIX, key, value)) == told(here, MATRIX) or key == "name"
    told(here, with_key(MATRIX, key, value))
    assert main(["campaign", "show", "base.yaml", "--canonical"]) == 0
    assert value in capsys.readouterr().out


def steps_of(lab: Lab, data: dict[str, Any], fails: Failure | None = None) -> list[Step]:
    """The steps that running a file hands to workers."""
    seen: list[Step] = []

    def see(step: Step) -> Failure | None:
        seen.append(step)
        return fails

    told(lab, {**data, "execution": {**data["execution"], "mode": "auto"}})
    prepared = planning.prepare("base.yaml")
    stop = StopRequest()
    owning.run(prepared, owning.new_campaign(prepared), Hooks(stop=stop, executor=SimulatedExecutor(fails=see)))
    stop.close()
    return seen


def test_keys_that_runs_see(here: Lab) -> None:
    data = with_key(with_key(MATRIX, "execution.timeout", "77s"), "energy.source", "none")
    data = with_key(data, "execution.client_processes", 3)
    (step,) = steps_of(here, data)
    assert (step.timeout_s, step.energy_source, step.client_processes) == (77, "none", 3)
    failure = Failure(kind="runtime", message="no")
    for retries in (0, 3):
        assert len(steps_of(here, with_key(MATRIX, "execution.retry.max_attempts", retries), failure)) == 1 + retries
    many = with_key(with_key(MATRIX, "cycles", 8), "execution.retry.max_attempts", 0)
    assert len(steps_of(here, many, failure)) == 5
    assert len(steps_of(here, with_key(many, "execution.failure_threshold.rate", 1.0), failure)) == 8
    assert len(steps_of(here, with_key(many, "execution.failure_threshold.scope", "per_cycle"), failure)) == 8


@pytest.mark.parametrize(("key", "runs"), [("between_experiments", [1, 2]), ("between_cycles", [1])])
def test_pauses_are_made(key: str, runs: list[int], here: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    data = with_key(MATRIX, "workload.load.concurrency", runs)
    told(here, with_key(with_key(data, "cycles", 2), f"execution.thermal.{key}", "10ms"))
    assert main(["campaign", "run", "base.yaml"]) == 0
    assert "pause of 0.01 s" in capsys.readouterr().err


def test_folders_are_used(here: Lab) -> None:
    data = with_key(with_key(MATRIX, "io.results_dir", "deep/results"), "io.state_dir", "state")
    told(here, data)
    assert main(["campaign", "run", "base.yaml", "-q"]) == 0
    assert sorted(path.name for path in here.cwd.iterdir() if path.is_dir()) == ["deep", "state"]
    (folder,) = (here.cwd / "deep" / "results").iterdir()
    assert (here.cwd / "state" / f"{folder.name}.json").exists()
    assert main(["campaign", "run", "base.yaml", "--resume", "-q"]) == 0
    assert len(list(Path("deep/results").iterdir())) == 1
