"""Run a command in a child and say what it cost: CPU seconds, wall seconds, peak memory."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dynamometer


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a command cost."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    code: int


def cost_of(argv: Sequence[str], cwd: Path | None = None) -> Cost:
    """Run ``argv`` once, output thrown away."""
    compile_package()
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        child = subprocess.Popen(argv, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 8):
            output.seek(0)
            sys.exit(f"{' '.join(argv)} ended with {child.returncode}: {output.read().decode()[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1000, child.returncode)


@cache
def compile_package() -> None:
    """Compile our modules, as pip does when it installs them: where PYTHONDONTWRITEBYTECODE is set, each start of a
    checkout compiles them anew."""
    compileall.compile_dir(Path(dynamometer.__file__).parent, quiet=1)


def best_of(times: int, argv: Sequence[str], cwd: Path | None = None) -> Cost:
    """The cheapest of several runs: the machine is shared, and others only ever add."""
    return min((cost_of(argv, cwd) for _ in range(times)), key=lambda cost: cost.cpu_s)


def dyno(*arguments: str) -> list[str]:
    """A ``dyno`` command line."""
    return [sys.executable, "-m", "dynamometer", *arguments]
