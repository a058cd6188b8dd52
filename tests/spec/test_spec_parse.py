"""Every mistake is told at once, at its place, in the user's words."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.spec_engines import CATALOGUE, SUITES

from dynamometer.domain.campaign import Campaign, Grid
from dynamometer.errors import CampaignError
from dynamometer.spec.parse import CampaignFile, campaign_from_experiment, parse, parse_experiment
from dynamometer.spec.resolve import resolve

GRID = "name: x\ngrid:\n  engines: [vllm, transformers]\n  models: [gpt2]\n"
EXPERIMENTS = "name: x\nexperiments:\n  - {engine: llama_cpp, model: m}\n"


def read(text: str | bytes) -> CampaignFile:
    return parse(text, file="c.yaml", catalogue=CATALOGUE, suites=SUITES)


def mistakes(text: str | bytes) -> list[str]:
    with pytest.raises(CampaignError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GRID + "cycle: 3\n", "c.yaml:5:1: cycle: unknown key (did you mean 'cycles'?)"),
        (GRID + "timeout: 5m\n", "c.yaml:5:1: timeout: unknown key (did you mean 'execution.timeout'?)"),
        (GRID + "quant_filtr: {}\n", "c.yaml:5:1: quant_filtr: unknown key (did you mean 'quant_filter'?)"),
        (GRID + "cycles: '3'\n", "c.yaml:5:9: cycles: must be a whole number, not '3'"),
        (GRID + "cycles: 1.5\n", "c.yaml:5:9: cycles: must be a whole number, not 1.5"),
        (GRID + "cycles: true\n", "c.yaml:5:9: cycles: must be a whole number, not true"),
        (GRID + "cycles: -1\n", "c.yaml:5:9: cycles: must be at least 1, not -1"),
        (GRID + "cycles:\n", "cycles: must be a whole number, not nothing (null)"),
        (GRID + "seed: 99999999999999999999999\n", "c.yaml:5:7: seed: "),
        (GRID + "description: 3\n", "c.yaml:5:14: description: must be a text, not 3"),
        (GRID + "order: shufled\n", "(did you mean 'shuffled'?)"),
        (GRID + "execution: [1]\n", "execution: must be a mapping of keys to values, not a list"),
        (GRID + "execution: {timeout: 5}\n", "execution.timeout: a duration needs a unit: 5s, 5m or 5h"),
        (GRID + "execution: {parallel: 1}\n", "execution.parallel: must be true or false, not 1"),
        (GRID + "execution: {parallel: yes}\n", "must be true or false, not 'yes' (did you mean 'true'?)"),
        (GRID + "workload: {load: {rate: 0}}\n", "workload.load.rate: must be more than 0, not 0"),
        (GRID + "workload: {load: {rate: -3}}\n", "workload.load.rate: must be more than 0, not -3"),
        (GRID + "workload: {load: {rate: 1e9}}\n", "workload.load.rate: must be at most 100000, not 1000000000"),
        (GRID + "workload: {load: {rate: soon}}\n", "workload.load.rate: must be a number, not 'soon'"),
        (GRID + "workload: {load: {rate: [4, 4]}}\n", "workload.load.rate.1: 4 stands in this list twice"),
        (
            GRID + "workload: {load: {rate: 4, concurrency: 2}}\n",
            "workload.load: give one of concurrency, rate, trace, ramp; this has concurrency and rate",
        ),
        (
            GRID + "workload: {load: {arrivals: poisson}}\n",
            "workload.load: arrivals belongs to a rate or to a ramp of rate",
        ),
        (
            GRID + "workload: {load: {rate: 4, arrivals: poison}}\n",
            "workload.load.arrivals: must be constant or poisson, not 'poison' (did you mean 'poisson'?)",
        ),
        (GRID + "workload: {load: {ramp: {of: rate, start: 1, end: 2}}}\n", "workload.load.ramp: needs 'over'"),
        (
            GRID + "workload: {load: {ramp: {of: rate, start: 9, end: 2, over: 1s}}}\n",
            "workload.load.ramp: a ramp grows: end (2) must be more than start (9)",
        ),
        (
            GRID + "workload: {load: {ramp: {of: rate, start: 1, end: 2, over: 0s}}}\n",
            "workload.load.ramp.over: must be more than 0",
        ),
        (GRID + "workload: {load: {raet: 4}}\n", "workload.load.raet: unknown key (did you mean 'rate'?)"),
        (
            GRID + "workload: {max_output_tokens: {mean: 5}}\n",
            "workload.max_output_tokens: mean and stdev belong together",
        ),
        (
            GRID + "workload: {max_output_tokens: {min: 5, max: 4}}\n",
            "workload.max_output_tokens: min (5) is more than max (4)",
        ),
        (
            GRID + "workload: {max_output_tokens: {mean: 5, stdv: 4}}\n",
            "workload.max_output_tokens.stdv: unknown key (did you mean 'stdev'?)",
        ),
        (
            GRID + "workload: {max_output_tokens: many}\n",
            "workload.max_output_tokens: must be a whole number, not 'many'",
        ),
        (GRID + "workload: {max_output_tokens: 0}\n", "workload.max_output_tokens: must be at least 1, not 0"),
        (
            GRID + "workload: {max_output_tokens: [8, {min: 0, max: 4}]}\n",
            "workload.max_output_tokens.1.min: must be at least 1, not 0",
        ),
        (GRID + "workload: {dataset: bultin}\n", "unknown dataset 'bultin' (did you mean 'builtin'?)"),
        (GRID + "energy: {pue: 0.5}\n", "energy.pue: must be at least 1, not 0.5"),
        (GRID + "schedule: {at: '25:00'}\n", "schedule.at: '25:00' does not fit: Time of day to start, HH:MM."),
        (GRID + "quants: {skip_patterns: IQ1_*}\n", "quants.skip_patterns: must be a list, not 'IQ1_*'"),
        (GRID + "models: [{name: a}]\n", "c.yaml:5:10: models.0: needs weights: one of path"),
        (GRID + "models: [{path: a}]\n", "c.yaml:5:10: models.0: needs 'name'"),
        (
            GRID + "models: [{name: a, path: b, params: 8X}]\n",
            "models.0.params: '8X' does not fit: Number of parameters",
        ),
        (GRID + "models: [{name: a, path: b}, {name: a, path: c}]\n", "models.1.name: another model is called 'a' too"),
        (GRID + "engines: [{name: vlm}]\n", "c.yaml:5:18: engines.0.name: unknown engine 'vlm'; there are llama_cpp,"),
        (GRID + "engines: [pytorhc]\n", "(did you mean 'pytorch'?)"),
        (
            GRID + "engines: [{name: vllm, suite: quik}]\n",
            "unknown suite 'quik'; there are quick, standard (did you mean 'quick'?)",
        ),
        (
            GRID + "engines: [{name: vllm, formats: [gguff]}]\n",
            "engines.0.formats.0: must be safetensors, gguf or ollama",
        ),
        (GRID + "engines: [{name: vllm, options: {lora: [yes]}}]\n", "engines.0.options.lora.0: must be true or false"),
        (GRID + "workload: {suite: slow}\n", "c.yaml:5:19: workload.suite: unknown suite 'slow'"),
        (GRID + "workload: {load: {concurrency: [1, 0]}}\n", "workload.load.concurrency.1: must be at least 1, not 0"),
        (GRID + "workload: {load: {concurrency: []}}\n", "workload.load.concurrency: an empty list; give at least one"),
        (GRID + "workload: {max_output_tokens: [8, 8]}\n", "workload.max_output_tokens.1: 8 stands in this list twice"),
        (GRID + "name: y\n", "c.yaml:5:1: name: 'name' is given twice: here and in line 1"),
        (GRID + "  precison: float16\n", "c.yaml:5:3: grid.precison: unknown key: neither a key of grid nor an engine"),
        (
            GRID + "  precision: [float16, flot16]\n",
            "grid.precision.1: must be float32, float16, bfloat16, fp8 or auto",
        ),
        (GRID + "  max_output_tokens: [a]\n", "c.yaml:5:23: grid.max_output_tokens.0: must be a whole number, not 'a'"),
        (
            GRID + "  decoder: {temperature: [0, 9]}\n",
            "c.yaml:5:30: grid.decoder.temperature.1: must be at most 5, not 9",
        ),
        (
            GRID + "  llama_cpp: {n_ctx: 64}\n",
            "c.yaml:5:3: grid.llama_cpp: a section for llama_cpp, which grid.engines",
        ),
        (GRID + "  vllm: 3\n", "c.yaml:5:9: grid.vllm: must be a mapping of"),
        (
            GRID + "  vllm: {max_seqs: 3}\n",
            "grid.vllm.max_seqs: vllm has no such option (did you mean 'max_num_seqs'?)",
        ),
        (GRID + "  vllm: {max_num_seqs: [1, 0]}\n", "c.yaml:5:28: grid.vllm.max_num_seqs.1: must be at least 1, not 0"),
        (GRID + "  vllm: {max_num_seqs: []}\n", "grid.vllm.max_num_seqs: an empty list; give at least one value"),
        (
            GRID + "  exclude: [{precison: float16}]\n",
            "grid.exclude.0.precison: no axis and no option of the grid's engines",
        ),
        (GRID + "  exclude: [{engine: vlm}]\n", "grid.exclude.0.engine: unknown engine 'vlm'"),
        (GRID + "  exclude: [{quant: Q4_1}]\n", "grid.exclude.0.quant: no axis and no option of the grid's engines"),
        (GRID + "  exclude: [{}]\n", "grid.exclude.0: an empty mapping leaves nothing out"),
        (
            GRID + "  exclude: [{decoder: {temperature: x}}]\n",
            "grid.exclude.0.decoder.temperature: must be a number, not 'x'",
        ),
        (GRID + "  groups: [[{engine: vllm}]]\n", "grid.groups.0.0.engine: no axis"),
        (GRID + "  groups: [[{batch_size: [1, 2]}]]\n", "a group holds single values"),
        (GRID + "  groups: [[{batch_size: 0}]]\n", "grid.groups.0.0.batch_size: must be at least 1, not 0"),
        (GRID + "  groups: [[]]\n", "grid.groups.0: an empty list"),
        (GRID + "  include: [{engine: vllm}]\n", "grid.include.0: needs engine and model"),
        (GRID + "  include: [{config: a.yaml}]\n", "grid.include.0.config: files belong under experiments"),
        ("name: x\ngrid: {engines: [vllm, vllm], models: [m]}\n", "grid.engines.1: 'vllm' stands in this list twice"),
        ("name: x\ngrid: {engines: [], models: [m]}\n", "c.yaml:2:17: grid.engines: an empty list"),
        ("name: x\ngrid: {engines: [vllm]}\n", "c.yaml:2:1: grid: needs 'models'"),
        ("name: x\ngrid: 3\nvllm: {}\n", "grid: must be a mapping"),
        ("grid: {engines: [vllm], models: [m]}\n", "c.yaml:1:1: needs 'name'"),
        ("name: ''\ngrid: {engines: [vllm], models: [m]}\n", "c.yaml:1:7: name: must not be empty"),
        (
            'name: "a\\nb"\ngrid: {engines: [vllm], models: [m]}\n',
            "c.yaml:1:7: name: must not contain control characters",
        ),
        ("name: x\n", "c.yaml:1:1: nothing to run: give models and engines, a grid, or experiments"),
        (
            EXPERIMENTS + "models: [{name: mm, path: p}]\n",
            "experiments.0.model: models has no 'm' (did you mean 'mm'?)",
        ),
        (EXPERIMENTS + "  - {engine: llama_cpp}\n", "c.yaml:4:5: experiments.1: needs engine and model"),
        (
            EXPERIMENTS + "  - {engine: llama_cpp, model: m, options: {n_ctx: [64]}}\n",
            "must be a whole number, not a list",
        ),
        (
            EXPERIMENTS + "  - {config: a.yaml, requests: 3}\n",
            "requests: put what changes the file's values under overrides",
        ),
        (
            EXPERIMENTS + "  - {config: a.yaml, overrides: {request: 3}}\n",
            "experiments.1.overrides.request: unknown key",
        ),
        (
            EXPERIMENTS + "  - {config: a.yaml, overrides: {requests: 0}}\n",
            "experiments.1.overrides.requests: must be at least 1",
        ),
        (EXPERIMENTS + "  - {config: a.yaml, overrides: {config: b}}\n", "overrides.config: cannot be overridden"),
        (
            EXPERIMENTS + "  - {engine: llama_cpp, model: m, load: {concurrency: []}}\n",
            "load.concurrency: an empty list",
        ),
    ],
)
def test_says_what_is_wrong(text: str, message: str) -> None:
    found = mistakes(text)
    assert any(message in mistake for mistake in found), found


def test_says_everything_at_once_in_the_order_of_the_file() -> None:
    found = mistakes("cycles: x\nengines: [vlm]\nmodels: 3\nseed: -1\n")
    assert [mistake.split(": ")[1] for mistake in found] == ["needs 'name'", "cycles", "engines.0", "models", "seed"]


def test_says_no_more_than_fifty() -> None:
    found = mistakes(GRID + "".join(f"unknown_{number}: 1\n" for number in range(120)))
    assert len(found) == 51
    assert found[-1] == "and 70 more"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a b/c", "Ünïcode"])
def test_names_may_be_any_text(name: str) -> None:
    assert resolve(read(GRID.replace("name: x", f"name: {name}"))).campaign.name == name


def test_whole_numbers_are_numbers() -> None:
    campaign = resolve(read(GRID + "energy: {pue: 2}\n")).campaign
    assert campaign.energy.pue == 2.0


def test_rules_between_options_are_left_to_the_plan() -> None:
    text = GRID + "  vllm: {lora: [true, false], quantisation: [awq, null]}\n"
    grid = resolve(read(text)).campaign.grid
    assert isinstance(grid, Grid)
    assert grid.sections["vllm"] == {"lora": [True, False], "quantisation": ["awq", None]}


def test_a_repository_is_no_misspelt_model() -> None:
    text = "name: x\nmodels: [{name: gpt-two, path: p}]\ngrid: {engines: [vllm], models: [openai/gpt-two, ./gpt-tw]}\n"
    assert read(text).data["grid"]["models"] == ["openai/gpt-two", "./gpt-tw"]


def test_aliases_of_yaml_share_values_without_mixing_them() -> None:
    text = (
        "name: x\nexperiments:\n  - &a {engine: llamacpp, model: m, options: &o {n_ctx: 128}}\n"
        "  - {<<: *a, model: n, options: {<<: *o, n_parallel: 2}}\n"
    )
    first, second = resolve(read(text)).campaign.experiments
    assert (first.engine, first.options) == ("llama_cpp", {"n_ctx": 128})
    assert (second.model, second.options) == ("n", {"n_ctx": 128, "n_parallel": 2})


EXPERIMENT = "backend: llamacpp\nmodel: SmolLM\nllamacpp: {n_ctx: 128}\nmodels: [{name: SmolLM, path: x.gguf}]\n"


def alone(text: str, file: str = "configs/one.yaml") -> Campaign:
    experiment = parse_experiment(text, file=file, catalogue=CATALOGUE, suites=SUITES)
    return resolve(campaign_from_experiment(experiment)).campaign


def test_a_file_with_one_experiment_runs_alone() -> None:
    campaign = alone(EXPERIMENT + "execution: {timeout: 5m}\nparallel: false\nload.concurrency: 3\n")
    assert (campaign.name, campaign.cycles, campaign.execution.timeout) == ("one", 1, 300.0)
    (entry,) = campaign.experiments
    assert (entry.engine, entry.options, entry.load and entry.load.concurrency) == ("llama_cpp", {"n_ctx": 128}, 3)
    assert campaign.models[0].path == "x.gguf"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXPERIMENT + "cycles: 3\n", "one.yaml:5:1: cycles: unknown key"),
        (EXPERIMENT + "grid: {}\n", "one.yaml:5:1: grid: unknown key"),
        (EXPERIMENT + "config: a.yaml\n", "config: a file with one experiment holds the values themselves"),
        (EXPERIMENT + "requests: 0\n", "one.yaml:5:11: requests: must be at least 1, not 0"),
        (EXPERIMENT + "engine: vllm\n", "one.yaml:5:1: engine: says the same as backend (line 1); keep one"),
        (EXPERIMENT.replace("n_ctx", "n_ctz"), "one.yaml:3:12: llamacpp.n_ctz: llama_cpp has no such option"),
        ("model: a\n", "one.yaml:1:1: needs engine and model"),
    ],
)
def test_mistakes_in_a_file_with_one_experiment(text: str, message: str) -> None:
    with pytest.raises(CampaignError) as caught:
        alone(text, "one.yaml")
    assert any(message in str(problem) for problem in caught.value.problems), str(caught.value)


KEYS = sorted(
    {
        *Campaign.model_fields,
        *Grid.model_fields,
        *("campaign", "campaign_name", "quant_filter", "parallel", "docker", "notification", "on", "webhook_url"),
        *("backends", "backend", "engine", "model", "fp_precision", "pytorch", "vllm", "decoder.temperature", "load"),
        *(
            "config",
            "overrides",
            "options",
            "suite",
            "name",
            "path",
            "batch_size",
            "load.concurrency",
            "x.",
            ".",
            "",
            "<<",
        ),
    }
)
WORDS = st.sampled_from(["vllm", "pytorch", "quick", "m", "5m", "complete", "", "yes", "a/b", "float16", *KEYS[:5]])
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 70), st.floats(-1, 9), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None)
@given(tree=st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8))
def test_any_tree_is_a_campaign_or_a_list_of_mistakes(tree: dict[str, object]) -> None:
    read_or_refuse(yaml.safe_dump(tree, sort_keys=False))


@settings(deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_a_campaign_or_a_list_of_mistakes(text: str) -> None:
    read_or_refuse(text)


def read_or_refuse(text: str) -> None:
    for reader in (parse, parse_experiment):
        with suppress(CampaignError):
            file = reader(text, file="c", catalogue=CATALOGUE, suites=SUITES)
            assert file.data


def test_a_misspelt_file_of_any_size_is_told_briefly() -> None:
    letters = random.Random(7)
    lines = [f"  - {{engine: {''.join(letters.sample('abcdefgh', 5))}, model: m}}" for _ in range(500)]
    found = mistakes("name: x\nexperiments:\n" + "\n".join(lines))
    assert found[-1] == "and 450 more"
