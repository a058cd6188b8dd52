"""A campaign in numbers: the plan's experiments in order, each with estimates over its cycles, and doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, get_args

from dynamometer.analysis.advice import CAMPAIGN, Advice
from dynamometer.analysis.doubts import Row, Run, doubts_of
from dynamometer.analysis.measure import RunMetrics
from dynamometer.analysis.metrics import METRICS
from dynamometer.analysis.metrics.readings import of_one_origin
from dynamometer.analysis.stats import Method, interval
from dynamometer.domain.calibration import CalibrationRef
from dynamometer.domain.experiment import Experiment, load_label, run_id
from dynamometer.domain.plan import Plan
from dynamometer.domain.record import Record
from dynamometer.domain.status import CampaignStatus
from dynamometer.domain.summary import (
    Doubt,
    Estimate,
    ExperimentSummary,
    FailureSummary,
    MetricInfo,
    Provenance,
    Summary,
)
from dynamometer.domain.units import human_bytes

METHODS: tuple[Method, ...] = get_args(Method)
T = TypeVar("T")
"""What ``interval_method`` may be, beside None."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """A campaign in numbers, with the runs behind each row: what a comparison takes."""

    summary: Summary
    rows: tuple[Row, ...]
    """In the order of ``summary.experiments``."""


def analyse(
    plan: Plan,
    status: CampaignStatus,
    records: Mapping[str, Record],
    metrics: Mapping[str, RunMetrics],
    *,
    version: str,
    interval_method: str | None = None,
    advice: Advice = CAMPAIGN,
) -> Analysed:
    """What the records say together; works while the campaign runs, and with nothing at all.

    ``records`` and ``metrics`` are keyed by run id; a run counts when it is in both, and one with metrics alone (see
    ``measure_lost``) where these have a value. Rows are the plan's experiments in its order: runs that left the plan
    are counted in a doubt, not shown. ``interval_method`` forces one of ``METHODS``; None takes the right one for the
    number of cycles. Raises ValueError for another name.
    ``advice``: how hints are worded.
    """
    method = _method(interval_method)
    names = unique_names(plan.experiments)
    cycles = _cycles_of(plan)
    behind, rows = [], []
    for index, experiment in enumerate(plan.experiments):
        keys = [run_id(experiment.id, cycle) for cycle in cycles.get(index, ())]
        finished = tuple(Run(records[key], metrics[key]) for key in keys if key in records and key in metrics)
        runs = [metrics[key] for key in keys if key in metrics]
        lost = tuple(metrics[key] for key in keys if key in metrics and key not in records)
        none = _why_none(keys, status)
        found = tuple(
            estimate(metric.info, runs, seed=plan.campaign.seed, method=method, none=none) for metric in METRICS
        )
        remedy = _remedy(keys, status, records.keys() & metrics.keys(), advice)
        behind.append(Row(experiment, finished, found, len(keys), advice, lost, remedy))
        rows.append(_row(behind[-1], names[index], cycles.get(index, ()), status))
    used = [records[key] for key in plan.run_ids if key in records and key in metrics]
    summary = Summary(
        campaign_id=status.campaign_id,
        name=plan.campaign.name,
        description=plan.campaign.description,
        state=status.state,
        simulated=any(row.simulated for row in rows),
        runs=status.tally() or ({"pending": len(plan.runs)} if plan.runs else {}),
        cycles=plan.campaign.cycles,
        metrics=tuple(metric.info for metric in METRICS),
        experiments=tuple(rows),
        failures=tuple(_failures(plan, names, status)),
        doubts=tuple(_campaign_doubts(plan, status, records, metrics, rows, advice)),
        provenance=_provenance(used),
        created=status.created,
        version=version,
    )
    return Analysed(summary, tuple(behind))


def unique_names(experiments: Sequence[Experiment]) -> list[str]:
    """Readable names; where several are alike, each with its id."""
    seen = Counter(experiment.name for experiment in experiments)
    return [e.name if seen[e.name] == 1 else f"{e.name}#{e.id}" for e in experiments]


def estimate(
    info: MetricInfo,
    runs: Sequence[RunMetrics],
    *,
    seed: int,
    method: Method | None,
    none: str = "no finished run",
) -> Estimate:
    """One metric over the cycles of one experiment. Cycles without a value are left out and never count as 0.

    ``none``: why there is no value when there is no run.
    """
    measured = of_one_origin([run.values[info.key] for run in runs])
    values = [one.value for one in measured if one.value is not None]
    samples = sum(one.samples for one in measured)
    per_cycle = tuple(one.value for one in measured)
    if not values:
        return Estimate(
            metric=info.key,
            value=None,
            samples=samples,
            missing=next((one.missing for one in measured if one.missing), none),
            per_cycle=per_cycle,
        )
    is_share = info.unit == "share"
    found = interval(values, seed=seed, force=method, additive=is_share)
    low, high = found.low, found.high
    if is_share and low is not None and high is not None:
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(
        metric=info.key,
        value=found.centre,
        over_cycles=found.over_cycles,
        low=low,
        high=high,
        n=found.n,
        samples=samples,
        method=found.method,
        no_interval=found.reason,
        per_cycle=per_cycle,
    )


def _method(name: str | None) -> Method | None:
    if name is None:
        return None
    found = next((method for method in METHODS if method == name), None)
    if found is None:
        raise ValueError(f"unknown interval method {name!r}: one of {', '.join(METHODS)}")
    return found


def _cycles_of(plan: Plan) -> dict[int, list[int]]:
    cycles: dict[int, list[int]] = {}
    for run in plan.runs:
        cycles.setdefault(run.experiment, []).append(run.cycle)
    return {index: sorted(found) for index, found in cycles.items()}


def _row(row: Row, name: str, cycles: Sequence[int], status: CampaignStatus) -> ExperimentSummary:
    experiment = row.experiment
    states = (status.runs.get(run_id(experiment.id, cycle)) for cycle in cycles)
    return ExperimentSummary(
        experiment_id=experiment.id,
        name=name,
        engine=experiment.engine,
        model=experiment.model,
        quant=experiment.weights.quant,
        load=load_label(experiment.workload.load),
        benchmark=experiment.workload.benchmark,
        input_tokens=experiment.workload.asked_input_tokens,
        simulated=any(run.record.simulated for run in row.runs),
        cycles_done=len(row.runs),
        cycles_planned=len(cycles),
        failed=sum(state is not None and state.state == "failed" for state in states),
        estimates=row.estimates,
        windows=_by_cycle(row, lambda record: record.window),
        clients=_by_cycle(row, lambda record: record.client),
        doubts=doubts_of(row),
    )


def _by_cycle(row: Row, part: Callable[[Record], T]) -> tuple[T | None, ...]:
    parts = {run.record.cycle: part(run.record) for run in row.runs}
    return tuple(parts.get(cycle) for cycle in sorted({*parts, *(lost.cycle for lost in row.lost)}))


def _why_none(keys: Iterable[str], status: CampaignStatus) -> str:
    finished = any(key in status.runs and status.runs[key].state == "completed" for key in keys)
    return "no readable record" if finished else "no finished run"


def _remedy(keys: Iterable[str], status: CampaignStatus, figures: Collection[str], advice: Advice) -> str:
    """What brings those of the runs that have no figures."""
    missing = {status.runs[key].state if key in status.runs else "pending" for key in keys if key not in figures}
    if missing - {"failed", "completed"}:
        return advice.finish
    return advice.retry if "failed" in missing else advice.restore


def _failures(plan: Plan, names: Sequence[str], status: CampaignStatus) -> Iterable[FailureSummary]:
    for key, run in zip(plan.run_ids, plan.runs, strict=True):
        state = status.runs.get(key)
        if state is None or state.state != "failed" or state.failure is None:
            continue
        failure = state.failure
        yield FailureSummary(
            run_id=key,
            name=names[run.experiment],
            cycle=run.cycle,
            attempts=state.attempts,
            kind=failure.kind,
            message=f"{failure.message}\n{failure.hint}" if failure.hint else failure.message,
            log_tail=failure.log_tail,
        )


def _campaign_doubts(
    plan: Plan,
    status: CampaignStatus,
    records: Mapping[str, Record],
    metrics: Mapping[str, RunMetrics],
    rows: Sequence[ExperimentSummary],
    advice: Advice,
) -> Iterable[Doubt]:
    done, planned = sum(row.cycles_done for row in rows), len(plan.runs)
    used = [records[key] for key in plan.run_ids if key in records and key in metrics]
    unread = sum(
        key not in records or key not in metrics
        for key in plan.run_ids
        if (state := status.runs.get(key)) is not None and state.state == "completed"
    )
    if done + unread < planned:
        early = status.counts.get("ended_early", 0)
        message = f"partial results: {done + unread - early} of {planned} runs are finished" + (
            f", {early} ended early" if early else ""
        )
        hint = advice.retry if done + unread + sum(row.failed for row in rows) == planned else advice.finish
        yield Doubt(code="partial", message=message, hint=hint)
    if unread:
        message = (
            f"{unread} of {planned} runs are completed and have no readable record: their folders were moved, deleted "
            "or damaged, and they are missing from the figures"
        )
        yield Doubt(code="records_missing", message=message, hint=advice.restore)
    if status.removed:
        message = f"results of {len(status.removed)} runs that are no longer planned are kept, and not shown"
        yield Doubt(code="removed_runs", message=message)
    hosts = {record.host.fingerprint for record in used}
    if len(hosts) > 1:
        message = f"runs were made on {len(hosts)} different hosts"
        yield Doubt(code="unlike_hosts", message=message, hint="rows from unlike hosts do not compare")
    simulated = sum(row.simulated for row in rows)
    if 0 < simulated < sum(row.cycles_done > 0 for row in rows):
        message = f"{simulated} of {len(rows)} rows are simulated"
        yield Doubt(code="simulated_rows", message=message, hint="never compare them with the measured ones")


def _provenance(records: Sequence[Record]) -> Provenance:
    return Provenance(
        hosts=_lines(
            f"{h.processor}, {h.cores} cores, {human_bytes(h.memory_bytes)}, {h.system}"
            + (f", {', '.join(h.gpus)}" if h.gpus else "")
            + (f", governor {h.governor}" if h.governor else "")
            + f" ({h.fingerprint})"
            for h in (record.host for record in records)
        ),
        engines=_lines(f"{r.engine.name} {r.engine.version or 'of unknown version'}" for r in records),
        models=_lines(
            f"{m.name}: {m.file or 'file unknown'}, sha256 {m.sha256 or 'unknown'}" for m in (r.model for r in records)
        ),
        clocks=_lines(f"{record.client.clock} arrival stamps" for record in records),
        calibrations=_lines(_calibration(r.calibration) for r in records if r.calibration or not r.simulated),
        energy=_lines(
            f"{reading.kind} by {reading.source or reading.meter}" + (f", {reading.scope}" if reading.scope else "")
            if reading.value is not None
            else f"n/a: {reading.missing or 'no reason given'}"
            for record in records
            for reading in record.readings
            if reading.quantity == "energy"
        ),
        prompts=_lines(f"{record.dataset}, cycle {record.cycle}, sha256 {record.prompts_sha256}" for record in records),
    )


def _calibration(ref: CalibrationRef | None) -> str:
    if ref is None:
        return "none"
    ttft = _error(ref.ttft_error_p99_ms, ref.ttft_error_max_ms, ref.ttft_errors)
    itl = _error(ref.itl_error_p99_ms, ref.itl_error_max_ms, ref.itl_errors)
    return (
        f"{ref.id}{', quick' if ref.quick else ''}, {ref.at}: error of TTFT {ttft}, of ITL {itl} "
        f"at {ref.streams} stream{'s' * (ref.streams > 1)}, {ref.events_s:.0f} events/s, {ref.clock} stamps"
        + (f", {ref.processes} client processes" if ref.processes > 1 else "")
    )


def _error(p99_ms: float | None, max_ms: float | None, values: int | None) -> str:
    """The 99th percentile of an error; the maximum of too few values for one."""
    if p99_ms is not None:
        return f"p99 {p99_ms:.3f} ms"
    return "n/a" if max_ms is None else f"max {max_ms:.3f} ms of {values} values"


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, in the order of first appearance."""
    return tuple(dict.fromkeys(texts))
