"""An experiment: one fully resolved configuration. It knows nothing of campaigns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dynamometer.domain.base import Keys, Value
from dynamometer.domain.engine import Format, Precision
from dynamometer.domain.ident import canonical_json, digest, text_hash
from dynamometer.domain.units import Duration

NAME_PATTERN = r"^[^\x00-\x1f]*[^\x00-\x1f\s][^\x00-\x1f]*$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NAME_PATTERN)]
"""Text for people and for keys: not blank, no control characters."""


Tokens = Annotated[int, Field(ge=1, le=10_000_000)]
MOST_REQUESTS = 1_000_000
"""Most requests of one window."""
ClientProcesses = Annotated[int, Field(ge=1, le=64)]
Count = Annotated[int, Field(ge=1, le=MOST_REQUESTS)]
Concurrency = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(gt=0, le=100_000)]
Arrivals = Literal["constant", "poisson"]


class Lengths(Keys):
    """Lengths drawn for each request, by the seed: normal (mean, stdev) within bounds, or uniform (min, max)."""

    mean: Annotated[float, Field(ge=1, le=10_000_000)] | None = None
    """Mean of the normal distribution, before its bounds cut it."""
    stdev: Annotated[float, Field(ge=0, le=10_000_000)] | None = None
    """Standard deviation of the normal distribution."""
    min: Tokens | None = None
    """Shortest length; 1 when left out."""
    max: Tokens | None = None
    """Longest length."""

    @model_validator(mode="after")
    def _one_distribution(self) -> Lengths:
        if (self.mean is None) != (self.stdev is None):
            raise ValueError("mean and stdev belong together")
        if self.mean is None and (self.min is None or self.max is None):
            raise ValueError("needs mean and stdev, or min and max")
        low, high = self.min or 1, self.max or math.inf
        if low > high:
            raise ValueError(f"min ({low}) is more than max ({self.max})")
        if self.mean is not None and not low <= self.mean <= high:
            raise ValueError(f"mean ({self.mean:g}) must lie within min and max")
        return self

    def __str__(self) -> str:
        bounds = f"{self.min or 1}–{self.max or '…'}"
        return bounds if self.mean is None else f"{self.mean:g} ± {self.stdev:g} ({bounds})"


def _kind_of_length(value: object) -> str:
    return "lengths" if isinstance(value, dict | Lengths) else "number"


Length = Annotated[
    Annotated[Tokens, Tag("number")] | Annotated[Lengths, Tag("lengths")], Discriminator(_kind_of_length)
]
"""A number of tokens for every request, or a distribution to draw each request's from."""


Source = Literal["path", "demo", "hub", "ollama", "endpoint"]


class Decoder(Keys):
    """How tokens are sampled; each value may be an axis in a grid."""

    preset: Literal["deterministic", "default"] | None = None
    """deterministic is temperature 0; default leaves sampling to the engine."""
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    """Sampling temperature."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Nucleus sampling."""
    top_k: Annotated[int, Field(ge=0)] | None = None
    """Sample from the k likeliest tokens; 0 is no limit."""
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    """Penalty on repeated tokens; 1 is none."""


class Slo(Keys):
    """Service level a request must meet to count as goodput."""

    ttft_ms: Annotated[float, Field(gt=0)] | None = None
    """Longest time to first token."""
    itl_ms: Annotated[float, Field(gt=0)] | None = None
    """Longest mean inter-token latency."""
    e2e_ms: Annotated[float, Field(gt=0)] | None = None
    """Longest end-to-end latency."""


class Warmup(Keys):
    """Requests before the window: sent, kept, marked, and left out of all statistics."""

    until: Literal["steady", "fixed"] = "steady"
    """steady ends when the latency of the last requests varies little; fixed sends max_requests."""
    max_requests: Annotated[int, Field(ge=0, le=100_000)] = 8
    """Most requests to send; 0 switches the warm-up off."""


class Weights(Value):
    """Which weights of a model: exactly one file, folder, repository or tag."""

    format: Format | None
    """Kind of weights; None behind an endpoint, which does not tell."""
    source: Source
    """Where they come from."""
    ref: Name
    """The path as the campaign writes it, the repository, the tag, the name of a demo model, or the address."""
    file: Name | None = None
    """The one file, where the place holds several; relative to the place."""
    quant: Name | None = None
    """Quantisation variant by its exact name, where weights are quantised."""
    revision: Name | None = None
    """Revision of a repository."""
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    """Size on disk where known. Not part of the identity."""

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The part that names them: no sizes; of a local path only its last part, so that a folder may move."""
        ref = self.ref.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if self.source == "path" else self.ref
        return {
            "format": self.format,
            "source": self.source,
            "ref": ref,
            "file": self.file,
            "quant": self.quant,
            "revision": self.revision,
        }


class Ramp(Keys):
    """A load that grows evenly, and then stays."""

    of: Literal["concurrency", "rate"]
    """What grows: requests in flight (closed loop), or requests per second (open loop)."""
    start: Rate
    """Where it begins."""
    end: Rate
    """Where it ends; more than start."""
    over: Annotated[Duration, Field(gt=0)]
    """How long it grows."""

    @model_validator(mode="after")
    def _grows(self) -> Ramp:
        if self.end <= self.start:
            raise ValueError(f"a ramp grows: end ({self.end:g}) must be more than start ({self.start:g})")
        if self.of == "concurrency" and not (self.start.is_integer() and self.end.is_integer() and self.end <= 65_536):
            raise ValueError("a ramp of concurrency has whole numbers for start and end, at most 65536")
        return self


SHAPES = ("concurrency", "rate", "trace", "ramp")
"""Keys of a load that say how requests arrive; a load has one of them."""


def load_problem(load: Mapping[str, object]) -> str | None:
    """What is wrong with the keys of a load together: exactly one shape, and what belongs to open loops only."""
    given = [key for key in SHAPES if load.get(key) is not None]
    if len(given) > 1:
        return f"give one of {', '.join(SHAPES)}; this has {' and '.join(given)}"
    ramps = load.get("ramp")
    growing = [ramp.of for ramp in (ramps if isinstance(ramps, tuple) else (ramps,)) if isinstance(ramp, Ramp)]
    if load.get("arrivals") is not None and load.get("rate") is None and "rate" not in growing:
        return "arrivals belongs to a rate or to a ramp of rate"
    open_loop = load.get("rate") is not None or load.get("trace") is not None or "rate" in growing
    if load.get("max_in_flight") is not None and not open_loop:
        return "max_in_flight belongs to rate, trace and a ramp of rate; in a closed loop concurrency says it"
    return None


class Load(Value):
    """How requests arrive, without axes: one of four shapes. Closed loop with one request in flight by default."""

    concurrency: Concurrency | None = None
    """Closed loop: requests in flight."""
    rate: Rate | None = None
    """Open loop: requests per second, whatever is in flight."""
    arrivals: Arrivals | None = None
    """Gaps of a rate: constant, or poisson (exponential gaps drawn by the seed); None where there is no rate."""
    trace: Name | None = None
    """Open loop: a file of send times."""
    ramp: Ramp | None = None
    """A concurrency or a rate that grows."""
    max_in_flight: Concurrency | None = None
    """Open loop: most requests in flight; 1024 when None."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        """Made explicit, so that the same load has one identity however it is written."""
        if not isinstance(data, dict):
            return data
        if all(data.get(key) is None for key in SHAPES):
            return {**data, "concurrency": 1}
        ramp = data.get("ramp")
        grows = ramp.of if isinstance(ramp, Ramp) else ramp.get("of") if isinstance(ramp, dict) else None
        if data.get("arrivals") is None and (data.get("rate") is not None or grows == "rate"):
            return {**data, "arrivals": "constant"}
        return data

    @model_validator(mode="after")
    def _one_shape(self) -> Load:
        if problem := load_problem(dict(self)):
            raise ValueError(problem)
        return self

    @property
    def is_open(self) -> bool:
        """Whether requests have send times of their own, whenever others end."""
        return self.concurrency is None and (self.ramp is None or self.ramp.of == "rate")

    @property
    def most_in_flight(self) -> int:
        """Requests that may be in flight at once."""
        if self.is_open:
            return self.max_in_flight or MOST_IN_FLIGHT
        return round(self.ramp.end) if self.ramp else self.concurrency or 1

    def requests_within(self, seconds: float) -> float | None:
        """Requests that an open loop comes to in that time; None where only other requests, or a trace, tell."""
        if self.rate is not None:
            return self.rate * seconds
        if self.ramp is None or not self.is_open:
            return None
        growing = min(seconds, self.ramp.over)
        steepness = (self.ramp.end - self.ramp.start) / self.ramp.over
        return (self.ramp.start + steepness * growing / 2) * growing + self.ramp.end * (seconds - growing)


MOST_IN_FLIGHT = 1024
"""Requests of an open loop in flight, unless ``max_in_flight`` says otherwise."""


class Workload(Value):
    """What is sent, how, and until when."""

    benchmark: Name = "custom"
    """Name of the suite's benchmark it comes from. Not part of the identity."""
    dataset: Name = "builtin"
    """Where prompts come from: builtin, synthetic, a JSONL file, or a Hugging Face dataset."""
    load: Load = Load()
    """How requests arrive."""
    requests: Count | None = 32
    """Requests in the window; None when duration, or the end of a trace, decides."""
    duration_s: Annotated[float, Field(gt=0)] | None = None
    """Length of the window in seconds; None when requests, or the end of a trace, decides."""
    max_input_tokens: Length = 64
    """Length of the prompts in tokens, about."""
    max_output_tokens: Length = 64
    """Tokens to generate per request."""
    ignore_eos: bool = True
    """Generate exactly max_output_tokens where the engine can."""
    streaming: bool = True
    """Stream tokens as they come."""
    decoder: Decoder = Decoder(preset="deterministic")
    """How tokens are sampled."""
    slo: Slo | None = None
    """Service level for goodput. Not part of the identity: it changes how samples are read, not the samples."""
    warmup: Warmup = Warmup()
    """Requests before the window."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Seed of the prompts; the cycle's number is mixed in, so cycles differ and configurations pair up."""

    @property
    def hub_dataset(self) -> bool:
        """Whether the prompts are those of a Hugging Face dataset: neither made here nor a JSONL file."""
        return not self.makes_prompts and not self.dataset.endswith(".jsonl")

    @property
    def makes_prompts(self) -> bool:
        """Whether prompts are made here, to the length asked for, and not the user's own."""
        return self.dataset in {"builtin", "synthetic"}

    @property
    def asked_input_tokens(self) -> int | Lengths | None:
        """Length of the prompts as asked for; None for the user's own prompts, and for a trace, which may have its own.

        It is that of the text: a chat template adds to it.
        """
        return self.max_input_tokens if self.makes_prompts and self.load.trace is None else None

    def outlasts(self, seconds: float) -> bool:
        """Whether the window cannot end within that time, however fast answers come.

        Its duration, or the last send of an open loop, which chance may move with Poisson arrivals, comes no sooner.
        False where a trace may end before.
        """
        if self.load.trace is not None:
            return False
        if self.duration_s is not None:
            return self.duration_s >= seconds
        sent = self.load.requests_within(seconds)
        return sent is not None and self.requests is not None and self.requests - 1 >= sent

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The part that can change the samples. Computed once, since thousands of experiments share a workload."""
        return self.model_dump(mode="json", exclude={"benchmark", "slo"}, exclude_none=True)


class Experiment(Value):
    """One configuration on the bench.

    ``id`` is a digest of everything that can change the answer; the same function gives it for a planned
    experiment and for one read back from a record. ``name`` is for people.
    """

    engine: Name
    """Canonical name of the engine."""
    model: Name
    """Name of the model."""
    weights: Weights
    """Which weights."""
    precision: Precision = "auto"
    """Number type."""
    options: dict[str, Any] = {}
    """The engine's options, defaults left out."""
    workload: Workload = Workload()
    """What is measured."""

    @cached_property
    def id(self) -> str:
        """12 hex digits: digest of the canonical JSON without sizes, labels, and how samples are read."""
        return digest(
            {
                "engine": self.engine,
                "model": self.model,
                "weights": self.weights.identity,
                "precision": self.precision,
                "options": self.options,
                "workload": self.workload.identity,
            }
        )

    @cached_property
    def configuration(self) -> str:
        """What is started: ``engine/model/quant`` and what differs from the defaults of the engine."""
        parts = [self.engine, self.model]
        if self.weights.quant:
            parts.append(self.weights.quant)
        if self.precision != "auto":
            parts.append(self.precision)
        parts += [f"{key}={_short(value)}" for key, value in sorted(self.options.items())]
        return "/".join(parts)

    @cached_property
    def name(self) -> str:
        """Readable name, e.g. ``llama_cpp/SmolLM2-135M-Instruct/Q4_1/c8``. Unique within most campaigns, not all."""
        return f"{self.configuration}/{load_label(self.workload.load)}"


def load_label(load: Load) -> str:
    """``c8``, ``r4``, ``r4-poisson``, ``trace-NAME``, ``ramp1-32`` (requests in flight), ``ramp1-32-rate``."""
    if load.trace is not None:
        parts = ["trace", load.trace.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]]
    elif load.ramp is not None:
        parts = [f"ramp{load.ramp.start:g}-{load.ramp.end:g}", *(["rate"] if load.is_open else [])]
    else:
        parts = [f"r{load.rate:g}" if load.rate is not None else f"c{load.concurrency}"]
    return "-".join([*parts, *(["poisson"] if load.arrivals == "poisson" else [])])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 40 else text_hash(text)[:8]


def run_id(experiment_id: str, cycle: int) -> str:
    """Identity of one execution: experiment and cycle (cycles count from 1)."""
    return f"{experiment_id}-c{cycle}"
