"""An experiment: one fully resolved configuration. It knows nothing of campaigns."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from dynamometer.domain.base import Keys, Value
from dynamometer.domain.engine import Format, Precision
from dynamometer.domain.ident import canonical_json, digest, text_hash

NAME_PATTERN = r"^[^\x00-\x1f]*[^\x00-\x1f\s][^\x00-\x1f]*$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NAME_PATTERN)]
"""Text for people and for keys: not blank, no control characters."""


Tokens = Annotated[int, Field(ge=1, le=10_000_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Concurrency = Annotated[int, Field(ge=1, le=65_536)]


Source = Literal["path", "demo", "hub", "ollama"]


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

    format: Format
    """Kind of weights."""
    source: Source
    """Where they come from."""
    ref: Name
    """The path as the campaign writes it, the repository, the tag, or the name of a demo model."""
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


class Load(Value):
    """How requests arrive, without axes: closed loop with a number of requests in flight."""

    concurrency: Concurrency = 1
    """Requests in flight."""


class Workload(Value):
    """What is sent, how, and until when."""

    benchmark: Name = "custom"
    """Name of the suite's benchmark it comes from. Not part of the identity."""
    dataset: Name = "builtin"
    """Where prompts come from."""
    load: Load = Load()
    """How requests arrive."""
    requests: Count | None = 32
    """Requests in the window; None when duration decides."""
    duration_s: Annotated[float, Field(gt=0)] | None = None
    """Length of the window in seconds; None when requests decides."""
    max_input_tokens: Tokens = 64
    """Length of the prompts in tokens, about."""
    max_output_tokens: Tokens = 64
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
    """``c8`` for eight requests in flight."""
    return f"c{load.concurrency}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 40 else text_hash(text)[:8]


def run_id(experiment_id: str, cycle: int) -> str:
    """Identity of one execution: experiment and cycle (cycles count from 1)."""
    return f"{experiment_id}-c{cycle}"
