"""Drive a running engine through one step: the cold request, the warm-up, the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median

from dynamometer.client.decode import Phase, decode
from dynamometer.client.exchange import Exchange, Request, Traffic
from dynamometer.client.loop import Limits, Stop
from dynamometer.client.measure import measure, never, nothing
from dynamometer.client.request import prepare
from dynamometer.client.share import standing_at
from dynamometer.domain.experiment import Workload
from dynamometer.domain.ident import text_hash
from dynamometer.domain.record import ClientHealth, Sample, Window
from dynamometer.domain.step import Step
from dynamometer.domain.units import NS_PER_S
from dynamometer.domain.wire import Endpoint, Prompt
from dynamometer.errors import CampaignError, Interrupted, PreconditionError, Problem
from dynamometer.load.arrivals import Pace, closed, most_within, pace
from dynamometer.load.prompts import (
    BUILTIN,
    SYNTHETIC,
    Sizes,
    builtin,
    own,
    parse_jsonl,
    prompts_hash,
    sizes,
    synthetic,
)
from dynamometer.load.requests import body
from dynamometer.load.stops import AfterDuration, AfterRequests
from dynamometer.load.traces import Trace, parse_trace
from dynamometer.load.warmup import is_steady, warmup_stop

REQUEST_S = 300
"""Longest time for one request; less when the run's own time is up before."""
READY_MOST = 20_000
"""Most requests made ready before a window; those beyond are made as they are needed."""
GUESS_S = 1.0
"""Latency guessed when nothing was answered before the window."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What driving gave."""

    samples: tuple[Sample, ...]
    """All of them, each marked with its phase: in the order of their prompts, and last those that were never sent."""
    window: Window
    client: ClientHealth
    connections: int
    """Connections that the window needed."""
    warmup_requests: int
    warmup_steady: bool | None
    """Whether the warm-up became steady; None when it was fixed or off."""
    prompts_sha256: str
    """Hash of the prompts sent in the window, in order."""
    dataset: str
    dataset_sha256: str | None
    """Of the file of prompts; None for prompts of our own."""
    trace_sha256: str | None
    """Of the trace; None without one."""
    cut_short: str | None
    """Why the client gave up before the load was through; None when it did not."""
    ended_early: str | None
    """How far the window had come when it was ended on request; None when it went its whole length."""


def drive(
    step: Step,
    endpoint: Endpoint,
    *,
    prompts_text: str | None,
    trace_text: str | None = None,
    on_window_open: Callable[[], None],
    on_window_close: Callable[[], None],
    deadline_ns: int,
    request_s: float = REQUEST_S,
    cold_request: bool = True,
    interrupted: Callable[[], bool] = never,
) -> Driven:
    """Cold request, warm-up, window. Errors of requests are in their samples.

    ``cold_request`` False: the engine ran before, so its first request tells nothing. ``interrupted``, asked about
    twenty times a second, ends the window when it says so; what is in flight then is left to end.

    ``prompts_text`` is the text of the dataset's file, None for a built-in dataset; ``trace_text`` that of the trace of
    send times, None where the load has none. ``deadline_ns`` is the monotonic
    time at which what is in flight is given up. The window opens when its connections stand, right before the first
    request, and closes with the last answer, or after its duration (see ``client.measure``). Raises CampaignError for
    wrong prompts or a wrong trace, PreconditionError for a dataset or a trace without its file or for too few open
    files, Interrupted when there was no window to end yet, and whatever a signal handler raises.
    """
    limits = Limits(round(request_s * NS_PER_S), deadline_ns=deadline_ns)
    course = _Course(step, endpoint, prompts_text, trace_text, limits, interrupted)
    cold, _ = course.run("cold", AfterRequests(1), closed(1), slots=1) if cold_request else ((), None)
    arrivals = course.pace()
    warm, steady = _warm_up(course, arrivals, cold)
    if interrupted():
        raise Interrupted("stopped before the window began")
    stop = _window_stop(course.workload, arrivals)
    window, traffic = course.run(
        "window",
        stop,
        arrivals,
        slots=_slots(course.workload, arrivals),
        connect=_connections(arrivals, (*cold, *warm)),
        ready=_ready_requests(course.workload, arrivals, (*cold, *warm)),
        processes=step.client_processes,
        on_open=on_window_open,
        on_close=on_window_close,
    )
    sent = standing_at((exchange.place for exchange in traffic.exchanges), enumerate(course.prompts("window")))
    return Driven(
        samples=(*cold, *warm, *window),
        window=traffic.window,
        client=traffic.health,
        connections=traffic.connections,
        warmup_requests=len(warm),
        warmup_steady=steady,
        prompts_sha256=prompts_hash(prompt for _, prompt in sent),
        dataset=course.workload.dataset,
        dataset_sha256=text_hash(prompts_text) if prompts_text is not None else None,
        trace_sha256=text_hash(trace_text) if trace_text is not None else None,
        cut_short=traffic.gave_up,
        ended_early=_how_far(traffic, stop) if traffic.was_interrupted else None,
    )


class _Course:
    """One step's prompts, requests and limits, shared by its phases."""

    def __init__(
        self,
        step: Step,
        endpoint: Endpoint,
        prompts_text: str | None,
        trace_text: str | None,
        limits: Limits,
        interrupted: Callable[[], bool],
    ) -> None:
        workload = step.experiment.workload
        if prompts_text is None and workload.dataset not in {BUILTIN, SYNTHETIC}:
            raise PreconditionError(f"the prompts of dataset {workload.dataset} are not on this machine")
        if trace_text is None and workload.load.trace is not None:
            raise PreconditionError(f"the trace {workload.load.trace} is not on this machine")
        self.workload = workload
        self._step = step
        self._endpoint = endpoint
        self._own = parse_jsonl(prompts_text, workload.dataset) if prompts_text is not None else None
        name = workload.load.trace or ""
        self._trace = parse_trace(trace_text, name) if trace_text is not None else Trace(())
        if self._own is not None and self._trace.input_tokens is not None:
            message = f"has input_tokens, but the prompts of {workload.dataset} are sent as they are"
            hint = "leave input_tokens out, or use dataset: builtin or synthetic"
            raise CampaignError([Problem(message, file=name)], hint)
        self._limits = limits
        self._interrupted = interrupted
        self._hangs_up = False

    def pace(self) -> Pace:
        """When the window's requests begin."""
        return pace(self.workload, self._step.cycle, self._trace.times_ns)

    def run(
        self,
        phase: Phase,
        stop: Stop,
        arrivals: Pace,
        *,
        slots: int,
        first: int = 0,
        connect: int | None = None,
        ready: int = 1,
        processes: int = 1,
        on_open: Callable[[], None] = nothing,
        on_close: Callable[[], None] = nothing,
    ) -> tuple[tuple[Sample, ...], Traffic]:
        """Send one phase's load, from its ``first`` request on, and decode what came."""
        traffic = measure(
            self._endpoint.host,
            self._endpoint.port,
            _Requests(self, phase, first),
            slots=slots,
            stop=stop,
            pace=arrivals,
            connect=connect,
            ready=ready,
            limits=self._limits,
            processes=processes,
            on_open=on_open,
            on_close=on_close,
            interrupted=self._interrupted,
            tls=self._endpoint.tls,
            hangs_up=self._hangs_up,
        )
        self._hangs_up = traffic.hangs_up
        places = (exchange.place for exchange in traffic.exchanges)
        prompts = standing_at(places, enumerate(islice(self.prompts(phase), first, None)))
        samples = (
            self._sample(phase, exchange, prompt)
            for exchange, (_, prompt) in zip(traffic.exchanges, prompts, strict=True)
        )
        return (*samples, *(self._unsent(phase, first, *one, traffic.window) for one in traffic.unsent)), traffic

    def _sample(self, phase: Phase, exchange: Exchange, prompt: Prompt) -> Sample:
        """What an exchange says. Its bytes are of no more use then, and a window has many."""
        sample = decode(
            exchange,
            streaming=self.workload.streaming,
            api=self._endpoint.api,
            phase=phase,
            prompt_chars=len(prompt.text),
            max_tokens=prompt.max_tokens,
        )
        exchange.pieces.data.clear()
        return sample

    def _unsent(self, phase: Phase, first: int, place: int, due_ns: int, window: Window) -> Sample:
        """The sample of a request that was never made."""
        return Sample(
            id=self._id(phase, first + place),
            phase=phase,
            scheduled_ns=due_ns,
            sent_ns=window.end_ns,
            error="unsent",
            error_detail="held until the end of the window: as many requests as allowed were in flight",
        )

    def prompts(self, phase: Phase) -> Iterator[Prompt]:
        """The endless prompts of a phase, always the same ones."""
        workload, cycle = self.workload, self._step.cycle
        outputs: Sizes = self._trace.output_tokens or workload.max_output_tokens
        if self._own is not None:
            most = sizes(outputs, workload.seed, cycle, phase, "output")
            return own(self._own, _first_line(phase, cycle, workload), most)
        make = synthetic if workload.dataset == SYNTHETIC else builtin
        return make(workload.seed, cycle, phase, self._trace.input_tokens or workload.max_input_tokens, outputs)

    def request(self, phase: Phase, index: int, prompt: Prompt) -> Request:
        """The request of a phase that carries this prompt."""
        return prepare(self._endpoint, self._id(phase, index), body(prompt, self._endpoint, self.workload))

    def _id(self, phase: Phase, index: int) -> str:
        return f"{self._step.run_id}-a{self._step.attempt}-{phase}-{index}"

    def __getstate__(self) -> dict[str, object]:
        """Without what belongs to this process alone: the requests of a course are made in others too."""
        return {**self.__dict__, "_interrupted": never}


@dataclass(frozen=True, slots=True)
class _Requests:
    """The endless requests of a phase, the same at each iteration, in whatever process."""

    course: _Course
    phase: Phase
    first: int

    def __iter__(self) -> Iterator[Request]:
        """From the first on, each made when it is asked for."""
        prompts = enumerate(self.course.prompts(self.phase))
        return (self.course.request(self.phase, *numbered) for numbered in islice(prompts, self.first, None))


def _warm_up(course: _Course, arrivals: Pace, cold: tuple[Sample, ...]) -> tuple[tuple[Sample, ...], bool | None]:
    """Samples of the warm-up, and whether it became steady.

    It is a closed loop at the window's concurrency: a ramp's first; before an open loop, at as many requests as will be
    in flight if each takes as long as one does alone, for which one is sent ahead when none was sent before.
    """
    warmup, load = course.workload.warmup, course.workload.load
    stop = warmup_stop(warmup)
    if stop is None:
        return (), None
    ahead: tuple[Sample, ...] = ()
    if not load.is_open:
        wanted = load.concurrency or round(load.ramp.start if load.ramp else 1)
    else:
        if not latencies(cold):
            ahead, _ = course.run("warmup", AfterRequests(1), closed(1), slots=1)
            stop = replace(stop, most_requests=stop.most_requests - 1)
        wanted = min(load.most_in_flight, _likely_in_flight(arrivals, (*cold, *ahead)))
    slots = min(wanted, stop.most_requests)
    if not slots:
        return ahead, None if warmup.until == "fixed" else False
    rest, traffic = course.run("warmup", stop, closed(slots), slots=slots, first=len(ahead), ready=warmup.max_requests)
    if warmup.until == "fixed":
        return (*ahead, *rest), None
    stopped_before_cap = len(rest) < stop.most_requests and traffic.gave_up is None
    return (*ahead, *rest), stopped_before_cap or is_steady(latencies(rest))


def _likely_in_flight(arrivals: Pace, before: tuple[Sample, ...]) -> int:
    """Most requests of an open loop at once, if each takes as long as those so far did."""
    known = latencies(before)
    return most_within(arrivals.begins_ns, round(median(known) if known else GUESS_S * NS_PER_S))


def _how_far(traffic: Traffic, stop: AfterRequests | AfterDuration) -> str:
    """How much of its window an interrupted one had."""
    if stop.duration_ns is not None:
        return f"after {traffic.window.seconds:.3g} of {stop.duration_ns / NS_PER_S:g} s"
    return f"after {len(traffic.exchanges)} of {stop.most_requests} requests"


def _window_stop(workload: Workload, arrivals: Pace) -> AfterRequests | AfterDuration:
    if workload.duration_s is not None:
        return AfterDuration(round(workload.duration_s * NS_PER_S))
    return AfterRequests(len(arrivals.begins_ns) if arrivals.open_loop else workload.requests or 1)


def _slots(workload: Workload, arrivals: Pace) -> int:
    """Most requests in flight: never more than an open loop has."""
    return max(1, min(workload.load.most_in_flight, len(arrivals.begins_ns)))


def _connections(arrivals: Pace, before: tuple[Sample, ...]) -> int | None:
    """Connections to open ahead: all of a closed loop; of an open one, half as many again as are likely in use at once.

    Not all that it may use, since a server may keep a thread for each, or close those that idle.
    """
    return 1 + round(1.5 * _likely_in_flight(arrivals, before)) if arrivals.open_loop else None


def _ready_requests(workload: Workload, arrivals: Pace, before: tuple[Sample, ...]) -> int:
    """How many requests to make ready: all, or half as many again as the latencies so far let expect."""
    if arrivals.open_loop:
        return min(READY_MOST, len(arrivals.begins_ns))
    if workload.duration_s is None:
        return min(READY_MOST, workload.requests or 1)
    shortest_s = min(latencies(before), default=round(GUESS_S * NS_PER_S)) / NS_PER_S
    in_flight = workload.load.most_in_flight
    return min(READY_MOST, round(1.5 * in_flight * (1 + workload.duration_s / max(1e-4, shortest_s))))


def latencies(samples: tuple[Sample, ...]) -> list[int]:
    """End-to-end latencies of the good samples in nanoseconds, in the order of their ends."""
    good = ((sample.ended_ns, sample.sent_ns) for sample in samples if sample.error is None)
    return [ended - sent for ended, sent in sorted((ended, sent) for ended, sent in good if ended is not None)]


def _first_line(phase: Phase, cycle: int, workload: Workload) -> int:
    """Where in the user's prompts a phase begins: cycles follow each other; cold and warm-up use those before."""
    begin = (cycle - 1) * (workload.requests or 0)
    return begin - {"window": 0, "cold": 1, "warmup": 1 + workload.warmup.max_requests}[phase]
