"""``dyno doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from dynamometer import __version__
from dynamometer.cli.calibration_view import in_words, loads_in_words
from dynamometer.cli.options import colour_option, json_option, print_json, use_colour
from dynamometer.client.stamps import KernelStamps
from dynamometer.domain.units import human_bytes
from dynamometer.engines import ENGINES, broken_plugins
from dynamometer.errors import DamageError
from dynamometer.meters import rapl
from dynamometer.sources import demo
from dynamometer.store.calibrations import default_state, read_calibration
from dynamometer.wiring.folders import home
from dynamometer.worker.facts import host_facts

WIDTH = 80
"""Columns of any terminal, up to which lines about one finding go."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``ok`` None: neither good nor bad, only worth knowing."""

    topic: str
    ok: bool | None
    text: str
    hint: str | None = None
    lines: tuple[str, ...] = ()
    """More about it, a line for each part."""


@click.command("doctor")
@json_option
@colour_option
def command(as_json: bool, colour: str) -> None:
    """Check what this machine can run and measure, and say what would help.

    Ends with exit code 8 when nothing can be run at all.
    """
    findings = list(findings_of_host())
    usable = any(
        finding.ok for finding in findings if finding.topic.startswith("engine ") and "fake" not in finding.topic
    )
    if as_json:
        print_json({"schema_version": 1, "usable": usable, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _print(finding, colour=use_colour(colour))
    if not usable:
        raise click.exceptions.Exit(8)


def findings_of_host() -> Iterator[Finding]:
    """Everything worth knowing, in order."""
    host = host_facts()
    yield Finding("python", None, f"{platform.python_version()} on {host.system}")
    yield Finding("host", None, f"{host.processor}, {host.cores} cores, {human_bytes(host.memory_bytes)} of memory")
    busy = host.load_1m is not None and host.load_1m > host.cores / 2
    yield Finding(
        "load",
        not busy,
        f"load average {host.load_1m}" if host.load_1m is not None else "load unknown",
        "other work on this machine disturbs the measurement" if busy else None,
    )
    yield from _engines()
    probe = KernelStamps()
    stamps = probe.available
    probe.close()
    yield Finding(
        "arrival stamps",
        stamps,
        "from the kernel (SO_TIMESTAMPNS)" if stamps else "from user space: the kernel gives none here",
        None if stamps else "latencies carry the delay of our own wake-up",
    )
    yield _calibration(host.fingerprint)
    missing = rapl.missing()
    yield Finding("energy", missing is None, "RAPL" if missing is None else f"n/a: {missing}")
    for name in demo.DEMO_MODELS:
        path = demo.demo_path(home().cache, name)
        yield Finding(
            f"demo model {name}",
            path is not None,
            str(path) if path else "not fetched",
            None if path else "dyno model fetch",
        )
    for label, folder in (("results", Path.cwd()), ("state", home().state), ("cache", home().cache)):
        yield _folder(label, folder)
    yield Finding("sqlite", None, f"{sqlite3.sqlite_version}, rollback journal")


def _engines() -> Iterator[Finding]:
    for name, engine in ENGINES.items():
        reason = engine.traits.unavailable or engine.missing()
        version = engine.version() if reason is None else None
        yield Finding(f"engine {name}", reason is None, reason or f"ready{f', version {version}' if version else ''}")
    for name, problem in broken_plugins().items():
        yield Finding(f"plugin {name}", False, f"broken: {problem}")


def _calibration(fingerprint: str) -> Finding:
    try:
        found = read_calibration(default_state(), fingerprint, __version__)
    except DamageError as error:
        return Finding("calibration", False, error.message, error.hint)
    if found is None:
        return Finding("calibration", None, "none of this machine and version", "dyno calibrate; records then cite it")
    useful = [level for level in found.levels if level.useful and level.holds]
    hint = "dyno calibrate measures quick levels from more events" if any(level.quick for level in useful) else None
    hint = hint if useful else "dyno calibrate on a quiet machine"
    return Finding("calibration", bool(useful), in_words(found), hint, tuple(loads_in_words(found)))


def _folder(label: str, folder: Path) -> Finding:
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        return Finding(f"{label} folder", False, f"{folder} is not writable", "use another folder, or set DYNO_HOME")
    free = shutil.disk_usage(there).free
    return Finding(f"{label} folder", free > 1e9, f"{folder}, {human_bytes(free)} free")


def _print(finding: Finding, *, colour: bool) -> None:
    mark, shade = {True: ("ok", "green"), False: ("no", "yellow"), None: ("--", None)}[finding.ok]
    text = f"{click.style(mark, fg=shade) if colour else mark}  {finding.topic}: {finding.text}"
    hint = f"({finding.hint})" if finding.hint else ""
    if not finding.lines:
        click.echo(f"{text} {hint}".rstrip(), color=colour)
        return
    click.echo(text, color=colour)
    for line in filter(None, (*finding.lines, hint)):
        click.echo(textwrap.fill(line, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6))
