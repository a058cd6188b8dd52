"""How true the client is and what it costs, against the reference server: ``dyno calibrate`` in processes of its own.

    python -m benchmarks.bench_calibrate [--times 5] [--streams 64,1024] [--burners 1]

One line per run, then of each figure the median of the runs, which is judged by the aim, the worst and the best. Load
averages stand beside the runs. The last part burns every core but the server's with other processes, so that the client
has to share its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.measure import dyno

from dynamometer.domain.calibration import CalibrationLevel, Spread

BURN = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile True: pass"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure to reach."""

    name: str
    aim: float
    of: Callable[[Run], float | None]
    larger_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one level in a process of its own."""

    level: CalibrationLevel
    peak_mb: float


TTFT = ("TTFT error p99, ms", 0.05)
ITL = ("ITL error p99, ms", 0.03)
FIGURES = {
    64: (
        Figure(*TTFT, lambda run: run.level.ttft_error_ms.p99),
        Figure(*ITL, lambda run: run.level.itl_error_ms.p99),
        Figure("CPU, s/1000 tokens", 0.04, lambda run: run.level.cpu_s_per_1000),
    ),
    1024: (
        Figure(*TTFT, lambda run: run.level.ttft_error_ms.p99),
        Figure(*ITL, lambda run: run.level.itl_error_ms.p99),
        Figure("concurrency held", 0.995, lambda run: run.level.held_share, larger_is_better=True),
        Figure("CPU, s/1000 tokens", 0.02, lambda run: run.level.cpu_s_per_1000),
    ),
}
MEMORY = (Figure("peak memory, MB, 96 tokens per stream in all", 160, lambda run: run.peak_mb),)
BURNT = (Figure("ITL error p99, ms, core burnt", 0.05, lambda run: run.level.itl_error_ms.p99),)


def run(streams: int, tokens: int, *more: str) -> Run:
    """``dyno calibrate`` for one level, not kept."""
    words = ("--streams", str(streams), "--tokens", str(tokens), "--no-save", "--json", *more)
    child = subprocess.Popen(dyno("calibrate", *words), stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout as output:
        text = output.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"dyno calibrate ended with {child.returncode}")
    level = CalibrationLevel.model_validate(json.loads(text)["levels"][0])
    return Run(level, usage.ru_maxrss / 1000)


def say(one: Run) -> None:
    """One line."""
    level = one.level
    print(
        f"{level.streams:5} streams  TTFT {_ms(level.ttft_error_ms)}  ITL {_ms(level.itl_error_ms)} ms  "
        f"held {level.held_share:.2%}  CPU {level.cpu_s_per_1000:.4f} s/1000  "
        f"{level.events_s:.0f} events/s  merged {level.merged_share:.2%}  lag p99 {level.lag_p99_ms} ms  "
        f"server late p99 {level.server_late_ms.most:.3f} ms, CPU {level.server_cpu_share:.0%}  "
        f"peak {one.peak_mb:.0f} MB  bad {level.bad}  load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _ms(spread: Spread) -> str:
    return " ".join("n/a" if value is None else f"{value:.3f}" for value in (spread.p50, spread.p99, spread.max))


def judge(runs: list[Run], figures: tuple[Figure, ...]) -> None:
    """Each figure over all runs; its median against its aim."""
    for figure in figures:
        values = sorted(value for one in runs if (value := figure.of(one)) is not None)
        if not values:
            print(f"  {figure.name}: n/a, aim {figure.aim:g}: MISSED")
            continue
        worst, best = (values[0], values[-1]) if figure.larger_is_better else (values[-1], values[0])
        median = statistics.median(values)
        reached = median >= figure.aim if figure.larger_is_better else median <= figure.aim
        print(
            f"  {figure.name}: median {median:.4g} of {len(values)}, worst {worst:.4g}, best {best:.4g}, "
            f"aim {figure.aim:g}: {'reached' if reached else 'MISSED'}"
        )


@contextmanager
def burning(each: int) -> Iterator[None]:
    """So many processes that never rest on every core but the last, which is the server's."""
    cores = sorted(os.sched_getaffinity(0))
    burners = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", BURN, str(core)], stdout=subprocess.PIPE)
        for core in cores[:-1]
        for _ in range(each)
    ]
    try:
        for burner in burners:
            if burner.stdout is not None:
                burner.stdout.readline()
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.communicate()


def main() -> None:
    """All levels, then the burnt core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--streams", default="64,1024")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--burners", type=int, default=1, help="per core; 0 leaves that part out")
    asked = parser.parse_args()
    for streams in map(int, asked.streams.split(",")):
        runs = []
        for _ in range(asked.times):
            runs.append(run(streams, asked.tokens))
            say(runs[-1])
        judge(runs, FIGURES.get(streams, ()))
        if streams == 1024:
            runs = [run(streams, 48, "--rounds", "2") for _ in range(asked.times)]
            for one in runs:
                say(one)
            judge(runs, MEMORY)
    if asked.burners and len(os.sched_getaffinity(0)) > 1:
        runs = []
        with burning(asked.burners):
            for _ in range(asked.times):
                runs.append(run(64, asked.tokens))
                say(runs[-1])
        judge(runs, BURNT)


if __name__ == "__main__":
    main()
