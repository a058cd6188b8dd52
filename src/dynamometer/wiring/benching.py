"""A bench of an endpoint, as a plan and as results."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.domain.campaign import Campaign
from dynamometer.domain.experiment import Experiment, Weights, Workload
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.step import Step
from dynamometer.plan.order import order


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


def bench_step(plan: Plan, run_id: str, run: RunRef, timeout_s: float) -> Step:
    """One run of a bench."""
    return Step(
        campaign_id="",
        run_id=run_id,
        cycle=run.cycle,
        attempt=1,
        experiment=plan.experiment_of(run),
        timeout_s=timeout_s,
        energy_source="none",
    )
