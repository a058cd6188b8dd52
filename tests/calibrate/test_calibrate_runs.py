"""Real calibrations at small levels, where they are kept, and what becomes of them in records."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result
from tests.lab import Lab, until

from dynamometer import __version__
from dynamometer.cli.app import dyno
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.client.stamps import KernelStamps
from dynamometer.domain.calibration import CalibrationLevel, Spread
from dynamometer.domain.record import ClientHealth, Sample, Window
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.errors import DamageError, Interrupted, PreconditionError, Terminated
from dynamometer.load.stops import AfterRequests
from dynamometer.store.calibrations import calibration_path, default_state, read_calibration, write_calibration
from dynamometer.store.records import read_record
from dynamometer.worker.calibrate import Course, calibrate, cited, most_in_flight, new_calibration
from dynamometer.worker.facts import host_facts

SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYNO_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def say() -> Callable[..., Result]:
    def run(*words: str) -> Result:
        return CliRunner().invoke(dyno, list(words))

    return run


def kernel_stamps() -> bool:
    probe = KernelStamps()
    probe.close()
    return probe.available


def test_one_and_sixteen_streams_are_measured_truly() -> None:
    before = os.sched_getaffinity(0)
    few, many = calibrate(Course(streams=(1, 16), rate=100, tokens=25))
    assert os.sched_getaffinity(0) == before
    assert [one.requests for one in (few, many)] == [2, 32]
    for one in (few, many):
        assert one.bad == 0
        assert one.itl_error_ms.n == one.requests * 24
        assert one.ttft_error_ms.p50 is not None
        assert one.itl_error_ms.p50 is not None
        assert 0 < one.ttft_error_ms.p50 < 2
        assert one.itl_error_ms.p50 < 1
        assert one.clock == ("kernel" if kernel_stamps() else "user")
        assert one.held_share is not None
        assert 0.5 < one.held_share <= 1
        assert one.cpu_s_per_1000 is not None
        assert 0 < one.cpu_s_per_1000 < 2
        assert one.server_send_ms.p50 is not None
        assert 0 < one.server_send_ms.p50 < 5
        assert one.server_cpu_share is not None
    assert few.events_s is not None
    assert many.events_s is not None
    assert few.events_s < many.events_s < 1.1 * 25 / 0.34 * 16


def test_user_space_stamps_are_told_apart() -> None:
    (one,) = calibrate(Course(streams=(2,), rate=200, tokens=10, kernel_stamps=False))
    assert (one.clock, one.lag_p99_ms, one.bad) == ("user", None, 0)


def test_the_command_prints_keeps_and_doctor_says_so(say: Callable[..., Result], own_home: Path) -> None:
    words = ("calibrate", "--streams", "1,2", "--rate", "200", "--tokens", "10", "--rounds", "2")
    assert "none of this machine" in say("doctor").stdout
    told = say(*words)
    assert told.exit_code == 0, told.output
    rows = [line.split() for line in told.stdout.splitlines()]
    assert [row[0] for row in rows if row and row[0].isdigit()] == ["1", "2", "1", "2"]
    assert max(map(len, told.stdout.splitlines())) <= 120
    (file,) = (own_home / "state" / "calibrations").iterdir()
    kept = read_calibration(default_state(), host_facts().fingerprint, __version__)
    assert kept is not None
    assert file == calibration_path(default_state(), kept.host, kept.dynamometer)
    assert [one.streams for one in kept.levels] == [1, 2]
    assert "fewer than 500 values, so no p99" in told.stderr
    doctor = say("doctor").stdout
    assert f"{kept.id} of " in doctor
    assert "quick" not in doctor

    again = say("calibrate", "--streams", "2,3", "--rate", "200", "--quick", "--replace", "--json")
    document = json.loads(again.stdout)
    assert [one["streams"] for one in document["levels"]] == [2, 3]
    assert [(one["tokens"], one["quick"]) for one in document["levels"]] == [(16, True), (16, True)]
    assert document["stayed"] == []
    now = read_calibration(default_state(), kept.host, __version__)
    assert now is not None
    assert now.id == document["id"]
    assert [(one.streams, one.tokens) for one in now.levels] == [(1, 10), (2, 16), (3, 16)]
    assert all(one.ttft_error_ms.n == one.requests + one.short_requests >= 30 for one in now.levels if one.quick)
    kept_up = [one.model_copy(update=KEPT_UP) for one in now.levels]  # on a busy machine the client may not
    write_calibration(default_state(), new_calibration(host_facts()).updated(kept_up))
    assert "quick: 2, 3" in say("doctor").stdout


@pytest.mark.parametrize("rate", ["nan", "inf"])
def test_a_rate_that_is_no_finite_number_is_refused(rate: str, say: Callable[..., Result]) -> None:
    told = say("calibrate", "--rate", rate)
    assert told.exit_code == 2
    assert "Invalid value for '--rate': " in told.stderr


def test_doctor_tells_each_kind_of_load_on_a_line_of_its_own(say: Callable[..., Result]) -> None:
    (one,) = calibrate(Course(streams=(1,), rate=500, tokens=4))
    good = one.model_copy(update={**KEPT_UP, "rate": 50.0, "clock": "kernel"})
    all_streams = (1, 16, 64, 256, 1024)
    changes: list[dict[str, Any]] = [{}, {"rate": 100.0}, {"clock": "user"}, {"clock": "user", "processes": 2}]
    levels = [good.model_copy(update={**load, "streams": streams}) for load in changes for streams in all_streams]
    few = {"ttft_error_ms": Spread(n=2, p50=0.01, p99=None, max=0.2), "quick": True}
    levels[6:8] = [levels[6].model_copy(update=few), levels[7].model_copy(update={"itl_error_ms": BEHIND})]
    kept = new_calibration(host_facts()).updated(levels)
    write_calibration(default_state(), kept)
    lines = say("doctor").stdout.splitlines()
    begin = next(number for number, line in enumerate(lines) if "calibration" in line)
    assert lines[begin : begin + 7] == [
        f"ok  calibration: {kept.id} of {one.at}, errors: p99 or max",
        "    50/s, kernel stamps: 1–1024 streams, TTFT ≤ 0.050, ITL ≤ 0.050 ms",
        "    50/s, user stamps: 1–1024 streams, TTFT ≤ 0.050, ITL ≤ 0.050 ms",
        "    50/s, user stamps, 2 processes: 1–1024 streams, TTFT ≤ 0.050, ITL ≤ 0.050 ms",
        "    100/s, kernel stamps: 1–1024 streams, TTFT ≤ 0.200, ITL ≤ 0.050 ms, quick:",
        "      16, client did not keep up: 64",
        "    (dyno calibrate measures quick levels from more events)",
    ]
    assert max(map(len, lines[begin : begin + 7])) <= 80
    found = {finding["topic"]: finding for finding in json.loads(say("doctor", "--json").stdout)["findings"]}
    assert len(found["calibration"]["lines"]) == len(changes)
    assert found["python"]["lines"] == []


WELL = Spread(n=500, p50=0.01, p99=0.05, max=0.2)
BEHIND = Spread(n=500, p50=0.01, p99=5.0, max=99.0)
KEPT_UP = {"ttft_error_ms": WELL, "itl_error_ms": WELL, "merged_share": 0.0, "bad": 0}


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        ({}, {"quick": True, "tokens": 2}, "from more events"),
        ({"quick": True, "tokens": 2}, {"itl_error_ms": BEHIND}, "better"),
        ({"itl_error_ms": BEHIND}, {"quick": True, "tokens": 2, "bad": 1}, "better"),
    ],
    ids=["fewer events", "covers no run", "went wrong"],
)
def test_a_level_leaves_a_better_one_and_says_so(
    before: dict[str, Any],
    after: dict[str, Any],
    how: str,
    say: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one,) = calibrate(Course(streams=(2,), rate=500, tokens=4))
    good = one.model_copy(update=KEPT_UP)
    first, second = good.model_copy(update=before), good.model_copy(update={**after, "at": "later"})
    host = host_facts().fingerprint
    write_calibration(default_state(), new_calibration(host_facts()).updated([first]))
    monkeypatch.setattr("dynamometer.cli.calibrate.calibrate", lambda _course: iter([second]))
    told = say("calibrate", "--streams", "2")
    assert f"2 streams: measured {how} before, which stays; --replace keeps this one" in told.stderr
    assert " kept in " not in told.stderr
    kept = read_calibration(default_state(), host, __version__)
    assert kept is not None
    assert kept.levels == (first,)
    document = json.loads(say("calibrate", "--streams", "2", "--replace", "--json").stdout)
    now = read_calibration(default_state(), host, __version__)
    assert now is not None
    assert (now.id, now.levels, document["stayed"]) == (document["id"], (second,), [])


def test_ctrl_c_keeps_the_levels_that_are_done(say: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = calibrate(Course(streams=(1,), rate=500, tokens=4))

    def until_ctrl_c(_course: Course) -> Iterator[CalibrationLevel]:
        yield one
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("dynamometer.cli.calibrate.calibrate", until_ctrl_c)
    told = say("calibrate", "--streams", "1,2,4")
    assert isinstance(told.exception, Interrupted)
    assert told.exception.message == "stopped after 1 of 3 levels; those are kept"
    assert told.exception.hint == "the same with --streams 2,4 measures the others"
    kept = read_calibration(default_state(), host_facts().fingerprint, __version__)
    assert kept is not None
    assert kept.levels == (one,)
    assert told.stdout.count("\n      1  ") == 2


def test_a_level_that_swallowed_the_signal_is_left_out(
    say: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python swallows what is raised in a callback of its own; the level may be false then."""
    (level,) = calibrate(Course(streams=(1,), rate=500, tokens=4))

    def swallow(_course: Course) -> Iterator[CalibrationLevel]:
        yield level
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        yield level
        raise AssertionError("not asked for")

    monkeypatch.setattr("dynamometer.cli.calibrate.calibrate", swallow)
    told = say("calibrate", "--streams", "1,2,3", "--no-save")
    assert isinstance(told.exception, Terminated)
    assert told.exception.message == "stopped after 1 of 3 levels"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_leaves_no_file_and_no_server(number: signal.Signals, code: int, lab: Lab, scratch: Path) -> None:
    process = lab.start("calibrate", "--streams", "1", "--rate", "0.1", "--no-save")
    until(lambda: any(scratch.glob("dyno-calibrate-*/*")))
    servers = psutil.Process(process.pid).children()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "stopped after 0 of 1 levels\nhint: the same with --streams 1 measures the others" in err
    assert len(servers) == 1
    assert not servers[0].is_running()
    assert list(scratch.iterdir()) == []


def test_a_state_folder_that_cannot_be_written_is_told_before_measuring(
    say: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DYNO_HOME", str(tmp_path / "file"))
    told = say("calibrate")
    assert isinstance(told.exception, PreconditionError)
    assert "--no-save" in (told.exception.hint or "")
    assert told.stdout == ""


def test_few_streams_are_given_as_many_requests_as_a_p99_takes() -> None:
    full = Course(streams=(1,), rate=50, tokens=96, values=500)
    at_levels = [(full.rounds_at(n), full.short_rounds_at(n)) for n in (1, 2, 16, 64, 256)]
    assert at_levels == [(6, 494), (3, 247), (2, 30), (2, 6), (2, 0)]
    assert 30 < full.seconds_at(1) < 40
    slow = Course(streams=(1,), rate=1, tokens=96, values=500)
    assert (slow.rounds_at(1), slow.short_rounds_at(1)) == (2, 10)
    told = Course(streams=(1,), rate=50, tokens=96, rounds=3, values=500)
    assert (told.rounds_at(1), told.short_rounds_at(1)) == (3, 0)


def test_not_kept_when_told(say: Callable[..., Result], own_home: Path) -> None:
    told = say("calibrate", "--streams", "1", "--rate", "500", "--tokens", "4", "--rounds", "2", "--no-save", "--json")
    assert json.loads(told.stdout)["file"] is None
    assert not (own_home / "state").exists()


@pytest.mark.parametrize("words", [("--streams", "0"), ("--streams", "a"), ("--rate", "0"), ("--tokens", "1")])
def test_wrong_words_are_refused(say: Callable[..., Result], words: tuple[str, ...]) -> None:
    assert say("calibrate", *words).exit_code == 2


def test_the_same_streams_twice_are_refused_as_bench_does(say: Callable[..., Result]) -> None:
    told = say("calibrate", "--streams", "4,1,4")
    assert told.exit_code == 2
    assert "4 is there twice" in told.stderr


def test_more_streams_than_files_may_be_open_is_said_before(
    say: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    told = say("calibrate", "--streams", "1024")
    assert "ulimit -n" in str(getattr(told.exception, "hint", ""))


def sample(*arrivals: int, sent: int = 0) -> Sample:
    return Sample(id="r", sent_ns=sent, ended_ns=arrivals[-1], arrivals_ns=arrivals)


def test_records_cite_what_is_known_of_their_machine(own_home: Path) -> None:
    host = host_facts()
    health: dict[str, Any] = {"cpu_s": 0.1, "wall_s": 1.0, "wakes": 1, "reads": 1}
    kernel, user = (ClientHealth(clock=clock, **health) for clock in ("kernel", "user"))
    window = Window(begin_ns=0, end_ns=SECOND)
    one = [sample(SECOND // 4, SECOND // 2)]
    assert cited(host, kernel, window, one) is None
    good = Spread(p50=0.01, p99=0.02, max=0.03, n=500)
    changes = {"clock": "kernel", "ttft_error_ms": good, "itl_error_ms": good, "merged_share": 0.0}
    levels = [level.model_copy(update=changes) for level in calibrate(Course((2,), rate=200, tokens=4))]
    known = new_calibration(host).updated(levels)
    write_calibration(default_state(), known)

    found = cited(host, kernel, window, one)
    assert found is not None
    assert (found.id, found.streams, found.covered) == (known.id, 2, True)
    for health_now, samples in ((user, one), (kernel, one * 3), (kernel, [sample(*range(1, 2000))])):
        found = cited(host, health_now, window, samples)
        assert found is not None
        assert not found.covered
    other = host.model_copy(update={"fingerprint": "another"})
    assert cited(other, kernel, window, one) is None


def test_a_damaged_calibration_is_none_to_records_and_told_by_doctor(say: Callable[..., Result]) -> None:
    host = host_facts()
    path = calibration_path(default_state(), host.fingerprint, __version__)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(DamageError):
        read_calibration(default_state(), host.fingerprint, __version__)
    health = ClientHealth(clock="kernel", cpu_s=0, wall_s=1, wakes=1, reads=1)
    assert cited(host, health, Window(begin_ns=0, end_ns=SECOND), []) is None
    assert "is not a calibration (remove the file" in say("doctor").stdout


def test_requests_in_flight_at_once() -> None:
    assert most_in_flight([]) == 1
    assert most_in_flight([sample(10), sample(20, sent=10)]) == 1
    assert most_in_flight([sample(10), sample(20, sent=9), sample(9, sent=3)]) == 2


def test_a_campaign_cites_the_calibration_of_its_machine_and_its_report_names_it(lab: Lab) -> None:
    assert lab.dyno("campaign", "run", lab.file(name="first", loads=1)).code == 0
    made = lab.dyno(
        "calibrate", "--streams", "1,2", "--rate", "2000", "--tokens", "10", "--rounds", "2", "--json"
    ).json()
    assert (
        lab.dyno(
            "campaign",
            "run",
            lab.file(name="second", loads=[1, 3], options={"ttft_ms": 100, "itl_ms": 5}, workload={"requests": 3}),
        ).code
        == 0
    )
    before, after = (sorted(folder.root.rglob("record.json")) for folder in lab.folders)
    assert [read_record(path).record.calibration for path in before] == [None]
    known = {made["id"]: {1, 2}}
    for path in after:
        record = read_record(path).record
        assert record.calibration is not None
        assert record.calibration.streams in known[record.calibration.id]
        # On a busy machine the level of two streams may not hold, and then covers nothing.
        assert not record.calibration.covered or record.experiment.workload.load.concurrency == 1
    report = lab.dyno("campaign", "report", lab.folders[1].root.name, "--format", "json").json()
    assert all(line.startswith(made["id"]) for line in report["provenance"]["calibrations"])
    doubts = {doubt["code"] for row in report["experiments"] for doubt in row["doubts"]}
    assert "beyond_calibration" in doubts


def test_the_client_goes_before_others_only_in_its_window() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    seen: list[int] = []
    with serving(FakeOptions(ttft_ms=1, itl_ms=1)) as endpoint:
        request = prepare(endpoint, "r", {"prompt": "a", "max_tokens": 2})
        traffic = measure(
            endpoint.host,
            endpoint.port,
            iter([request]),
            slots=1,
            stop=AfterRequests(1),
            on_open=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, 0)),
        )
    assert [traffic.health.nice] == seen
    assert seen[0] in {before, min(before, -10)}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
