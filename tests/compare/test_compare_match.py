"""Which rows belong together."""

from __future__ import annotations

import pytest
from tests.compare.compare_samples import campaign, variant

from dynamometer.analysis.match import across, differences, select, within
from dynamometer.domain.comparison import Difference
from dynamometer.domain.experiment import Load, Slo
from dynamometer.errors import NotFoundError, UsageError

TTFT = (10.0, 11.0, 12.0)
C1, C8 = {"load": Load(concurrency=1)}, {"load": Load(concurrency=8)}


def test_the_same_experiment_comes_first_and_the_rest_is_named() -> None:
    a = campaign([(variant(), TTFT), (variant(quant="Q8_0"), TTFT)])
    b = campaign([(variant(quant="F16"), TTFT), (variant(quant="Q8_0"), TTFT), (variant(engine="vllm"), TTFT)], "two")
    found = across(a, (0, 1), b, (0, 1, 2))
    assert (1, 1) in found.pairs
    assert len(found.pairs) == 2
    assert len(found.unmatched_b) == 1


def test_what_all_rows_of_a_side_share_does_not_keep_them_apart() -> None:
    slow, fast = {"n_threads": 1}, {"n_threads": 2}
    a = campaign([(variant(options=slow, workload=load), TTFT) for load in (C1, C8)])
    b = campaign([(variant(engine="vllm", options=fast, workload=load), TTFT) for load in (C8, C1)], "two")
    assert across(a, (0, 1), b, (0, 1)).pairs == ((0, 1), (1, 0))


def test_one_row_left_on_each_side_belongs_together_and_several_do_not() -> None:
    a = campaign([(variant(), TTFT)])
    b = campaign([(variant("vllm", "Q8_0", "N", workload=C8), TTFT)], "two")
    assert across(a, (0,), b, (0,)).pairs == ((0, 0),)
    two = [(variant(options={"x": value}), TTFT) for value in (1, 2)]
    other = [(variant(options={"x": value}), TTFT) for value in (3, 4)]
    with pytest.raises(UsageError, match="no row of one-1 belongs to a row of two-1"):
        across(campaign(two), (0, 1), campaign(other, "two"), (0, 1))


def test_a_row_is_not_compared_with_itself() -> None:
    one = campaign([(variant(), TTFT), (variant(quant="Q8_0"), TTFT)])
    with pytest.raises(UsageError, match="with itself") as caught:
        across(one, (0, 1), one, (0, 1))
    assert "--by quant" in (caught.value.hint or "")


def test_by_takes_rows_that_differ_in_it_alone() -> None:
    rows = [(variant(quant=quant, workload=load), TTFT) for load in (C1, C8) for quant in ("Q4_1", "Q8_0", "F16")]
    one = campaign(rows)
    everything = tuple(range(6))
    assert within(one, everything, "quant").pairs == ((0, 1), (0, 2), (3, 4), (3, 5))
    assert within(one, everything, "concurrency").pairs == ((0, 3), (1, 4), (2, 5))
    assert within(one, everything, "quant=F16").pairs == ((2, 0), (2, 1), (5, 3), (5, 4))
    with pytest.raises(UsageError, match="differ in engine alone") as caught:
        within(one, everything, "engine")
    assert caught.value.hint == "rows differ in: --by quant, --by load"


def test_by_an_option_the_default_is_a_value_too() -> None:
    one = campaign([(variant(), TTFT), (variant(options={"n_threads": 2}), TTFT)])
    assert within(one, (0, 1), "n_threads").pairs == ((0, 1),)
    assert within(one, (0, 1), "n_threads=2").pairs == ((1, 0),)
    defaults = {"llama_cpp": {"n_threads": 4, "seed": 0, "n_batch": None}}
    assert within(one, (0, 1), "n_threads=4", defaults).pairs == ((0, 1),)
    assert within(one, (0, 1), "n_threads=2.0", defaults).pairs == ((1, 0),)
    plain, threads = (row.experiment for row in one.rows)
    assert differences(plain, threads, {}) == (Difference(key="options.n_threads", a="default", b="2"),)
    assert differences(plain, threads, defaults) == (Difference(key="options.n_threads", a="4", b="2"),)


def test_what_an_engine_does_not_have_is_no_default_and_service_levels_differ_too() -> None:
    a = variant(options={"n_threads": 2}, workload={"slo": Slo(ttft_ms=60)})
    b = variant("vllm", workload={"slo": Slo(ttft_ms=100)})
    found = {one.key: (one.a, one.b) for one in differences(a, b, {"vllm": {"n_threads": None}})}
    assert found == {
        "engine": ("llama_cpp", "vllm"),
        "options.n_threads": ("2", "none"),
        "slo.ttft_ms": ("60.0", "100.0"),
    }
    assert differences(b, variant("vllm"), {}) == (Difference(key="slo.ttft_ms", a="100.0", b="none"),)


def test_rows_are_chosen_by_name_id_beginning_and_glob() -> None:
    one = campaign([(variant(), TTFT), (variant(quant="Q8_0"), TTFT)])
    names = [row.name for row in one.summary.experiments]
    assert select(one, None) == (0, 1)
    assert select(one, names[1]) == (1,)
    assert select(one, one.summary.experiments[0].experiment_id[:8]) == (0,)
    assert select(one, "llama_cpp/") == (0, 1)
    assert select(one, "*Q8*") == (1,)
    with pytest.raises(NotFoundError, match="no row 'vllm'") as caught:
        select(one, "vllm")
    assert names[0] in (caught.value.hint or "")
