"""Runs nothing: leaves records of plausible shape at once. Marked simulated for ever; for tests of everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from dynamometer import __version__
from dynamometer.domain.failure import Failure
from dynamometer.domain.ident import text_hash
from dynamometer.domain.record import (
    ClientHealth,
    EngineFacts,
    HostFacts,
    ModelFacts,
    Reading,
    Record,
    Sample,
    Usage,
    Window,
)
from dynamometer.domain.step import Step
from dynamometer.executors.base import Exit
from dynamometer.store import layout
from dynamometer.store.records import write_failure, write_record, write_samples

HOST = HostFacts(
    fingerprint="simulated", system="simulated", processor="simulated", cores=1, memory_bytes=1, python="simulated"
)


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker that ended before anybody asked."""

    exit: Exit = field(default_factory=lambda: Exit(0))

    def wait(self, _timeout_s: float, _wake_fd: int | None = None, /) -> Exit:
        """It has ended."""
        return self.exit

    def stop(self, _grace_s: float, _wake_fd: int | None = None, /) -> Exit:
        """It has ended."""
        return self.exit


@dataclass(frozen=True, slots=True)
class SimulatedExecutor:
    """Answers every step with a record drawn from a seed: the same step always gives the same numbers.

    ``fails`` may name a failure instead; a worker that fails leaves failure.json, as a real one does.
    """

    fails: Callable[[Step], Failure | None] = lambda _: None
    at: str = "1970-01-01T00:00:00+00:00"

    def start(self, step: Step, folder: Path, /) -> Finished:
        """Leave the record in the folder."""
        if failure := self.fails(step):
            write_failure(folder, failure)
            return Finished(Exit(1))
        samples = simulate(step)
        digest = write_samples(folder, samples)
        write_record(folder, _record(step, samples, digest, self.at))
        return Finished()


def simulate(step: Step) -> tuple[Sample, ...]:
    """A few requests, one after the other, with latencies drawn around what the experiment's id says."""
    base = Random(step.experiment.id)
    ttft, itl = base.uniform(20e6, 200e6), base.uniform(2e6, 40e6)
    draw = Random(f"{step.run_id}:{step.attempt}")
    samples, now = [], 0
    asked = step.experiment.workload.max_output_tokens
    tokens = asked if isinstance(asked, int) else 16
    prompt = step.experiment.workload.asked_input_tokens
    for number in range(min(step.experiment.workload.requests or 4, 4)):
        sent, arrival, arrivals = now, now + int(ttft * draw.lognormvariate(0, 0.05)), []
        for _ in range(min(tokens, 16)):
            arrivals.append(arrival)
            arrival += int(itl * draw.lognormvariate(0, 0.05))
        samples.append(
            Sample(
                id=f"{step.run_id}-{number}",
                sent_ns=sent,
                ended_ns=arrivals[-1],
                arrivals_ns=tuple(arrivals),
                event_tokens=(1,) * len(arrivals),
                usage=Usage(completion_tokens=len(arrivals), prompt_tokens=prompt if isinstance(prompt, int) else 8),
                status=200,
                finish="length",
            )
        )
        now = arrivals[-1]
    return tuple(samples)


def _record(step: Step, samples: tuple[Sample, ...], digest: str, at: str) -> Record:
    end, load = samples[-1].ended_ns or 1, step.experiment.workload
    return Record(
        dynamometer=__version__,
        campaign_id=step.campaign_id,
        run_id=step.run_id,
        cycle=step.cycle,
        attempt=step.attempt,
        experiment=step.experiment,
        simulated=True,
        started_at=at,
        duration_ns=end,
        window=Window(begin_ns=0, end_ns=end),
        engine=EngineFacts(name=step.experiment.engine, version=None, argv=(), endpoint_kind="chat"),
        model=ModelFacts(name=step.experiment.model, file=None, size_bytes=None, sha256=None),
        host=HOST,
        client=ClientHealth(clock="simulated", cpu_s=0.0, wall_s=end / 1e9, wakes=0, reads=0),
        readings=(
            Reading(meter="energy", quantity="energy", unit="J", value=None, missing="simulated runs use no energy"),
        ),
        requests=len(samples),
        good=len(samples),
        prompts_sha256=text_hash(f"{load.dataset} {load.seed} {load.max_input_tokens} {load.requests} {step.cycle}"),
        dataset=step.experiment.workload.dataset,
        samples_file=layout.SAMPLES,
        samples_sha256=digest,
    )
