"""What was driven becomes a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dynamometer import __version__
from dynamometer.domain.record import EngineFacts, HostFacts, ModelFacts, Reading, Record
from dynamometer.domain.step import Step
from dynamometer.store import layout
from dynamometer.worker.calibrate import cited
from dynamometer.worker.drive import Driven


def record_of(
    step: Step,
    driven: Driven,
    *,
    simulated: bool,
    started_at: str,
    duration_ns: int,
    engine: EngineFacts,
    model: ModelFacts,
    host: HostFacts,
    readings: Sequence[Reading],
    samples_sha256: str,
) -> Record:
    """The record of a step. Needs at least one request of the window answered whole."""
    sent = [sample for sample in driven.samples if sample.phase == "window"]
    errors = Counter(sample.error for sample in sent if sample.error is not None)
    return Record(
        dynamometer=__version__,
        campaign_id=step.campaign_id,
        run_id=step.run_id,
        cycle=step.cycle,
        attempt=step.attempt,
        experiment=step.experiment,
        simulated=simulated,
        started_at=started_at,
        duration_ns=duration_ns,
        window=driven.window,
        engine=engine,
        model=model,
        host=host,
        client=driven.client.model_copy(update={"connections": driven.connections}),
        calibration=cited(host, driven.client, driven.window, sent),
        readings=tuple(readings),
        requests=len(sent),
        good=len(sent) - sum(errors.values()),
        errors=dict(errors),
        ended_early=driven.ended_early,
        warmup_requests=driven.warmup_requests,
        warmup_steady=driven.warmup_steady,
        prompts_sha256=driven.prompts_sha256,
        dataset=driven.dataset,
        dataset_sha256=driven.dataset_sha256,
        trace_sha256=driven.trace_sha256,
        samples_file=layout.SAMPLES,
        samples_sha256=samples_sha256,
    )
