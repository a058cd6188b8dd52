"""``dyno calibrate``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import click

from dynamometer import __version__
from dynamometer.campaign.stop import listening
from dynamometer.cli.calibration_view import client_heads, client_row, named, remarks, server_table, streams_of
from dynamometer.cli.options import FiniteRange, json_option, print_json
from dynamometer.domain.calibration import NEEDED_FOR_P99, Calibration, CalibrationLevel
from dynamometer.domain.record import HostFacts
from dynamometer.domain.units import human_duration
from dynamometer.errors import Interrupted, Terminated, UsageError
from dynamometer.store.calibrations import (
    calibration_path,
    default_state,
    read_calibration,
    require_writable,
    write_calibration,
)
from dynamometer.worker.calibrate import Course, calibrate, new_calibration
from dynamometer.worker.facts import host_facts

TOKENS, QUICK_TOKENS = 96, 16
QUICK_VALUES = 30
MOST_STREAMS = 60_000


def _streams(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    """Numbers of streams from text, in order."""
    try:
        found = tuple(sorted(int(word) for word in text.split(",")))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers, such as 1,16,64") from error
    if found[0] < 1 or found[-1] > MOST_STREAMS:
        raise click.BadParameter(f"streams are from 1 to {MOST_STREAMS}")
    if twice := next((number for number, following in pairwise(found) if number == following), None):
        raise click.BadParameter(f"{twice} is there twice; --rounds gives a level more requests")
    return found


@click.command("calibrate")
@click.option(
    "--streams",
    metavar="N,N,…",
    default="1,16,64,256,1024",
    show_default=True,
    callback=_streams,
    help="Requests in flight, one level each.",
)
@click.option(
    "--rate",
    type=FiniteRange(0.1, 10_000),
    default=50,
    show_default=True,
    help="Events per second and stream.",
)
@click.option("--tokens", type=click.IntRange(2, 100_000), help=f"Events per request.  [default: {TOKENS}]")
@click.option(
    "--rounds",
    type=click.IntRange(2, 1000),
    help="Requests per stream.  [default: 2; where streams are few, as many as a p99 takes]",
)
@click.option(
    "--quick",
    is_flag=True,
    help=f"Some 10 seconds in all: {QUICK_TOKENS} events per request, no p99 for few streams.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Client processes that share each level, as execution.client_processes.",
)
@click.option("--user-stamps", is_flag=True, help="Stamp in user space even where the kernel would.")
@click.option("--replace", is_flag=True, help="Keep what is measured now also in place of better levels.")
@click.option("--no-save", is_flag=True, help="Do not keep the result.")
@json_option
def command(
    streams: tuple[int, ...],
    rate: float,
    tokens: int | None,
    rounds: int | None,
    quick: bool,
    processes: int,
    user_stamps: bool,
    replace: bool,
    no_save: bool,
    as_json: bool,
) -> None:
    """Measure the error of our own client on this machine.

    Runs the client of all runs against a reference server of ours whose true send times are known, in a process and,
    where there are two, on a core of its own. Error is what the client says minus what the server truly sent.

    Each level is kept as soon as it is measured, for this machine and this version; records cite it, and a run beyond
    it gets a doubt. A level stays when the same one is measured again from fewer events, as by --quick, or worse, so
    that it covers no run.
    """
    if quick and (tokens is not None or rounds is not None):
        raise UsageError("--quick sets the numbers of tokens and of rounds; leave --tokens and --rounds out")
    if replace and no_save:
        raise UsageError("--replace and --no-save exclude each other")
    course = Course(
        streams,
        rate,
        tokens or (QUICK_TOKENS if quick else TOKENS),
        rounds,
        values=QUICK_VALUES if quick else NEEDED_FOR_P99,
        quick=quick,
        kernel_stamps=not user_stamps,
        processes=processes,
    )
    host, state = host_facts(), default_state()
    if not no_save:
        require_writable(state)
        read_calibration(state, host.fingerprint, __version__)  # a damaged one is told before all the measuring
    measured = calibrate(course)
    if not as_json:
        for line in _outlook(course, host):
            click.echo(line, err=True)
        click.echo(client_heads())
    levels: list[CalibrationLevel] = []
    calibration = None
    # Only the first signal interrupts: what it leaves to be stopped and removed is left to no other.
    with listening(lambda _times: None, lambda times: times == 1) as stop, suppress(KeyboardInterrupt):
        for level in _watched(course, measured):
            if stop.requested:  # what it was to interrupt has swallowed it, and the level may be false
                break
            levels.append(level)
            if not as_json:
                click.echo(client_row(level))
            if not no_save:
                calibration = _keep(state, host, level, replace=replace)
    _report(host, levels, calibration, as_json=as_json)
    if stop.requested:
        how = Terminated if stop.signal in (signal.SIGTERM, signal.SIGHUP) else Interrupted
        raise how(*_stopped_after(course, levels, kept=calibration is not None))


def _keep(state: Path, host: HostFacts, level: CalibrationLevel, *, replace: bool) -> Calibration:
    """Add a level to what is kept of this machine; returns all that is kept then."""
    known = read_calibration(state, host.fingerprint, __version__) or new_calibration(host)
    calibration = known.updated([level], replace=replace)
    write_calibration(state, calibration)
    return calibration


def _outlook(course: Course, host: HostFacts) -> Iterator[str]:
    """What is to be said before."""
    count, seconds = len(course.streams), sum(map(course.seconds_at, course.streams))
    yield f"{count} level{'s' * (count > 1)}, about {_about(seconds)}; Ctrl-C keeps those that are done"
    if host.load_1m is not None and host.load_1m > host.cores / 2:
        yield f"load average {host.load_1m}: other work on this machine disturbs the calibration"
    if host.cores == 1:
        yield "one core: server and client share it, as an engine and the client will"


def _watched(course: Course, levels: Iterator[CalibrationLevel]) -> Iterator[CalibrationLevel]:
    """The levels. A terminal shows which one is being measured; nothing is drawn meanwhile, that would disturb."""
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    for streams in course.streams:
        with _shown(f"{streams_of(streams)}, about {_about(course.seconds_at(streams))} …", live=live):
            level = next(levels)
        yield level


@contextmanager
def _shown(text: str, *, live: bool) -> Iterator[None]:
    """A line on the terminal for as long as the block runs."""
    if not live:
        yield
        return
    click.echo(text, nl=False, err=True)
    try:
        yield
    finally:
        click.echo(f"\r{' ' * len(text)}\r", nl=False, err=True)


def _stopped_after(course: Course, levels: Sequence[CalibrationLevel], *, kept: bool) -> tuple[str, str | None]:
    """What is said of a calibration that was stopped, and how to go on."""
    rest = ",".join(map(str, course.streams[len(levels) :]))
    words = "; those are kept" if kept else ""
    message = f"stopped after {len(levels)} of {len(course.streams)} levels{words}"
    return message, f"the same with --streams {rest} measures the others" if rest else None


def _report(
    host: HostFacts, levels: Sequence[CalibrationLevel], calibration: Calibration | None, *, as_json: bool
) -> None:
    """What was measured, and what of it is kept. ``calibration`` None: nothing."""
    if as_json:
        print_json(_document(host, levels, calibration))
        return
    if not levels:
        return
    click.echo(f"\n{server_table(levels)}")
    for line in remarks(levels):
        click.echo(line, err=True)
    if calibration is None:
        return
    stayed = _stayed(levels, calibration)
    for how in ("better", "from more events"):
        if alike := [kept for kept, reason in stayed if reason == how]:
            those = "this one" if len(alike) == 1 else "these"
            click.echo(f"{named(alike)}: measured {how} before, which stays; --replace keeps {those}", err=True)
    if len(stayed) < len(levels):
        click.echo(f"calibration {calibration.id} kept in {_file(calibration)}", err=True)


def _document(
    host: HostFacts, levels: Sequence[CalibrationLevel], calibration: Calibration | None
) -> dict[str, object]:
    stayed = _stayed(levels, calibration) if calibration else []
    return {
        "schema_version": 1,
        "id": calibration.id if calibration else None,
        "file": _file(calibration) if calibration else None,
        "host": host.model_dump(mode="json"),
        "levels": [level.model_dump(mode="json") for level in levels],
        "stayed": [kept.model_dump(mode="json") for kept, _ in stayed],
    }


def _stayed(levels: Sequence[CalibrationLevel], calibration: Calibration) -> list[tuple[CalibrationLevel, str]]:
    """Levels of the calibration that stay in place of those measured now, and how they were measured."""
    return [
        (kept, "better" if kept.worth > level.worth else "from more events")
        for level in levels
        for kept in calibration.levels
        if kept.load == level.load and kept != level
    ]


def _file(calibration: Calibration) -> str:
    return str(calibration_path(default_state(), calibration.host, calibration.dynamometer))


def _about(seconds: float) -> str:
    """A duration that is no more than an estimate."""
    return f"{seconds:.0f} s" if seconds < 60 else human_duration(round(seconds, -1))
