"""The canonical text reads back as the same campaign; the schema and the suites agree with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.spec_engines import CATALOGUE, SUITES

import dynamometer
from dynamometer.domain.campaign import Campaign
from dynamometer.domain.units import format_duration, parse_duration
from dynamometer.errors import CampaignError
from dynamometer.spec.explain import canonical_yaml, origins_text
from dynamometer.spec.parse import parse
from dynamometer.spec.resolve import resolve
from dynamometer.spec.schema import json_schema
from dynamometer.spec.suites import parse_suite

SUITE_FOLDER = Path(dynamometer.__file__).parent / "suites"
TRICKY = [
    "on",
    "no",
    "null",
    "~",
    "012",
    "0o17",
    "0x1f",
    "1e3",
    "1.",
    "12:30",
    "- a",
    "a: b",
    "#x",
    "é✓",
    "'",
    '"',
    "!t",
    "=",
    "<<",
]
NAMES = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20).filter(str.strip),
)
DURATIONS = st.sampled_from(["0s", "5ms", "1234567ms", "90s", "1h 30m", "0.1s", "0.3000000001s", "2d"])


def few(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.lists(values, min_size=1, max_size=3, unique_by=repr))


RATES = st.floats(0.01, 100_000)
RAMPS = st.fixed_dictionaries(
    {
        "of": st.sampled_from(["rate", "concurrency"]),
        "start": st.integers(1, 9),
        "end": st.integers(10, 99),
        "over": DURATIONS.filter("0s".__ne__),
    }
)
LOADS = st.one_of(
    st.fixed_dictionaries({"concurrency": few(st.integers(1, 99))}),
    st.fixed_dictionaries(
        {"rate": few(RATES)},
        optional={"arrivals": few(st.sampled_from(["constant", "poisson"])), "max_in_flight": st.integers(1, 9)},
    ),
    st.fixed_dictionaries({"ramp": few(RAMPS)}),
    st.fixed_dictionaries({"trace": few(NAMES)}),
)
LENGTHS = st.one_of(
    st.integers(1, 10**6),
    st.fixed_dictionaries({"mean": st.floats(5, 50), "stdev": st.floats(0, 9)}, optional={"max": st.integers(50, 99)}),
    st.fixed_dictionaries({"min": st.integers(1, 9), "max": st.integers(9, 99)}),
)
CAMPAIGNS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "grid": st.fixed_dictionaries(
            {
                "engines": st.just(["vllm"]),
                "models": st.lists(NAMES.map("./{}".format), min_size=1, max_size=3, unique=True),
            },
            optional={
                "max_output_tokens": few(st.integers(1, 10**6)),
                "decoder": st.fixed_dictionaries({"temperature": few(st.floats(0, 5))}),
                "vllm": st.fixed_dictionaries({"gpu_memory_utilization": few(st.floats(0.01, 1))}),
                "groups": st.just([[{"precision": "float16", "max_num_seqs": 3}, {"precision": "bfloat16"}]]),
                "exclude": st.lists(st.fixed_dictionaries({"model": NAMES}), max_size=2),
            },
        ),
    },
    optional={
        "description": NAMES,
        "cycles": st.integers(1, 1000),
        "order": st.sampled_from(["shuffled", "interleaved"]),
        "execution": st.fixed_dictionaries(
            {"timeout": DURATIONS.filter("0s".__ne__), "thermal": st.fixed_dictionaries({"between_cycles": DURATIONS})}
        ),
        "energy": st.fixed_dictionaries({"pue": st.floats(1, 9), "price_per_kwh": st.none()}),
        "schedule": st.fixed_dictionaries({"at": st.just("02:00"), "interval": DURATIONS}),
        "notifications": st.fixed_dictionaries({"urls": st.lists(NAMES, max_size=2)}),
        "workload": st.fixed_dictionaries(
            {"streaming": few(st.booleans()), "slo": st.just({"ttft_ms": 0.1})},
            optional={"load": LOADS, "max_input_tokens": few(LENGTHS), "max_output_tokens": few(LENGTHS)},
        ),
    },
)


def read(text: str) -> Campaign:
    return resolve(parse(text, file="c.yaml", catalogue=CATALOGUE, suites=SUITES)).campaign


@settings(max_examples=150, deadline=None)
@given(CAMPAIGNS, st.booleans())
def test_canonical_text_reads_back(data: dict[str, Any], full: bool) -> None:
    campaign = read(json.dumps(data, ensure_ascii=False))
    assert read(canonical_yaml(campaign, full=full)) == campaign


@settings(deadline=None)
@given(st.floats(0, 1e9))
def test_durations_read_back_exactly(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_canonical_text_shows_what_differs_in_the_order_of_the_reference() -> None:
    text = "grid: {models: gpt2, engines: pytorch}\nseed: 42\nname: 'on'\ncycles: 3\n"
    assert canonical_yaml(read(text)) == "name: 'on'\ncycles: 3\ngrid:\n  engines: [transformers]\n  models: [gpt2]\n"


def test_origins_are_told_line_by_line() -> None:
    file = parse(
        "name: x\ngrid: {engines: vllm, models: gpt2, decoder.temperature: 0}\n"
        "experiments: [{engine: vllm, model: m}]\n",
        file="c.yaml",
        catalogue=CATALOGUE,
        suites=SUITES,
    )
    lines = origins_text(resolve(file, flags={"execution": {"timeout": "90s"}})).splitlines()
    assert [line.split() for line in lines] == [
        ["name", "x", "c.yaml:1"],
        ["grid.engines", "[vllm]", "c.yaml:2"],
        ["grid.models", "[gpt2]", "c.yaml:2"],
        ["grid.decoder.temperature", "0.0", "c.yaml:2"],
        ["experiments", "1", "in", "a", "list", "c.yaml:3"],
        ["execution.timeout", "90s", "command", "line"],
    ]


@settings(max_examples=50, deadline=None)
@given(CAMPAIGNS)
def test_the_schema_accepts_what_we_write(data: dict[str, Any]) -> None:
    VALIDATOR.validate(read(json.dumps(data, ensure_ascii=False)).model_dump(mode="json", exclude_defaults=True))


SCHEMA = json_schema(CATALOGUE)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
MINIMAL: dict[str, Any] = {"name": "x", "grid": {"engines": ["vllm"], "models": ["m"]}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cycle": 1},
        {"cycles": 0},
        {"engines": [{"name": "vlm"}]},
        {"engines": [{"name": "vllm", "options": {"n_ctx": 64}}]},
        {"engines": [{"name": "vllm", "options": {"max_num_seqs": [1, "a"]}}]},
        {"grid": {"engines": ["vllm"], "models": ["m"], "vlm": {}}},
        {"grid": {"engines": ["vllm"], "models": ["m"], "vllm": {"max_seqs": 1}}},
        {"experiments": [{"engine": "vllm", "model": "m", "options": {"max_num_seqs": [1]}}]},
        {"execution": {"timeout": 5}},
    ],
)
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(MINIMAL)
    assert not VALIDATOR.is_valid(MINIMAL | wrong)


def test_the_schema_is_one_and_describes_every_key() -> None:
    VALIDATOR.check_schema(SCHEMA)
    assert "$id" not in SCHEMA
    own = {name: each for name, each in SCHEMA["$defs"].items() if "." not in name}
    for name, definition in {"Campaign": SCHEMA, **own}.items():
        for key, schema in definition.get("properties", {}).items():
            assert "description" in schema or "$ref" in schema, f"{name}.{key}"


@pytest.mark.parametrize("name", ["quick", "standard", "performance"])
def test_the_suites_of_the_package_read(name: str) -> None:
    suite = parse_suite((SUITE_FOLDER / f"{name}.yaml").read_bytes(), file=f"{name}.yaml")
    assert suite.name == name
    assert suite.description
    assert len({benchmark.name for benchmark in suite.benchmarks}) == len(suite.benchmarks)


def test_what_the_suites_are_for() -> None:
    quick, standard, performance = (
        parse_suite((SUITE_FOLDER / f"{name}.yaml").read_bytes(), file=name)
        for name in ("quick", "standard", "performance")
    )
    assert [each.workload.load.concurrency for each in quick.benchmarks] == [1, 4]
    tokens = sum((each.workload.requests or 0) * int(str(each.workload.max_output_tokens)) for each in quick.benchmarks)
    assert tokens <= 20 * 60, "a minute at 20 tokens a second"
    assert [each.kind for each in standard.benchmarks].count("quality") == 1
    assert [each.workload.load.concurrency for each in performance.benchmarks] == [2**power for power in range(9)]
    assert {each.kind for each in performance.benchmarks} == {"load"}


SUITE = "name: s\nbenchmarks:\n  - name: a\n    workload: {requests: 3}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: s\n", "s.yaml:1:1: needs 'benchmarks'"),
        ("name: s\nbenchmarks: []\n", "s.yaml:2:13: benchmarks: an empty list"),
        (SUITE + "  - name: a\n", "s.yaml:5:11: benchmarks.1.name: another benchmark is called 'a' too"),
        (
            SUITE + "  - {name: b, workload: {request: 3}}\n",
            "benchmarks.1.workload.request: unknown key (did you mean 'requests'?)",
        ),
        (SUITE + "  - {name: b, kind: speed}\n", "benchmarks.1.kind: 'speed' does not fit"),
        (
            SUITE + "  - {name: b, workload: {load: {concurrency: [1, 2]}}}\n",
            "load.concurrency: must be a whole number, not a list",
        ),
        (SUITE + "  - {name: b, workload: 3}\n", "benchmarks.1.workload: must be a mapping"),
        (
            SUITE + "  - {name: b, workload: {seed: 3}}\n",
            "s.yaml:5:26: benchmarks.1.workload.seed: seed is not set by a suite",
        ),
        ("- a", "a list stands at the top"),
    ],
)
def test_mistakes_in_a_suite(text: str, message: str) -> None:
    with pytest.raises(CampaignError) as caught:
        parse_suite(text, file="s.yaml")
    assert message in str(caught.value)


def test_a_duration_replaces_the_number_of_requests() -> None:
    suite = parse_suite("name: s\nbenchmarks: [{name: a, workload: {duration_s: 60}}]\n", file="s.yaml")
    assert (suite.benchmarks[0].workload.duration_s, suite.benchmarks[0].workload.requests) == (60.0, None)
