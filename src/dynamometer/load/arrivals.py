"""When requests begin, computed before the window: send times of open loops, and starts of a growing concurrency.

Times are nanoseconds from the window's begin, ascending; the first is 0.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from dynamometer.domain.experiment import MOST_REQUESTS, Load, Ramp, Workload
from dynamometer.domain.ident import canonical_json, text_hash
from dynamometer.domain.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class Pace:
    """When requests begin.

    In a closed loop each time begins one more request in flight, which goes on with another when it ends; in an open
    loop each time is that of one request.
    """

    begins_ns: Sequence[int]
    open_loop: bool


def closed(in_flight: int) -> Pace:
    """A closed loop at full concurrency from its begin."""
    return Pace((0,) * in_flight, open_loop=False)


def pace(workload: Workload, cycle: int, trace_ns: Sequence[int] = ()) -> Pace:
    """The pace of a workload's window in one cycle. ``trace_ns`` are the times of its trace, where it has one.

    Poisson arrivals depend on seed and cycle alone: all configurations of a cycle get the same.
    """
    load = workload.load
    if not load.is_open:
        return Pace(_grown(load.ramp), open_loop=False) if load.ramp else closed(load.most_in_flight)
    times = iter(trace_ns) if load.trace is not None else _paced(load, _gaps(load, workload.seed, cycle))
    if workload.duration_s is not None:
        end_ns = round(workload.duration_s * NS_PER_S)
        times = takewhile(lambda time: time < end_ns, times)
    return Pace(tuple(islice(times, workload.requests or MOST_REQUESTS)), open_loop=True)


def most_within(times_ns: Sequence[int], span_ns: int) -> int:
    """Most of the times that lie within any stretch of that length: requests in flight if each takes so long."""
    most, first = 0, 0
    for place, time in enumerate(times_ns):
        while time - times_ns[first] > span_ns:
            first += 1
        most = max(most, place - first + 1)
    return most


def _gaps(load: Load, seed: int, cycle: int) -> Iterator[float]:
    """Gaps between requests, of mean 1."""
    generator = random.Random(text_hash(canonical_json(["arrivals", seed, cycle])))
    while True:
        yield 1.0 if load.arrivals != "poisson" else generator.expovariate(1)


def _paced(load: Load, gaps: Iterator[float]) -> Iterator[int]:
    """Times of an endless load: the ``position``-th request of mean 1 comes when the rate has summed up to it."""
    time_of = _time_at_ramp(load.ramp) if load.ramp else _time_at_rate(load.rate or 1)
    position = 0.0
    for gap in gaps:
        yield round(time_of(position) * NS_PER_S)
        position += gap


def _time_at_rate(rate: float) -> Callable[[float], float]:
    return lambda position: position / rate


def _time_at_ramp(ramp: Ramp) -> Callable[[float], float]:
    """Inverse of the number of requests by time t: start t + (end - start) t² / (2 over), and a line after that."""
    steepness = (ramp.end - ramp.start) / (2 * ramp.over)
    grown = (ramp.start + ramp.end) / 2 * ramp.over

    def time_of(position: float) -> float:
        if position >= grown:
            return ramp.over + (position - grown) / ramp.end
        return (math.sqrt(ramp.start**2 + 4 * steepness * position) - ramp.start) / (2 * steepness)

    return time_of


def _grown(ramp: Ramp) -> tuple[int, ...]:
    """Starts of the requests in flight of a growing concurrency: the first at once, one more after each even step."""
    start, end = round(ramp.start), round(ramp.end)
    step_ns = ramp.over * NS_PER_S / (end - start)
    return tuple(round(max(0, place + 1 - start) * step_ns) for place in range(end))
