"""The loop around a run that takes no time (simulated executor), through the real command line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.measure import cost_of, dyno
from tests import tiny_gguf

CAMPAIGN = """\
name: loop
cycles: {cycles}
models: [{{name: m, path: m.gguf}}]
engines: [{{name: fake}}]
workload: {{requests: 4, max_output_tokens: 16, load: {{concurrency: 1}}}}
execution:
  mode: simulated
  thermal: {{between_experiments: 0s, between_cycles: 0s}}
"""
FEW, MANY = 100, 1100


def main() -> None:
    """Print the cost of a run as the difference between a long and a short campaign."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DYNO_HOME"] = str(folder / "home")
        tiny_gguf.make(folder / "m.gguf")
        costs = []
        for cycles in (FEW, MANY):
            path = folder / f"c{cycles}.yaml"
            path.write_text(CAMPAIGN.format(cycles=cycles))
            costs.append(cost_of(dyno("campaign", "run", str(path), "-q"), folder))
        runs = MANY - FEW
        cpu, wall = costs[1].cpu_s - costs[0].cpu_s, costs[1].wall_s - costs[0].wall_s
        print(
            f"loop around a run: {cpu / runs * 1000:.2f} ms CPU, {wall / runs * 1000:.2f} ms wall "
            "(step, record, samples, journal, progress, final report included)"
        )


if __name__ == "__main__":
    main()
