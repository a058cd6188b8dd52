"""The Plan: the one pure value that a campaign file becomes, and that validate, dry run, run and resume all read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, NamedTuple

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.campaign import Campaign
from dynamometer.domain.experiment import Experiment, Name, Workload, run_id
from dynamometer.domain.variant import Offer

PLAN_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What planning may know of the machine and of the models; fetched before, handed in as values."""

    offers: Mapping[str, Offer] = field(default_factory=dict)
    """Model name -> its weights."""
    cores: int | None = None
    """Logical processors this process may use."""
    memory_bytes: int | None = None
    """Main memory."""
    gpus: int | None = None
    """GPUs seen; None when nobody looked."""


class Suite(Value):
    """A named list of benchmarks with their parameters."""

    name: Name
    """Name, as campaign files write it."""
    description: str = ""
    """What it is for."""
    benchmarks: Annotated[tuple[Benchmark, ...], Field(min_length=1)]
    """In the order they are planned."""


class Benchmark(Value):
    """One benchmark of a suite: a kind, and the workload it stands for."""

    name: Name
    """latency, throughput, …"""
    kind: Annotated[str, Field(pattern="^(load|quality)$")] = "load"
    """load sends requests and measures them; quality asks questions and marks the answers."""
    workload: Workload = Workload()
    """What it sends."""


class Excluded(Value):
    """A cell that will not run, and why. ``count`` cells share the reason."""

    name: str
    """Readable name of the (first) cell."""
    reason: str
    """Why, for people."""
    count: Annotated[int, Field(ge=1)] = 1
    """Cells with this reason."""
    hint: str | None = None
    """What would help."""


class Warned(Value):
    """Something that may make runs fail or numbers hard to read."""

    name: str
    """What it is about."""
    reason: str
    """Why."""
    count: Annotated[int, Field(ge=1)] = 1
    """Cells it concerns."""


class Unavailable(Value):
    """A key of the file whose feature this version does not have: known, checked, and refused by run."""

    where: str
    """Dotted place in the canonical file."""
    what: str
    """What is not there."""


class RunRef(NamedTuple):
    """One run of the plan: which experiment (index into Plan.experiments) and which cycle, from 1."""

    experiment: int
    cycle: int


class Plan(Value):
    """All experiments, all runs in order, and everything that was left out, with reasons."""

    schema_version: int = PLAN_SCHEMA
    """Version of this format."""
    campaign: Campaign
    """The canonical campaign it was made from."""
    experiments: tuple[Experiment, ...]
    """In the order the file gives them; their ids are unique."""
    runs: tuple[RunRef, ...]
    """In the order of execution."""
    excluded: tuple[Excluded, ...] = ()
    """Cells left out."""
    warnings: tuple[Warned, ...] = ()
    """What may go wrong."""
    unavailable: tuple[Unavailable, ...] = ()
    """Keys whose feature is not there yet; run refuses while this is not empty."""

    @cached_property
    def run_ids(self) -> tuple[str, ...]:
        """Identities of the runs, in the order of execution."""
        ids = [experiment.id for experiment in self.experiments]
        return tuple(run_id(ids[run.experiment], run.cycle) for run in self.runs)

    @cached_property
    def by_run_id(self) -> dict[str, RunRef]:
        """Run id -> run."""
        return dict(zip(self.run_ids, self.runs, strict=True))

    def experiment_of(self, run: RunRef) -> Experiment:
        """The experiment that a run executes."""
        return self.experiments[run.experiment]


Suite.model_rebuild()
