"""A bench of an endpoint, as a plan and as results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from dynamometer import __version__
from dynamometer.analysis.measure import RunMetrics, measure
from dynamometer.analysis.summarise import analyse
from dynamometer.domain.campaign import Campaign
from dynamometer.domain.experiment import Experiment, Weights, Workload
from dynamometer.domain.failure import Failure
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.record import Record
from dynamometer.domain.status import CampaignStatus, RunStatus
from dynamometer.domain.step import Step
from dynamometer.plan.order import order
from dynamometer.wiring.results import Results
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


def bench_results(plan: Plan, found: Mapping[str, Benched]) -> Results:
    """What a bench found, as a campaign's results are summarised."""
    status = CampaignStatus(name=plan.campaign.name, planned=len(plan.runs), created=_now(), version=__version__)
    records: dict[str, Record] = {}
    metrics: dict[str, RunMetrics] = {}
    for run_id, one in found.items():
        if one.record is None:
            failure = Failure(kind="runtime", message=one.problem or "nothing came")
            status.runs[run_id] = RunStatus(state="failed", attempts=1, failures=1, failure=failure)
        else:
            status.runs[run_id] = RunStatus(state="completed", attempts=1)
            records[run_id] = one.record
            metrics[run_id] = measure(one.record, one.samples)
    status.counts = dict(Counter(run.state for run in status.runs.values()))
    ended = len(found) == len(plan.runs)
    status.state = "interrupted" if not ended else "failed" if status.counts.get("failed") else "completed"
    return Results(analyse(plan, status, records, metrics, version=__version__), ())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
