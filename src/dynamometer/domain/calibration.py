"""Calibration: what the client's stamps were worth on one machine, against a server whose true send times are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.ident import digest

CALIBRATION_SCHEMA = 1

Clock = Literal["kernel", "user"]
Beyond = Literal["streams", "events", "stamps", "processes", "behind"]
"""What a run was harder in than a level: requests in flight, events per second; its stamps came from elsewhere; another
number of client processes shared its load; or the client fell behind at the level itself, so that it covers nothing."""

NEEDED_FOR_P99 = 500
"""Values that a 99th percentile needs, as in the metrics of runs."""


class Spread(Value):
    """Magnitudes of many values, in ms. All None when there were none."""

    p50: float | None
    p99: float | None
    """None with fewer than 500 values: it would be little else than the maximum."""
    max: float | None
    n: Annotated[int, Field(ge=0)]
    """Values behind it."""

    @property
    def most(self) -> float | None:
        """The 99th percentile, or the maximum of too few values for one."""
        return self.max if self.p99 is None else self.p99


MOST_ERROR_MS = 1.0
"""Error of TTFT or ITL (99th percentile, else maximum) up to which a level counts as measured well."""
MOST_MERGED = 0.01
"""Share of merged events up to which it does."""


class CalibrationLevel(Value):
    """One level: so many streams at such a rate. Error is what the client says minus what the server truly sent."""

    streams: Annotated[int, Field(ge=1)]
    """Requests in flight that were asked for."""
    rate: Annotated[float, Field(gt=0)]
    """Events per second and stream that were asked for."""
    tokens: Annotated[int, Field(ge=1)]
    """Events per request."""
    at: str
    """When it was measured, ISO 8601 with zone."""
    load_1m: float | None
    """Load average of the machine right before."""
    clock: Clock
    """Where arrival stamps came from."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Client processes that shared the load."""
    requests: Annotated[int, Field(ge=0)]
    """Requests sent, without the short ones."""
    short_requests: Annotated[int, Field(ge=0)] = 0
    """Requests of two events before them, sent where few streams give few first events: only their TTFT counts."""
    quick: bool = False
    """Whether it was measured with ``--quick``: shortly, from few events."""
    bad: Annotated[int, Field(ge=0)]
    """Requests that went wrong or do not match what the server sent; left out of the errors."""
    ttft_error_ms: Spread
    """Arrival of the first event against its true send time."""
    itl_error_ms: Spread
    """Time between two events against that between their true send times, per event."""
    merged_share: float | None
    """Share of events that arrived at once with another of their stream."""
    cpu_s_per_1000: float | None
    """CPU time of the client per 1,000 events."""
    events_s: float | None
    """Events per second over the window."""
    held_share: float | None
    """Mean requests in flight, from the first to the last send, as a share of the streams asked for."""
    lag_p99_ms: float | None
    """Delay from arrival in the kernel to the read; None without kernel stamps."""
    server_late_ms: Spread
    """The server against its own schedule. It does not count as an error: true send times are known."""
    server_send_ms: Spread
    """How long the server's call to send took. The kernel took the event within it: so far the truth is unsure."""
    unexplained_ms: Spread
    """How far arrivals lie outside of that call: the part of the error that cannot be doubt about the truth."""
    server_cpu_share: float | None
    """CPU time of the server as a share of one core."""

    @property
    def holds(self) -> bool:
        """Whether the client kept up at this level. Where it did not, its errors say nothing of a run like it."""
        errors = (self.ttft_error_ms.most or 0.0, self.itl_error_ms.most or 0.0)
        return max(errors) <= MOST_ERROR_MS and (self.merged_share or 0.0) <= MOST_MERGED

    @property
    def useful(self) -> bool:
        """Whether nothing went wrong, so that it can be cited."""
        return self.bad == 0 and self.ttft_error_ms.max is not None

    @property
    def worth(self) -> Literal[0, 1, 2]:
        """2: it covers runs. 1: it can be cited and covers none, for the client fell behind. 0: it tells nothing."""
        if not self.useful:
            return 0
        return 2 if self.holds else 1

    @property
    def load(self) -> tuple[int, float, Clock, int]:
        """What was asked of the client: of levels with the same, one is kept."""
        return self.streams, self.rate, self.clock, self.processes

    @property
    def asked_events(self) -> int:
        """Events it was to be measured from."""
        return self.requests * self.tokens + self.short_requests

    def outweighs(self, other: CalibrationLevel) -> bool:
        """Whether it is to stay when ``other`` was measured after it: it is worth more, or as much from more events."""
        if self.worth != other.worth:
            return self.worth > other.worth
        return self.useful and self.asked_events > other.asked_events

    def beyond(self, streams: int, events_s: float, clock: str, processes: int) -> tuple[Beyond, ...]:
        """What such a run was harder in than this level. Nothing: it is covered."""
        found: dict[Beyond, bool] = {
            "streams": streams > self.streams,
            "events": events_s > (self.events_s or 0) * 1.05,
            "stamps": clock != self.clock,
            "processes": processes != self.processes,
            "behind": not self.holds,
        }
        return tuple(reason for reason, true in found.items() if true)


class CalibrationRef(Value):
    """The calibration a record cites: the level nearest to its run."""

    id: str
    """Digest of the calibration."""
    at: str
    """When the level was measured."""
    streams: Annotated[int, Field(ge=1)]
    """Streams of the level."""
    events_s: float
    """Events per second of the level."""
    clock: Clock
    """Arrival stamps of the level."""
    processes: int = 1
    """Client processes of the level."""
    quick: bool = False
    """Whether the level was measured with ``--quick``."""
    ttft_error_p99_ms: float | None
    """99th percentile of the error of TTFT at that level; None with fewer than 500 values."""
    ttft_error_max_ms: float | None = None
    """Largest error of TTFT at that level."""
    ttft_errors: int | None = None
    """Values behind it."""
    itl_error_p99_ms: float | None
    """99th percentile of the error of ITL at that level; None with fewer than 500 values."""
    itl_error_max_ms: float | None = None
    """Largest error of ITL at that level."""
    itl_errors: int | None = None
    """Values behind it."""
    covered: bool
    """Whether the run was no harder than the level: no more streams, no more events per second, the same stamps
    and number of client processes."""
    beyond: tuple[Beyond, ...] = ()
    """What it was harder in, or unlike, when it is not covered: ``streams``, ``events``, ``stamps``, ``processes``;
    ``behind``: the client did not keep up at the level itself."""


class Calibration(Value):
    """All levels measured on one machine with one version of the client."""

    schema_version: int = CALIBRATION_SCHEMA
    """Version of this format."""
    host: str
    """Fingerprint of the machine."""
    dynamometer: str
    """Version of Dynamometer, hence of the client."""
    levels: tuple[CalibrationLevel, ...]
    """By streams, then rate, stamps and client processes."""

    @property
    def id(self) -> str:
        """Digest of the content."""
        return digest(self.model_dump(mode="json"))

    def updated(self, levels: Iterable[CalibrationLevel], *, replace: bool = False) -> Calibration:
        """With levels measured anew in place of those with as many streams, the same rate, the same stamps and as
        many client processes.

        One that outweighs the new one stays, unless ``replace``.
        """
        kept = {level.load: level for level in self.levels}
        for level in levels:
            earlier = kept.get(level.load)
            if replace or earlier is None or not earlier.outweighs(level):
                kept[level.load] = level
        return self.model_copy(update={"levels": tuple(kept[key] for key in sorted(kept))})

    def cite(self, streams: int, events_s: float, clock: str, processes: int = 1) -> CalibrationRef | None:
        """The smallest level that covers such a run, else the nearest; None when no level tells anything.

        Nearest is one with the same stamps, of these one that the run was harder in the fewest things than, and of
        these the largest.
        """
        useful = {level: level.beyond(streams, events_s, clock, processes) for level in self.levels if level.useful}
        fitting = [level for level, beyond in useful.items() if not beyond]
        nearest = max(useful, key=lambda at: (at.clock == clock, -len(useful[at]), *_size(at)), default=None)
        level = min(fitting, key=_size, default=nearest)
        if level is None:
            return None
        ttft, itl = level.ttft_error_ms, level.itl_error_ms
        return CalibrationRef(
            id=self.id,
            at=level.at,
            streams=level.streams,
            events_s=level.events_s or 0.0,
            clock=level.clock,
            processes=level.processes,
            quick=level.quick,
            ttft_error_p99_ms=ttft.p99,
            ttft_error_max_ms=ttft.max,
            ttft_errors=ttft.n,
            itl_error_p99_ms=itl.p99,
            itl_error_max_ms=itl.max,
            itl_errors=itl.n,
            covered=bool(fitting),
            beyond=useful[level],
        )


def _size(level: CalibrationLevel) -> tuple[int, float]:
    return level.streams, level.events_s or 0.0
