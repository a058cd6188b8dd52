"""Campaigns of records made by hand, ready to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.analysis.analysis_samples import experiment, record, sample

from dynamometer.analysis.measure import measure
from dynamometer.analysis.summarise import Analysed, analyse
from dynamometer.domain.campaign import Campaign, ExperimentEntry
from dynamometer.domain.event import Claimed, Done, Opened, Stamped
from dynamometer.domain.experiment import Experiment, Weights
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.status import fold

BASE = experiment(max_output_tokens=2, requests=2)


def variant(engine: str = "llama_cpp", quant: str = "Q4_1", model: str = "M", **changes: Any) -> Experiment:
    """One experiment; ``options`` and ``workload`` may be changed."""
    weights = Weights(format="gguf", source="path", ref=f"/models/{model}-{quant}.gguf", quant=quant)
    workload = BASE.workload.model_copy(update=changes.pop("workload", {}))
    return BASE.model_copy(
        update={"engine": engine, "model": model, "weights": weights, "workload": workload, **changes}
    ).model_copy()


def campaign(
    rows: Mapping[Experiment, Sequence[float]] | Sequence[tuple[Experiment, Sequence[float]]],
    name: str = "one",
    *,
    grouped: bool = False,
    **facts: Any,
) -> Analysed:
    """A finished campaign: TTFTs of the cycles of each row, in ms. ITL is 10 ms and never varies."""
    pairs = list(rows.items()) if isinstance(rows, Mapping) else list(rows)
    cycles = max(len(values) for _, values in pairs)
    records, metrics, events = {}, {}, []
    for place, (one, ttfts) in enumerate(pairs):
        for cycle, ttft in enumerate(ttfts, start=1):
            minute = place * cycles + cycle if grouped else cycle * len(pairs) + place
            changes = {
                "started_at": f"2026-11-22T{minute // 60:02}:{minute % 60:02}:00+00:00",
                "prompts_sha256": f"p{cycle}",
            }
            made = record(cycle, of=one, **{**changes, **facts})
            records[made.run_id] = made
            metrics[made.run_id] = measure(made, [sample(ttft, ttft + 10), sample(ttft, ttft + 10)])
            events.append(Done(run=made.run_id, attempt=1, record="r", record_sha256="s", duration_s=1))
    planned = Campaign(name=name, cycles=cycles, experiments=(ExperimentEntry(engine="llama_cpp", model="M"),), seed=0)
    runs = tuple(RunRef(index, cycle) for cycle in range(1, cycles + 1) for index in range(len(pairs)))
    plan = Plan(campaign=planned, experiments=tuple(one for one, _ in pairs), runs=runs)
    opened = Opened(campaign_id=f"{name}-1", name=name, source="f", config_hash="h", runs=len(runs), version="0")
    bodies = (opened, Claimed(pid=1, process_start=0, host="h", remaining=len(runs)), *events)
    status = fold(Stamped(seq=seq, at="2026-11-22T00:00:00+00:00", body=body) for seq, body in enumerate(bodies))
    return analyse(plan, status, records, metrics, version="1")
