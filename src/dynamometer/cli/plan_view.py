"""A plan as people read it: what validate and the dry run print, made from the same value that run runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dynamometer.domain.experiment import Workload
from dynamometer.domain.plan import Plan
from dynamometer.domain.units import human_bytes, human_duration
from dynamometer.plan.estimate import total_pauses
from dynamometer.spec.resolve import Resolved

SHOWN = 40


def plan_lines(plan: Plan, resolved: Resolved, *, everything: bool = False) -> Iterator[str]:
    """The plan as text, line by line."""
    campaign = plan.campaign
    filtered = sum(item.count for item in plan.excluded)
    yield (
        f"{campaign.name}: {len(plan.experiments)} experiments x {campaign.cycles} "
        f"{'cycle' if campaign.cycles == 1 else 'cycles'} = {len(plan.runs)} runs, order {campaign.order}"
        + (f" ({filtered} filtered)" if filtered else "")
    )
    yield ""
    shown = plan.experiments if everything else plan.experiments[:SHOWN]
    width = max((len(experiment.name) for experiment in shown), default=0)
    for experiment in shown:
        size = human_bytes(experiment.weights.size_bytes) if experiment.weights.size_bytes else "size unknown"
        workload = experiment.workload
        until = _until(workload)
        yield (
            f"  {experiment.id}  {experiment.name:<{width}}  {size}, {until}, "
            f"{workload.max_input_tokens} -> {workload.max_output_tokens} tokens"
        )
    if len(shown) < len(plan.experiments):
        yield f"  … and {len(plan.experiments) - len(shown)} more (--all shows them)"
    yield from _section("left out", [(item.name, item.reason, item.count) for item in plan.excluded])
    yield from _section("warnings", [(item.name, item.reason, item.count) for item in plan.warnings])
    if resolved.notes:
        yield ""
        yield "does not count here:"
        yield from (f"  {note}" for note in resolved.notes)
    if plan.unavailable:
        yield ""
        yield "not available yet (run refuses these):"
        for item in plan.unavailable:
            lines = [origin.line for key, origin in resolved.origins.items() if f"{key}.".startswith(f"{item.where}.")]
            line = f" (line {lines[0]})" if lines and lines[0] else ""
            yield f"  {item.where}{line}: {item.what}"
    yield ""
    yield from _costs(plan)


def _until(workload: Workload) -> str:
    if workload.requests:
        return f"{workload.requests} requests"
    return f"{workload.duration_s:g} s" if workload.duration_s else "the whole trace"


def _section(title: str, rows: list[tuple[str, str, int]]) -> Iterator[str]:
    if rows:
        yield ""
        yield f"{title}:"
    for name, reason, count in rows:
        yield f"  {reason} × {count}, first {name}" if count > 1 else f"  {name}: {reason}"


def _costs(plan: Plan) -> Iterator[str]:
    """Disk and time, as far as they can be known before anything ran."""
    sizes = {(item.weights.ref, item.weights.file): item.weights.size_bytes for item in plan.experiments}
    known = [size for size in sizes.values() if size]
    if known:
        unknown = len(sizes) - len(known)
        yield f"weights: {human_bytes(sum(known))} on disk" + (f", {unknown} of unknown size" if unknown else "")
    pauses = total_pauses(plan.runs, plan.campaign.execution.thermal)
    longest = len(plan.runs) * plan.campaign.execution.timeout + pauses
    yield (
        f"time: pauses {human_duration(pauses)}, at most {human_duration(longest)} by the time limit of each run; "
        "the first runs will tell more"
    )


def plan_document(plan: Plan, resolved: Resolved) -> dict[str, Any]:
    """The plan as one JSON document."""
    return {
        "schema_version": plan.schema_version,
        "name": plan.campaign.name,
        "cycles": plan.campaign.cycles,
        "order": plan.campaign.order,
        "experiments": [
            {"id": item.id, "name": item.name, **item.model_dump(mode="json", exclude_none=True)}
            for item in plan.experiments
        ],
        "runs": [
            {"run_id": run_id, "experiment": plan.experiments[run.experiment].id, "cycle": run.cycle}
            for run_id, run in plan.by_run_id.items()
        ],
        "excluded": [item.model_dump() for item in plan.excluded],
        "warnings": [item.model_dump() for item in plan.warnings],
        "unavailable": [item.model_dump() for item in plan.unavailable],
        "campaign": plan.campaign.model_dump(mode="json", exclude_defaults=True),
        "origins": {
            where: {"layer": origin.layer, "file": origin.file, "line": origin.line}
            for where, origin in resolved.origins.items()
        },
        "pauses_s": total_pauses(plan.runs, plan.campaign.execution.thermal),
    }
