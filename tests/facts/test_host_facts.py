from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from dynamometer.worker.facts import host_facts


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(
        tmp_path,
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\nprocessor\t: 1\nmodel name\t: Other\n",
    )
    put(tmp_path, "proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n")
    put(tmp_path, "proc/loadavg", "0.25 0.50 1.00 1/100 4242\n")
    put(tmp_path, "etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    return tmp_path


def test_this_machine() -> None:
    facts = host_facts()
    assert facts.cores == len(os.sched_getaffinity(0))
    assert facts.memory_bytes > 1 << 28
    assert facts.python == platform.python_version()
    assert facts.processor
    assert facts.fingerprint == host_facts().fingerprint


def test_facts_are_read_from_proc(root: Path) -> None:
    facts = host_facts(root)
    assert facts.processor == "Some CPU @ 2 GHz"
    assert facts.memory_bytes == 16_000_000 * 1024
    assert facts.load_1m == 0.25
    assert facts.system.startswith("Debian GNU/Linux 12 (bookworm), Linux ")
    assert (facts.governor, facts.gpus) == (None, ())


def test_a_container_has_the_memory_it_is_granted(root: Path) -> None:
    put(root, "sys/fs/cgroup/memory.max", "1000000000\n")
    assert host_facts(root).memory_bytes == 1_000_000_000
    put(root, "sys/fs/cgroup/memory.max", "max\n")
    assert host_facts(root).memory_bytes == 16_000_000 * 1024


def test_governors_of_all_processors(root: Path) -> None:
    put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    put(root, "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n")
    assert host_facts(root).governor == "performance+powersave"


def test_gpus_of_the_kernel_driver(root: Path) -> None:
    put(root, "proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA A100\nIRQ: 5\n")
    assert host_facts(root).gpus == ("NVIDIA A100",)


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    facts = host_facts(tmp_path)
    assert facts.processor == platform.machine()
    assert facts.load_1m is None
    assert facts.system.startswith("Linux ")


def test_load_and_small_changes_of_memory_do_not_change_the_fingerprint(root: Path) -> None:
    before = host_facts(root).fingerprint
    put(root, "proc/loadavg", "9.00 0.50 1.00 1/100 4242\n")
    put(root, "proc/meminfo", "MemTotal:       16000100 kB\n")
    assert host_facts(root).fingerprint == before


@pytest.mark.parametrize(
    ("name", "text"),
    [("proc/cpuinfo", "model name : Third\n"), ("proc/meminfo", "MemTotal: 32000000 kB\n"), ("etc/os-release", "")],
)
def test_what_makes_numbers_incomparable_changes_the_fingerprint(name: str, text: str, root: Path) -> None:
    before = host_facts(root).fingerprint
    put(root, name, text)
    assert host_facts(root).fingerprint != before
