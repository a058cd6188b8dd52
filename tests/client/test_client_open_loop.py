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
from dynamometer.worker.calibrate import most_in_flight

MS = 1_000_000
QUICK = FakeOptions(ttft_ms=2, itl_ms=1, n_parallel=64)
QUICKEST = 10
"""Percent of what is sent whose lateness tells of the client alone: a busy machine lets the others wait."""


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
    due = [at + 3 * MS for at in every(7, 40)]
    with serving(FakeOptions(ttft_ms=600, itl_ms=1, n_parallel=64)) as endpoint:
        traffic, samples = send(endpoint, due)
    assert [sample.error for sample in samples] == [None] * 40
    assert [sample.scheduled_ns for sample in samples] == [traffic.window.begin_ns + at for at in due]
    lateness = sorted(sample.sent_ns - (sample.scheduled_ns or 0) for sample in samples)
    assert lateness[0] >= 0
    assert lateness[QUICKEST * 40 // 100] < 2 * MS
    assert samples[-1].sent_ns < (samples[0].ended_ns or 0)
    sends = sorted(sample.sent_ns for sample in samples)
    health = traffic.health
    assert health.asked_per_s == pytest.approx(1000 / 7)
    assert health.sent_per_s == pytest.approx(39e9 / (sends[-1] - sends[0]))
    assert health.send_lateness_p50_ms == lateness[20] / MS
    assert health.send_lateness_max_ms == lateness[-1] / MS
    assert (health.held, health.unsent) == (0, 0)
    assert traffic.window.end_ns >= max(sample.ended_ns or 0 for sample in samples)


def test_send_lateness_at_a_poisson_rate() -> None:
    """A quiet machine shows 0.05 ms (median) and 0.2 ms (p99); sends at ticks of the loop would be 25 ms late."""
    arrivals = pace(Workload(load=Load(rate=300, arrivals="poisson"), requests=300), 1)
    with serving(QUICK) as endpoint:
        traffic, samples = send(endpoint, arrivals.begins_ns)
    assert all(sample.error is None for sample in samples)
    lateness = sorted(sample.sent_ns - (sample.scheduled_ns or 0) for sample in samples)
    assert 0 <= lateness[0] <= lateness[QUICKEST * 300 // 100] < MS
    assert traffic.health.send_lateness_p50_ms == lateness[150] / MS
    assert traffic.health.send_lateness_p99_ms == lateness[297] / MS
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
    assert 1 <= sent <= 2, "each takes 60 ms of the 100"
    assert [sample.error for sample in samples] == [None] * sent
    assert traffic.health.unsent == 50 - sent
    assert traffic.unsent == tuple((place, traffic.window.begin_ns + 2 * MS * place) for place in range(sent, 50))
    assert traffic.health.held == 49
    assert traffic.window.end_ns - traffic.window.begin_ns == 100 * MS


def test_a_window_by_duration_ends_in_time_with_nothing_in_flight() -> None:
    limits = Limits(request_ns=600_000 * MS)  # longer than a test may take
    with serving(QUICK) as endpoint:
        traffic, samples = send(endpoint, [0, 20 * MS], AfterDuration(250 * MS), limits=limits)
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
        limits = Limits(deadline_ns=time.monotonic_ns() + 2000 * MS)
        traffic, samples = send(endpoint, every(50, 100), limits=limits)
    assert {sample.error for sample in samples} == {"timeout"}
    due = (traffic.window.end_ns - traffic.window.begin_ns) // (50 * MS) + 1
    assert len(samples) + len(traffic.unsent) == due < 100, "those that never were due are not among them"
    assert traffic.gave_up is not None


def test_a_growing_concurrency_begins_one_request_in_flight_after_another() -> None:
    grown = Pace((0, 200 * MS, 400 * MS), open_loop=False)
    with serving(FakeOptions(ttft_ms=50, itl_ms=0, n_parallel=64)) as endpoint:
        traffic, samples = send(endpoint, (), AfterDuration(800 * MS), slots=3, pace=grown)
    assert all(sample.scheduled_ns is None for sample in samples)
    assert traffic.health.send_lateness_p99_ms is None
    opened = traffic.window.end_ns - 800 * MS
    for sample in samples:
        in_flight = sum(other.sent_ns <= sample.sent_ns < (other.ended_ns or 0) for other in samples)
        assert in_flight <= sum(opened + begin <= sample.sent_ns for begin in grown.begins_ns)
    assert most_in_flight(samples) == 3
    assert len(samples) > 3, "each sends again when its request has ended"


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
    assert 0 <= min(errors) < 0.7 * MS, "what counts in milliseconds would always be as late"


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
