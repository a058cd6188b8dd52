"""What records say together: estimates with intervals, and doubts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.experiment import Length
from dynamometer.domain.record import ClientHealth, Window

SUMMARY_SCHEMA = 1

RunState = Literal["pending", "running", "completed", "ended_early", "failed", "interrupted", "skipped"]
"""``ended_early``: of a bench, a run whose window was ended on request; its figures count."""
OverCycles = Literal["one cycle", "mean", "geometric mean"]
CampaignState = Literal["pending", "running", "completed", "failed", "interrupted", "stopped"]


class MetricInfo(Value):
    """One metric: its definition lives with the function that computes it."""

    key: str
    """Name with its unit, as columns and JSON keys spell it: ttft_ms."""
    title: str
    """Name for people: TTFT."""
    unit: str
    """ms, tok/s, MB, J/token, …"""
    better: Literal["lower", "higher", "neither"]
    """Which way is better."""
    statistic: str
    """What the value of one cycle is: median over requests, share of the window's requests, …"""
    description: str
    """Definition, one or two sentences."""


class Estimate(Value):
    """A figure over the cycles of one experiment.

    ``value`` is None when there is none, and ``missing`` says why. ``low`` and ``high`` are None when no interval
    can be given, and ``no_interval`` says why.
    """

    metric: str
    """Key of the metric."""
    value: float | None
    over_cycles: OverCycles | None = None
    """What ``value`` is of the values of the cycles; None without a value."""
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    """Level of the interval."""
    n: Annotated[int, Field(ge=0)] = 0
    """Cycles behind it."""
    samples: Annotated[int, Field(ge=0)] = 0
    """Requests behind it."""
    method: str | None = None
    """How the interval was made: student-t-log, bca-bootstrap, …"""
    missing: str | None = None
    no_interval: str | None = None
    per_cycle: tuple[float | None, ...] = ()
    """Value of each cycle, in order of cycles; of a bench also of cycles that gave no record."""


class Doubt(Value):
    """A reason to trust a figure less."""

    code: str
    """Stable name: too_few_cycles, few_samples, client_saturated, …"""
    message: str
    """What is doubtful, with numbers."""
    hint: str | None = None
    """What would help."""
    metric: str | None = None
    """The metric it concerns; None for all."""


class ExperimentSummary(Value):
    """One row of the table."""

    experiment_id: str
    name: str
    """Readable name, made unique within the campaign."""
    engine: str
    model: str
    quant: str | None
    load: str
    benchmark: str
    input_tokens: Length | None = None
    """Length of the prompts as asked for, before a chat template; None where prompts have lengths of their own."""
    simulated: bool
    cycles_done: int
    cycles_planned: int
    failed: int
    estimates: tuple[Estimate, ...]
    windows: tuple[Window | None, ...] = ()
    """Window of each cycle, in the order of ``per_cycle``: monotonic times, as samples have them. None: no record."""
    clients: tuple[ClientHealth | None, ...] = ()
    """How the client fared in each of these: its lag, what it cost, how late it sent. None: no record."""
    doubts: tuple[Doubt, ...] = ()

    def estimate(self, metric: str) -> Estimate | None:
        """The estimate of that metric, if it was computed."""
        return next((estimate for estimate in self.estimates if estimate.metric == metric), None)


class FailureSummary(Value):
    """One failed run, for the end of a report."""

    run_id: str
    name: str
    cycle: int
    attempts: int
    kind: str
    message: str
    log_tail: tuple[str, ...] = ()


class Provenance(Value):
    """Where the numbers come from."""

    hosts: tuple[str, ...] = ()
    """One line per host."""
    engines: tuple[str, ...] = ()
    """Name and version of each engine."""
    models: tuple[str, ...] = ()
    """File and hash of each set of weights."""
    clocks: tuple[str, ...] = ()
    """Sources of arrival stamps."""
    calibrations: tuple[str, ...] = ()
    """Calibrations of the client, each with the level next to the runs and its p99 errors."""
    energy: tuple[str, ...] = ()
    """Sources of energy readings, or why there are none."""
    prompts: tuple[str, ...] = ()
    """Datasets and hashes of prompts."""


class Summary(Value):
    """A campaign in numbers: what every report prints."""

    schema_version: int = SUMMARY_SCHEMA
    campaign_id: str
    name: str
    description: str
    state: CampaignState
    simulated: bool
    """True when any row is simulated."""
    runs: dict[RunState, int]
    """Runs by state."""
    cycles: int
    metrics: tuple[MetricInfo, ...]
    """Definitions of the metrics in the rows."""
    experiments: tuple[ExperimentSummary, ...]
    failures: tuple[FailureSummary, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    """Doubts about the campaign as a whole."""
    provenance: Provenance = Provenance()
    created: str = ""
    """When the campaign was made, ISO 8601 with zone."""
    version: str = ""
    """Version of Dynamometer that made this summary."""
