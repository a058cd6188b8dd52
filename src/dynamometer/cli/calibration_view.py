"""A calibration in words: tables of levels, remarks, one line for each kind of load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from dynamometer.domain.calibration import (
    MOST_ERROR_MS,
    MOST_MERGED,
    NEEDED_FOR_P99,
    Calibration,
    CalibrationLevel,
    Spread,
)

Columns = Sequence[tuple[str, str, int]]

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


def client_heads() -> str:
    """Heads of the table about the client."""
    return _heads(_CLIENT)


def client_row(level: CalibrationLevel) -> str:
    """What a level says of the client."""
    return _row(_CLIENT, _client_cells(level))


def server_table(levels: Sequence[CalibrationLevel]) -> str:
    """What levels say of the reference server, and how many values there are."""
    return "\n".join([_heads(_SERVER), *(_row(_SERVER, _server_cells(level)) for level in levels)])


def remarks(levels: Sequence[CalibrationLevel]) -> Iterator[str]:
    """What is to be said of levels that are not what they seem."""
    for level in levels:
        for remark in _remarks(level):
            yield f"{streams_of(level.streams)}: {remark}"
    if user := [level for level in levels if level.clock == "user"]:
        yield f"{named(user)}: stamps are from user space"
    if shared := [level for level in levels if level.processes > 1]:
        yield f"{named(shared)}: shared by {max(level.processes for level in shared)} client processes"
    if few := [level for level in levels if _too_few(level)]:
        yield f"{named(few)}: fewer than {NEEDED_FOR_P99} values, so no p99; the largest stands for it"


def _remarks(level: CalibrationLevel) -> Iterator[str]:
    late = level.server_late_ms
    if level.bad:
        yield f"{level.bad} of {level.requests + level.short_requests} requests went wrong: it covers no run"
    elif not level.holds:
        yield (
            f"the client did not keep up (an error above {MOST_ERROR_MS:g} ms, or more than {MOST_MERGED:.0%} merged): "
            "it covers no run"
        )
    if late.most is not None and late.most > LATE * 1000 / level.rate:
        which = "max" if late.p99 is None else "p99"
        yield (
            f"the reference server was {late.most:.3g} ms late ({which}): its core was too busy. Errors are against "
            "its true send times all the same, but the load was less even than asked for"
        )


def in_words(calibration: Calibration) -> str:
    """Which calibration it is, and which errors the lines about its loads tell."""
    useful = [level for level in calibration.levels if level.useful]
    if not useful:
        return f"{calibration.id}: no level without errors"
    which = "p99 or max" if any(map(_too_few, useful)) else "p99"
    return f"{calibration.id} of {max(level.at for level in useful)}, errors: {which}"


def loads_in_words(calibration: Calibration) -> Iterator[str]:
    """A line for the levels of each rate, kind of stamps and number of client processes: their largest errors."""
    useful = sorted((level for level in calibration.levels if level.useful), key=_load)
    for (rate, clock, processes), levels in groupby(useful, _load):
        sharing = f", {processes} processes" if processes > 1 else ""
        yield f"{rate:g}/s, {clock} stamps{sharing}: {_levels_in_words(list(levels))}"


def _load(level: CalibrationLevel) -> tuple[float, str, int]:
    return level.rate, level.clock, level.processes


def _levels_in_words(levels: Sequence[CalibrationLevel]) -> str:
    """Errors of levels that differ in streams only, and which of them are quick or cover nothing."""
    holding = [level for level in levels if level.holds]
    parts = []
    if holding:
        ttft = max(level.ttft_error_ms.most or 0.0 for level in holding)
        itl = max(level.itl_error_ms.most or 0.0 for level in holding)
        parts.append(f"{_range(holding)}, TTFT ≤ {ttft:.3f}, ITL ≤ {itl:.3f} ms")
    if quick := [level for level in holding if level.quick]:
        parts.append("all quick" if len(quick) == len(levels) else f"quick: {_numbers(quick)}")
    if behind := [level for level in levels if not level.holds]:
        parts.append(f"client did not keep up: {_numbers(behind)}")
    return ", ".join(parts)


def _range(levels: Sequence[CalibrationLevel]) -> str:
    """``1 stream``, ``1–1024 streams``; levels are in order."""
    least, most = levels[0].streams, levels[-1].streams
    return streams_of(most) if least == most else f"{least}–{most} streams"


def _too_few(level: CalibrationLevel) -> bool:
    """Whether an error has no 99th percentile, for want of values."""
    return level.useful and None in (level.ttft_error_ms.p99, level.itl_error_ms.p99)


def _numbers(levels: Sequence[CalibrationLevel]) -> str:
    return ", ".join(str(level.streams) for level in levels)


def named(levels: Sequence[CalibrationLevel]) -> str:
    """Levels by their streams: ``1 stream``, ``1, 16 streams``."""
    return streams_of(levels[0].streams) if len(levels) == 1 else f"{_numbers(levels)} streams"


def streams_of(count: int) -> str:
    """``1 stream``, ``16 streams``."""
    return "1 stream" if count == 1 else f"{count} streams"


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


def _heads(columns: Columns) -> str:
    titles = _row(columns, [title for title, _, _ in columns])
    return f"{titles}\n{_row(columns, [unit for _, unit, _ in columns]).rstrip()}"


def _row(columns: Columns, cells: Sequence[str]) -> str:
    return "  ".join(cell.rjust(width) for cell, (_, _, width) in zip(cells, columns, strict=True))
