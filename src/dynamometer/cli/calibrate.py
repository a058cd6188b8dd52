"""``dyno calibrate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from dynamometer import __version__
from dynamometer.cli.options import json_option, print_json
from dynamometer.domain.calibration import Calibration, CalibrationLevel, Spread
from dynamometer.errors import UsageError
from dynamometer.store.calibrations import default_state, read_calibration, write_calibration
from dynamometer.worker.calibrate import Course, calibrate, merged
from dynamometer.worker.facts import host_facts

TOKENS, QUICK_TOKENS = 96, 16
MOST_STREAMS = 60_000
LATE = 0.5
"""Share of the ITL by which the server may be late (p99) before the table says so."""
_CLIENT = (
    ("streams", "", 7),
    ("TTFT error", "p50 / p99 / max, ms", 23),
    ("ITL error", "p50 / p99 / max, ms", 23),
    ("merged", "", 6),
    ("CPU", "s/1000 tok", 10),
    ("events", "1/s", 6),
    ("held", "", 6),
    ("lag p99", "ms", 7),
    ("clock", "", 6),
)
_SERVER = (
    ("server", "streams", 7),
    ("late", "p50 / p99 / max, ms", 23),
    ("call to send", "p50 / p99 / max, ms", 23),
    ("arrival outside of it", "p50 / p99 / max, ms", 23),
    ("CPU", "", 6),
    ("n", "TTFT / ITL", 15),
)


def _streams(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    """Numbers of streams from text, in order, each once."""
    try:
        found = tuple(sorted({int(word) for word in text.split(",")}))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers, such as 1,16,64") from error
    if found[0] < 1 or found[-1] > MOST_STREAMS:
        raise click.BadParameter(f"streams are from 1 to {MOST_STREAMS}")
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
    type=click.FloatRange(0.1, 10_000),
    default=50,
    show_default=True,
    help="Events per second and stream.",
)
@click.option("--tokens", type=click.IntRange(2, 100_000), help=f"Events per request.  [default: {TOKENS}]")
@click.option("--rounds", type=click.IntRange(2, 1000), default=2, show_default=True, help="Requests per stream.")
@click.option("--quick", is_flag=True, help=f"Some 5 seconds in all: {QUICK_TOKENS} events per request.")
@click.option("--user-stamps", is_flag=True, help="Stamp in user space even where the kernel would.")
@click.option("--no-save", is_flag=True, help="Do not keep the result.")
@json_option
def command(
    streams: tuple[int, ...],
    rate: float,
    tokens: int | None,
    rounds: int,
    quick: bool,
    user_stamps: bool,
    no_save: bool,
    as_json: bool,
) -> None:
    """Measure the error of our own client on this machine.

    Runs the client of all runs against a reference server of ours whose true send times are known, in a process and,
    where there are two, on a core of its own. Error is what the client says minus what the server truly sent. The
    result is kept for this machine and this version; records cite it, and a run beyond it gets a doubt.
    """
    if quick and tokens is not None:
        raise UsageError("--quick sets the number of tokens; leave --tokens out")
    course = Course(streams, rate, tokens or (QUICK_TOKENS if quick else TOKENS), rounds, not user_stamps)
    host, state = host_facts(), default_state()
    earlier = None if no_save else read_calibration(state, host.fingerprint, __version__)
    levels = []
    if not as_json:
        _echo_heads(_CLIENT)
    for level in calibrate(course):
        levels.append(level)
        if not as_json:
            click.echo(_row(_CLIENT, _client_cells(level)))
    calibration = merged(earlier, host, levels)
    path = None if no_save else write_calibration(state, calibration)
    if as_json:
        document = {"id": calibration.id, "file": str(path) if path else None}
        measured = [level.model_dump(mode="json") for level in levels]
        print_json({"schema_version": 1, **document, "host": host.model_dump(mode="json"), "levels": measured})
        return
    click.echo()
    _echo_heads(_SERVER)
    for level in levels:
        click.echo(_row(_SERVER, _server_cells(level)))
    for line in remarks(levels):
        click.echo(line, err=True)
    if path:
        click.echo(f"calibration {calibration.id} kept in {path}", err=True)


def remarks(levels: Sequence[CalibrationLevel]) -> Iterator[str]:
    """What is to be said of levels that are not what they seem."""
    for level in levels:
        late = level.server_late_ms.p99
        if level.bad:
            yield f"{level.streams} streams: {level.bad} of {level.requests} requests went wrong: it covers no run"
        if late is not None and late > LATE * 1000 / level.rate:
            yield (
                f"{level.streams} streams: the reference server was {late:.3g} ms late (p99): its core was too busy. "
                "Errors are against its true send times all the same, but the load was less even than asked for"
            )
        if level.clock == "user":
            yield f"{level.streams} streams: stamps are from user space"


def in_words(calibration: Calibration) -> str:
    """A calibration in one line."""
    good = [level for level in calibration.levels if level.bad == 0]
    if not good:
        return f"{calibration.id}: no level without errors"
    largest = good[-1]
    return (
        f"{calibration.id}, up to {largest.streams} streams × {largest.rate:g} events/s ({largest.at}): "
        f"p99 error TTFT {_ms(largest.ttft_error_ms.p99)} ms, ITL {_ms(largest.itl_error_ms.p99)} ms"
    )


def _client_cells(level: CalibrationLevel) -> list[str]:
    return [
        str(level.streams),
        _spread(level.ttft_error_ms),
        _spread(level.itl_error_ms),
        _share(level.merged_share, 2),
        "n/a" if level.cpu_s_per_1000 is None else f"{level.cpu_s_per_1000:.4f}",
        "n/a" if level.events_s is None else f"{level.events_s:.0f}",
        _share(level.held_share, 1),
        _ms(level.lag_p99_ms),
        level.clock,
    ]


def _server_cells(level: CalibrationLevel) -> list[str]:
    return [
        str(level.streams),
        _spread(level.server_late_ms),
        _spread(level.server_send_ms),
        _spread(level.unexplained_ms),
        _share(level.server_cpu_share, 0),
        f"{level.ttft_error_ms.n} / {level.itl_error_ms.n}",
    ]


def _spread(spread: Spread) -> str:
    return " / ".join(_ms(value) for value in (spread.p50, spread.p99, spread.max))


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _share(value: float | None, decimals: int) -> str:
    return "n/a" if value is None else f"{value:.{decimals}%}"


def _echo_heads(columns: Sequence[tuple[str, str, int]]) -> None:
    click.echo(_row(columns, [title for title, _, _ in columns]))
    click.echo(_row(columns, [unit for _, unit, _ in columns]).rstrip())


def _row(columns: Sequence[tuple[str, str, int]], cells: Sequence[str]) -> str:
    return "  ".join(cell.rjust(width) for cell, (_, _, width) in zip(cells, columns, strict=True))
