"""Calibration: what the client's stamps were worth on one machine, against a server whose true send times are known."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.ident import digest

CALIBRATION_SCHEMA = 1

Clock = Literal["kernel", "user"]


class Spread(Value):
    """Magnitudes of many values, in ms. All None when there were none."""

    p50: float | None
    p99: float | None
    max: float | None
    n: Annotated[int, Field(ge=0)]
    """Values behind it."""


MOST_ERROR_MS = 1.0
"""Error of TTFT or ITL (99th percentile) up to which a level counts as measured well."""
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
    requests: Annotated[int, Field(ge=0)]
    """Requests sent."""
    bad: Annotated[int, Field(ge=0)]
    """Requests that went wrong or do not match what the server sent; left out of the errors."""
    ttft_error_ms: Spread
    """Arrival of the first event against its true send time."""
    itl_error_ms: Spread
    """Time between two events against that between their true send times, per event."""
    merged_share: float | None
    """Share of events that arrived in one read with another."""
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
        errors = (self.ttft_error_ms.p99 or 0.0, self.itl_error_ms.p99 or 0.0)
        return max(errors) <= MOST_ERROR_MS and (self.merged_share or 0.0) <= MOST_MERGED

    def covers(self, streams: int, events_s: float, clock: str) -> bool:
        """Whether a run with so many streams and events per second was no harder than this level."""
        return (
            self.bad == 0
            and self.clock == clock
            and streams <= self.streams
            and events_s <= (self.events_s or 0) * 1.05
        )


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
    ttft_error_p99_ms: float
    """99th percentile of the error of TTFT at that level."""
    itl_error_p99_ms: float | None
    """99th percentile of the error of ITL at that level; None for single-token answers."""
    covered: bool
    """Whether the run was no harder than the level: no more streams, no more events per second, the same stamps."""


class Calibration(Value):
    """All levels measured on one machine with one version of the client."""

    schema_version: int = CALIBRATION_SCHEMA
    """Version of this format."""
    host: str
    """Fingerprint of the machine."""
    dynamometer: str
    """Version of Dynamometer, hence of the client."""
    levels: tuple[CalibrationLevel, ...]
    """By streams, then rate."""

    @property
    def id(self) -> str:
        """Digest of the content."""
        return digest(self.model_dump(mode="json"))

    def updated(self, levels: tuple[CalibrationLevel, ...]) -> Calibration:
        """With levels measured anew in place of those with as many streams, the same rate and the same stamps."""
        merged = {(level.streams, level.rate, level.clock): level for level in (*self.levels, *levels)}
        return self.model_copy(update={"levels": tuple(merged[key] for key in sorted(merged))})

    def cite(self, streams: int, events_s: float, clock: str) -> CalibrationRef | None:
        """The smallest level that covers such a run, else the largest there is; None when no level tells anything."""
        useful = [level for level in self.levels if level.bad == 0 and level.ttft_error_ms.p99 is not None]
        fitting = [level for level in useful if level.holds and level.covers(streams, events_s, clock)]
        level = min(fitting, key=_size, default=None) or max(useful, key=_size, default=None)
        if level is None or level.ttft_error_ms.p99 is None:
            return None
        return CalibrationRef(
            id=self.id,
            at=level.at,
            streams=level.streams,
            events_s=level.events_s or 0.0,
            clock=level.clock,
            ttft_error_p99_ms=level.ttft_error_ms.p99,
            itl_error_p99_ms=level.itl_error_ms.p99,
            covered=bool(fitting),
        )


def _size(level: CalibrationLevel) -> tuple[int, float]:
    return level.streams, level.events_s or 0.0
