"""A bench of an endpoint, as a plan and as results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from dynamometer.domain.campaign import Campaign
from dynamometer.domain.experiment import Experiment, Weights, Workload
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.step import Step
from dynamometer.plan.order import order
from dynamometer.worker.bench import Benched


def bench_plan(url: str, model: str, workloads: Sequence[Workload], cycles: int) -> Plan:
    """The plan of a bench: one experiment for each load, on an engine that is not ours."""
    weights = Weights(format=None, source="endpoint", ref=url)
    experiments = {
        experiment.id: experiment
        for workload in workloads
        for experiment in [Experiment(engine="openai", model=model, weights=weights, workload=workload)]
    }
    campaign = Campaign.model_validate(
        {
            "name": f"bench {url}",
            "cycles": cycles,
            "models": [{"name": model, "path": url}],
            "engines": [{"name": "openai"}],
        }
    )
    return Plan(
        campaign=campaign,
        experiments=tuple(experiments.values()),
        runs=order(len(experiments), cycles, "interleaved", campaign.seed),
    )


def bench_step(plan: Plan, run_id: str, run: RunRef, timeout_s: float, client_processes: int = 1) -> Step:
    """One run of a bench."""
    return Step(
        campaign_id="",
        run_id=run_id,
        cycle=run.cycle,
        attempt=1,
        experiment=plan.experiment_of(run),
        timeout_s=timeout_s,
        energy_source="none",
        client_processes=client_processes,
    )


@dataclass(frozen=True, slots=True)
class LoadErrors:
    """How many requests of one load went wrong."""

    name: str
    requests: int
    """In the windows of all its cycles; at least 1."""
    failed: int
    first: str | None
    """What went wrong first; None when nothing did."""

    @property
    def share(self) -> Fraction:
        """Of the requests, those that went wrong."""
        return Fraction(self.failed, self.requests)


def errors_by_load(plan: Plan, found: Mapping[str, Benched]) -> Iterator[LoadErrors]:
    """The loads that sent requests in a window, runs without a record among them, in the order of the plan."""
    for experiment in plan.experiments:
        sent = [
            sample
            for run_id, run in plan.by_run_id.items()
            if run_id in found and plan.experiment_of(run) == experiment
            for sample in found[run_id].samples
            if sample.phase == "window"
        ]
        wrong = [sample.error_detail or sample.error for sample in sent if sample.error]
        if sent:
            yield LoadErrors(experiment.name, len(sent), len(wrong), wrong[0] if wrong else None)
