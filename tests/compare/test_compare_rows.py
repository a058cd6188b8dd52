"""Verdicts, pairing, refusals, limits and doubts of whole comparisons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.compare.compare_samples import campaign, variant

from dynamometer.analysis.compare import Terms, compare
from dynamometer.analysis.gate import parse_gate
from dynamometer.analysis.likeness import CAN_ALLOW
from dynamometer.analysis.match import Matched
from dynamometer.analysis.metrics import METRICS
from dynamometer.domain.comparison import Comparison, Difference, Effect, Unlike
from dynamometer.domain.experiment import Load, Slo
from dynamometer.domain.record import HostFacts, ModelFacts, Reading
from dynamometer.errors import UsageError

SLOW, FAST = variant(), variant(options={"n_threads": 2})
KEYS = [metric.info.key for metric in METRICS]
HOST = HostFacts(fingerprint="other", system="Linux", processor="cpu", cores=8, memory_bytes=2**30, python="3.11")


def against(a: tuple[float, ...], b: tuple[float, ...], /, **terms: Any) -> Comparison:
    """Two campaigns of one row each."""
    one, two = campaign([(SLOW, a)]), campaign([(SLOW, b)], "two")
    return compare(one, two, Matched(((0, 0),)), Terms(**terms), version="1")


def ttft(comparison: Comparison) -> Effect:
    found = comparison.pairs[0].effect("ttft_ms")
    assert found is not None
    return found


def test_less_latency_is_better_and_the_effect_is_a_ratio() -> None:
    found = ttft(against((10, 10.1, 10.2), (5, 5.1, 5.05)))
    assert found.verdict == "better"
    assert found.value == pytest.approx(0.5, rel=0.01)
    assert (found.method, found.n) == ("welch-t-log", 3)
    assert found.a.value == pytest.approx(10.1, rel=0.01)
    assert ttft(against((5, 5.1, 5.05), (10, 10.1, 10.2))).verdict == "worse"


def test_within_the_noise_nothing_can_be_told_and_within_the_smallest_effect_it_is_equivalent() -> None:
    a, b = (10.0, 10.1, 10.2, 10.1), (10.1, 10.2, 10.0, 10.1)
    assert ttft(against(a, b)).verdict == "cannot_tell"
    assert ttft(against(a, b, at_least=0.05)).verdict == "equivalent"
    assert ttft(against(a, (12.0, 12.1, 12.2, 12.1), at_least=0.05)).verdict == "worse"
    assert ttft(against((10, 14, 9), (10, 15, 8), at_least=0.05)).verdict == "cannot_tell"


def test_two_cycles_tell_nothing_and_say_so() -> None:
    found = ttft(against((10, 11), (20, 21)))
    assert (found.verdict, found.low) == ("cannot_tell", None)
    assert found.no_interval == "2 cycles on one side, an interval takes 3 on each"


def test_interleaved_cycles_are_compared_in_pairs_which_takes_the_noise_out() -> None:
    rows = [(SLOW, (10.0, 20.0, 15.0, 12.0)), (FAST, (9.0, 18.1, 13.4, 10.9))]
    one = campaign(rows)
    paired = compare(one, one, Matched(((0, 1),)), Terms(), version="1").pairs[0]
    assert paired.paired
    assert (effect := paired.effect("ttft_ms")) is not None
    assert (effect.verdict, effect.method) == ("better", "paired-t-log")
    assert paired.differs == (Difference(key="options.n_threads", a="default", b="2"),)
    grouped = campaign(rows, grouped=True)
    apart = compare(grouped, grouped, Matched(((0, 1),)), Terms(), version="1").pairs[0]
    assert apart.unpaired == "cycles of the two were not interleaved"
    assert (effect := apart.effect("ttft_ms")) is not None
    assert effect.verdict == "cannot_tell"


@pytest.mark.parametrize(("files", "unpaired"), [(("aa", "aa"), None), (("aa", "bb"), "prompts differ")])
def test_cycles_of_a_duration_are_paired_however_many_prompts_it_took(
    files: tuple[str, str], unpaired: str | None
) -> None:
    """Their prompts are the same as far as they go, if they come from the same file."""
    last = {"requests": None, "duration_s": 1.0, "dataset": "p.jsonl"}
    plain = campaign([(variant(workload=last, options={"k": k}), (10.0, 20.0, 15.0)) for k in (1, 2)])
    rows = []
    for row, file in zip(plain.rows, files, strict=True):
        hashes = {"prompts_sha256": row.experiment.id, "dataset_sha256": file}
        runs = [replace(run, record=run.record.model_copy(update=hashes)) for run in row.runs]
        rows.append(replace(row, runs=tuple(runs)))
    one = replace(plain, rows=tuple(rows))
    terms = Terms(allow=frozenset(["prompts"]))
    assert compare(one, one, Matched(((0, 1),)), terms, version="1").pairs[0].unpaired == unpaired


@pytest.mark.parametrize("fixed", [True, False])
def test_another_file_under_the_same_name_is_refused(fixed: bool) -> None:
    last: dict[str, Any] = {} if fixed else {"requests": None, "duration_s": 1.0}
    traced = variant(workload={"load": Load(trace="t.csv"), "dataset": "p.jsonl", **last})
    sides = [campaign([(traced, (1, 2, 3))], dataset_sha256=text, trace_sha256=text) for text in ("aa", "bb")]
    refused = compare(sides[0], sides[1], Matched(((0, 0),)), Terms(), version="1").refused[0].reasons
    told = {reason.kind: reason.message for reason in refused}
    assert told["trace"] == "trace t.csv: file with sha256 aa… in A, bb… in B"
    assert fixed or told["prompts"] == "prompts: files with sha256 aa… in A, bb… in B"


@pytest.mark.parametrize(
    ("kind", "facts", "words"),
    [
        ("host", {"host": HOST}, "cpu, 8 cores (other) in B"),
        ("prompts", {"prompts_sha256": "else"}, "sha256 of 3 of 3 cycles differ"),
        ("model", {"model": ModelFacts(name="M", file="m", size_bytes=1, sha256="ff")}, "sha256 ab… in A, ff… in B"),
    ],
)
def test_the_unlike_is_refused_with_its_reason_unless_allowed(kind: Unlike, facts: dict[str, Any], words: str) -> None:
    one, two = campaign([(SLOW, (1, 2, 3))]), campaign([(SLOW, (1, 2, 3))], "two", **facts)
    refused = compare(one, two, Matched(((0, 0),)), Terms(), version="1")
    assert not refused.pairs
    assert not refused.doubts
    assert [reason.kind for reason in refused.refused[0].reasons] == [kind]
    assert words in refused.refused[0].reasons[0].message
    allowed = compare(one, two, Matched(((0, 0),)), Terms(allow=frozenset([kind])), version="1")
    assert allowed.pairs[0].doubts[0].doubt.code == "unlike_allowed"


def test_other_token_counts_are_refused() -> None:
    longer = variant(workload={"max_output_tokens": 9})
    one, two = campaign([(SLOW, (1, 2, 3))]), campaign([(longer, (1, 2, 3))], "two")
    (refused,) = compare(one, two, Matched(((0, 0),)), Terms(), version="1").refused
    assert refused.reasons[0].message == "workload: max_output_tokens 2 in A, 9 in B"


def test_simulated_never_stands_against_real() -> None:
    one, two = campaign([(SLOW, (1, 2, 3))]), campaign([(SLOW, (1, 2, 3))], "two", simulated=True)
    everything = Terms(allow=frozenset(CAN_ALLOW))
    (refused,) = compare(one, two, Matched(((0, 0),)), everything, version="1").refused
    assert (refused.reasons[0].kind, refused.reasons[0].can_allow) == ("simulated", False)
    both = compare(two, two, Matched(((0, 0),)), Terms(), version="1")
    assert both.pairs[0].a.simulated


def joules(kind: Any, source: str) -> dict[str, Any]:
    return {"readings": (Reading(meter="m", quantity="energy", unit="J", value=5.0, kind=kind, source=source),)}


def test_energy_of_unlike_sensors_is_left_out_and_estimates_always() -> None:
    measured, other, guessed = (
        campaign([(SLOW, (1, 2, 3))], name, **joules(kind, source))
        for name, kind, source in (("a", "measured", "rapl"), ("b", "measured", "nvml"), ("c", "estimated", "tdp"))
    )
    energy: frozenset[Unlike] = frozenset(["energy"])
    allow = Terms(allow=energy)
    for two, terms, is_missing in ((other, Terms(), True), (other, allow, False), (guessed, allow, True)):
        pair = compare(measured, two, Matched(((0, 0),)), terms, version="1").pairs[0]
        assert (effect := pair.effect("energy_j")) is not None
        assert (effect.missing is not None) == is_missing
        assert (found := pair.effect("ttft_ms")) is not None
        assert found.value is not None


def test_doubts_of_both_sides_are_carried_along() -> None:
    one = campaign([(SLOW, (10, 11, 12))], warmup_requests=0, warmup_steady=None)
    two = campaign([(SLOW, (10, 20, 40))], "two")
    pair = compare(one, two, Matched(((0, 0),)), Terms(), version="1").pairs[0]
    found = {(doubt.side, doubt.doubt.code) for doubt in pair.doubts}
    assert {("a", "no_warmup"), ("b", "unstable"), ("both", "few_samples")} <= found


def test_together_widens_so_that_all_hold_at_once() -> None:
    single, together = (against((10, 10.4, 10.2), (11, 11.3, 11.2), together=wide) for wide in (False, True))
    assert together.intervals == single.intervals > 1
    assert ttft(together).confidence == pytest.approx(1 - 0.05 / single.intervals)
    narrow, wide = ttft(single), ttft(together)
    assert narrow.low is not None
    assert wide.low is not None
    assert wide.low < narrow.low


def test_many_comparisons_raise_a_doubt_and_few_metrics_make_fewer() -> None:
    rows = [(variant(options={"n": n}), (10.0 + n, 11.0 + n, 12.5 + n)) for n in range(12)]
    one = campaign(rows)
    matched = Matched(tuple((0, index) for index in range(1, 12)))
    codes = {one.doubt.code for one in compare(one, one, matched, Terms(), version="1").doubts}
    assert "many_comparisons" in codes
    few = compare(one, one, matched, Terms(metrics=("ttft_ms",)), version="1")
    assert [info.key for info in few.metrics] == ["ttft_ms"]
    assert few.intervals == 11
    assert "many_comparisons" not in {one.doubt.code for one in few.doubts}


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        ("ttft_ms>+5%", "broken"),
        ("ttft_ms > 5 %", "broken"),
        ("ttft_ms:p50>+5%", "broken"),
        ("ttft_ms>+10%", "undecided"),
        ("ttft_ms>+30%", "held"),
        ("ttft_ms<-5%", "held"),
        ("error_share>+1%", "held"),
        ("ttft_ms:p95>+5%", "undecided"),
    ],
)
def test_a_limit_breaks_only_when_the_whole_interval_is_beyond_it(limit: str, outcome: str) -> None:
    found = against((10.0, 10.1, 10.2, 10.1), (11.0, 11.2, 11.1, 11.4), gates=(parse_gate(limit, KEYS),))
    assert [gate.outcome for gate in found.gates] == [outcome], found.gates


def test_limits_that_say_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'ttft_ms'"):
        parse_gate("tft_ms>+5%", KEYS)
    for text in ("ttft_ms", "ttft_ms>5", "ttft_ms>=5%", ">5%"):
        with pytest.raises(UsageError, match="not a limit"):
            parse_gate(text, KEYS)
    with pytest.raises(UsageError, match="unknown metric 'speed'"):
        against((1, 2, 3), (1, 2, 3), metrics=("speed",))


def test_goodput_by_unlike_service_levels_does_not_compare() -> None:
    strict, mild = (variant(workload={"slo": Slo(ttft_ms=limit)}) for limit in (11, 50))
    one, two = campaign([(strict, (10, 11, 12))]), campaign([(mild, (10, 11, 12))], "two")
    pair = compare(one, two, Matched(((0, 0),)), Terms(), version="1").pairs[0]
    assert (effect := pair.effect("goodput")) is not None
    assert effect.missing == "service level ttft_ms 11 in A, ttft_ms 50 in B"
    assert (found := pair.effect("ttft_ms")) is not None
    assert found.value is not None


def test_shares_do_not_differ_by_more_than_all() -> None:
    of = variant(workload={"slo": Slo(ttft_ms=20)})
    one, two = campaign([(of, (10, 10, 10, 30))]), campaign([(of, (30, 30, 30, 10))], "two")
    effect = compare(one, two, Matched(((0, 0),)), Terms(), version="1").pairs[0].effect("goodput")
    assert effect is not None
    assert effect.low == -1.0
    assert effect.high is not None


def test_seeds_that_differ_are_told_with_both_values() -> None:
    other = variant(workload={"seed": 7})
    one, two = campaign([(SLOW, (1, 2, 3))]), campaign([(other, (1, 2, 3))], "two", prompts_sha256="else")
    (refused,) = compare(one, two, Matched(((0, 0),)), Terms(), version="1").refused
    assert refused.reasons[0].message.startswith("prompts: seed ")
    assert refused.reasons[0].message.endswith(" in A, 7 in B")
