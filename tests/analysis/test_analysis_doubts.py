"""Each rule speaks when it should, with its numbers, and is silent about a clean row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from tests.analysis.analysis_samples import calibration, client, experiment, record, sample, usage

from dynamometer.analysis.advice import BENCH, CAMPAIGN, Advice
from dynamometer.analysis.doubts import ODD, RULES, Row, Run, doubts_of
from dynamometer.analysis.measure import measure
from dynamometer.analysis.metrics import METRICS
from dynamometer.analysis.summarise import estimate
from dynamometer.domain.experiment import Experiment, Lengths, Load
from dynamometer.domain.record import EngineFacts, Oddity, Reading, Sample, Usage
from dynamometer.domain.summary import Doubt


def good(ttft: float = 10) -> list[Sample]:
    """600 requests of two tokens: enough for every percentile."""
    return [sample(ttft, ttft + 10)] * 600


def row(samples: list[list[Sample]], of: Experiment | None = None, method: Any = None, **changes: Any) -> Row:
    one = of or experiment(max_output_tokens=2)
    records = [record(cycle, of=one, **changes) for cycle in range(1, len(samples) + 1)]
    runs = tuple(Run(rec, measure(rec, some)) for rec, some in zip(records, samples, strict=True))
    found = [run.metrics for run in runs]
    estimates = tuple(estimate(metric.info, found, seed=0, method=method) for metric in METRICS)
    return Row(one, runs, estimates, cycles_planned=len(samples))


def codes(one: Row) -> set[str]:
    return {doubt.code for doubt in doubts_of(one)}


def the(code: str, one: Row) -> Doubt:
    return next(doubt for doubt in doubts_of(one) if doubt.code == code)


def test_requests_sent_twice_are_counted() -> None:
    twice = [one.model_copy(update={"resent": number < 2}) for number, one in enumerate(good())]
    doubt = the("sent_twice", row([twice, good(), good()]))
    assert "2 of 1800 requests were sent twice" in doubt.message


def test_a_clean_row_has_no_doubts_and_an_empty_row_none_either() -> None:
    assert codes(row([good(), good(), good()])) == set()
    assert codes(row([])) == set()
    assert len({rule.__name__ for rule in RULES}) == len(RULES)


OTHERS = Reading(meter="others", quantity="other_cpu", unit="cores", value=0.7)
HOST = {"fingerprint": "h", "system": "Linux", "processor": "p", "cores": 2, "memory_bytes": 1, "python": "3"}


@pytest.mark.parametrize(
    ("code", "changes", "words"),
    [
        ("simulated", {"simulated": True}, "3 of 3 cycles simulated"),
        ("no_warmup", {"warmup_requests": 0, "warmup_steady": None}, "no warm-up in 3 of 3 cycles"),
        ("warmup_not_steady", {"warmup_steady": False}, "after 4 warm-up requests"),
        ("client_saturated", {"client": client(cpu_s=0.8)}, "busy 80% of the window"),
        ("client_saturated", {"client": client(cpu_s=1.6, processes=2)}, "its 2 processes were busy 80% of the window"),
        ("ended_early", {"ended_early": "after 3 of 60 s"}, "of 3 of 3 cycles was ended on request, after 3 of 60 s"),
        ("client_late", {"client": client(lag_p99_ms=8.0)}, "8 ms late (p99), 80% of the median ITL of 10 ms"),
        ("client_late", {"client": client(lag_p99_ms=32.0)}, "32 ms late (p99), longer than the median ITL of 10 ms"),
        ("user_stamps", {"client": client(clock="user")}, "3 of 3 cycles"),
        ("clock_steps", {"client": client(clock_steps=2)}, "jumped 6 times"),
        ("uncalibrated", {"calibration": None}, "3 of 3 cycles: the error of its stamps is not known"),
        (
            "beyond_calibration",
            {"calibration": calibration(covered=False, beyond=("streams", "events"))},
            "more than its 64 requests in flight; more than its 3200 events/s; its stamps may be further off",
        ),
        (
            "beyond_calibration",
            {"calibration": calibration(covered=False, beyond=("stamps",))},
            "stamps from user space, and it knows only the kernel's",
        ),
        (
            "beyond_calibration",
            {"calibration": calibration(covered=False, clock="user", beyond=("stamps",))},
            "stamps from the kernel, and it knows only those from user space",
        ),
        (
            "beyond_calibration",
            {"calibration": calibration(covered=False, beyond=("processes",)), "client": client(processes=2)},
            "2 client processes, not its 1",
        ),
        (
            "beyond_calibration",
            {"calibration": calibration(covered=False, beyond=("behind",))},
            "the client did not keep up with its 64 streams",
        ),
        ("beyond_calibration", {"calibration": calibration(covered=False)}, "harder than any of its levels"),
        ("host_busy", {"readings": (OTHERS,)}, "other programs used up to 0.7 of 2 cores during"),
        (
            "energy_source",
            {"readings": (Reading(meter="codecarbon", quantity="energy", unit="J", value=1, kind="estimated"),)},
            "estimated by codecarbon",
        ),
    ],
)
def test_facts_of_the_record_raise_doubts(code: str, changes: dict[str, Any], words: str) -> None:
    assert words in the(code, row([good(), good(), good()], **changes)).message


def test_hints_are_in_the_words_of_the_command_that_shows_them() -> None:
    samples = [sample(10, 20)] * 20 + [sample(10, error="timeout")]
    campaign = row([samples] * 2, calibration=None, warmup_requests=0, warmup_steady=None)
    bench = replace(campaign, advice=BENCH)
    hints = {doubt.code: doubt.hint for doubt in doubts_of(campaign)}
    assert hints["no_warmup"] == "set workload.warmup.max_requests: 8"
    assert {doubt.code: doubt.hint for doubt in doubts_of(bench)} == hints | {
        "too_few_cycles": "add --cycles 3 or more",
        "no_warmup": "add --warmup 8",
        "errors": BENCH.find_errors,
        "few_samples": BENCH.more_requests,
        "uncalibrated": BENCH.calibrate,
    }
    assert all(getattr(CAMPAIGN, name) and getattr(BENCH, name) for name in Advice.__slots__)


def test_requests_that_were_never_sent_are_no_matter_of_the_engines_log() -> None:
    unsent = [sample(10, 20)] * 20 + [sample(error="unsent")] * 5
    assert the("errors", row([unsent])).hint == CAMPAIGN.lighten_load
    assert the("errors", replace(row([unsent]), advice=BENCH)).hint == BENCH.lighten_load
    assert the("errors", row([[*unsent, sample(10, error="truncated")]])).hint == CAMPAIGN.find_errors


def test_two_cycles_are_too_few() -> None:
    doubt = the("too_few_cycles", row([good(), good()]))
    assert doubt.message.startswith("2 cycles")
    assert doubt.hint == "set cycles: 3 or more"


def test_few_requests_leave_percentiles_out_and_say_so() -> None:
    doubt = the("few_samples", row([[sample(10, 20)] * 24] * 3))
    assert doubt.message == (
        "too few values in a run for ttft_p95_ms, e2e_p95_ms (24 of 100 requests); ttft_p99_ms (24 of 500 requests); "
        "itl_p99_ms (24 of 500 intervals)"
    )


def test_the_throughput_of_random_arrivals_is_not_unstable() -> None:
    poisson = experiment(load=Load(rate=5, arrivals="poisson"), max_output_tokens=2)
    jumping = [good()[:200], good()[:400], good()]
    assert "output_tok_s" in {doubt.metric for doubt in doubts_of(row(jumping))}
    assert "output_tok_s" not in {doubt.metric for doubt in doubts_of(row(jumping, poisson))}


def test_errors_of_some_runs_say_that_others_are_not_counted() -> None:
    bad = [*good(), sample(10, error="timeout")]
    whole = row([bad, bad, bad], errors={"timeout": 1})
    assert "not counted" not in the("errors", whole).message
    partial = replace(whole, cycles_planned=5)
    assert the("errors", partial).message.endswith("; 2 cycles without a record not counted")


def test_a_metric_that_jumps_is_unstable() -> None:
    assert the("unstable", row([good(10), good(20), good(40)])).metric == "ttft_ms"


def test_a_metric_that_climbs_drifts() -> None:
    drifts = the("drift", row([good(10 + cycle) for cycle in range(6)]))
    assert drifts.metric == "ttft_ms"
    assert "+40%" in drifts.message


def prompts_of(tokens: int | None, *, asked: int | Lengths = 64, **workload: Any) -> set[str]:
    told = Usage(prompt_tokens=tokens, completion_tokens=2)
    of = experiment(max_output_tokens=2, max_input_tokens=asked, **workload)
    return codes(row([[sample(10, 20, usage=told)] * 600] * 3, of))


def test_prompts_of_another_length_than_asked_are_told() -> None:
    assert "prompt_length" not in prompts_of(64)
    assert "prompt_length" not in prompts_of(112), "a chat template may add so many"
    assert "prompt_length" not in prompts_of(None)
    assert "prompt_length" in prompts_of(113)
    assert "prompt_length" in prompts_of(47)
    assert "prompt_length" not in prompts_of(500, dataset="mine.jsonl")
    assert "prompt_length" not in prompts_of(500, load=Load(trace="t.csv"))
    assert "prompt_length" not in prompts_of(500, asked=Lengths(min=1, max=90))
    told = Usage(prompt_tokens=82, completion_tokens=2)
    doubt = the("prompt_length", row([[sample(10, 20, usage=told)] * 9], experiment(max_input_tokens=32)))
    assert doubt.message == "prompts have 82 tokens by the server's count, 156% more than the 32 asked for"
    assert "chat template" in (doubt.hint or "")


def test_errors_short_answers_caches_and_merged_events_are_counted() -> None:
    samples = [
        sample(10, 20, merged=1),
        sample(10, usage=usage(1)),
        sample(10, error="timeout"),
        sample(10, 20, usage=usage(2, cached=40)),
    ]
    one = row([samples] * 3, errors={"timeout": 1})
    assert "3 of 12 requests went wrong (25.0%: 3 timeout)" in the("errors", one).message
    assert "3 of 9 answers have fewer than the 2 tokens" in the("short_output", one).message
    assert "120 prompt tokens in 3 of 12 requests" in the("cached_prompts", one).message
    assert "20% of 15 events" in the("merged_events", one).message


def test_more_threads_than_cores_are_doubted() -> None:
    of = experiment(max_output_tokens=2).model_copy(update={"options": {"n_threads": 8}})
    assert "8 threads on 2 cores" in the("too_many_threads", row([good()] * 3, of)).message


def test_cycles_of_unlike_engines_are_not_silently_averaged() -> None:
    one = row([good()] * 3)
    other = EngineFacts(name="llama_cpp", version="2", argv=(), endpoint_kind="chat", load_ns=1)
    changed = one.runs[0].record.model_copy(update={"engine": other})
    mixed = Row(one.experiment, (Run(changed, one.runs[0].metrics), *one.runs[1:]), one.estimates, 3)
    assert "2 different engine versions: 1, 2" in the("unlike_cycles", mixed).message


@pytest.mark.parametrize(("key", "what"), [("dataset_sha256", "files of prompts"), ("trace_sha256", "traces")])
def test_files_that_changed_between_cycles_are_told(key: str, what: str) -> None:
    one = row([good()] * 3)
    hashes = ("a", "b", None)  # records of earlier versions have none
    runs = [
        replace(run, record=run.record.model_copy(update={key: h})) for run, h in zip(one.runs, hashes, strict=True)
    ]
    assert f"2 different {what} (by hash): a, b" in the("unlike_cycles", replace(one, runs=tuple(runs))).message


def test_a_forced_bootstrap_of_three_says_what_it_covers() -> None:
    one = row([good(10), good(10.1), good(10.3)], method="bootstrap")
    assert "they cover about 72 %" in the("forced_bootstrap", one).message


def sending(**changes: Any) -> dict[str, Any]:
    kept = {"asked_per_s": 200.0, "sent_per_s": 200.0, "send_lateness_p50_ms": 0.05, "send_lateness_p99_ms": 0.2}
    return {"client": client(**{**kept, **changes})}


def test_late_sends_are_told_with_the_asked_and_the_sent_rate() -> None:
    of = experiment(load=Load(rate=200), max_output_tokens=2)
    assert "late_sends" not in codes(row([good()] * 3, of, **sending()))
    slow = sending(sent_per_s=161.0, send_lateness_p99_ms=800.0, send_lateness_max_ms=950.0)
    late = the("late_sends", row([good()] * 3, of, **slow, requests=600))
    assert "asked 200 requests/s, sent 161, p99 800 ms after its time" in late.message
    few = the("late_sends", row([good()] * 3, of, **slow, requests=48))
    assert "asked 200 requests/s, sent 161, up to 950 ms after its time" in few.message
    by_chance = {"requests": 600, **sending(asked_per_s=230.0, sent_per_s=161.0, send_lateness_p99_ms=1234.0)}
    drawn = the("late_sends", row([good()] * 3, of, **by_chance))
    assert "asked 200 requests/s (by chance 230 in this cycle), sent 161, p99 1234 ms after its time" in drawn.message
    traced = experiment(load=Load(trace="monday.csv"), max_output_tokens=2)
    assert "scheduled 230 requests/s, sent 161" in the("late_sends", row([good()] * 3, traced, **by_chance)).message
    full = the("late_sends", row([good()] * 3, of, **sending(held=7, unsent=3)))
    assert "7 requests were held while 1024, the most allowed, were in flight, 3 of them never sent" in full.message
    assert "does not keep up" in (full.hint or "")


def test_usage_and_events_that_contradict_each_other_are_doubted() -> None:
    def of(told: int, finish: str = "length", tokens: tuple[int, ...] | None = (1, 1)) -> set[str]:
        odd = sample(10, 20, usage=usage(told), finish=finish).model_copy(update={"event_tokens": tokens})
        return codes(row([[odd] * 600] * 3))

    assert "usage_mismatch" not in of(2)
    assert "usage_mismatch" not in of(3, finish="stop")
    assert "usage_mismatch" not in of(7, tokens=None)
    assert "usage_mismatch" in of(3)
    assert "usage_mismatch" in of(1, tokens=None)
    assert "usage_mismatch" in of(9, finish="stop")
    some = [sample(10, 20, usage=usage(told)) for told in (2, 1, 9)]
    assert the("usage_mismatch", row([some] * 3)).message == (
        "in 6 of 9 answers the server's usage contradicts its events or what was asked for; at worst it tells 9 "
        "tokens, and 2 events with tokens came"
    )


@pytest.mark.parametrize(("gap_ms", "shown"), [(0.00385, "0.00385"), (0.0, "0")])
def test_a_late_client_beside_tiny_gaps_is_told_in_milliseconds(gap_ms: float, shown: str) -> None:
    bursts = [[sample(10, 10 + gap_ms)] * 600] * 3
    late = the("client_late", row(bursts, client=client(lag_p99_ms=32.3)))
    assert late.message == f"the client read up to 32.3 ms late (p99), longer than the median ITL of {shown} ms"
    assert "client_late" not in codes(row(bursts, client=client(lag_p99_ms=0.09)))


@pytest.mark.parametrize("kind", get_args(Oddity))
def test_odd_answers_are_counted_by_kind(kind: Oddity) -> None:
    some = [sample(10, 20, odd={kind: 3}), sample(10, 20), sample(10, error="timeout", odd={kind: 9})]
    doubt = the("odd_answers", row([some] * 3))
    what, hint = ODD[kind]
    assert (doubt.message, doubt.hint) == (f"3 of 6 answers {what} (9 events)", hint)


def test_each_kind_of_odd_answer_has_its_own_doubt() -> None:
    some = [sample(10, 20, odd={"no_done": 1, "after_finish": 1}), sample(10, 20, odd={"no_done": 1})]
    found = [doubt.message for doubt in doubts_of(row([some] * 3)) if doubt.code == "odd_answers"]
    assert found == ["3 of 6 answers went on after their finish reason", "6 of 6 answers ended without [DONE]"]


def test_short_answers_are_judged_by_what_each_was_asked_for() -> None:
    lengths = experiment(max_output_tokens=Lengths(min=1, max=9))
    asked = [sample(10, 20, max_tokens=2), sample(10, max_tokens=1), sample(10, 20, max_tokens=3)]
    doubt = the("short_output", row([asked] * 3, lengths))
    assert "3 of 9 answers have fewer than the tokens asked for" in doubt.message
    assert "short_output" not in codes(row([asked[:2]] * 3, lengths))
