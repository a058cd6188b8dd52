"""The report of a campaign with a million tokens, and of one with five million in each run: samples are read anew."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from random import Random

from benchmarks.measure import best_of, dyno
from tests.campaign.bench import bench, small_plan

from dynamometer.domain.record import Sample, Usage
from dynamometer.domain.step import Step
from dynamometer.executors.simulated import Finished, SimulatedExecutor
from dynamometer.store.layout import RECORD
from dynamometer.store.records import read_record, write_record, write_samples

TOKENS = 256


def sample(step: Step, number: int) -> Sample:
    """A request of 256 tokens, some 20 ms apart."""
    draw, sent_ns = Random(f"{step.run_id}-{number}"), 10**12 + number * 10**6
    arrivals = [sent_ns + 10**8]
    for _ in range(TOKENS - 1):
        arrivals.append(arrivals[-1] + round(2e7 * draw.lognormvariate(0, 0.1)))
    return Sample(
        id=f"{step.run_id}-{number}",
        sent_ns=sent_ns,
        ended_ns=arrivals[-1],
        arrivals_ns=tuple(arrivals),
        event_tokens=(1,) * TOKENS,
        usage=Usage(completion_tokens=TOKENS, prompt_tokens=8),
        status=200,
        finish="length",
    )


class Long:
    """The simulated executor with as many requests as are asked for."""

    def __init__(self, requests: int) -> None:
        """So many in each run."""
        self.requests = requests

    def start(self, step: Step, folder: Path, /) -> Finished:
        """Leave a record with long samples."""
        ended = SimulatedExecutor().start(step, folder)
        digest = write_samples(folder, (sample(step, number) for number in range(self.requests)))
        record = read_record(folder / RECORD).record
        write_record(folder, record.model_copy(update={"samples_sha256": digest, "requests": self.requests}))
        return ended


def main() -> None:
    """Print the figures."""
    for cycles, requests in ((2, 1000), (1, 20_000)):
        with tempfile.TemporaryDirectory() as name:
            os.environ["DYNO_HOME"] = str(Path(name) / "home")
            with bench(Path(name) / "results", small_plan(cycles=cycles)) as made:
                made.walk(Long(requests))
                cost = best_of(3, dyno("campaign", "report", str(made.folder.root), "--format", "json"))
            runs = len(made.plan.runs)
        tokens = runs * requests * TOKENS
        print(f"report of {runs} runs, {tokens:,} tokens: {cost.cpu_s:.2f} s CPU, {cost.peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
