"""Several client processes: one load, one window, nobody left behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from array import array
from contextlib import ExitStack
from itertools import count, islice
from tempfile import TemporaryFile
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.client import processes
from dynamometer.client.decode import decode
from dynamometer.client.exchange import Request, Traffic
from dynamometer.client.loop import Limits
from dynamometer.client.measure import _gave_up, measure
from dynamometer.client.parts import Dealt, parts
from dynamometer.client.request import prepare
from dynamometer.client.share import Share, Task, standing_at
from dynamometer.domain.record import Sample
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.errors import PreconditionError
from dynamometer.load.arrivals import Pace
from dynamometer.load.stops import AfterDuration, AfterRequests
from dynamometer.worker.calibrate import most_in_flight

MS = 1_000_000


def prepared(endpoint: Endpoint) -> list[Request]:
    asked = {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 4,
        "stream": True,
        "ignore_eos": True,
        "stream_options": {"include_usage": True},
    }
    return [prepare(endpoint, f"r{number}", asked) for number in range(400)]


def send(endpoint: Endpoint, **settings: Any) -> tuple[Traffic, list[Sample]]:
    traffic = measure(endpoint.host, endpoint.port, prepared(endpoint), **settings)
    return traffic, [decode(exchange, streaming=True) for exchange in traffic.exchanges]


def task(pace: Pace, slots: int, connect: int = 0) -> Task:
    return Task(
        host="h",
        address=(socket.AF_INET, ("127.0.0.1", 1)),
        pace=pace,
        stop=AfterRequests(9),
        limits=Limits(),
        slots=slots,
        connect=connect,
        ready=1,
        stamped=False,
        tls=False,
        hangs_up=False,
    )


@given(number=st.integers(1, 8), more=st.integers(0, 40), connect=st.integers(0, 50), open_loop=st.booleans())
def test_parts_are_the_whole_together(number: int, more: int, connect: int, open_loop: bool) -> None:
    slots = number + more
    pace = Pace(tuple(range(slots)), open_loop=open_loop)
    made = parts(number, task(pace, slots, connect), (), 0)
    assert sorted(begin for part in made for begin in part.task.pace.begins_ns) == list(range(slots))
    assert sum(part.task.slots for part in made) == slots
    assert sum(part.task.connect for part in made) == connect
    sizes = [part.task.slots for part in made]
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


def test_a_schedule_is_dealt_so_that_each_request_keeps_its_time() -> None:
    pace = Pace(tuple(range(0, 900, 100)), open_loop=True)
    for part in parts(2, task(pace, 9), (), 0):
        assert isinstance(part.deal, Dealt)
        places = islice(part.deal.places(), len(part.task.pace.begins_ns))
        assert [100 * place for place in places] == list(part.task.pace.begins_ns)


DRAW = """
import sys
from dynamometer.client.parts import Drawn
print("ready", flush=True)
sys.stdin.read()
print(*Drawn(int(sys.argv[1]), 200_000).places())
"""


def test_no_place_is_drawn_twice_and_none_left_out() -> None:
    with TemporaryFile(buffering=0) as file, ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", DRAW, str(file.fileno())],
                    pass_fds=[file.fileno()],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        drawn = [[int(word) for word in child.stdout.read().split()] for child in children if child.stdout is not None]
    assert sorted(place for mine in drawn for place in mine) == list(range(200_000))
    assert all(mine == sorted(mine) for mine in drawn)
    assert min(map(len, drawn)) > 0, "both drew"


def test_a_place_that_was_passed_is_never_looked_for_without_end() -> None:
    with pytest.raises(AssertionError, match="place 3 after 3"):
        list(standing_at([1, 3, 3], enumerate(count())))


def unlike(gave_up: str | None, *, overdue: bool = False) -> Share:
    nothing = array("q")
    return Share(
        exchanges=(),
        unsent=(),
        begin_ns=0,
        end_ns=1,
        lags_ns=nothing,
        clock_steps=0,
        cpu_ns=0,
        wakes=0,
        reads=0,
        nice=0,
        connections=0,
        held=0,
        gave_up=gave_up,
        overdue=overdue,
        was_interrupted=False,
        hangs_up=False,
    )


def test_nobody_was_reached_only_when_no_process_reached_anybody() -> None:
    lost, late, fine = unlike("no connection"), unlike("time up", overdue=True), unlike(None)
    assert _gave_up([lost, fine]) is None
    assert _gave_up([lost, lost]) == "no connection"
    assert _gave_up([fine, late]) == "time up"


def test_a_closed_loop_is_one_load_in_one_window() -> None:
    opened, closings = [], []
    with serving(FakeOptions(ttft_ms=100, itl_ms=5, n_parallel=64)) as endpoint:
        traffic, samples = send(
            endpoint,
            slots=8,
            stop=AfterRequests(50),
            processes=3,
            ready=50,
            on_open=lambda: opened.append(time.monotonic_ns()),
            on_close=lambda: closings.append(time.monotonic_ns()),
        )
    assert [exchange.place for exchange in traffic.exchanges] == list(range(50))
    assert [sample.id for sample in samples] == [f"r{number}" for number in range(50)]
    assert [sample.error for sample in samples] == [None] * 50
    assert {sample.output_tokens for sample in samples} == {4}
    assert traffic.health.processes == 3
    assert traffic.connections == 8, "each request in flight keeps its connection"
    assert most_in_flight(samples) == 8
    assert len(opened) == len(closings) == 1
    assert opened[0] < traffic.window.begin_ns
    assert traffic.window.end_ns <= closings[0]
    assert 0 < traffic.health.cpu_s < 3 * traffic.health.wall_s
    assert traffic.health.clock == "kernel"


def test_an_open_loop_keeps_its_schedule() -> None:
    schedule = Pace(tuple(range(0, 600 * MS, 20 * MS)), open_loop=True)
    with serving(FakeOptions(ttft_ms=5, itl_ms=1, n_parallel=64)) as endpoint:
        traffic, samples = send(
            endpoint, slots=8, stop=AfterRequests(30), pace=schedule, connect=4, processes=2, ready=30
        )
    begin = traffic.window.begin_ns
    assert [(exchange.scheduled_ns or 0) - begin for exchange in traffic.exchanges] == list(schedule.begins_ns)
    assert [sample.error for sample in samples] == [None] * 30
    late = [exchange.sent_ns - (exchange.scheduled_ns or 0) for exchange in traffic.exchanges]
    assert min(late) >= 0
    assert all(min(late[process::2]) < 5 * MS for process in range(2)), "each process keeps to the one schedule"
    assert traffic.health.asked_per_s == pytest.approx(50)


def test_a_duration_ends_the_window_of_all_at_once() -> None:
    opened: list[int] = []
    with serving(FakeOptions(ttft_ms=10, itl_ms=1, n_parallel=64)) as endpoint:
        traffic, samples = send(
            endpoint,
            slots=4,
            stop=AfterDuration(300 * MS),
            processes=2,
            ready=200,
            on_open=lambda: opened.append(time.monotonic_ns()),
        )
    sends = sorted(sample.sent_ns for sample in samples)
    assert traffic.window.begin_ns == sends[0]
    assert opened[0] < traffic.window.end_ns - 300 * MS <= sends[0]
    assert all(sample.error is None for sample in samples)
    assert sends[-1] < traffic.window.end_ns
    assert [exchange.place for exchange in traffic.exchanges] == list(range(len(samples)))


def test_never_more_processes_than_requests_in_flight() -> None:
    with serving(FakeOptions(ttft_ms=1, itl_ms=0)) as endpoint:
        traffic, _ = send(endpoint, slots=1, stop=AfterRequests(2), processes=4)
    assert traffic.health.processes == 1


def test_an_interruption_reaches_all_and_what_is_in_flight_ends() -> None:
    looks = count(1)
    with serving(FakeOptions(ttft_ms=50, itl_ms=5, n_parallel=64)) as endpoint:
        traffic, samples = send(
            endpoint,
            slots=4,
            stop=AfterDuration(600_000 * MS),  # longer than a test may take
            processes=2,
            interrupted=lambda: next(looks) >= 10,
        )
    assert traffic.was_interrupted
    assert len(samples) >= 4
    assert [sample.error for sample in samples] == [None] * len(samples)
    assert max(sample.sent_ns for sample in samples) <= traffic.window.end_ns


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "dynamometer.client.process" in " ".join(each.cmdline())]


def test_a_process_that_dies_is_told_and_takes_the_others_with_it() -> None:
    def kill_one() -> None:
        children()[0].kill()

    with (
        serving(FakeOptions(ttft_ms=50, itl_ms=5, n_parallel=64)) as endpoint,
        pytest.raises(PreconditionError, match=r"a process of the client died \(signal SIGKILL\)"),
    ):
        send(endpoint, slots=4, stop=AfterDuration(60_000 * MS), processes=2, on_open=kill_one)
    assert children() == []


def test_what_a_signal_handler_raises_leaves_no_process() -> None:
    def handler(number: int, frame: object) -> None:
        raise InterruptedError(number)

    before = signal.signal(signal.SIGUSR2, handler)
    try:
        with (
            serving(FakeOptions(ttft_ms=50, itl_ms=5, n_parallel=64)) as endpoint,
            pytest.raises(InterruptedError),
        ):
            send(
                endpoint,
                slots=4,
                stop=AfterDuration(60_000 * MS),
                processes=2,
                on_open=lambda: signal.raise_signal(signal.SIGUSR2),
            )
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert children() == []


PARENT = """
import sys
from tests.client.test_client_processes import MS, AfterDuration, Endpoint, send
endpoint = Endpoint.model_validate_json(sys.argv[1])
send(endpoint, slots=4, stop=AfterDuration(60_000 * MS), processes=2, on_open=lambda: print("open", flush=True))
"""


def test_processes_end_with_their_parent_however_it_dies() -> None:
    with serving(FakeOptions(ttft_ms=50, itl_ms=5, n_parallel=64)) as endpoint:
        command = [sys.executable, "-c", PARENT, endpoint.model_dump_json()]
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        with parent.stdout:
            assert parent.stdout.readline() == "open\n"
            ours = psutil.Process(parent.pid).children()
            parent.kill()
            parent.wait()
        _, alive = psutil.wait_procs(ours, timeout=60)
    assert len(ours) == 2
    assert alive == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_whole_group_are_for_the_parent(number: signal.Signals) -> None:
    heard: list[int] = []

    def signal_all() -> None:
        for child in children():
            child.send_signal(number)
        heard.append(time.monotonic_ns())

    with serving(FakeOptions(ttft_ms=20, itl_ms=1, n_parallel=64)) as endpoint:
        traffic, samples = send(endpoint, slots=4, stop=AfterRequests(20), processes=2, on_open=signal_all)
    assert heard
    assert traffic.health.processes == 2
    assert [sample.error for sample in samples] == [None] * 20


def test_a_process_that_hangs_is_not_waited_for_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "OVERDUE_NS", 200 * MS)

    def stop_one() -> None:
        children()[0].suspend()

    limits = Limits(deadline_ns=time.monotonic_ns() + 3000 * MS)
    with (
        serving(FakeOptions(ttft_ms=50, itl_ms=5, n_parallel=64)) as endpoint,
        pytest.raises(PreconditionError, match="did not end in time"),
    ):
        send(endpoint, slots=4, stop=AfterDuration(60_000 * MS), processes=2, on_open=stop_one, limits=limits)
    assert children() == []
