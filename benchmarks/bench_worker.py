"""From the start of a worker to the start of its engine."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import psutil
from benchmarks.measure import cost_of, dyno
from tests import tiny_gguf

EXPERIMENT = """\
engine: fake
model: m
models: [{name: m, path: m.gguf}]
requests: 1
max_output_tokens: 2
load: {concurrency: 1}
"""
TIMES = 7


def main() -> None:
    """Print the time between the two processes' starts, as the kernel recorded them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DYNO_HOME"] = str(folder / "home")
        tiny_gguf.make(folder / "m.gguf")
        path = folder / "e.yaml"
        path.write_text(EXPERIMENT)
        for _ in range(TIMES):
            cost_of(dyno("experiment", str(path), "-q"), folder)
        delays = [
            mark["engine_start"] - mark["start"]
            for mark in (json.loads(file.read_text()) for file in folder.glob("results/*/runs/*/*/worker.json"))
        ]
        print(f"worker start to engine start: {min(delays):.2f} s at best, {max(delays):.2f} s at worst of {TIMES}")
        print(f"(start times in steps of {1 / os.sysconf('SC_CLK_TCK'):.2f} s; boot {psutil.boot_time():.0f})")


if __name__ == "__main__":
    main()
