"""Calibrate: the client of runs against the reference server, whose true send times are known."""

from __future__ import annotations

import json
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
REQUEST_SPARE_S = 30
WARMUP_MOST, WARMUP_TOKENS = 4, 4
DESCRIPTORS_SPARE = 64


@dataclass(frozen=True, slots=True)
class Course:
    """What is to be measured."""

    streams: Sequence[int]
    rate: float
    """Events per second and stream."""
    tokens: int
    """Events per request."""
    rounds: int = 2
    """Requests per stream, one after the other: with one alone, nothing tells whether concurrency is held."""
    kernel_stamps: bool = True


def calibrate(course: Course) -> Iterator[CalibrationLevel]:
    """The levels, one after the other. Raises PreconditionError when the machine has not enough descriptors."""
    for streams in course.streams:
        with _cores() as core, tempfile.TemporaryDirectory(prefix="dyno-calibrate-") as folder:
            yield _level(course, streams, core, Path(folder) / "true-times.jsonl")


def merged(earlier: Calibration | None, host: HostFacts, levels: Sequence[CalibrationLevel]) -> Calibration:
    """What was known of this machine and version, with these levels new."""
    base = earlier or Calibration(host=host.fingerprint, dynamometer=__version__, levels=())
    return base.updated(tuple(levels))


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
    return calibration.cite(most_in_flight(samples), events_s, health.clock)


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


def _level(course: Course, streams: int, core: int | None, truth_file: Path) -> CalibrationLevel:
    _require_descriptors(streams)
    options = FakeOptions(
        ttft_ms=TTFT_MS,
        itl_ms=1000 / course.rate,
        n_parallel=streams,
        phased=True,
        core=core,
        truth_file=str(truth_file),
    )
    at, load_1m = datetime.now(UTC).isoformat(timespec="seconds"), host_facts().load_1m
    with serving(options) as endpoint:
        _traffic(course, endpoint, "warmup", min(streams, WARMUP_MOST), 1, WARMUP_TOKENS)
        traffic = _traffic(course, endpoint, "window", streams, course.rounds, course.tokens)
    truths = _true_times(truth_file)
    pairs = ((decode(exchange, streaming=True), truths.get(exchange.id)) for exchange in traffic.exchanges)
    asked = Asked(streams, course.rate, course.tokens, at, load_1m)
    return level_of(asked, pairs, traffic.health, traffic.window)


def _traffic(course: Course, endpoint: Endpoint, phase: str, streams: int, rounds: int, tokens: int) -> Traffic:
    """``rounds`` requests on each of so many streams, sent as those of a run are."""
    requests = _requests(endpoint, phase, streams * rounds, tokens)
    return measure(
        endpoint.host,
        endpoint.port,
        iter(requests),
        slots=streams,
        stop=AfterRequests(len(requests)),
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


def _require_descriptors(streams: int) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if streams + DESCRIPTORS_SPARE > limit:
        raise PreconditionError(
            f"{streams} streams take as many open files; this shell allows {limit}",
            hint=f"ulimit -n {streams + 1024}, or fewer --streams",
        )
