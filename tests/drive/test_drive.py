"""Driving the fake engine through a step: phases, prompts, window, meters' moments."""

from __future__ import annotations

import socket
import time
from itertools import count
from typing import Any

import pytest
from tests.client.test_client_wire import read_request, server

from dynamometer.domain.experiment import Experiment, Lengths, Load, Ramp, Warmup, Weights, Workload
from dynamometer.domain.ident import text_hash
from dynamometer.domain.step import Step
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.errors import CampaignError, Interrupted, PreconditionError
from dynamometer.load.arrivals import pace
from dynamometer.worker.calibrate import most_in_flight
from dynamometer.worker.drive import Driven, drive

FAST = FakeOptions(ttft_ms=3, itl_ms=1, n_parallel=8)
WEIGHTS = Weights(format="gguf", source="demo", ref="x")


def step(cycle: int = 1, **workload: Any) -> Step:
    workload = {"requests": 6, "max_output_tokens": 5, "max_input_tokens": 16, **workload}
    return Step(
        campaign_id="",
        run_id=f"abc-c{cycle}",
        cycle=cycle,
        attempt=1,
        experiment=Experiment(engine="fake", model="m", weights=WEIGHTS, workload=Workload(**workload)),
        timeout_s=60,
    )


def driven(
    endpoint: Endpoint,
    a_step: Step,
    prompts_text: str | None = None,
    seconds: float = 30,
    marks: list[int] | None = None,
    **more: Any,
) -> Driven:
    moments = marks if marks is not None else []
    return drive(
        a_step,
        endpoint,
        prompts_text=prompts_text,
        on_window_open=lambda: moments.append(time.monotonic_ns()),
        on_window_close=lambda: moments.append(time.monotonic_ns()),
        deadline_ns=time.monotonic_ns() + round(seconds * 1e9),
        **more,
    )


def phases(result: Driven) -> list[str]:
    return [sample.phase for sample in result.samples]


def test_cold_warmup_window_in_this_order() -> None:
    marks: list[int] = []
    with serving(FAST) as endpoint:
        workload: dict[str, Any] = {"load": Load(concurrency=2), "warmup": Warmup(until="fixed", max_requests=3)}
        result = driven(endpoint, step(**workload), marks=marks)
    assert phases(result) == ["cold", *["warmup"] * 3, *["window"] * 6]
    assert all(sample.error is None for sample in result.samples)
    assert len({sample.id for sample in result.samples}) == 10
    assert result.samples[4].id == "abc-c1-a1-window-0"
    assert (result.warmup_requests, result.warmup_steady, result.cut_short) == (3, None, None)
    assert (result.dataset, result.connections, result.client.processes) == ("builtin", 2, 1)
    opened, closed = marks
    window = result.samples[4:]
    assert opened <= result.window.begin_ns == window[0].sent_ns
    assert max(sample.ended_ns or 0 for sample in window) <= result.window.end_ns <= closed
    assert all((sample.ended_ns or opened) < opened for sample in result.samples[:4])


def test_several_processes_send_what_one_sends() -> None:
    workload: dict[str, Any] = {"load": Load(concurrency=3), "requests": 12, "dataset": "synthetic"}
    with serving(FAST) as endpoint:
        alone, shared = (
            driven(endpoint, step(**workload).model_copy(update={"client_processes": number})) for number in (1, 3)
        )
    assert (alone.client.processes, shared.client.processes) == (1, 3)
    assert shared.prompts_sha256 == alone.prompts_sha256
    ids, lengths = (
        [[getattr(sample, field) for sample in each.samples if sample.phase == "window"] for each in (alone, shared)]
        for field in ("id", "prompt_chars")
    )
    assert ids[0] == ids[1]
    assert lengths[0] == lengths[1]
    assert all(sample.error is None for sample in shared.samples)


def test_what_the_warmup_learns_of_connections_spares_the_window() -> None:
    answer = b'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(answer)}\r\n\r\n".encode()

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(head + answer)  # and closes, although HTTP/1.1 keeps connections unless told otherwise

    with server(behave) as endpoint:
        result = driven(endpoint, step(warmup=Warmup(until="fixed", max_requests=2)))
    assert all(sample.error is None for sample in result.samples)
    window = [sample for sample in result.samples if sample.phase == "window"]
    assert [sample.resent for sample in window] == [False] * 6
    assert result.connections == 6


def test_an_interruption_ends_the_window_and_says_how_far_it_was() -> None:
    marks: list[int] = []
    looks = count(1)  # one before the first request, then one every 50 ms
    with serving(FakeOptions(ttft_ms=20, itl_ms=1)) as endpoint:
        later = step(requests=5000)
        result = driven(endpoint, later, marks=marks, interrupted=lambda: bool(marks) and next(looks) >= 3)
    sent = phases(result).count("window")
    assert 1 <= sent < 100
    assert result.ended_early == f"after {sent} of 5000 requests"
    assert result.cut_short is None
    assert all(sample.error is None for sample in result.samples)


def test_what_is_never_sent_is_a_sample_without_a_prompt() -> None:
    load = Load(rate=500, max_in_flight=1)
    with serving(FakeOptions(ttft_ms=60, itl_ms=0)) as endpoint:
        result = driven(endpoint, step(load=load, requests=None, duration_s=0.2, warmup=Warmup(max_requests=0)))
    window = [sample for sample in result.samples if sample.phase == "window"]
    unsent = [sample for sample in window if sample.error == "unsent"]
    assert len(window) == 100
    assert [sample.id for sample in window] == [f"abc-c1-a1-window-{place}" for place in range(100)]
    assert len(unsent) == result.client.unsent > 90
    assert all(sample.sent_ns == result.window.end_ns for sample in unsent)
    assert all(sample.scheduled_ns is not None and sample.scheduled_ns <= sample.sent_ns for sample in unsent)


def test_an_interruption_before_the_window_leaves_no_window() -> None:
    with serving(FAST) as endpoint, pytest.raises(Interrupted, match="before the window"):
        driven(endpoint, step(), interrupted=lambda: True)


def test_the_warmup_of_an_open_loop_has_as_many_in_flight_as_the_window_will() -> None:
    workload: dict[str, Any] = {
        "load": Load(rate=25),
        "requests": 16,
        "warmup": Warmup(until="fixed", max_requests=12),
    }
    with serving(FakeOptions(ttft_ms=220, itl_ms=2, n_parallel=16)) as endpoint:
        result = driven(endpoint, step(**workload), cold_request=False)
    warm = [sample for sample in result.samples if sample.phase == "warmup"]
    assert [sample.id for sample in warm] == [f"abc-c1-a1-warmup-{number}" for number in range(12)]
    alone_s = ((warm[0].ended_ns or 0) - warm[0].sent_ns) / 1e9
    assert most_in_flight(warm[1:]) == min(11, 1 + int(25 * alone_s)), "that is 6 where a request takes 230 ms"
    assert (result.warmup_requests, result.warmup_steady) == (12, None)


def test_a_warmup_on_a_steady_engine_ends_before_its_cap() -> None:
    with serving(FakeOptions(ttft_ms=100, itl_ms=5)) as endpoint:
        result = driven(endpoint, step(warmup=Warmup(until="steady", max_requests=50)))
    assert result.warmup_steady is True
    assert 4 <= result.warmup_requests < 50


def test_a_warmup_that_never_gets_steady_says_so() -> None:
    with serving(FakeOptions(ttft_ms=1, itl_ms=0, jitter_ms=60)) as endpoint:
        result = driven(endpoint, step(max_output_tokens=1, warmup=Warmup(until="steady", max_requests=4)))
    assert (result.warmup_requests, result.warmup_steady) == (4, False)


def test_no_warmup() -> None:
    with serving(FAST) as endpoint:
        result = driven(endpoint, step(warmup=Warmup(max_requests=0)))
    assert phases(result) == ["cold", *["window"] * 6]
    assert result.warmup_steady is None


@pytest.mark.parametrize("dataset", ["builtin", "synthetic"])
def test_configurations_of_one_cycle_get_the_same_prompts_and_cycles_differ(dataset: str) -> None:
    warmup = Warmup(max_requests=0)
    with serving(FAST) as endpoint:
        one = driven(endpoint, step(dataset=dataset, warmup=warmup))
        two = driven(endpoint, step(dataset=dataset, warmup=warmup, load=Load(concurrency=4)))
        other = driven(endpoint, step(cycle=2, dataset=dataset, warmup=warmup))
    assert one.prompts_sha256 == two.prompts_sha256 != other.prompts_sha256


def test_own_prompts() -> None:
    text = "".join(f'{{"prompt": "{"x" * size}"}}\n' for size in range(1, 11))
    with serving(FAST) as endpoint:
        result = driven(endpoint, step(dataset="mine.jsonl", warmup=Warmup(until="fixed", max_requests=1)), text)
    assert [sample.prompt_chars for sample in result.samples] == [10, 9, 1, 2, 3, 4, 5, 6]
    assert result.dataset == "mine.jsonl"
    assert result.dataset_sha256 == text_hash(text)


def test_wrong_or_missing_prompts_are_refused_before_anything_is_sent() -> None:
    with serving(FAST) as endpoint:
        with pytest.raises(CampaignError):
            driven(endpoint, step(dataset="mine.jsonl"), "nonsense")
        with pytest.raises(PreconditionError):
            driven(endpoint, step(dataset="mine.jsonl"))


def test_a_window_by_duration() -> None:
    workload: dict[str, Any] = {
        "requests": None,
        "duration_s": 0.3,
        "load": Load(concurrency=2),
        "warmup": Warmup(max_requests=0),
    }
    marks: list[int] = []
    with serving(FAST) as endpoint:
        result = driven(endpoint, step(**workload), marks=marks)
    opened, closed = marks
    assert opened <= result.window.end_ns - 300_000_000 <= result.window.begin_ns
    assert result.window.end_ns <= closed
    window = [sample for sample in result.samples if sample.phase == "window"]
    answered = sum((sample.ended_ns or 0) < result.window.end_ns for sample in window)
    assert 2 < answered <= len(window) <= answered + 2, "another was sent for each that was answered in time"


def test_errors_are_samples_and_the_run_goes_on() -> None:
    with serving(FakeOptions(ttft_ms=1, itl_ms=1, fault="drop", fault_after=4)) as endpoint:
        result = driven(endpoint, step(warmup=Warmup(max_requests=0)))
    assert [sample.error for sample in result.samples] == [None] * 4 + ["truncated"] * 3


def test_a_stalled_request_ends_by_its_own_limit_and_the_run_by_its_deadline() -> None:
    with serving(FakeOptions(ttft_ms=1, itl_ms=1, fault="stall", fault_after=1, n_parallel=64)) as endpoint:
        both = step(requests=2, load=Load(concurrency=2), warmup=Warmup(max_requests=0))
        limited = driven(endpoint, both, request_s=1)
    assert [sample.error for sample in limited.samples] == [None, "timeout", "timeout"]
    assert limited.cut_short is None
    with serving(FakeOptions(fault="hang")) as endpoint:
        cut = driven(endpoint, step(), seconds=2, request_s=600)  # longer than a test may take
    assert cut.cut_short is not None
    assert {sample.error for sample in cut.samples} == {"timeout"}


def test_an_open_loop_is_driven_by_its_schedule() -> None:
    load = Load(rate=100, arrivals="poisson")
    with serving(FAST) as endpoint:
        result = driven(endpoint, step(load=load, requests=30, warmup=Warmup(max_requests=3)))
        again = driven(endpoint, step(load=load, requests=30, warmup=Warmup(max_requests=3)))
    window = [sample for sample in result.samples if sample.phase == "window"]
    assert len(window) == 30
    assert all(sample.scheduled_ns is None for sample in result.samples if sample.phase != "window")
    due = [(sample.scheduled_ns or 0) - result.window.begin_ns for sample in window]
    assert due == list(pace(Workload(load=load, requests=30), 1).begins_ns)
    assert window[0].scheduled_ns == result.window.begin_ns
    assert result.client.asked_per_s == again.client.asked_per_s
    assert result.client.held == 0
    assert result.prompts_sha256 == again.prompts_sha256


def test_a_rate_for_a_duration() -> None:
    with serving(FAST) as endpoint:
        result = driven(
            endpoint, step(load=Load(rate=40), requests=None, duration_s=0.5, warmup=Warmup(max_requests=0))
        )
    assert phases(result) == ["cold", *["window"] * 20]
    assert result.window.seconds == 0.5


def test_a_ramp_of_concurrency() -> None:
    ramp = Ramp(of="concurrency", start=1, end=4, over="400ms")
    workload: dict[str, Any] = {"requests": None, "duration_s": 0.8, "max_output_tokens": 4}
    with serving(FakeOptions(ttft_ms=50, itl_ms=1, n_parallel=8)) as endpoint:
        result = driven(endpoint, step(load=Load(ramp=ramp), warmup=Warmup(until="fixed", max_requests=2), **workload))
    assert result.connections == 4
    window = [sample for sample in result.samples if sample.phase == "window"]
    assert most_in_flight(window) == 4
    opened = result.window.end_ns - 800_000_000
    begins = pace(step(load=Load(ramp=ramp), **workload).experiment.workload, 1).begins_ns
    assert len(begins) == 4
    for sample in window:
        in_flight = sum(other.sent_ns <= sample.sent_ns < (other.ended_ns or 0) for other in window)
        assert in_flight <= sum(opened + begin <= sample.sent_ns for begin in begins)


TRACE = "at_s,input_tokens,output_tokens\n3,20,2\n3.05,30,4\n3.05,40,6\n"


def test_a_trace_gives_times_and_lengths() -> None:
    workload: dict[str, Any] = {"load": Load(trace="t.csv"), "requests": None, "warmup": Warmup(max_requests=0)}
    with serving(FAST) as endpoint:
        result = driven(endpoint, step(dataset="synthetic", **workload), trace_text=TRACE)
    window = [sample for sample in result.samples if sample.phase == "window"]
    assert [(s.scheduled_ns or 0) - result.window.begin_ns for s in window] == [0, 50_000_000, 50_000_000]
    assert [(sample.max_tokens, sample.output_tokens) for sample in window] == [(2, 2), (4, 4), (6, 6)]
    assert [sample.usage.prompt_tokens for sample in window if sample.usage] == [20, 30, 40]
    assert (result.dataset_sha256, result.trace_sha256) == (None, text_hash(TRACE))


def test_a_trace_that_is_wrong_missing_or_says_what_prompts_cannot_do() -> None:
    workload: dict[str, Any] = {"load": Load(trace="t.csv"), "requests": None}
    with serving(FAST) as endpoint:
        with pytest.raises(CampaignError, match="out of order"):
            driven(endpoint, step(**workload), trace_text="at_s\n2\n1\n")
        with pytest.raises(PreconditionError, match="trace"):
            driven(endpoint, step(**workload))
        with pytest.raises(CampaignError, match="sent as they are"):
            driven(endpoint, step(dataset="mine.jsonl", **workload), '{"prompt": "x"}', trace_text=TRACE)


def test_lengths_of_each_request() -> None:
    drawn = Lengths(min=2, max=9)
    with serving(FAST) as endpoint:
        result = driven(endpoint, step(requests=12, max_output_tokens=drawn, warmup=Warmup(max_requests=0)))
        text = '{"prompt": "a", "max_tokens": 3}\n{"messages": [{"role": "user", "content": "b c"}]}\n'
        mine = driven(endpoint, step(dataset="m.jsonl", requests=2, warmup=Warmup(max_requests=0)), text)
    assert len({sample.max_tokens for sample in result.samples}) > 3
    assert all(sample.output_tokens == sample.max_tokens for sample in result.samples)
    assert [(sample.max_tokens, sample.prompt_chars) for sample in mine.samples[1:]] == [(3, 1), (5, 3)]
