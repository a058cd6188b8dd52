"""A plan as people read it: what validate and the dry run print, made from the same value that run runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dynamometer.domain.experiment import Workload
from dynamometer.domain.plan import Plan
from dynamometer.domain.units import human_bytes, human_duration
from dynamometer.load.traces import Trace
from dynamometer.plan.estimate import total_pauses
from dynamometer.wiring.planning import Prepared

SHOWN = 40


def plan_lines(prepared: Prepared, *, everything: bool = False) -> Iterator[str]:
    """The plan as text, line by line."""
    plan, resolved = prepared.plan, prepared.resolved
    campaign = plan.campaign
    filtered = sum(item.count for item in plan.excluded)
    yield (
        f"{campaign.name}: {len(plan.experiments)} experiments x {campaign.cycles} "
        f"{'cycle' if campaign.cycles == 1 else 'cycles'} = {len(plan.runs)} runs, order {campaign.order}"
        + (f" ({filtered} filtered)" if filtered else "")
    )
    if plan.experiments:
        yield ""
    shown = plan.experiments if everything else plan.experiments[:SHOWN]
    width = max((len(experiment.name) for experiment in shown), default=0)
    for experiment in shown:
        size = human_bytes(experiment.weights.size_bytes) if experiment.weights.size_bytes else "size unknown"
        workload = experiment.workload
        lengths = _lengths(workload, prepared.traces.get(workload.load.trace or ""))
        yield f"  {experiment.id}  {experiment.name:<{width}}  {size}, {_until(workload)}, {lengths}"
    if len(shown) < len(plan.experiments):
        yield f"  … and {len(plan.experiments) - len(shown)} more (--all shows them)"
    if any(experiment.workload.makes_prompts for experiment in plan.experiments):
        yield "  prompts are about so long before the chat template; the server's own count is in the report"
    yield from _section("left out", [(item.name, item.reason, item.count) for item in plan.excluded])
    yield from (f"  hint: {hint}" for hint in dict.fromkeys(item.hint for item in plan.excluded) if hint)
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


def _lengths(workload: Workload, trace: Trace | None) -> str:
    """``64 -> 128 tokens``, or what the trace or the user's prompts have instead."""
    asked_in = str(workload.max_input_tokens) if workload.makes_prompts else "own prompts"
    asked_out = str(workload.max_output_tokens)
    if trace is None or not (trace.input_tokens or trace.output_tokens):
        return f"{asked_in} -> {asked_out} tokens"
    return f"{_span(trace.input_tokens) or asked_in} -> {_span(trace.output_tokens) or asked_out} tokens, by the trace"


def _span(lengths: Sequence[int] | None) -> str | None:
    """The shortest and the longest."""
    return "–".join(str(length) for length in sorted({min(lengths), max(lengths)})) if lengths else None


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


def plan_document(prepared: Prepared) -> dict[str, Any]:
    """The plan as one JSON document."""
    plan, resolved = prepared.plan, prepared.resolved
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
        "traces": {
            name: {
                "requests": len(trace.times_ns),
                "input_tokens": _bounds(trace.input_tokens),
                "output_tokens": _bounds(trace.output_tokens),
            }
            for name, trace in prepared.traces.items()
        },
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


def _bounds(lengths: Sequence[int] | None) -> dict[str, int] | None:
    return {"min": min(lengths), "max": max(lengths)} if lengths else None
