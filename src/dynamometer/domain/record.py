"""The record: what a worker measured in one run. Raw samples stand beside it; statistics are computed on reading."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.calibration import CalibrationRef
from dynamometer.domain.experiment import Experiment
from dynamometer.domain.wire import Api

RECORD_SCHEMA = 1

ErrorKind = Literal[
    "refused",
    "connection",
    "timeout",
    "http_status",
    "bad_response",
    "stream_error",
    "truncated",
    "empty",
    "unsent",
]
"""refused: could not connect. connection: dropped before an answer. http_status: status not 200. bad_response: not
HTTP, not JSON, not an event stream. stream_error: an error event in the stream. truncated: the stream ended
without its end mark. empty: no output token. timeout: no end within the request's time. unsent: due in the window of an
open loop, and never sent, because max_in_flight requests were in flight until its end."""

Oddity = Literal[
    "after_finish",
    "after_done",
    "no_done",
    "not_utf8",
    "choices",
    "finish_changed",
    "usage_changed",
    "usage_no_count",
]
"""What an answer that counts as whole did against its API. after_finish: tokens after a finish reason; they count.
after_done: events after the end mark; they are not read. no_done: a finish reason, and no end mark after it. not_utf8:
bytes that are not UTF-8. choices: more than the one choice asked for; only the first is read. finish_changed: a second
finish reason, unlike the first. usage_changed: two usages that contradict each other; the last counts. usage_no_count:
a usage whose output tokens are 0 although tokens came, or no number; it does not count."""


class Usage(Value):
    """Token counts as the server reports them."""

    prompt_tokens: Annotated[int, Field(ge=0)] | None = None
    completion_tokens: Annotated[int, Field(ge=0)] | None = None
    cached_tokens: Annotated[int, Field(ge=0)] | None = None


class Sample(Value):
    """One request, raw. Stamps are nanoseconds of the worker's monotonic clock.

    One line of ``samples.jsonl``.
    """

    id: str
    """Sent as X-Request-Id."""
    phase: Literal["cold", "warmup", "window"] = "window"
    """cold: the first after the engine's start. warmup: before the window. Only window counts."""
    scheduled_ns: int | None = None
    """When it should have been sent; None in a closed loop."""
    sent_ns: int
    """When the last byte was handed to the kernel; of one that was never sent, when it was given up."""
    ended_ns: int | None = None
    """When the last byte of the answer arrived; None when none came."""
    arrivals_ns: tuple[int, ...] = ()
    """Arrival of each event that carries at least one output token."""
    event_tokens: tuple[int, ...] | None = None
    """Tokens in each of these events; None when the server does not tell and the counts differ."""
    merged: int = 0
    """Events that arrived at once with another of the same stream: in one segment, or in one read without its stamp."""
    resent: bool = False
    """Sent again, since the server had closed the kept-alive connection unanswered. sent_ns is of the second time."""
    prompt_chars: int = 0
    """Length of the prompt."""
    max_tokens: int | None = None
    """Output tokens asked for."""
    text_chars: int = 0
    """Length of the generated text."""
    usage: Usage | None = None
    """The server's counts."""
    timings: dict[str, Any] | None = None
    """The engine's own timings, as it sent them."""
    finish: str | None = None
    """finish_reason."""
    odd: dict[Oddity, int] = {}
    """What was odd about the answer, each with the number of events that were."""
    status: int | None = None
    """HTTP status."""
    error: ErrorKind | None = None
    """None when the answer was whole."""
    error_detail: str | None = None
    """What the error was."""

    def line(self) -> str:
        """One line of JSON, without its end. What has its default is left out, apart from the phase."""
        text = self.model_dump_json(exclude_defaults=True)
        return text if self.phase != "window" else f'{text[:-1]},"phase":"window"}}'

    @property
    def output_tokens(self) -> int | None:
        """Tokens generated: the server's count first, else the events' own counts, else unknown."""
        if self.usage and self.usage.completion_tokens is not None:
            return self.usage.completion_tokens
        return sum(self.event_tokens) if self.event_tokens is not None else None


class Reading(Value):
    """What one meter found: a value, or the reason why there is none."""

    meter: str
    """Name of the meter."""
    quantity: str
    """What it is: peak_rss, energy, other_cpu."""
    unit: str
    """bytes, J, cores."""
    value: float | None
    """The value; None is not zero."""
    missing: str | None = None
    """Why there is no value."""
    source: str | None = None
    """Sensor: rapl, proc-vmhwm, replay, nvml-counter, …"""
    scope: str | None = None
    """What it covers: process group of the engine, package 0+1, …"""
    kind: Literal["measured", "estimated", "simulated"] = "measured"
    """Estimated is never mixed with measured."""


class ClientHealth(Value):
    """How much the instrument may have disturbed or missed."""

    clock: Literal["kernel", "user", "simulated"]
    """Where arrival stamps come from."""
    cpu_s: float
    """CPU time of the client in the window."""
    wall_s: float
    """Length of the window."""
    wakes: int
    """Times the loop woke."""
    reads: int
    """Reads from sockets."""
    lag_p99_ms: float | None = None
    """Delay from arrival in the kernel to our read, 99th percentile; None without kernel stamps."""
    lag_max_ms: float | None = None
    """The same, worst."""
    clock_steps: int = 0
    """Times the wall clock jumped; stamps of that moment fall back to user space."""
    processes: int = 1
    """Client processes that shared the load."""
    nice: int | None = None
    """Nice value of the client in the window: below 0 when it was allowed to go before others; None if not known."""
    connections: int | None = None
    """Connections that the window needed; more than requests in flight means that some were dropped."""
    asked_per_s: float | None = None
    """Open loop: requests per second of the schedule, from its first to its last; None in a closed loop."""
    sent_per_s: float | None = None
    """Open loop: requests per second as sent, from the first to the last."""
    send_lateness_p50_ms: float | None = None
    """Open loop: from the scheduled time to the last byte handed to the kernel, median over requests sent."""
    send_lateness_p99_ms: float | None = None
    """The same, 99th percentile."""
    send_lateness_max_ms: float | None = None
    """The same, worst."""
    held: int = 0
    """Open loop: requests that were due while max_in_flight requests were in flight, and so had to wait."""
    unsent: int = 0
    """Of these, still waiting when the window ended, and never sent."""


class Window(Value):
    """The measured part of a run, in nanoseconds of the monotonic clock."""

    begin_ns: int
    """First request handed to the kernel; in an open loop, the first scheduled time."""
    end_ns: int
    """Last answer ended; where a duration is asked for, the end of that, and what is in flight then ends after it."""

    @property
    def seconds(self) -> float:
        """Length."""
        return (self.end_ns - self.begin_ns) / 1e9


class EngineFacts(Value):
    """The engine as it ran."""

    name: str
    version: str | None
    argv: tuple[str, ...]
    endpoint_kind: Api
    load_ns: Annotated[int, Field(ge=0)] | None = None
    """From start of the process to the first good health answer; None when it ran before we came."""
    details: dict[str, Any] = {}
    """What the engine says of itself."""


class ModelFacts(Value):
    """The weights as they were read."""

    name: str
    file: str | None
    size_bytes: int | None
    sha256: str | None
    quant: str | None = None
    architecture: str | None = None
    tensor_types: dict[str, int] = {}
    """Tensor type -> number of tensors: what a quantisation label hides."""


class HostFacts(Value):
    """The machine."""

    fingerprint: str
    """Digest of what makes numbers comparable: processor, cores, memory, system."""
    system: str
    processor: str
    cores: int
    memory_bytes: int
    python: str
    gpus: tuple[str, ...] = ()
    load_1m: float | None = None
    """Load average before the run."""
    governor: str | None = None
    """CPU frequency governor where the system tells."""


class Record(Value):
    """Everything one run gave. Valid only with at least one good sample in the window."""

    schema_version: int = RECORD_SCHEMA
    """Version of this format."""
    dynamometer: str
    """Version of Dynamometer."""
    campaign_id: str
    run_id: str
    cycle: Annotated[int, Field(ge=1)]
    attempt: Annotated[int, Field(ge=1)]
    experiment: Experiment
    simulated: bool = False
    """True when nothing real ran. Stays so for ever."""
    started_at: str
    """Wall-clock time, ISO 8601 with zone."""
    duration_ns: Annotated[int, Field(ge=0)]
    """The whole step, engine start and stop included."""
    window: Window
    engine: EngineFacts
    model: ModelFacts
    host: HostFacts
    client: ClientHealth
    calibration: CalibrationRef | None = None
    """What the calibration of this machine and version says of such a run; None when there was none."""
    readings: tuple[Reading, ...] = ()
    requests: Annotated[int, Field(ge=1)]
    """Requests sent in the window."""
    good: Annotated[int, Field(ge=1)]
    """Requests answered whole: n. A run without any is a failure, not a record."""
    errors: dict[ErrorKind, int] = {}
    """Requests that went wrong, by kind."""
    ended_early: str | None = None
    """How far the window had come when it was ended on request; None when it went its whole length."""
    warmup_requests: int = 0
    warmup_steady: bool | None = None
    """Whether the warm-up became steady; None when it was fixed or off."""
    prompts_sha256: str
    """Hash of all prompts of the window, in order."""
    dataset: str
    dataset_sha256: str | None = None
    """Of the file of prompts; None for prompts of our own."""
    trace_sha256: str | None = None
    """Of the trace; None without one."""
    samples_file: str
    samples_sha256: str
