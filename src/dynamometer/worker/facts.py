"""What the machine is: read from /proc and /sys, without starting anything."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from dynamometer.domain.ident import digest
from dynamometer.domain.record import HostFacts

ROOT = Path("/")
MEMORY_GRAIN = 1 << 28
"""Main memory is rounded to this in the fingerprint: what the kernel keeps for itself differs from boot to boot."""


def host_facts(root: Path = ROOT) -> HostFacts:
    """This machine as this process may use it. ``root`` is where /proc and /sys are looked for."""
    processor = _processor(root)
    cores = len(os.sched_getaffinity(0))
    memory = _memory_bytes(root)
    system = _system(root)
    gpus = _gpus(root)
    return HostFacts(
        fingerprint=digest(
            {
                "processor": processor,
                "cores": cores,
                "memory": round(memory / MEMORY_GRAIN),
                "system": system,
                "gpus": gpus,
            }
        ),
        system=system,
        processor=processor,
        cores=cores,
        memory_bytes=memory,
        python=platform.python_version(),
        gpus=gpus,
        load_1m=_load(root),
        governor=_governor(root),
    )


def _processor(root: Path) -> str:
    wanted = ("model name", "Model", "cpu model", "Hardware")
    named: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        named.setdefault(key.strip(), value.strip())
    return next((named[key] for key in wanted if named.get(key)), platform.machine() or "unknown")


def _memory_bytes(root: Path) -> int:
    """Main memory, or less where the control group of a container grants less."""
    lines = _text(root / "proc/meminfo").splitlines()
    total = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), 0)
    limits = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
    granted = [int(text) for text in (_text(root / limit).strip() for limit in limits) if text.isdigit()]
    return min([total, *granted]) if total else min(granted, default=0)


def _system(root: Path) -> str:
    release = dict(line.split("=", 1) for line in _text(root / "etc/os-release").splitlines() if "=" in line)
    name = release.get("PRETTY_NAME", "").strip("\"'")
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{name}, {kernel}" if name else kernel


def _gpus(root: Path) -> tuple[str, ...]:
    """Names of NVIDIA GPUs as their kernel driver lists them."""
    found = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    lines = (line for path in found for line in _text(path).splitlines())
    return tuple(line.partition(":")[2].strip() for line in lines if line.startswith("Model:"))


def _load(root: Path) -> float | None:
    """Load average of the last minute; None where the system does not tell."""
    words = _text(root / "proc/loadavg").split()
    return float(words[0]) if words else None


def _governor(root: Path) -> str | None:
    """Frequency governors of the processors, several joined by +; None where the system does not tell."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return "+".join(sorted({text for path in files if (text := _text(path).strip())})) or None


def _text(path: Path) -> str:
    """The file's text; empty where there is none, which every caller reads as not told."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
