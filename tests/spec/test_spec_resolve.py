"""Layers over layers, files under overrides, and who set what."""

from __future__ import annotations

import pytest
from tests.spec.spec_engines import CATALOGUE, SUITES

from dynamometer.errors import CampaignError
from dynamometer.spec.parse import CampaignFile, ExperimentFile, parse, parse_experiment
from dynamometer.spec.resolve import Origin, config_references, merge, resolve

TEXT = """\
name: x
cycles: 2
execution:
  timeout: 5m
  thermal: {between_cycles: 10s}
grid: {engines: [vllm], models: [gpt2], vllm: {max_num_seqs: [1, 2]}}
"""


def read(text: str) -> CampaignFile:
    return parse(text, file="c.yaml", catalogue=CATALOGUE, suites=SUITES)


def one(text: str, file: str = "one.yaml") -> ExperimentFile:
    return parse_experiment(text, file=file, catalogue=CATALOGUE, suites=SUITES)


def test_each_layer_lies_over_the_ones_before() -> None:
    resolved = resolve(
        read(TEXT),
        preferences={"cycles": 1, "seed": 7, "execution": {"timeout": "1m", "retry": {"max_attempts": 0}}},
        environment={"execution": {"timeout": "2m"}, "energy": {"source": "none"}},
        flags={"cycles": 9, "energy": {"source": "rapl"}},
    )
    campaign = resolved.campaign
    assert (campaign.cycles, campaign.seed, campaign.energy.source) == (9, 7, "rapl")
    assert (campaign.execution.timeout, campaign.execution.retry.max_attempts) == (120.0, 0)
    assert campaign.execution.thermal.between_cycles == 10.0
    assert resolved.origins["cycles"] == Origin("flags")
    assert resolved.origins["seed"] == Origin("preferences")
    assert resolved.origins["execution.timeout"] == Origin("environment")
    assert resolved.origins["execution.thermal.between_cycles"] == Origin("file", "c.yaml", 5)
    assert resolved.origins["grid.vllm.max_num_seqs"] == Origin("file", "c.yaml", 6)
    assert "order" not in resolved.origins


def test_lists_replace_and_mappings_join() -> None:
    assert merge({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}}
    assert merge({"a": {"b": 1}}, {"a": 3}) == {"a": 3}


@pytest.mark.parametrize(
    ("layer", "settings", "message"),
    [
        ("flags", {"cycles": 0}, "command line: cycles: must be at least 1, not 0"),
        ("flags", {"workload": {"suite": "quik"}}, "command line: workload.suite: unknown suite 'quik'"),
        ("environment", {"execution": {"timeout": "5"}}, "environment: execution.timeout: a duration needs a number"),
        (
            "preferences",
            {"energy": {"sorce": "rapl"}},
            "user configuration: energy.sorce: unknown key (did you mean 'source'?)",
        ),
        ("preferences", {"execution": 3}, None),
        ("flags", {"execution": 3}, "command line: execution: must be a mapping"),
    ],
)
def test_mistakes_name_their_layer(layer: str, settings: dict[str, object], message: str | None) -> None:
    file = read(TEXT)
    given = {"preferences": {}, "environment": {}, "flags": {}, layer: settings}
    if message is None:
        assert resolve(file, preferences=given["preferences"]).campaign == resolve(file).campaign
        return
    with pytest.raises(CampaignError) as caught:
        resolve(file, preferences=given["preferences"], environment=given["environment"], flags=given["flags"])
    assert message in str(caught.value)


CAMPAIGN = """\
name: x
models: [{name: m, path: m.gguf}]
experiments:
  - {engine: llama_cpp, model: m}
  - config: one.yaml
    overrides: {requests: 9, options: {n_parallel: 2}, decoder.temperature: 0.5}
  - config: one.yaml
"""
ONE = "engine: llama_cpp\nmodel: own\noptions: {n_ctx: 128}\nmodels: [{name: own, path: own.gguf}]\n"


def test_references_are_replaced_by_what_the_files_hold() -> None:
    file = read(CAMPAIGN)
    assert config_references(file) == ("one.yaml",)
    resolved = resolve(file, experiment_files={"one.yaml": one(ONE)})
    inline, over, plain = resolved.campaign.experiments
    assert inline.model == "m"
    assert (over.config, over.overrides, over.requests) == (None, {}, 9)
    assert over.options == {"n_ctx": 128, "n_parallel": 2}
    assert over.decoder is not None
    assert over.decoder.temperature == 0.5
    assert (plain.model, plain.options, plain.requests) == ("own", {"n_ctx": 128}, None)
    assert [model.name for model in resolved.campaign.models] == ["m", "own"]
    assert resolved.notes == ()


def test_what_counts_only_alone_is_told() -> None:
    (note,) = resolve(read(CAMPAIGN), experiment_files={"one.yaml": one(ONE + "seed: 3\n")}).notes[:1]
    assert str(note) == "one.yaml:5:1: seed: seed counts only when this file is run alone; the campaign's own applies"


@pytest.mark.parametrize(
    ("campaign", "experiment", "message"),
    [
        (CAMPAIGN, None, "c.yaml:5:13: experiments.1.config: there is no file 'one.yaml'"),
        (CAMPAIGN, ONE + "quants: {include_only: [Q4_1]}\n", "one.yaml:5:1: quants: quants counts only"),
        (
            CAMPAIGN,
            ONE.replace("own", "m").replace("m.gguf", "other.gguf"),
            "one.yaml:4:10: models.0: 'm' is described otherwise elsewhere",
        ),
        (
            CAMPAIGN + "engines: [llama_cpp]\n",
            ONE,
            "c.yaml:5:13: experiments.1.config: its file brings the model 'own'",
        ),
        (
            CAMPAIGN.replace("n_parallel", "n_paralel"),
            ONE,
            "c.yaml:6:40: experiments.1.overrides.options.n_paralel: llama_cpp has",
        ),
        (
            CAMPAIGN.replace("n_parallel: 2", "n_parallel: 0"),
            ONE,
            "overrides.options.n_parallel: must be at least 1, not 0",
        ),
        (
            CAMPAIGN.replace("options: {n_parallel: 2}", "engine: vllm"),
            ONE,
            "one.yaml:3:11: options.n_ctx: vllm has no such option",
        ),
    ],
)
def test_mistakes_between_files(campaign: str, experiment: str | None, message: str) -> None:
    files = {} if experiment is None else {"one.yaml": one(experiment)}
    with pytest.raises(CampaignError) as caught:
        resolve(read(campaign), experiment_files=files)
    assert message in str(caught.value)


GRID = "name: x\nmodels: [{name: gpt2, path: m}]\ngrid: {engines: [vllm], models: [gpt2]}\n"


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        (
            GRID + "workload: {duration: 40m}\n",
            {},
            "c.yaml:4:22: workload.duration: 40m does not fit in execution.timeout (30m); raise execution.timeout",
        ),
        (GRID + "workload: {duration: 40m}\n", {"execution": {"timeout": "41m"}}, None),
        (GRID + "workload: {duration: 5m}\n", {"execution": {"timeout": "5m"}}, "c.yaml:4:22: workload.duration: 5m"),
        (GRID, {"workload": {"duration": "31m"}}, "command line: workload.duration: 31m does not fit"),
        (GRID + "workload: {duration: 40m, load: {trace: t.csv}}\n", {}, None),
        (
            "name: x\nmodels: [{name: m, path: m}]\nexperiments: [{engine: llama_cpp, model: m, duration: 1h}]\n",
            {},
            "c.yaml:3:55: experiments.0.duration: 1h does not fit",
        ),
        (
            "name: x\nexperiments: [{engine: llama_cpp, model: m.gguf, requests: 4}]\nworkload: {duration: 1h}\n",
            {},
            None,
        ),
    ],
)
def test_a_duration_must_fit_in_the_timeout_whoever_sets_either(
    text: str, flags: dict[str, object], message: str | None
) -> None:
    if message is None:
        resolve(read(text), flags=flags)
        return
    with pytest.raises(CampaignError) as caught:
        resolve(read(text), flags=flags)
    assert message in str(caught.value)
