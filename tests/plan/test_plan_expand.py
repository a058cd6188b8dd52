"""What a campaign expands to, what is left out and why."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan.builders import FACTS, model, plan

from dynamometer.domain.campaign import Order
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.errors import CampaignError
from dynamometer.plan.order import balanced_row, balanced_rows, order


def names(made: Plan) -> list[str]:
    return [experiment.name for experiment in made.experiments]


def reasons(made: Plan) -> dict[str, int]:
    return {item.reason: item.count for item in made.excluded}


def test_the_matrix_joins_models_and_engines_by_format_and_fans_out_into_quants() -> None:
    made = plan(models=[model("small"), model("tensors")], engines=[{"name": "alpha"}, {"name": "beta"}])
    assert names(made) == ["alpha/small/Q4_0/c1", "alpha/small/Q8_0/c1", "beta/tensors/c1"]
    assert reasons(made) == {
        "alpha loads gguf; tensors offers safetensors": 1,
        "beta loads safetensors; small offers gguf": 1,
    }


def test_a_list_of_engine_options_is_an_axis_and_defaults_do_not_show() -> None:
    made = plan(models=[model("small")], engines=[{"name": "alpha", "options": {"slots": [1, 2]}}])
    assert names(made) == [
        "alpha/small/Q4_0/c1",
        "alpha/small/Q8_0/c1",
        "alpha/small/Q4_0/slots=2/c1",
        "alpha/small/Q8_0/slots=2/c1",
    ]


def test_a_suite_gives_one_experiment_per_benchmark_and_the_workload_lies_over_it() -> None:
    made = plan(
        models=[model("tensors")], engines=[{"name": "beta", "suite": "quick"}], workload={"max_output_tokens": [8, 16]}
    )
    assert [
        (item.workload.benchmark, item.workload.load.concurrency, item.workload.max_output_tokens)
        for item in made.experiments
    ] == [("latency", 1, 8), ("throughput", 4, 8), ("latency", 1, 16), ("throughput", 4, 16)]


def test_a_load_in_the_campaign_replaces_that_of_the_suite_and_equal_cells_are_planned_once() -> None:
    made = plan(
        models=[model("tensors")],
        engines=[{"name": "beta"}],
        workload={"suite": "quick", "requests": 4, "load": {"concurrency": [1, 8]}},
    )
    assert [item.workload.load.concurrency for item in made.experiments] == [1, 8]


def test_a_grid_crosses_shared_axes_with_each_engines_own() -> None:
    made = plan(
        grid={
            "engines": ["alpha", "beta"],
            "models": ["tensors"],
            "precision": ["float16", "float32"],
            "decoder": {"temperature": [0.0, 0.7]},
            "beta": {"slots": [1, 2]},
        }
    )
    assert len(made.experiments) == 4  # beta: float16 x two temperatures x two slots
    assert reasons(made)["beta + float32: it knows auto, float16, bfloat16"] == 4
    assert sum(reasons(made).values()) == 8


def test_cross_field_rules_of_an_engine_filter_cells_with_their_own_words() -> None:
    made = plan(
        grid={
            "engines": ["beta"],
            "models": ["tensors"],
            "beta": {"four_bit": [False, True], "eight_bit": [False, True]},
        }
    )
    assert len(made.experiments) == 3
    assert reasons(made) == {"beta: four_bit and eight_bit exclude each other": 1}


def test_groups_are_one_axis_of_dependent_values() -> None:
    made = plan(
        grid={
            "engines": ["beta"],
            "models": ["tensors"],
            "groups": [[{"precision": "float16", "slots": 2}, {"precision": "bfloat16", "slots": 4}]],
        }
    )
    assert names(made) == ["beta/tensors/float16/slots=2/c1", "beta/tensors/bfloat16/slots=4/c1"]


def test_exclude_takes_cells_with_all_its_values_and_include_adds() -> None:
    made = plan(
        grid={
            "engines": ["beta"],
            "models": ["tensors"],
            "max_output_tokens": [8, 16],
            "beta": {"slots": [1, 2]},
            "exclude": [{"engine": "beta", "slots": 2, "max_output_tokens": [16]}],
            "include": [{"engine": "beta", "model": "tensors", "options": {"slots": 9}}],
        }
    )
    assert [(item.options.get("slots", 1), item.workload.max_output_tokens) for item in made.experiments] == [
        (1, 8),
        (2, 8),
        (1, 16),
        (9, 64),
    ]


def test_quant_filters_are_globs_in_any_case_and_size_limits_hold() -> None:
    one = plan(models=[model("small")], engines=[{"name": "alpha"}], quants={"skip_patterns": ["q4*"]})
    other = plan(models=[model("small")], engines=[{"name": "alpha"}], quants={"include_only": ["q4_0"]})
    small = plan(models=[model("small")], engines=[{"name": "alpha"}], limits={"max_model_size_gb": 0.5})
    assert names(one) == ["alpha/small/Q8_0/c1"]
    assert names(other) == ["alpha/small/Q4_0/c1"]
    assert not small.experiments
    assert reasons(small) == {"1.0 GB, over limits.max_model_size_gb (0.5)": 2}


def test_an_exact_quant_finds_only_itself() -> None:
    made = plan(experiments=[{"engine": "alpha", "model": "small", "quant": "q8_0"}])
    assert [item.weights.quant for item in made.experiments] == ["Q8_0"]
    none = plan(experiments=[{"engine": "alpha", "model": "small", "quant": "Q8"}])
    assert reasons(none) == {"small has no quantisation Q8; it has Q4_0, Q8_0": 1}


def test_missing_weights_are_a_reason_not_a_crash() -> None:
    made = plan(models=[model("gone")], engines=[{"name": "alpha"}])
    assert reasons(made) == {"no weights of gone: no such file": 1}


def test_what_is_not_there_yet_is_listed_and_quality_is_never_passed_over() -> None:
    made = plan(
        models=[model("small")],
        engines=[{"name": "later"}, {"name": "alpha", "suite": "asks"}],
        disk={"reserve_gb": 10},
        notifications={"desktop": True},
        execution={"parallel": True, "mode": "docker"},
        energy={"source": "nvml"},
    )
    assert [item.where for item in made.unavailable] == [
        "engine later",
        "suite asks",
        "execution.mode",
        "execution.parallel",
        "energy.source",
        "disk.reserve_gb",
        "notifications.desktop",
    ]
    assert reasons(made) == {"benchmark questions: quality benchmarks are not available yet": 1}


def test_values_at_their_default_ask_for_nothing() -> None:
    made = plan(
        models=[model("small")],
        engines=[{"name": "alpha"}],
        execution={"parallel": False, "mode": "host"},
        disk={"cleanup_after_run": False},
        notifications={"on_complete": True},
    )
    assert made.unavailable == ()


def test_more_requests_than_slots_and_more_threads_than_cores_are_warned_of() -> None:
    made = plan(
        models=[model("small")],
        engines=[{"name": "alpha", "options": {"slots": 2, "threads": 4}}],
        quants={"include_only": ["Q4_0"]},
        workload={"load": {"concurrency": 8}},
        cycles=3,
    )
    assert [item.reason for item in made.warnings] == [
        "8 requests in flight, but slots is 2: the rest wait, and TTFT shows it"
    ]
    assert FACTS.cores == 2


def test_few_cycles_are_one_warning_of_the_campaign_not_of_each_run() -> None:
    made = plan(models=[model("small")], engines=[{"name": "alpha"}], cycles=2)
    assert [item.reason for item in made.warnings] == ["cycles: 2; intervals need at least 3 (--cycles 3)"]


def test_an_explosion_is_refused_before_it_is_expanded() -> None:
    axes = {"slots": list(range(1, 1001)), "threads": list(range(1, 1001))}
    begin = time.process_time()
    with pytest.raises(CampaignError, match=r"2,000,000,000 experiments, more than limits.max_experiments"):
        plan(grid={"engines": ["beta"], "models": ["tensors"], "max_output_tokens": list(range(1, 2001)), "beta": axes})
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("how", ["interleaved", "shuffled", "grouped", "balanced"])
@given(count=st.integers(0, 12), cycles=st.integers(1, 9), seed=st.integers(0, 5))
def test_every_order_runs_everything_exactly_once(how: Order, count: int, cycles: int, seed: int) -> None:
    made = order(count, cycles, how, seed)
    assert sorted(made) == [RunRef(place, cycle) for place in range(count) for cycle in range(1, cycles + 1)]


def test_orders_are_what_they_are_called() -> None:
    assert order(2, 2, "interleaved", 0) == ((0, 1), (1, 1), (0, 2), (1, 2))
    assert order(2, 2, "grouped", 0) == ((0, 1), (0, 2), (1, 1), (1, 2))
    assert order(9, 2, "shuffled", 0) == order(9, 2, "shuffled", 0) != order(9, 2, "shuffled", 1)


@given(st.integers(1, 15))
def test_a_balanced_square_has_each_experiment_at_each_place_and_after_each_other_equally_often(count: int) -> None:
    rows = [balanced_row(count, index) for index in range(balanced_rows(count))]
    for place in range(count):
        assert {row[place] for row in rows} == set(range(count))
        assert len({[row[place] for row in rows].count(item) for item in range(count)}) == 1
    pairs = [pair for row in rows for pair in pairwise(row)]
    assert len({pairs.count(pair) for pair in pairs}) <= 1


def test_balanced_warns_when_the_cycles_do_not_fill_the_square() -> None:
    keys: dict[str, Any] = {
        "models": [model("small")],
        "engines": [{"name": "alpha", "options": {"slots": [1, 2, 3]}}],
    }
    even = plan(**keys, order="balanced", cycles=6)
    odd = plan(**keys, order="balanced", cycles=5)
    assert [item.reason for item in even.warnings] == []
    assert "multiple of 6 cycles for 6 experiments; 5 leave places uneven" in odd.warnings[0].reason
