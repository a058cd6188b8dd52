"""Load shapes: how they are named, told apart, swept, laid over each other, and bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.plan.builders import campaign, model, plan

from dynamometer.domain.campaign import LoadAxes
from dynamometer.domain.experiment import Experiment, Load, Ramp, Weights, Workload, load_label
from dynamometer.domain.plan import Plan

RAMP = {"of": "rate", "start": 1, "end": 32, "over": "60s"}
WEIGHTS = Weights(format="gguf", source="path", ref="m.gguf")


def made(load: dict[str, Any], **workload: Any) -> Plan:
    return plan(
        models=[model("small")],
        engines=[{"name": "alpha"}],
        quants={"include_only": ["Q4_0"]},
        workload={"suite": "one", "load": load, **workload},
    )


def loads(found: Plan) -> list[str]:
    return [load_label(experiment.workload.load) for experiment in found.experiments]


def test_labels() -> None:
    shapes: list[tuple[dict[str, Any], str]] = [
        ({}, "c1"),
        ({"concurrency": 8}, "c8"),
        ({"rate": 4}, "r4"),
        ({"rate": 0.25, "arrivals": "constant"}, "r0.25"),
        ({"rate": 4, "arrivals": "poisson"}, "r4-poisson"),
        ({"trace": "folder/day.one.jsonl"}, "trace-day.one"),
        ({"ramp": {**RAMP, "of": "concurrency"}}, "ramp1-32"),
        ({"ramp": RAMP}, "ramp1-32-rate"),
        ({"ramp": RAMP, "arrivals": "poisson"}, "ramp1-32-rate-poisson"),
    ]
    assert [load_label(Load.model_validate(load)) for load, _ in shapes] == [label for _, label in shapes]


@pytest.mark.parametrize("noun", [Load, LoadAxes])
@pytest.mark.parametrize(
    ("load", "message"),
    [
        ({"concurrency": 1, "rate": 4}, "give one of concurrency, rate, trace, ramp; this has concurrency and rate"),
        ({"trace": "t", "ramp": RAMP}, "this has trace and ramp"),
        ({"arrivals": "poisson"}, "arrivals belongs to a rate"),
        ({"concurrency": 4, "arrivals": "poisson"}, "arrivals belongs to a rate"),
        ({"trace": "t", "arrivals": "poisson"}, "arrivals belongs to a rate"),
        ({"concurrency": 4, "max_in_flight": 9}, "max_in_flight belongs to"),
        ({"ramp": {**RAMP, "of": "concurrency"}, "max_in_flight": 9}, "max_in_flight belongs to"),
        ({"ramp": {**RAMP, "end": 1}}, "end \\(1\\) must be more than start \\(1\\)"),
        ({"ramp": {**RAMP, "of": "concurrency", "start": 1.5}}, "whole numbers"),
        ({"ramp": {**RAMP, "of": "concurrency", "end": 70_000}}, "at most 65536"),
        ({"ramp": {**RAMP, "over": "0s"}}, "greater than 0"),
        ({"rate": 0}, "greater than 0"),
        ({"rate": -1}, "greater than 0"),
        ({"rate": 1e9}, "less than or equal to 100000"),
    ],
)
def test_what_is_no_load(noun: type[Load | LoadAxes], load: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        noun.model_validate(load)


def test_loads_that_are_the_same_have_one_identity_and_others_have_theirs() -> None:
    def identity(**load: Any) -> str:
        return Experiment(engine="a", model="m", weights=WEIGHTS, workload=Workload(load=Load(**load))).id

    ramp = Ramp.model_validate(RAMP)
    assert identity() == identity(concurrency=1)
    assert identity(rate=4) == identity(rate=4.0, arrivals="constant")
    assert identity(ramp=ramp) == identity(ramp=Ramp.model_validate({**RAMP, "over": "1m"}))
    others: list[dict[str, Any]] = [{}, {"rate": 4}, {"rate": 4, "arrivals": "poisson"}, {"trace": "t"}, {"ramp": ramp}]
    assert len({identity(**load) for load in others}) == len(others)


def test_an_open_load_survives_a_round_trip() -> None:
    for load in (Load(rate=4), Load(ramp=Ramp.model_validate(RAMP)), Load(trace="t", max_in_flight=3)):
        assert Load.model_validate_json(load.model_dump_json()) == load
        assert load.is_open


def test_lists_are_sweeps_and_their_product_is_run() -> None:
    assert loads(made({"rate": [1, 8], "arrivals": ["constant", "poisson"]})) == [
        "r1",
        "r1-poisson",
        "r8",
        "r8-poisson",
    ]
    assert loads(made({"ramp": [RAMP, {**RAMP, "end": 64}]})) == ["ramp1-32-rate", "ramp1-64-rate"]
    assert loads(made({"trace": ["a.csv", "b.csv"]})) == ["trace-a", "trace-b"]
    assert made({"rate": 4}).unavailable == ()


def test_a_ramp_lasts_as_long_as_it_grows_and_a_trace_is_replayed_whole_unless_told() -> None:
    def window(load: dict[str, Any], **workload: Any) -> tuple[int | None, float | None]:
        (experiment,) = made(load, **workload).experiments
        return experiment.workload.requests, experiment.workload.duration_s

    assert window({"ramp": RAMP}) == (None, 60)
    assert window({"ramp": RAMP}, duration="5s") == (None, 5)
    assert window({"trace": "t"}) == (None, None)
    assert window({"trace": "t"}, requests=7) == (7, None)
    assert window({"rate": 4}) == (4, None)


def test_an_experiment_replaces_the_shape_of_the_campaign_and_keeps_what_fits() -> None:
    def of(under: dict[str, Any], over: dict[str, Any]) -> list[str]:
        entry = {"engine": "alpha", "model": "small", "quant": "Q4_0", "load": over}
        found = plan(models=[model("small")], experiments=[entry], workload={"suite": "one", "load": under})
        return loads(found)

    assert of({"rate": [1, 2], "arrivals": "poisson"}, {"concurrency": [1, 3]}) == ["c1", "c3"]
    assert of({"rate": [1, 2], "arrivals": "poisson"}, {"rate": 9}) == ["r9-poisson"]
    assert of({"concurrency": [1, 2]}, {"rate": 9}) == ["r9"]
    assert of({"ramp": RAMP}, {"trace": "t.csv"}) == ["trace-t"]


def test_groups_name_a_shape_each() -> None:
    grid = {"engines": ["alpha"], "models": ["small"], "groups": [[{"rate": 4}, {"concurrency": 2}, {"trace": "t"}]]}
    found = plan(grid=grid, quants={"include_only": ["Q4_0"]}, workload={"suite": "one", "load": {"rate": 1}})
    assert loads(found) == ["r4", "c2", "trace-t"]


def test_more_requests_than_a_window_has_are_left_out_with_their_number() -> None:
    found = made({"rate": [1, 100_000]}, duration="20m")
    assert loads(found) == ["r1"]
    told = "r100000 for 1200 s is 120,000,000 requests; a window has at most 1,000,000"
    assert told in [item.reason for item in found.excluded]
    assert made({"ramp": {**RAMP, "end": 1000}}, duration="1d").experiments == ()


def test_windows_that_outlast_the_timeout_are_left_out_with_what_helps() -> None:
    def reasons(load: dict[str, Any], timeout: str, **workload: Any) -> list[str]:
        found = plan(
            models=[model("small")],
            engines=[{"name": "alpha"}],
            quants={"include_only": ["Q4_0"]},
            workload={"suite": "one", "load": load, **workload},
            execution={"timeout": timeout},
        )
        left_out = [item for item in found.excluded if "execution.timeout" in item.reason]
        assert {item.hint for item in left_out} <= {"raise execution.timeout"}
        assert bool(left_out) != bool(found.experiments)
        return [item.reason for item in left_out]

    assert reasons({"concurrency": 2}, "1m", duration="60s") == ["c2 for 60 s does not fit in execution.timeout (1m)"]
    assert reasons({"ramp": RAMP}, "1m") == ["ramp1-32-rate for 60 s does not fit in execution.timeout (1m)"]
    assert reasons({"concurrency": 2}, "61s", duration="60s") == []
    told = "601 requests of r10 do not fit in execution.timeout (1m)"
    assert reasons({"rate": 10}, "1m", requests=601) == [told]
    assert reasons({"rate": 10}, "1m", requests=600) == []
    assert reasons({"concurrency": 1}, "1s", requests=600) == []
    assert reasons({"trace": "t"}, "1m", duration="60s") == []


@given(st.floats(0.5, 100), st.floats(1, 100), st.floats(1, 100), st.floats(0.1, 300))
def test_requests_within_a_time_grow_with_it(start: float, more: float, over: float, seconds: float) -> None:
    load = Load(ramp=Ramp(of="rate", start=start, end=start + more, over=f"{over:.3f}s"))
    count, later = load.requests_within(seconds), load.requests_within(seconds + 1)
    assert count is not None
    assert later is not None
    assert start * seconds <= count * (1 + 1e-9) <= (start + more) * seconds * (1 + 1e-8)
    assert later > count


def test_lengths_may_be_distributions_and_axes_of_them() -> None:
    lengths = [{"mean": 64, "stdev": 8}, {"min": 4, "max": 9}, 16]
    found = made({"concurrency": 1}, max_output_tokens=lengths)
    assert [str(experiment.workload.max_output_tokens) for experiment in found.experiments] == [
        "64 ± 8 (1–…)",
        "4–9",
        "16",
    ]
    assert len({experiment.id for experiment in found.experiments}) == 3


def test_a_campaign_with_open_loads_reads_back() -> None:
    one = campaign(
        models=[model("small")],
        engines=[{"name": "alpha"}],
        workload={"load": {"ramp": [RAMP], "max_in_flight": 5}, "max_input_tokens": {"min": 1, "max": 5}},
    )
    assert type(one).model_validate_json(one.model_dump_json(), strict=True) == one
