from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.domain.record import Reading
from dynamometer.errors import PreconditionError
from dynamometer.meters import LATER, select
from dynamometer.meters.base import Target
from dynamometer.meters.replay import ReplayMeter, _at


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def replayed(path: Path, seconds: float) -> Reading:
    clock = Clock()
    meter = ReplayMeter(path, clock)
    meter.open(Target(1))
    clock.now += seconds
    (reading,) = meter.close()
    assert reading.kind == "simulated"
    return reading


def recording(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recorded.csv"
    path.write_text(text)
    return path


def test_a_counter_is_read_between_its_rows(tmp_path: Path) -> None:
    path = recording(tmp_path, "time_s,energy_j\n5,1000\n6,1010\n8,1070\n")
    assert replayed(path, 2.0).value == pytest.approx(40.0)


def test_power_is_integrated_by_trapezoids(tmp_path: Path) -> None:
    path = recording(tmp_path, "time_s,power_w\n0,0\n1,100\n3,100\n")
    assert replayed(path, 3.0).value == pytest.approx(250.0)


def test_a_window_longer_than_the_recording_has_no_value(tmp_path: Path) -> None:
    reading = replayed(recording(tmp_path, "time_s,energy_j\n0,0\n1,5\n"), 1.5)
    assert reading.value is None
    assert "the recording 1.000 s" in (reading.missing or "")


def test_a_meter_that_was_not_opened_says_so(tmp_path: Path) -> None:
    (reading,) = ReplayMeter(recording(tmp_path, "time_s,energy_j\n0,0\n1,5\n")).close()
    assert reading.missing == "the meter was not opened"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs the columns"),
        ("time_s,watts\n0,1\n1,1\n", "needs the columns"),
        ("time_s,power_w\n0,1\n", "at least two rows"),
        ("time_s,power_w\n0,1\n0,1\n", "times must rise"),
        ("time_s,energy_j\n0,2\n1,1\n", "must not fall"),
        ("time_s,energy_j\n0,x\n1,1\n", "not a recording"),
        ("time_s,energy_j\n0\n1,1\n", "not a recording"),
        ("time_s,energy_j\n0,nan\n1,1\n", "finite"),
    ],
)
def test_files_that_are_no_recording(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match=message):
        ReplayMeter(recording(tmp_path, text))


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="No such file"):
        ReplayMeter(tmp_path / "gone.csv")


@given(st.floats(min_value=0, max_value=10), st.floats(min_value=0, max_value=10))
def test_energy_never_falls_with_time(first: float, second: float) -> None:
    curve = ((0.0, 0.0), (1.0, 0.0), (4.0, 80.0), (10.0, 81.0))
    early, late = sorted((first, second))
    assert _at(curve, early) <= _at(curve, late)


@pytest.mark.parametrize(
    ("source", "names"), [("auto", ["memory", "others", "rapl"]), ("rapl", ["memory", "others", "rapl"])]
)
def test_memory_is_always_measured(source: str, names: list[str]) -> None:
    assert [meter.name for meter in select(source)] == names


def test_energy_switched_off_says_so() -> None:
    meter = select("none")[-1]
    meter.open(Target(1))
    (reading,) = meter.close()
    assert (reading.quantity, reading.value) == ("energy", None)
    assert "switched off" in (reading.missing or "")


def test_a_recording_can_be_chosen(tmp_path: Path) -> None:
    path = recording(tmp_path, "time_s,energy_j\n0,0\n1,5\n")
    assert [meter.name for meter in select(f"replay:{path}")] == ["memory", "others", "replay"]


@pytest.mark.parametrize("source", LATER)
def test_sensors_of_later_versions_are_refused(source: str) -> None:
    with pytest.raises(PreconditionError, match="not available yet"):
        select(source)


def test_unknown_sensors_are_refused() -> None:
    with pytest.raises(PreconditionError, match="unknown"):
        select("voltmeter")
