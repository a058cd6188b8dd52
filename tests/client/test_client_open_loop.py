"""Open loops on real sockets: sent when due whatever is in flight, late ones told, none lost."""

from __future__ import annotations

import resource
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from typing import Any

import pytest

from dynamometer.client.decode import decode
from dynamometer.client.exchange import Request, Traffic
from dynamometer.client.loop import Limits, Stop
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.client.stamps import OTHER_FILES, make_room
from dynamometer.client.timer import Timer
from dynamometer.domain.experiment import Load, Workload
from dynamometer.domain.record import Sample
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.errors import PreconditionError
from dynamometer.load.arrivals import Pace, pace
from dynamometer.load.stops import AfterDuration, AfterRequests

MS = 1_000_000
QUICK = FakeOptions(ttft_ms=2, itl_ms=1, n_parallel=64)


def prepared(endpoint: Endpoint) -> Iterator[Request]:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "ignore_eos": True}
    return (prepare(endpoint, f"r{number}", {**asked, "stream": True}) for number in count())


def send(
    endpoint: Endpoint, begins_ns: Sequence[int], stop: Stop | None = None, *, slots: int = 64, **more: Any
) -> tuple[Traffic, list[Sample]]:
    more = {"pace": Pace(tuple(begins_ns), open_loop=True), "connect": 4, **more}
    stop = stop or AfterRequests(len(begins_ns))
    traffic = measure(endpoint.host, endpoint.port, prepared(endpoint), slots=slots, stop=stop, **more)
    return traffic, [decode(exchange, streaming=True) for exchange in traffic.exchanges]


def every(ms: float, times: int) -> list[int]:
    return [round(place * ms * MS) for place in range(times)]


def test_requests_go_out_when_they_are_due_whatever_is_in_flight() -> None:
    with serving(FakeOptions(ttft_ms=100, itl_ms=1, n_parallel=64)) as endpoint:
        traffic, samples = send(endpoint, every(5, 40))
    assert [sample.error for sample in samples] == [None] * 40
    assert [sample.scheduled_ns for sample in samples] == [traffic.window.begin_ns + due for due in every(5, 40)]
    lateness = sorted(sample.sent_ns - (sample.scheduled_ns or 0) for sample in samples)
    assert lateness[0] >= 0
    assert lateness[20] < 2 * MS
    assert samples[20].sent_ns < (samples[0].ended_ns or 0)
    health = traffic.health
    assert health.asked_per_s == pytest.approx(200)
    assert health.sent_per_s == pytest.approx(200, rel=0.2)
    assert health.send_lateness_p50_ms == lateness[20] / MS
    assert health.send_lateness_max_ms == lateness[-1] / MS
    assert (health.held, health.unsent) == (0, 0)
    assert traffic.window.end_ns >= max(sample.ended_ns or 0 for sample in samples)


def test_send_lateness_at_a_poisson_rate() -> None:
    """A truth test with generous limits: a quiet machine shows 0.05 ms (median) and 0.2 ms (p99)."""
    arrivals = pace(Workload(load=Load(rate=300, arrivals="poisson"), requests=300), 1)
    with serving(QUICK) as endpoint:
        traffic, samples = send(endpoint, arrivals.begins_ns)
    assert all(sample.error is None for sample in samples)
    assert (traffic.health.send_lateness_p50_ms or 99) < 1
    assert (traffic.health.send_lateness_p99_ms or 99) < 20
    assert traffic.health.held == 0


def test_what_is_beyond_the_cap_is_held_sent_late_and_counted() -> None:
    with serving(FakeOptions(ttft_ms=20, itl_ms=0, n_parallel=64)) as endpoint:
        traffic, samples = send(endpoint, every(1, 12), slots=2)
    assert [sample.error for sample in samples] == [None] * 12
    assert traffic.health.held == 10
    assert traffic.health.unsent == 0
    assert (traffic.health.send_lateness_max_ms or 0) > 50
    assert (traffic.health.sent_per_s or 999) < 200 < (traffic.health.asked_per_s or 0)
    assert traffic.connections == 2


def test_what_is_never_sent_in_the_window_is_told_with_its_time() -> None:
    with serving(FakeOptions(ttft_ms=60, itl_ms=0, n_parallel=64)) as endpoint:
        traffic, samples = send(endpoint, every(2, 50), AfterDuration(100 * MS), slots=1)
    sent = len(samples)
    assert 2 <= sent <= 4
    assert [sample.error for sample in samples] == [None] * sent
    assert traffic.health.unsent == 50 - sent
    assert traffic.unsent == tuple((place, traffic.window.begin_ns + 2 * MS * place) for place in range(sent, 50))
    assert traffic.health.held == 49
    assert traffic.window.end_ns - traffic.window.begin_ns == 100 * MS


def test_a_window_by_duration_ends_in_time_with_nothing_in_flight() -> None:
    with serving(QUICK) as endpoint:
        begin = time.monotonic()
        traffic, samples = send(endpoint, [0, 20 * MS], AfterDuration(250 * MS))
    assert time.monotonic() - begin < 2
    assert traffic.window.seconds == 0.25
    assert [sample.error for sample in samples] == [None, None]


def test_pauses_between_requests_use_no_processor_time() -> None:
    with serving(QUICK) as endpoint:
        traffic, _ = send(endpoint, [0, 400 * MS])
    assert traffic.health.cpu_s < 0.1
    assert traffic.health.wakes < 60


def test_a_connection_that_idles_may_be_closed_and_is_replaced() -> None:
    with serving(QUICK) as endpoint:
        traffic, samples = send(endpoint, every(1, 16), connect=0)
    assert all(sample.error is None for sample in samples)
    assert 1 <= traffic.connections <= 16


def test_refused_requests_are_samples_and_the_schedule_goes_on() -> None:
    endpoint = Endpoint(host="127.0.0.1", port=1, model="m")
    _, samples = send(endpoint, every(5, 10))
    assert [sample.error for sample in samples] == ["refused"] * 10


def test_the_deadline_ends_an_open_loop() -> None:
    with serving(FakeOptions(fault="hang")) as endpoint:
        limits = Limits(deadline_ns=time.monotonic_ns() + 200 * MS)
        traffic, samples = send(endpoint, every(50, 100), limits=limits)
    assert {sample.error for sample in samples} == {"timeout"}
    due = (traffic.window.end_ns - traffic.window.begin_ns) // (50 * MS) + 1
    assert len(samples) + len(traffic.unsent) == due < 100, "those that never were due are not among them"
    assert traffic.gave_up is not None


def test_a_growing_concurrency_begins_one_request_in_flight_after_another() -> None:
    grown = Pace((0, 100 * MS, 200 * MS), open_loop=False)
    with serving(FakeOptions(ttft_ms=10, itl_ms=0, n_parallel=64)) as endpoint:
        traffic, samples = send(endpoint, (), AfterDuration(300 * MS), slots=3, pace=grown)
    begin = traffic.window.begin_ns
    in_flight = [
        sum(sample.sent_ns <= begin + at * MS < (sample.ended_ns or 0) for sample in samples) for at in (50, 150, 250)
    ]
    assert all(sample.scheduled_ns is None for sample in samples)
    assert traffic.health.send_lateness_p99_ms is None
    assert in_flight[0] <= 1
    assert in_flight[1] <= 2
    counts = [sum(begin + at * MS <= sample.sent_ns < begin + (at + 100) * MS for sample in samples) for at in (0, 200)]
    assert counts[1] > 2 * counts[0] > 4


def test_the_timer_wakes_to_the_fraction_of_a_millisecond() -> None:
    errors = []
    with closing(Timer()) as timer, select.epoll() as epoll:
        epoll.register(timer, select.EPOLLIN | select.EPOLLET)
        for _ in range(50):
            due = time.monotonic_ns() + 1_300_000
            timer.set(due)
            assert epoll.poll(2)
            errors.append(time.monotonic_ns() - due)
        timer.set(time.monotonic_ns() + MS)
        timer.set(0)
        assert epoll.poll(0.01) == []
        timer.set(1)
        assert epoll.poll(1)
    assert min(errors) >= 0
    assert sorted(errors)[25] < 0.7 * MS


def test_room_for_connections_is_made_or_refused() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(before[0], 512)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
        make_room(soft)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft + OTHER_FILES
        if before[1] != resource.RLIM_INFINITY:
            with pytest.raises(PreconditionError, match="open files"):
                make_room(before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
