"""The canonical campaign: what a campaign file means once its dialect is read and its defaults are filled in.

The field descriptions are the reference documentation of the file; ``dyno config schema`` prints them.
A scalar fixes a value, a list varies it. What is a list by nature is typed as a tuple here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, model_validator

from dynamometer.domain.base import Keys
from dynamometer.domain.engine import Format, Precision
from dynamometer.domain.experiment import (
    Arrivals,
    ClientProcesses,
    Concurrency,
    Count,
    Decoder,
    Length,
    Name,
    Ramp,
    Rate,
    Slo,
    Warmup,
    load_problem,
)
from dynamometer.domain.units import Duration

T = TypeVar("T")
Axis: TypeAlias = T | tuple[T, ...]

Order = Literal["interleaved", "shuffled", "grouped", "balanced"]


class Model(Keys):
    """A model and the places its weights come from."""

    name: Name
    """Name shown everywhere; also how grid and experiments refer to it."""
    params: Annotated[str, Field(pattern=r"^\d+(\.\d+)?[KMBT]$")] | None = None
    """Number of parameters with its unit, e.g. 135M or 8B."""
    safetensors_repo: Name | None = None
    """Hub repository with safetensors weights."""
    gguf_repo: Name | None = None
    """Hub repository with GGUF files; each quantisation in it becomes a variant."""
    ollama_tag: Name | None = None
    """Tag in the Ollama library."""
    path: Name | None = None
    """A local file, a local folder, or ``demo:NAME`` for a model that ``dyno model fetch`` has put into the cache."""
    revision: Name | None = None
    """Revision of the repositories above."""
    estimated_size_gb: Annotated[float, Field(gt=0)] | None = None
    """Size on disk where it cannot be looked up, in GB."""

    @model_validator(mode="after")
    def _has_a_source(self) -> Model:
        if not (self.safetensors_repo or self.gguf_repo or self.ollama_tag or self.path):
            raise ValueError("needs weights: one of path, gguf_repo, safetensors_repo, ollama_tag")
        return self

    @property
    def formats(self) -> tuple[Format, ...]:
        """Formats its repositories offer; those of a local path are known only after looking."""
        offers: tuple[tuple[Format, str | None], ...] = (
            ("safetensors", self.safetensors_repo),
            ("gguf", self.gguf_repo),
            ("ollama", self.ollama_tag),
        )
        return tuple(format_ for format_, source in offers if source)


class EngineEntry(Keys):
    """One engine of the matrix."""

    name: Name
    """Engine: llama_cpp, fake, vllm, transformers, tensorrt, ollama, openai, or one of a plugin."""
    suite: Name | None = None
    """Suite for this engine instead of workload.suite."""
    formats: tuple[Format, ...] | None = None
    """Weights formats to use of those the engine can load; all when left out."""
    options: dict[str, Any] = {}
    """The engine's own options; a list is an axis."""
    mode: Literal["host", "docker"] | None = None
    """Where it runs; null lets execution.mode decide."""


class Quants(Keys):
    """Which quantisation variants to use; globs, any case."""

    include_only: tuple[str, ...] = ()
    """Use only these."""
    skip_patterns: tuple[str, ...] = ()
    """Leave these out."""


class DecoderAxes(Keys):
    """Decoder settings of a grid: a list is an axis."""

    preset: Axis[Literal["deterministic", "default"]] | None = None
    """deterministic is temperature 0; default leaves sampling to the engine."""
    temperature: Axis[Annotated[float, Field(ge=0, le=5)]] | None = None
    """Sampling temperature."""
    top_p: Axis[Annotated[float, Field(gt=0, le=1)]] | None = None
    """Nucleus sampling."""
    top_k: Axis[Annotated[int, Field(ge=0)]] | None = None
    """Sample from the k likeliest tokens; 0 is no limit."""
    repetition_penalty: Axis[Annotated[float, Field(gt=0)]] | None = None
    """Penalty on repeated tokens; 1 is none."""


class LoadAxes(Keys):
    """How requests arrive: one of concurrency, rate, trace, ramp. A list is a sweep."""

    concurrency: Axis[Concurrency] | None = None
    """Closed loop: this many requests in flight, a new one as soon as one ends."""
    rate: Axis[Rate] | None = None
    """Open loop: requests per second, whatever is in flight."""
    arrivals: Axis[Arrivals] | None = None
    """Gaps of a rate: constant (the default), or poisson: exponential gaps drawn by the seed."""
    trace: Axis[Name] | None = None
    """Open loop: a file of send times in seconds, JSONL or CSV; relative to io.config_dir. Each entry has at_s, and
    may have input_tokens and output_tokens. It is replayed whole unless requests or duration ends it."""
    ramp: Axis[Ramp] | None = None
    """A concurrency or a rate that grows evenly and then stays; lasts as long as it grows unless requests or duration
    says otherwise."""
    max_in_flight: Concurrency | None = None
    """Open loop: most requests in flight, 1024 when left out. Those beyond it are sent late, counted and doubted."""

    @model_validator(mode="after")
    def _one_shape(self) -> LoadAxes:
        if problem := load_problem(dict(self)):
            raise ValueError(problem)
        return self


class WorkloadAxes(Keys):
    """What an experiment measures. Values left out come from the suite's benchmarks."""

    suite: Name | None = None
    """Named list of benchmarks: quick, standard, performance, or one of your own."""
    dataset: Name | None = None
    """builtin, synthetic, a JSONL file of prompts, or a Hugging Face dataset: NAME[:CONFIG][@SPLIT][#COLUMN]."""
    load: LoadAxes | None = None
    """How requests arrive."""
    requests: Count | None = None
    """Requests in the window."""
    duration: Duration | None = None
    """Length of the window instead of a number of requests."""
    max_input_tokens: Axis[Length] | None = None
    """Length of the prompt in tokens (approximate: prompts are made of words); a mapping draws each request's own."""
    max_output_tokens: Axis[Length] | None = None
    """Tokens to generate per request; a mapping draws each request's own."""
    ignore_eos: bool | None = None
    """Generate exactly max_output_tokens where the engine can."""
    streaming: Axis[bool] | None = None
    """Stream tokens as they come. Without it there is no TTFT and no ITL."""
    decoder: DecoderAxes | None = None
    """How tokens are sampled."""
    slo: Slo | None = None
    """Service level for goodput."""
    warmup: Warmup | None = None
    """Requests before the window."""


class Grid(Keys):
    """Shared axes for all listed engines, and one section per engine with its own axes."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]]

    engines: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Engines of the grid."""
    models: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of entries of models, local paths, or hub repositories."""
    precision: Axis[Precision] | None = None
    """Number type."""
    decoder: DecoderAxes | None = None
    """How tokens are sampled."""
    max_input_tokens: Axis[Length] | None = None
    """Length of the prompt in tokens."""
    max_output_tokens: Axis[Length] | None = None
    """Tokens to generate per request."""
    streaming: Axis[bool] | None = None
    """Stream tokens as they come."""
    groups: tuple[tuple[dict[str, Any], ...], ...] = ()
    """Dependent alternatives: each group is one axis whose values are mappings of keys to scalars."""
    exclude: tuple[dict[str, Any], ...] = ()
    """Cells to leave out: a cell goes when it has all values of one mapping."""
    include: tuple[dict[str, Any], ...] = ()
    """Cells to add, written as experiments are."""

    @property
    def sections(self) -> dict[str, dict[str, Any]]:
        """Engine name -> that engine's own axes."""
        return self.__pydantic_extra__


class ExperimentEntry(Keys):
    """An explicit experiment: inline, or a file with overrides on top. No axes."""

    config: Name | None = None
    """File with one experiment; relative to io.config_dir."""
    overrides: dict[str, Any] = {}
    """Keys of the file to replace."""
    engine: Name | None = None
    """Engine to run."""
    model: Name | None = None
    """Name of an entry of models, a local path, or a hub repository."""
    quant: Name | None = None
    """Quantisation variant, by its exact name; all that quants lets pass when left out."""
    precision: Precision | None = None
    """Number type."""
    options: dict[str, Any] = {}
    """The engine's own options."""
    suite: Name | None = None
    """Named list of benchmarks."""
    dataset: Name | None = None
    """builtin, synthetic, a JSONL file of prompts, or a Hugging Face dataset: NAME[:CONFIG][@SPLIT][#COLUMN]."""
    load: LoadAxes | None = None
    """How requests arrive."""
    requests: Count | None = None
    """Requests in the window."""
    duration: Duration | None = None
    """Length of the window instead of a number of requests."""
    max_input_tokens: Length | None = None
    """Length of the prompt in tokens."""
    max_output_tokens: Length | None = None
    """Tokens to generate per request."""
    ignore_eos: bool | None = None
    """Generate exactly max_output_tokens where the engine can."""
    streaming: bool | None = None
    """Stream tokens as they come."""
    decoder: Decoder | None = None
    """How tokens are sampled."""
    slo: Slo | None = None
    """Service level for goodput."""
    warmup: Warmup | None = None
    """Requests before the window."""

    @model_validator(mode="after")
    def _inline_or_file(self) -> ExperimentEntry:
        if self.config is None:
            if self.engine is None or self.model is None:
                raise ValueError("needs engine and model, or config with the file that has them")
            if self.overrides:
                raise ValueError("overrides go with config; here, write the keys themselves")
        elif own := sorted(self.model_fields_set - {"config", "overrides"}):
            raise ValueError(f"{', '.join(own)}: put what changes the file's values under overrides")
        return self


class Container(Keys):
    """How containers are used when experiments run in Docker."""

    strategy: Literal["ephemeral", "persistent"] = "ephemeral"
    """ephemeral starts one container per run, persistent keeps one per engine."""
    startup: Literal["lazy", "eager"] = "lazy"
    """When persistent containers start."""
    warmup_delay: Duration = 0.0
    """Wait after a container's start."""
    auto_teardown: bool = True
    """Stop persistent containers at the end."""


class Retry(Keys):
    """What happens after a run failed."""

    max_attempts: Annotated[int, Field(ge=0, le=100)] = 1
    """Retries after the first failure. Errors of configuration are never retried."""


class FailureThreshold(Keys):
    """When to stop a campaign that mostly fails."""

    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of failed runs above which the campaign stops."""
    scope: Literal["campaign", "per_cycle"] = "campaign"
    """Runs the share is taken over."""


class HealthCheck(Keys):
    """How often persistent containers are checked."""

    every: Literal["cycle", "never"] = "cycle"
    """After each cycle, or never."""
    interval_experiments: Annotated[int, Field(ge=1)] | None = None
    """After every N experiments instead."""


class ColdStart(Keys):
    """Whether each experiment starts cold."""

    force_cold_start: bool = False
    """Clear caches before each experiment."""
    restart_container: bool = False
    """Clear them by restarting the container."""


class Thermal(Keys):
    """Pauses that let the machine cool down."""

    between_experiments: Duration = 60.0
    """Pause before each run after the first. Runs on a host without a GPU may set 0s."""
    between_cycles: Duration = 60.0
    """Pause where a new cycle begins."""
    max_temperature_c: Annotated[float, Field(gt=0, le=200)] | None = None
    """Wait until the GPU is cooler than this."""


class Execution(Keys):
    """Where and how runs are executed."""

    mode: Literal["auto", "host", "docker", "agent", "ray", "slurm", "simulated"] = "auto"
    """auto is the host. simulated runs nothing and is marked so for ever."""
    container: Container = Container()
    """Containers."""
    agent: Name | None = None
    """Agent that runs the campaign."""
    parallel: bool = False
    """Run independent models on separate GPUs at once."""
    reuse_engine: bool = False
    """Keep an engine running for consecutive runs with the same engine configuration."""
    timeout: Annotated[Duration, Field(gt=0)] = 1800.0
    """Longest time for one run, engine start included."""
    client_processes: ClientProcesses = 1
    """Processes that share the load of a window; more than one when one core is not enough for the client."""
    retry: Retry = Retry()
    """Retries."""
    failure_threshold: FailureThreshold = FailureThreshold()
    """When to give up."""
    health_check: HealthCheck = HealthCheck()
    """Health checks of containers."""
    cold_start: ColdStart = ColdStart()
    """Cold starts."""
    thermal: Thermal = Thermal()
    """Pauses."""


class Energy(Keys):
    """How energy is measured."""

    source: Literal["auto", "rapl", "nvml", "zeus", "codecarbon", "none"] = "auto"
    """Sensor; auto takes the best that is there, none switches measuring off."""
    baseline: bool = False
    """Subtract the idle power of the host, measured before each run."""
    carbon_g_per_kwh: Annotated[float, Field(ge=0)] | None = None
    """Carbon intensity, to report CO2."""
    price_per_kwh: Annotated[float, Field(ge=0)] | None = None
    """Price, to report cost."""
    pue: Annotated[float, Field(ge=1)] | None = None
    """Power usage effectiveness of the site."""


class ModelsFrom(Keys):
    """Who manages model files."""

    devon_managed: bool = False
    """Let DEVON download and delete models."""
    devon_url: Name | None = None
    """Address of the DEVON server."""
    prefetch: bool = False
    """Download everything before the first run."""
    skip_gated: bool = True
    """Leave out models the user has no access to."""


class Disk(Keys):
    """Care for disk space."""

    reserve_gb: Annotated[float, Field(ge=0)] = 0.0
    """Free space to keep, in GB."""
    cleanup_after_run: bool = False
    """Delete models that this campaign downloaded after their last use."""
    path: Name | None = None
    """Where models are kept."""


class Limits(Keys):
    """Bounds that stop mistakes from becoming long nights."""

    max_model_size_gb: Annotated[float, Field(gt=0)] | None = None
    """Leave out models larger than this."""
    max_experiments: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Refuse a campaign with more experiments than this, before expanding it."""


class Schedule(Keys):
    """Unattended repetition."""

    enabled: bool = False
    """Switch the schedule on."""
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    """Time of day to start, HH:MM."""
    interval: Duration | None = None
    """Time between repetitions."""
    total_duration: Duration | None = None
    """When to stop for good."""
    timezone: Name = "local"
    """IANA zone of at."""


class Notifications(Keys):
    """Whom to tell."""

    desktop: bool = False
    """Desktop notification."""
    on_complete: bool = True
    """Tell when the campaign ends."""
    on_failure: bool = True
    """Tell when it fails."""
    urls: tuple[Name, ...] = ()
    """Apprise addresses; ${NAME} takes the value of an environment variable when sending."""


class Io(Keys):
    """Folders."""

    results_dir: Name = "results"
    """Where campaign folders are made; relative to the folder dyno is started in."""
    config_dir: Name = "."
    """Where experiments[].config and dataset files are looked up; relative to the campaign file."""
    state_dir: Name = ".dyno-state"
    """Progress files; relative to the folder dyno is started in."""
    volumes: tuple[Name, ...] = ()
    """Volumes for containers."""


class Campaign(Keys):
    """A campaign: what varies, what is measured, how it is run."""

    name: Name
    """Name of the campaign."""
    description: str = ""
    """What it is for."""
    cycles: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How often each experiment is run; intervals need at least 3."""
    order: Order = "interleaved"
    """Order of runs: interleaved (cycle by cycle), shuffled (seeded, within each cycle), grouped (experiment by
    experiment), balanced (Latin square: each experiment equally often at each place)."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Seed of order, prompts and resampling."""
    models: tuple[Model, ...] = ()
    """Models."""
    engines: tuple[EngineEntry, ...] = ()
    """Engines of the matrix: each meets every model whose weights it can load."""
    quants: Quants = Quants()
    """Which quantisation variants to use."""
    grid: Grid | None = None
    """Axes whose cross product is run."""
    experiments: tuple[ExperimentEntry, ...] = ()
    """Explicit experiments."""
    workload: WorkloadAxes = WorkloadAxes()
    """What every experiment measures unless it says otherwise."""
    execution: Execution = Execution()
    """Where and how runs are executed."""
    energy: Energy = Energy()
    """How energy is measured."""
    models_from: ModelsFrom = ModelsFrom()
    """Who manages model files."""
    disk: Disk = Disk()
    """Care for disk space."""
    limits: Limits = Limits()
    """Bounds."""
    schedule: Schedule = Schedule()
    """Unattended repetition."""
    notifications: Notifications = Notifications()
    """Whom to tell."""
    io: Io = Io()
    """Folders."""

    @model_validator(mode="after")
    def _something_to_run(self) -> Campaign:
        if not (self.grid or self.experiments or (self.models and self.engines)):
            raise ValueError("nothing to run: give models and engines, a grid, or experiments")
        return self
