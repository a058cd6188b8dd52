"""Definitions of measuring.md, and the lies of the predecessors that they exclude."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.analysis.analysis_samples import MS, experiment, record, sample, usage

from dynamometer.analysis.measure import measure
from dynamometer.analysis.metrics import METRICS, Measured
from dynamometer.domain.experiment import Load, Slo
from dynamometer.domain.record import Reading, Record, Sample, Usage


def value(key: str, samples: Sequence[Sample], of: Record | None = None) -> Measured:
    return measure(of or record(), samples).values[key]


def test_every_metric_has_its_own_key_a_definition_and_a_unit() -> None:
    keys = [metric.info.key for metric in METRICS]
    assert len(set(keys)) == len(keys)
    assert all(metric.info.description.endswith(".") and metric.info.unit for metric in METRICS)


def test_latencies_follow_the_definitions() -> None:
    one = sample(30, 40, 60, sent_ms=10)
    assert value("ttft_ms", [one]).value == 20
    assert value("e2e_ms", [one]).value == 50
    assert value("tpot_ms", [one]).value == 15
    assert value("itl_ms", [one]).value == 15


def test_throughput_is_tokens_over_the_one_window_not_over_the_slowest_request() -> None:
    four_in_turn = [sample(250 * i + 100, 250 * i + 250, sent_ms=250 * i) for i in range(4)]
    assert value("output_tok_s", four_in_turn).value == 8
    assert value("requests_s", four_in_turn).value == 4


def test_requests_that_end_after_the_window_are_not_finished_but_their_tokens_that_arrived_are() -> None:
    samples = [sample(500, 900), sample(900, 1000, 1100, 1200)]
    assert value("output_tok_s", samples).value == 4
    assert value("requests_s", samples).value == 1


def test_itl_divides_by_the_tokens_of_the_later_event() -> None:
    assert value("itl_ms", [sample(10, 40, tokens=(5, 3))]).value == 10


def test_a_stall_shows_in_the_percentile_of_itl_because_requests_are_not_averaged() -> None:
    smooth = [float(ms) for ms in range(50)]
    stalled = [sample(*smooth[:25], *(ms + 170 for ms in smooth[25:])) for _ in range(11)]
    p99 = value("itl_p99_ms", stalled)
    assert p99.value is not None
    assert p99.value > 100
    assert p99.samples == 539


def test_tpot_leaves_ttft_out_and_is_undefined_for_one_token() -> None:
    assert value("tpot_ms", [sample(1000, 1010)]).value == 10
    assert value("tpot_ms", [sample(1000)]).value is None


@pytest.mark.parametrize(("key", "needed"), [("ttft_p95_ms", 100), ("ttft_p99_ms", 500), ("e2e_p95_ms", 100)])
def test_percentiles_say_how_many_samples_they_lack(key: str, needed: int) -> None:
    few = value(key, [sample(10)] * 24)
    assert few.value is None
    assert few.missing == f"not enough data: 24 of {needed} requests"
    assert value(key, [sample(10)] * needed).value == 10


def test_cold_warmup_and_bad_requests_never_reach_latencies() -> None:
    samples = [
        sample(10),
        sample(500, phase="cold"),
        sample(600, phase="warmup"),
        sample(700, error="truncated"),
    ]
    assert value("ttft_ms", samples) == Measured(10, 1)
    assert value("cold_ttft_ms", samples).value == 500
    assert value("error_share", samples).value == 0.5


def test_without_streaming_there_is_no_ttft_and_never_a_zero() -> None:
    of = record(of=experiment(streaming=False))
    for key in ("ttft_ms", "ttft_p95_ms", "itl_ms", "itl_p99_ms", "tpot_ms", "cold_ttft_ms"):
        assert value(key, [sample(30)], of) == Measured(None, 0, "the workload does not stream")
    assert value("e2e_ms", [sample(30)], of).value == 30


def test_unknown_token_counts_are_missing_rather_than_too_low() -> None:
    unknown = sample(10, 20).model_copy(update={"event_tokens": None})
    assert "unknown for 1 of 2" in (value("output_tok_s", [sample(5), unknown]).missing or "")
    assert "unknown for 1 of 2" in (value("itl_ms", [sample(5, 6), unknown]).missing or "")


def test_an_answer_in_flight_at_the_end_counts_with_an_even_share_where_events_do_not_tell() -> None:
    in_flight = sample(400, 800, 1200, 1600, usage=usage(12)).model_copy(update={"event_tokens": None})
    assert value("output_tok_s", [in_flight], record(seconds=1.0)).value == 6


def test_the_count_of_the_server_comes_before_that_of_the_events() -> None:
    assert value("output_tok_s", [sample(10, 20, usage=usage(7))]).value == 7


def test_prompts_are_as_long_as_the_server_says_and_of_unknown_length_when_it_does_not() -> None:
    told = [Usage(prompt_tokens=90), Usage(prompt_tokens=100), Usage()]
    some = [sample(10, usage=one) for one in told]
    bad = sample(10, usage=Usage(prompt_tokens=9000), error="empty")
    early = sample(10, usage=Usage(prompt_tokens=9000), phase="warmup")
    found = value("prompt_tokens", [*some, bad, early])
    assert (found.value, found.samples) == (95, 2)
    assert value("prompt_tokens", [sample(10)]).missing == "the server does not tell how long prompts are"


def test_no_sensor_is_not_zero_joule() -> None:
    assert value("energy_j", [sample(5)]) == Measured(None, 0, "no energy meter was open")
    dead = Reading(meter="rapl", quantity="energy", unit="J", value=None, missing="no counters")
    assert value("energy_j_per_token", [sample(5)], record(readings=(dead,))).missing == "no counters"


def test_measured_energy_comes_before_estimated_energy() -> None:
    readings = (
        Reading(meter="codecarbon", quantity="energy", unit="J", value=90, kind="estimated"),
        Reading(meter="rapl", quantity="energy", unit="J", value=12, source="rapl"),
    )
    assert value("energy_j", [sample(5, 6)], record(readings=readings)).value == 12
    assert value("energy_j_per_token", [sample(5, 6)], record(readings=readings)).value == 6


def test_memory_and_load_time_come_from_the_record() -> None:
    rss = Reading(meter="memory", quantity="peak_rss", unit="bytes", value=212e6)
    assert value("peak_rss_mb", [sample(5)], record(readings=(rss,))).value == 212
    assert value("load_s", [sample(5)]).value == 0.42


def test_goodput_counts_failures_as_misses() -> None:
    of = record(of=experiment(slo=Slo(ttft_ms=20, itl_ms=5)))
    samples = [sample(10, 14), sample(30, 31), sample(10, 30), sample(10, error="timeout"), sample(10)]
    assert value("goodput", samples, of) == Measured(2 / 5, 5)
    assert value("goodput", samples).missing == "no service level (slo) was given"


def test_no_samples_at_all_give_reasons_and_no_numbers() -> None:
    found = measure(record(readings=()), []).values
    none = {key for key, measured in found.items() if measured.value is None}
    assert none == set(found) - {"output_tok_s", "requests_s", "load_s"}
    assert all(found[key].missing for key in none)


def test_observations_count_what_doubts_need() -> None:
    of = record(of=experiment(max_output_tokens=3))
    seen = measure(of, [sample(1, 2, 3, merged=2), sample(1, 2, usage=usage(2, cached=6)), sample(9, error="empty")])
    observed = seen.observed
    assert (observed.requests, observed.errors, observed.events, observed.merged) == (3, {"empty": 1}, 5, 2)
    assert (observed.short, observed.cached, observed.cached_tokens) == (1, 1, 6)
    assert MS == 1_000_000


OPEN = Load(rate=4)


def test_scheduled_latency_counts_from_the_scheduled_time_and_only_open_loops_have_it() -> None:
    of = record(of=experiment(load=OPEN))
    late = sample(30, 60, sent_ms=20, scheduled_ns=5 * MS)
    lost = sample(sent_ms=20, scheduled_ns=10 * MS, error="unsent")
    assert value("e2e_ms", [late], of).value == 40
    assert value("scheduled_e2e_ms", [late, lost], of) == Measured(55, 1)
    assert value("scheduled_e2e_p95_ms", [late] * 100, of).value == 55
    assert value("scheduled_e2e_ms", [late]).missing == "a closed loop schedules nothing"
    assert value("ttft_ms", [late], of).value == 10
    assert value("scheduled_ttft_ms", [late, lost], of) == Measured(25, 1)
    assert value("scheduled_ttft_p95_ms", [late] * 100, of).value == 25
    assert value("scheduled_ttft_ms", [late]).missing == "a closed loop schedules nothing"
    unstreamed = record(of=experiment(load=OPEN, streaming=False))
    assert value("scheduled_ttft_ms", [late], unstreamed).missing == "the workload does not stream"


def test_goodput_of_an_open_loop_counts_waiting_and_what_was_never_answered() -> None:
    of = record(of=experiment(load=OPEN, slo=Slo(ttft_ms=20, e2e_ms=50)))
    in_time = sample(30, 40, sent_ms=20, scheduled_ns=15 * MS)
    held = sample(30, 40, sent_ms=20, scheduled_ns=5 * MS)
    slow = sample(30, 90, sent_ms=20, scheduled_ns=20 * MS)
    unsent = sample(sent_ms=50, scheduled_ns=10 * MS, error="unsent")
    hung = sample(sent_ms=10, scheduled_ns=10 * MS, error="timeout")
    assert value("goodput", [in_time, held, slow, unsent, hung], of) == Measured(1 / 5, 5)
    assert value("error_share", [in_time, unsent], of) == Measured(1 / 2, 2)
