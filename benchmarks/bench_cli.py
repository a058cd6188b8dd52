"""``dyno --help``, and validating grids of 10,000 and 100,000 experiments."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import best_of, dyno

GRID = """\
name: big
limits: {{max_experiments: 1000000}}
workload: {{suite: quick}}
grid:
  engines: [vllm]
  models: [gpt2]
  max_output_tokens: {outputs}
  vllm:
    max_num_seqs: {seqs}
    max_model_len: {lengths}
"""


def main() -> None:
    """Print the figures."""
    cost = best_of(10, dyno("--help"))
    print(f"dyno --help: {cost.cpu_s:.3f} s CPU, {cost.wall_s:.3f} s wall, {cost.peak_mb:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        for outputs, seqs, lengths in ((5, 40, 25), (50, 40, 25)):
            path = Path(folder) / f"grid{outputs}.yaml"
            path.write_text(
                GRID.format(
                    outputs=list(range(8, 8 + outputs)),
                    seqs=list(range(1, 1 + seqs)),
                    lengths=list(range(1024, 1024 + lengths)),
                )
            )
            cost = best_of(3, dyno("campaign", "validate", str(path)))
            count = 2 * outputs * seqs * lengths  # quick has two benchmarks
            print(
                f"validate {count:,} experiments: {cost.cpu_s:.2f} s CPU, {cost.wall_s:.2f} s wall, "
                f"{cost.peak_mb:.0f} MB"
            )


if __name__ == "__main__":
    main()
