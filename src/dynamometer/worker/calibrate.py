"""Calibrate: the client of runs against the reference server, whose true send times are known."""

from __future__ import annotations

import json
import math
import os
import resource
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from dynamometer import __version__
from dynamometer.analysis.calibration import Asked, TrueTimes
from dynamometer.analysis.calibration import level as level_of
from dynamometer.client.decode import decode
from dynamometer.client.exchange import Request, Traffic
from dynamometer.client.loop import Limits
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.client.stamps import OTHER_FILES, make_room
from dynamometer.domain.calibration import Calibration, CalibrationLevel, CalibrationRef
from dynamometer.domain.record import ClientHealth, HostFacts, Sample, Window
from dynamometer.domain.units import NS_PER_S
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.errors import DamageError, PreconditionError
from dynamometer.load.stops import AfterRequests
from dynamometer.store.calibrations import default_state, read_calibration
from dynamometer.worker.facts import host_facts

TTFT_MS = 100.0
"""Longer than the server takes to read 1,024 requests that come at once."""
SHORT_TOKENS = 2
"""Events of a short request. Not one: the last event of an answer may arrive with its end, and then late."""
SHORT_TTFT = 0.9
"""TTFT of short requests in ITLs: the first event is due with the next step of the grid."""
MORE_S = 20.0
"""A level is given more requests than two per stream only as long as they take no longer than this."""
START_S, EVENT_S = 0.7, 15e-6
"""About what a level takes beside its schedule: a server's start and end, and what follows for each event."""
REQUEST_SPARE_S = 30
WARMUP_MOST, WARMUP_TOKENS = 4, 4


@dataclass(frozen=True, slots=True)
class Course:
    """What is to be measured."""

    streams: Sequence[int]
    rate: float
    """Events per second and stream."""
    tokens: int
    """Events per request."""
    rounds: int | None = None
    """Requests per stream, one after the other, never one alone: nothing would tell whether concurrency is held.
    When left out, as many as ``values`` takes, and short ones."""
    values: int = 0
    """Errors of TTFT and of ITL that a level is to rest on, where that does not take too long."""
    quick: bool = False
    kernel_stamps: bool = True
    processes: int = 1
    """Client processes that share the load."""

    def rounds_at(self, streams: int) -> int:
        """Requests per stream at a level."""
        if self.rounds is not None:
            return self.rounds
        wanted = math.ceil(self.values / (streams * (self.tokens - 1)))
        return max(2, min(wanted, int(MORE_S / self._request_s)))

    def short_rounds_at(self, streams: int) -> int:
        """Short requests per stream at a level: what its own requests lack in first events."""
        if self.rounds is not None:
            return 0
        wanted = math.ceil(self.values / streams) - self.rounds_at(streams)
        return max(0, min(wanted, int(MORE_S / self._short_s)))

    def seconds_at(self, streams: int) -> float:
        """About how long a level takes."""
        rounds, short = self.rounds_at(streams), self.short_rounds_at(streams)
        short_s = START_S + short * self._short_s if short else 0.0
        return START_S + rounds * self._request_s + EVENT_S * streams * rounds * self.tokens + short_s

    @property
    def _request_s(self) -> float:
        return TTFT_MS / 1000 + self.tokens / self.rate

    @property
    def _short_s(self) -> float:
        return SHORT_TOKENS / self.rate


def calibrate(course: Course) -> Iterator[CalibrationLevel]:
    """The levels, one after the other, each measured when it is asked for.

    Raises PreconditionError at once when the machine has not enough descriptors for the largest.
    """
    _make_room(course.streams)
    return _levels(course)


def _levels(course: Course) -> Iterator[CalibrationLevel]:
    for streams in course.streams:
        with _cores() as core, tempfile.TemporaryDirectory(prefix="dyno-calibrate-") as folder:
            yield _level(course, streams, core, Path(folder))


def new_calibration(host: HostFacts) -> Calibration:
    """That of a machine of which nothing is known yet."""
    return Calibration(host=host.fingerprint, dynamometer=__version__, levels=())


def cited(host: HostFacts, health: ClientHealth, window: Window, samples: Sequence[Sample]) -> CalibrationRef | None:
    """What this machine's calibration says of a run; None without one that reads."""
    try:
        calibration = read_calibration(default_state(), host.fingerprint, __version__)
    except DamageError:
        return None  # the record then says that it has none; dyno doctor says what is wrong
    if calibration is None:
        return None
    events = sum(window.begin_ns <= at <= window.end_ns for sample in samples for at in sample.arrivals_ns)
    events_s = events / window.seconds if window.seconds > 0 else 0.0
    return calibration.cite(most_in_flight(samples), events_s, health.clock, health.processes)


def most_in_flight(samples: Iterable[Sample]) -> int:
    """Most requests in flight at once, whatever load was asked for; at least 1."""
    changes = sorted(
        change
        for sample in samples
        if sample.ended_ns is not None
        for change in ((sample.sent_ns, 1), (sample.ended_ns, -1))
    )
    return max(1, *accumulate(change for _, change in changes)) if changes else 1


@contextmanager
def _cores() -> Iterator[int | None]:
    """A core for the server alone while the block runs, when there are two or more; we keep to the others."""
    before = os.sched_getaffinity(0)
    core = max(before) if len(before) > 1 else None
    try:
        if core is not None:
            os.sched_setaffinity(0, before - {core})
        yield core
    finally:
        os.sched_setaffinity(0, before)


Pairs = Iterator[tuple[Sample, TrueTimes | None]]


def _level(course: Course, streams: int, core: int | None, folder: Path) -> CalibrationLevel:
    at, load_1m = datetime.now(UTC).isoformat(timespec="seconds"), host_facts().load_1m
    asked = Asked(streams, course.rate, course.tokens, at, load_1m, course.quick)
    itl_ms = 1000 / course.rate
    short: Pairs = iter(())
    if rounds := course.short_rounds_at(streams):
        options = _server(streams, core, folder / "short.jsonl", SHORT_TTFT * itl_ms, itl_ms)
        short = _pairs(*_measured(course, options, rounds, SHORT_TOKENS))
    options = _server(streams, core, folder / "true-times.jsonl", TTFT_MS, itl_ms)
    traffic, truths = _measured(course, options, course.rounds_at(streams), course.tokens)
    return level_of(asked, _pairs(traffic, truths), traffic.health, traffic.window, short)


def _server(streams: int, core: int | None, truth_file: Path, ttft_ms: float, itl_ms: float) -> FakeOptions:
    return FakeOptions(
        ttft_ms=ttft_ms, itl_ms=itl_ms, n_parallel=streams, phased=True, core=core, truth_file=str(truth_file)
    )


def _measured(
    course: Course, options: FakeOptions, rounds: int, tokens: int
) -> tuple[Traffic, Mapping[str, TrueTimes]]:
    """What the client saw of a server of its own, after a warm-up, and the server's true times."""
    streams = options.n_parallel
    with serving(options) as endpoint:
        _traffic(course, endpoint, "warmup", min(streams, WARMUP_MOST), 1, WARMUP_TOKENS)
        traffic = _traffic(course, endpoint, "window", streams, rounds, tokens)
    return traffic, _true_times(Path(options.truth_file or ""))


def _pairs(traffic: Traffic, truths: Mapping[str, TrueTimes]) -> Pairs:
    return ((decode(exchange, streaming=True), truths.get(exchange.id)) for exchange in traffic.exchanges)


def _traffic(course: Course, endpoint: Endpoint, phase: str, streams: int, rounds: int, tokens: int) -> Traffic:
    """``rounds`` requests on each of so many streams, sent as those of a run are."""
    requests = _requests(endpoint, phase, streams * rounds, tokens)
    return measure(
        endpoint.host,
        endpoint.port,
        requests,
        slots=streams,
        stop=AfterRequests(len(requests)),
        ready=len(requests),
        processes=course.processes,
        limits=Limits(round((TTFT_MS / 1000 + tokens / course.rate + REQUEST_SPARE_S) * NS_PER_S)),
        kernel_stamps=course.kernel_stamps,
    )


def _requests(endpoint: Endpoint, phase: str, number: int, tokens: int) -> list[Request]:
    asked = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": "What time is it?"}],
        "max_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }
    return [prepare(endpoint, f"{phase}-{index}", asked) for index in range(number)]


def _true_times(path: Path) -> Mapping[str, TrueTimes]:
    """The server's own times of each request, by its id."""
    found = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            value = json.loads(line)
            due, sends, returns = (array("q", value[key]) for key in ("due_ns", "sends_ns", "returns_ns"))
            begin, end = value["cpu_ns"]
            found[value["id"]] = TrueTimes(due, sends, returns, value["blocked"], (begin, end))
    return found


def _make_room(levels: Sequence[int]) -> None:
    """Let this process, and servers started by it, open as many files as the largest level takes."""
    needed = max(levels) + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in (soft, hard) or needed <= hard:
        make_room(max(levels))
        return
    fitting = ",".join(str(streams) for streams in levels if streams + OTHER_FILES <= hard)
    raise PreconditionError(
        f"{max(levels)} streams take {needed} open files, and this shell allows {hard}",
        hint=f"ulimit -n {needed}" + (f", or --streams {fitting}" if fitting else ""),
    )
