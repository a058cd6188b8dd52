from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynamometer.domain.record import Reading
from dynamometer.meters import rapl
from dynamometer.meters.base import Target
from dynamometer.meters.rapl import RaplMeter, zones

RANGE = 262_143_328_850
TARGET = Target(1)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def zone(folder: Path, name: str, energy_uj: int, range_uj: int = RANGE) -> Path:
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return zone(tmp_path / "intel-rapl:0", "package-0", 1_000_000)


def count(folder: Path, energy_uj: int) -> None:
    (folder / "next").write_text(f"{energy_uj}\n")
    (folder / "next").replace(folder / "energy_uj")


def window(root: Path, *changes: tuple[Path, int], seconds: float = 2.0) -> Reading:
    clock = Clock()
    meter = RaplMeter(root, clock=clock)
    meter.open(TARGET)
    for folder, energy in changes:
        count(folder, energy)
    clock.now = seconds
    (reading,) = meter.close()
    assert (reading.meter, reading.quantity, reading.unit, reading.kind) == ("rapl", "energy", "J", "measured")
    return reading


def test_energy_is_what_the_counter_gained_over_the_window(package: Path, tmp_path: Path) -> None:
    reading = window(tmp_path, (package, 55_500_000))
    assert reading.value == 54.5
    assert reading.scope == "package-0, whole host"


def test_a_counter_that_starts_again_from_zero(package: Path, tmp_path: Path) -> None:
    count(package, RANGE - 1_000_000)
    assert window(tmp_path, (package, 2_000_000)).value == 3.0


def test_two_wraps_in_a_long_window_are_seen_by_the_slow_reader(tmp_path: Path) -> None:
    folder = zone(tmp_path / "intel-rapl:0", "package-0", 0, range_uj=10_000_000)
    meter = RaplMeter(tmp_path, interval_s=3600)
    meter.open(TARGET)
    assert meter._counts is not None
    for energy in (9_000_000, 1_000_000, 9_000_000, 1_000_000):
        count(folder, energy)
        meter._counts.update()
    (reading,) = meter.close()
    assert reading.value == 21.0


def test_the_background_reader_really_reads(package: Path, tmp_path: Path) -> None:
    meter = RaplMeter(tmp_path, interval_s=0.001)
    meter.open(TARGET)
    assert meter._counts is not None
    count(package, 3_000_000)
    while meter._counts.total_uj == 0:
        time.sleep(0.001)
    (reading,) = meter.close()
    assert reading.value == 2.0


def test_packages_and_their_dram_count_but_nothing_twice(tmp_path: Path) -> None:
    counted = [
        zone(tmp_path / "intel-rapl:0", "package-0", 0),
        zone(tmp_path / "intel-rapl:0" / "intel-rapl:0:2", "dram", 0),
        zone(tmp_path / "intel-rapl:1", "package-1", 0),
    ]
    others = [
        zone(tmp_path / "intel-rapl:0" / "intel-rapl:0:0", "core", 0),
        zone(tmp_path / "intel-rapl:0" / "intel-rapl:0:1", "uncore", 0),
        zone(tmp_path / "intel-rapl:2", "psys", 0),
        zone(tmp_path / "intel-rapl-mmio:0", "package-0", 0),
    ]
    for sub in ("intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0:2"):
        (tmp_path / sub).symlink_to(tmp_path / "intel-rapl:0" / sub)
    reading = window(tmp_path, *((folder, 1_000_000) for folder in counted + others))
    assert reading.value == 3.0
    assert reading.scope == "package-0 + package-0/dram + package-1, whole host"


def test_zones_below_the_control_type_are_found_once(tmp_path: Path) -> None:
    real = zone(tmp_path / "intel-rapl" / "intel-rapl:0", "package-0", 0)
    (tmp_path / "intel-rapl:0").symlink_to(real)
    assert [each.name for each in zones(tmp_path)] == ["package-0"]


def test_a_machine_without_rapl(tmp_path: Path) -> None:
    reading = window(tmp_path / "powercap")
    assert reading.value is None
    assert "no RAPL counters" in (reading.missing or "")
    assert rapl.missing(tmp_path / "powercap") == reading.missing


def test_a_counter_that_stands_still_is_not_zero_energy(package: Path, tmp_path: Path) -> None:
    reading = window(tmp_path)
    assert reading.value is None
    assert reading.missing == "the counters did not move in 2.0 s"


def test_a_window_too_short_to_judge_may_be_zero(package: Path, tmp_path: Path) -> None:
    assert window(tmp_path, seconds=0.001).value == 0.0


@pytest.mark.parametrize("content", ["", "many"])
def test_a_counter_that_holds_no_number(content: str, package: Path, tmp_path: Path) -> None:
    (package / "energy_uj").write_text(content)
    reading = window(tmp_path)
    assert reading.value is None
    assert "cannot be read" in (reading.missing or "")


def test_a_counter_that_vanishes_inside_the_window(package: Path, tmp_path: Path) -> None:
    meter = RaplMeter(tmp_path)
    meter.open(TARGET)
    (package / "energy_uj").unlink()
    (reading,) = meter.close()
    assert reading.value is None
    assert "cannot be read" in (reading.missing or "")


def test_one_zone_without_a_range_spoils_the_sum(package: Path, tmp_path: Path) -> None:
    (zone(tmp_path / "intel-rapl:1", "package-1", 0) / "max_energy_range_uj").unlink()
    assert "its range cannot be read" in (window(tmp_path).missing or "")


def test_a_range_of_zero_is_refused(tmp_path: Path) -> None:
    zone(tmp_path / "intel-rapl:0", "package-0", 0, range_uj=0)
    assert "its range is 0" in (window(tmp_path).missing or "")


NOT_ROOT = """
import os, sys
from pathlib import Path
from dynamometer.meters import rapl
os.setuid(65534)
print(rapl.missing(Path(sys.argv[1])))
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root, so needs it first")
def test_counters_that_are_for_root_only(package: Path, tmp_path: Path) -> None:
    for folder in (package, *tmp_path.parents, tmp_path):
        if folder.stat().st_uid == os.getuid():
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o055)
    (package / "energy_uj").chmod(0o400)
    done = subprocess.run(
        [sys.executable, "-c", NOT_ROOT, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "not readable" in done.stdout


def test_readable_counters_are_not_missing(package: Path, tmp_path: Path) -> None:
    assert rapl.missing(tmp_path) is None


def test_a_meter_that_was_not_opened_says_so(tmp_path: Path) -> None:
    (reading,) = RaplMeter(tmp_path).close()
    assert reading.missing == "the meter was not opened"
