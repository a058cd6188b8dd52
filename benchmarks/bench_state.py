"""One status change (journal, manifest, index, progress file) in campaigns of 10,000 and 100,000 runs, and replay."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from dynamometer.domain.campaign import Campaign
from dynamometer.domain.event import Done, Opened, Started
from dynamometer.domain.experiment import Experiment, Load, Weights, Workload
from dynamometer.domain.plan import Plan
from dynamometer.plan.order import order
from dynamometer.store import journal
from dynamometer.store.index import Index, IndexWriter
from dynamometer.store.journal import JournalWriter
from dynamometer.store.layout import CampaignFolder
from dynamometer.store.manifest import ManifestWriter

CHANGES = 2000


def plan_of(runs: int) -> Plan:
    """A plan of that many experiments, one cycle."""
    campaign = Campaign.model_validate(
        {"name": "bench", "models": [{"name": "m", "path": "m.gguf"}], "engines": [{"name": "fake"}]}
    )
    weights = Weights(format="gguf", source="path", ref="m.gguf")
    workloads = [Workload(load=Load(concurrency=1 + number)) for number in range(100)]
    experiments = tuple(
        Experiment(
            engine="fake", model="m", weights=weights, options={"k": number // 100}, workload=workloads[number % 100]
        )
        for number in range(runs)
    )
    return Plan(campaign=campaign, experiments=experiments, runs=order(runs, 1, "interleaved", 0))


def main() -> None:
    """Print the figures."""
    for runs in (10_000, 100_000):
        plan = plan_of(runs)
        ids = plan.run_ids
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            folder = CampaignFolder(root)
            with JournalWriter(folder.journal) as writer:
                writer.append(Opened(campaign_id="b", name="bench", source="", config_hash="", runs=runs, version="0"))
                writer.listen(ManifestWriter(folder.manifest, plan, writer.status))
                writer.listen(IndexWriter(Index(root / "index.sqlite"), root, writer.status))
                begin, cpu = time.monotonic(), time.process_time()
                for run in ids[: CHANGES // 2]:
                    writer.append(Started(run=run, attempt=1))
                    writer.append(Done(run=run, attempt=1, record="r", record_sha256="0" * 64, duration_s=1.0))
                wall, cpu = time.monotonic() - begin, time.process_time() - cpu
            print(
                f"one status change at {runs:,} runs: {cpu / CHANGES * 1000:.3f} ms CPU, "
                f"{wall / CHANGES * 1000:.3f} ms wall (mean of {CHANGES}, manifest and index included)"
            )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "journal.jsonl"
        with JournalWriter(path) as writer:
            writer.append(Opened(campaign_id="b", name="b", source="", config_hash="", runs=50_000, version="0"))
            for number in range(50_000):
                writer.append(Started(run=f"r{number}", attempt=1))
        begin = time.process_time()
        count = len(journal.read(path).events)
        print(f"replay of {count:,} events: {time.process_time() - begin:.2f} s CPU")


if __name__ == "__main__":
    main()
