"""Both dialects of the seeds, letter by letter, mean their canonical form; nothing is said twice or lost."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from tests.spec.spec_engines import CATALOGUE, SUITES

from dynamometer.domain.campaign import Campaign
from dynamometer.errors import CampaignError
from dynamometer.spec.parse import CampaignFile, parse, parse_experiment
from dynamometer.spec.resolve import resolve

SEEDS = Path(__file__).parent.parent / "data" / "seeds"
ORIGINALS = Path(__file__).resolve().parents[3] / "shared" / "seeds"
GRID = "name: x\ngrid:\n  engines: [vllm, transformers]\n  models: [gpt2]\n"
SPECIAL = "engine: tensorrt_llm\nmodel: gpt2\n"


def read(text: str) -> CampaignFile:
    return parse(text, file="c.yaml", catalogue=CATALOGUE, suites=SUITES)


def campaign(text: str) -> Campaign:
    special = parse_experiment(SPECIAL, file="special.yaml", catalogue=CATALOGUE, suites=SUITES)
    return resolve(read(text), experiment_files={"configs/tensorrt_special_case.yaml": special}).campaign


def seed(name: str) -> str:
    return (SEEDS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "source", "place"),
    [
        ("000_campaign.yaml", "000", 0),
        ("003_grid.yaml", "003", 0),
        ("003_schedule.yaml", "003", 1),
        ("003_notification.yaml", "003", 2),
    ],
)
def test_seeds_are_letter_by_letter(name: str, source: str, place: int) -> None:
    originals = sorted(ORIGINALS.glob(f"{source}_*")) if ORIGINALS.is_dir() else []
    if not originals:
        pytest.skip("the seeds are not on this machine")
    text = originals[0].read_bytes().decode()
    blocks = [part.split("```", 1)[0] for part in text.split("```yaml\n")[1:]]
    assert (SEEDS / name).read_bytes().decode() == blocks[place]


def test_seed_000() -> None:
    read_file = read(seed("000_campaign.yaml"))
    assert read_file.dialect == "flat"
    seen = resolve(read_file).campaign
    assert seen.name == "my-campaign"
    assert [(model.name, model.params, model.formats) for model in seen.models] == [
        ("Llama-3.1-8B-Instruct", "8B", ("safetensors", "gguf", "ollama")),
        ("Qwen2.5-7B-Instruct", "7B", ("gguf", "ollama")),
    ]
    assert [(engine.name, engine.suite, engine.formats) for engine in seen.engines] == [
        ("llama_cpp", "standard", ("gguf",)),
        ("ollama", "standard", ("gguf",)),
    ]
    assert (seen.disk.reserve_gb, seen.disk.cleanup_after_run) == (100.0, True)
    assert (seen.notifications.desktop, seen.notifications.on_complete, seen.notifications.on_failure) == (True,) * 3
    assert seen.quants.skip_patterns == ("IQ1_*", "IQ2_*")
    assert seen.limits.max_model_size_gb == 100.0
    assert (seen.execution.parallel, seen.models_from.devon_managed) == (False, True)


def test_seed_003() -> None:
    read_file = read(seed("003_grid.yaml"))
    assert read_file.dialect == "nested"
    seen = campaign(seed("003_grid.yaml"))
    assert (seen.name, seen.cycles) == ("energy-comparison", 5)
    assert seen.grid is not None
    assert seen.grid.engines == ("transformers", "vllm")
    assert seen.grid.models == ("gpt2", "meta-llama/Llama-3.1-8B")
    assert seen.grid.precision == ("float16", "bfloat16")
    assert seen.grid.decoder is not None
    assert seen.grid.decoder.preset == "deterministic"
    assert seen.grid.sections == {
        "transformers": {"batch_size": [1, 4, 8]},
        "vllm": {"max_num_seqs": [1, 4, 8], "gpu_memory_utilization": 0.9},
    }
    assert [(entry.engine, entry.model) for entry in seen.experiments] == [("tensorrt", "gpt2")]


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


@pytest.mark.parametrize("inside", list(product((True, False), repeat=2)))
def test_snippets_of_seed_003(inside: tuple[bool, bool]) -> None:
    """The schedule and the notification stand under ``campaign:`` or beside it."""
    snippets = [seed("003_schedule.yaml"), seed("003_notification.yaml")]
    placed = [indented(text) if within else text for text, within in zip(snippets, inside, strict=True)]
    placed.sort(key=lambda text: not text.startswith(" "))
    seen = campaign(seed("003_grid.yaml") + "".join(placed))
    assert (seen.schedule.enabled, seen.schedule.at) == (True, "02:00")
    assert (seen.schedule.interval, seen.schedule.total_duration) == (6 * 3600.0, 48 * 3600.0)
    assert seen.notifications.urls == ("https://hooks.slack.com/...",)
    assert (seen.notifications.on_complete, seen.notifications.on_failure) == (True, True)


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("docker: {strategy: persistent}", "execution: {container: {strategy: persistent}}"),
        ("parallel: true\nexecution: {timeout: 5m}", "execution: {timeout: 5m, parallel: true}"),
        ("devon_managed: true\nmodels_from: {prefetch: true}", "models_from: {prefetch: true, devon_managed: true}"),
        ("quant_filter: {include_only: [Q4_1]}", "quants: {include_only: [Q4_1]}"),
        ("resource_limits: {max_model_size_gb: 3}", "limits: {max_model_size_gb: 3}"),
        ("notification: {on: failure}", "notifications: {on_complete: false}"),
        ("notification: {on: []}", "notifications: {on_complete: false, on_failure: false}"),
        ("workload: {load.concurrency: [1, 8]}", "workload: {load: {concurrency: [1, 8]}}"),
        ("workload.suite: quick", "workload: {suite: quick}"),
        (
            "pytorch: {batch_size: 2}\nvllm: {max_num_seqs: 2}",
            "  vllm: {max_num_seqs: 2}\n  transformers: {batch_size: 2}",
        ),
        ("  pytorch: {batch_size: [1, 2]}", "  transformers: {batch_size: [1, 2]}"),
        ("  fp_precision: float16", "  precision: float16"),
        ("  decoder.temperature: [0, 1]\n  decoder: {top_p: 0.5}", "  decoder: {temperature: [0, 1], top_p: 0.5}"),
        (
            "  exclude: [{backend: pytorch, fp_precision: float16}]",
            "  exclude: [{engine: transformers, precision: float16}]",
        ),
        ("  exclude: [{decoder: {top_k: 1}}]", "  exclude: [{decoder.top_k: 1}]"),
        (
            "  groups: [[{load: {concurrency: 1}}, {load.concurrency: 2}]]",
            "  groups: [[{concurrency: 1}, {concurrency: 2}]]",
        ),
        (
            "  include: [{backend: pytorch, model: m, pytorch: {batch_size: 2}}]",
            "  include: [{engine: transformers, model: m, options: {batch_size: 2}}]",
        ),
        (
            "engines: [pytorch]\nmodels: [{name: gpt2, path: p}]",
            "engines: [{name: transformers}]\nmodels: [{name: gpt2, path: p}]",
        ),
    ],
)
def test_spellings_mean_the_same(spelled: str, canonical: str) -> None:
    assert campaign(f"{GRID}{spelled}\n") == campaign(f"{GRID}{canonical}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("campaign_name: y", "c.yaml:5:1: campaign_name: says the same as name (line 1); keep one"),
        (
            "parallel: true\nexecution: {parallel: true}",
            "c.yaml:6:13: execution.parallel: says the same as parallel (line 5)",
        ),
        ("campaign: {name: y}", "says the same as"),
        (
            "  fp_precision: float16\n  precision: float16",
            "c.yaml:6:3: grid.precision: says the same as grid.fp_precision (line 5)",
        ),
        (
            "pytorch: {batch_size: 1}\ntransformers: {batch_size: 2}",
            "transformers.batch_size: says the same as pytorch.batch_size",
        ),
        (
            "notification: {on: [complete, sucess]}",
            "c.yaml:5:31: notification.on.1: must be complete or failure, not 'sucess'",
        ),
        ("notification: {webhook_url: 3}", "c.yaml:5:29: notification.webhook_url: must be a text, not 3"),
        ("llama_cpp: {n_ctx: 64}", "c.yaml:5:1: llama_cpp: a section for llama_cpp, which grid.engines does not list"),
        ("pytorch: {batch_size: 0}", "c.yaml:5:23: pytorch.batch_size: must be at least 1, not 0"),
        ("docker: {strategy: x}", "c.yaml:5:20: docker.strategy: must be ephemeral or persistent, not 'x'"),
    ],
)
def test_mistakes_keep_the_users_spelling(text: str, message: str) -> None:
    with pytest.raises(CampaignError) as caught:
        read(f"{GRID}{text}\n")
    assert message in str(caught.value)


def test_a_section_without_a_grid_is_refused() -> None:
    with pytest.raises(CampaignError) as caught:
        read("name: x\nvllm: {max_num_seqs: 3}\nexperiments: [{engine: vllm, model: m}]\n")
    assert (
        str(caught.value) == "c.yaml:2:1: vllm: an engine's section belongs to a grid, and no grid lists engines here"
    )
