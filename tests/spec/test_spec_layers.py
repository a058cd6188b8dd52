"""Settings from the user's configuration and from the environment reach the campaign, and say where they come from."""

from __future__ import annotations

import pytest
from tests.spec.spec_engines import CATALOGUE, SUITES

from dynamometer.errors import CampaignError
from dynamometer.spec.layers import from_environment, parse_preferences
from dynamometer.spec.parse import parse
from dynamometer.spec.resolve import merge, resolve

FILE = (
    "name: n\nexecution: {thermal: {between_cycles: 5s}}\nmodels: [{name: m, path: m.gguf}]\nengines: [{name: vllm}]\n"
)


def test_default_under_preferences_under_file_under_environment_under_flags() -> None:
    preferences = parse_preferences(
        "execution: {timeout: 7m, thermal: {between_experiments: 1s, between_cycles: 2s}}\nseed: 1\n", file="prefs"
    )
    environment = from_environment(
        {"DYNO_SET_SEED": "2", "DYNO_SET_EXECUTION__RETRY__MAX_ATTEMPTS": "4", "DYNO_SET_CYCLES": "2", "PATH": "/bin"}
    )
    file = parse(FILE, file="c.yaml", catalogue=CATALOGUE, suites=SUITES)
    found = resolve(file, preferences=preferences, environment=environment, flags={"cycles": 3})
    campaign = found.campaign
    assert (campaign.seed, campaign.cycles, campaign.execution.timeout) == (2, 3, 420)
    assert (campaign.execution.thermal.between_experiments, campaign.execution.thermal.between_cycles) == (1, 5)
    assert campaign.execution.retry.max_attempts == 4
    layers = {key: origin.layer for key, origin in found.origins.items()}
    assert layers["seed"] == "environment"
    assert layers["cycles"] == "flags"
    assert layers["execution.timeout"] == "preferences"
    assert layers["execution.thermal.between_cycles"] == "file"
    assert "execution.parallel" not in layers


@pytest.mark.parametrize(
    ("under", "over", "load"),
    [
        ("{concurrency: 3}", "{rate: 4, max_in_flight: 9}", {"rate": 4, "max_in_flight": 9}),
        ("{rate: 4, arrivals: poisson, max_in_flight: 9}", "{concurrency: 3}", {"concurrency": 3}),
        ("{rate: 4, arrivals: poisson}", "{rate: 5}", {"rate": 5, "arrivals": "poisson"}),
        ("{trace: t.csv}", "{ramp: {of: concurrency, start: 1, end: 4, over: 10s}}", None),
    ],
)
def test_the_upper_layer_decides_between_shapes_of_a_load(
    under: str, over: str, load: dict[str, object] | None
) -> None:
    text = f"{FILE}workload: {{requests: 5, load: {over}}}\n"
    preferences = parse_preferences(f"workload: {{duration: 30s, load: {under}}}\n", file="prefs")
    found = resolve(parse(text, file="c.yaml", catalogue=CATALOGUE, suites=SUITES), preferences=preferences)
    workload = found.campaign.workload
    assert (workload.requests, workload.duration) == (5, None)
    assert workload.load is not None
    given = workload.load.model_dump(exclude_none=True)
    assert given.keys() == {"ramp"} if load is None else given == load
    assert {key.removeprefix("workload.load.").split(".")[0] for key in found.origins if ".load." in key} == {*given}
    assert "workload.duration" not in found.origins


def test_options_of_engines_that_have_such_names_are_joined() -> None:
    assert merge({"options": {"rate": 1}}, {"options": {"trace": 2}}) == {"options": {"rate": 1, "trace": 2}}


@pytest.mark.parametrize(
    ("variables", "words"),
    [({"DYNO_SET_CYCLES": "many"}, "cycles"), ({"DYNO_SET_CYCELS": "3"}, "cycels"), ({"DYNO_SET_SEED": "[1"}, "SEED")],
)
def test_mistakes_in_the_environment_are_mistakes(variables: dict[str, str], words: str) -> None:
    file = parse(FILE, file="c.yaml", catalogue=CATALOGUE, suites=SUITES)
    with pytest.raises(CampaignError, match=words):
        resolve(file, environment=from_environment(variables))


def test_an_empty_configuration_sets_nothing_and_a_list_is_refused() -> None:
    assert parse_preferences(" \n", file="prefs") == {}
    with pytest.raises(CampaignError):
        parse_preferences("- a\n", file="prefs")
