"""``dyno`` itself: the table of commands, and the end of the process."""

from __future__ import annotations

import errno
import json
import logging
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from dynamometer import __version__
from dynamometer.cli import readers
from dynamometer.cli.lazy import Lazy, LazyGroup
from dynamometer.errors import EXIT_CODES, CampaignError, DiskFull, DynoError, Interrupted, Terminated

LOG = logging.getLogger(__name__)
_CLI = "dynamometer.cli"

CAMPAIGN = {
    "run": Lazy(f"{_CLI}.campaign_run:command", "Run a campaign file, or go on with it (--resume)."),
    "validate": Lazy(f"{_CLI}.campaign_validate:command", "Check a campaign file and show what it would run."),
    "list": Lazy(f"{_CLI}.campaign_list:command", "List campaigns."),
    "status": Lazy(f"{_CLI}.campaign_status:command", "Show where a campaign stands."),
    "report": Lazy(f"{_CLI}.campaign_report:command", "Print or write a campaign's results."),
    "compare": Lazy(f"{_CLI}.campaign_compare:command", "Compare two campaigns, or rows of one."),
    "show": Lazy(f"{_CLI}.campaign_show:command", "Print a campaign file, its canonical form, or who set each value."),
    "repair": Lazy(f"{_CLI}.campaign_repair:command", "Keep what is good of a campaign whose journal is damaged."),
}
CONFIG = {"schema": Lazy(f"{_CLI}.config_schema:command", "Print the JSON Schema of campaign files.")}
MODEL = {
    "fetch": Lazy(f"{_CLI}.model_fetch:command", "Fetch a demo model into the cache."),
    "list": Lazy(f"{_CLI}.model_list:command", "List demo models."),
}
COMMANDS = {
    "campaign": Lazy(f"{_CLI}.app:campaign", "Plan, run and read campaigns."),
    "experiment": Lazy(f"{_CLI}.experiment:command", "Run a single experiment file."),
    "bench": Lazy(f"{_CLI}.bench:command", "Measure an endpoint that already runs.", prefix="BENCH_"),
    "model": Lazy(f"{_CLI}.app:model", "Demo models."),
    "config": Lazy(f"{_CLI}.app:config", "Help for writing campaign files."),
    "doctor": Lazy(f"{_CLI}.doctor:command", "Check what this machine can run and measure."),
    "calibrate": Lazy(
        f"{_CLI}.calibrate:command", "Measure the client's own error on this machine.", prefix="CALIBRATE_"
    ),
    "mock": Lazy(f"{_CLI}.mock:command", "Answer like an OpenAI-compatible server, for tests.", prefix="MOCK_"),
    "index": Lazy(f"{_CLI}.index:command", "Rebuild the index behind 'campaign list'."),
    "completion": Lazy(f"{_CLI}.completion:command", "Print shell completion for bash, zsh or fish."),
    "version": Lazy(f"{_CLI}.version:command", "Print versions, for bug reports."),
    "worker": Lazy(f"{_CLI}.worker:command", "Run the step in a folder (started by executors).", hidden=True),
}

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EPILOG = "Exit codes:\n\n\b\n" + "\n".join(f"{code:>4}  {meaning}" for code, meaning in EXIT_CODES.items())


@click.command(cls=LazyGroup, lazy=COMMANDS, context_settings=CONTEXT, epilog=EPILOG)
@click.version_option(__version__, prog_name="dyno", message="%(prog)s %(version)s")
def dyno() -> None:
    """A test bench for LLM inference engines: true numbers, with intervals and doubts.

    Begin with:  dyno doctor, then  dyno campaign run examples/campaigns/quickstart.yaml
    """


@click.command("campaign", cls=LazyGroup, lazy=CAMPAIGN)
def campaign() -> None:
    """Plan, run and read campaigns."""


@click.command("config", cls=LazyGroup, lazy=CONFIG)
def config() -> None:
    """Help for writing campaign files."""


@click.command("model", cls=LazyGroup, lazy=MODEL)
def model() -> None:
    """Demo models: small real models to try Dynamometer with."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, and never raises."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments or os.environ.get("DYNO_JSON", "").lower() in ("1", "true", "yes", "on", "t", "y")
    standard = sys.stdout, sys.stderr
    try:
        result = dyno.main(arguments, prog_name="dyno", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _say_usage(error, as_json)
    except (click.Abort, KeyboardInterrupt):
        if as_json:
            _say_json({"code": Interrupted.exit_code, "message": "interrupted", "hint": None})
        else:
            click.echo("interrupted", err=True)
        return Interrupted.exit_code
    except DynoError as error:
        if argv is None and isinstance(error, Interrupted | Terminated):
            _be_deaf()
        _say(error, as_json)
        return error.exit_code
    except SystemExit:
        if sys.stdout is standard[0]:
            raise
        # Of a reader that has enough (| head) Click makes exit code 1, and wraps what nobody reads.
        sys.stdout, sys.stderr = standard
        readers.drop_output(BrokenPipeError())
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _say_full(error, as_json)
        with _bug_report() as path:
            LOG.exception("dyno %s", shlex.join(arguments))
        _say_bug(error, path, as_json)
        return DynoError.exit_code
    return result if isinstance(result, int) else 0


def _be_deaf() -> None:
    """One more signal would end the process by that signal, and take away the exit code that tells what happened."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _say_full(error: OSError, as_json: bool) -> int:
    readers.drop_output(error)  # what is left of it would not fit either, and Python would complain at exit
    full = DiskFull(f"cannot write {error.filename or 'the output'}: {error.strerror}")
    _say(full, as_json)
    return full.exit_code


def _say_usage(error: click.ClickException, as_json: bool) -> int:
    if as_json:
        _say_json({"code": 2, "message": error.format_message(), "hint": None})
    else:
        error.show()
    return 2


def _say(error: DynoError, as_json: bool) -> None:
    if not as_json:
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(error.message, err=True)
        if error.hint:
            click.secho("hint: ", fg="cyan", nl=False, err=True)
            click.echo(error.hint, err=True)
        return
    document: dict[str, Any] = {"code": error.exit_code, "message": error.message, "hint": error.hint}
    if isinstance(error, CampaignError):
        first = error.problems[0]
        document |= {"file": first.file, "line": first.line}
        document["problems"] = [
            {
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "where": problem.where,
                "message": problem.message,
                "suggestion": problem.suggestion,
            }
            for problem in error.problems
        ]
    _say_json(document)


def _say_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps({"schema_version": 1, "error": document}, ensure_ascii=False), err=True)


@contextmanager
def _bug_report() -> Iterator[str]:
    """Have what is logged in the block go into a file, and nowhere else, that can be pasted into an issue."""
    descriptor, path = tempfile.mkstemp(prefix="dyno-bug-", suffix=".md")
    os.close(descriptor)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(f"# dyno {__version__}, Python {sys.version}\n\n%(message)s"))
    LOG.addHandler(handler)
    LOG.propagate = False
    try:
        yield path
    finally:
        LOG.removeHandler(handler)
        LOG.propagate = True
        handler.close()


def _say_bug(error: Exception, path: str, as_json: bool) -> None:
    bug = DynoError(f"unexpected {type(error).__name__}: {error}", hint=f"this is a bug; please report it with {path}")
    _say(bug, as_json)
