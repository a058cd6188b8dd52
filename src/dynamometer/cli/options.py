"""Options that several commands share, and what they mean for output."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dynamometer.errors import PreconditionError, UsageError
from dynamometer.report import FORMAT_NAMES
from dynamometer.store.files import storage_problem, write_into, write_whole

F = TypeVar("F", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """A finite number within bounds. Click's own type lets NaN through, which lies beyond no bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def json_option(command: F) -> F:
    """``--json``: one JSON document on standard output; errors as JSON on standard error."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document; errors as JSON too.")(command)


def json_events_option(command: F) -> F:
    """``--json`` of commands that run something: what happens, as it happens."""
    words = "Print events as JSON lines, the summary as the last one; with --dry-run one document. Errors as JSON too."
    return click.option("--json", "as_json", is_flag=True, help=words)(command)


def colour_option(command: F) -> F:
    """``--color`` / ``--no-color``."""
    command = click.option("--no-color", "colour", flag_value="never", help="The same as --color never.")(command)
    return click.option(
        "--color",
        "colour",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colours; auto also honours NO_COLOR and FORCE_COLOR.",
    )(command)


def quiet_option(command: F) -> F:
    """``-q``."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress on the terminal, only the result.")(command)


def no_input_option(command: F) -> F:
    """``--no-input`` and ``--yes``."""
    command = click.option("-y", "--yes", is_flag=True, help="Answer yes to every question.")(command)
    return click.option("--no-input", is_flag=True, help="Never ask; take the default that is safe.")(command)


def results_option(command: F) -> F:
    """``--results-dir``, for commands that look campaigns up."""
    return click.option(
        "--results-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Folder with campaign folders, looked into besides the index.",
    )(command)


def output_options(command: F) -> F:
    """``--format``, ``--output``, ``--force`` of commands that write a report."""
    for option in (
        click.option("--force", is_flag=True, help="Replace the file if it is there."),
        click.option("-o", "--output", metavar="FILE", default="-", help="Write to a file ('-': standard output)."),
        click.option(
            "-f",
            "--format",
            "form",
            type=click.Choice(FORMAT_NAMES),
            default="text",
            show_default=True,
            help="Form of the report.",
        ),
    ):
        command = option(command)
    return command


def use_colour(wish: str, *, error: bool = False) -> bool:
    """Whether to colour standard output (or standard error): by the flag, the environment, the terminal."""
    if wish != "auto":
        return wish == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE"):
        return True
    stream = sys.stderr if error else sys.stdout  # None when it was closed before we began
    return (
        stream is not None
        and stream.isatty()
        and os.environ.get("TERM") != "dumb"
        and os.environ.get("CLICOLOR") != "0"
    )


def interactive(no_input: bool) -> bool:
    """Whether a question can be asked."""
    return not no_input and sys.stdin.isatty() and sys.stderr.isatty()


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on standard output."""
    echo_whole(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def echo_whole(text: str, *, error: bool = False) -> None:
    """Print every byte to standard output, or to standard error.

    One write may be short without an error, as when a signal comes while a reader is waited for; without buffers
    (PYTHONUNBUFFERED) Python leaves out the rest.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # it was closed before we began
        return
    stream.flush()
    rest = memoryview(text.encode(stream.encoding, stream.errors or "strict"))
    while rest:
        rest = rest[stream.buffer.write(rest) :]
    stream.flush()


def write_output(text: str, output: str, *, force: bool) -> None:
    """Write to a file, whole or not at all; ``-`` is standard output. An existing file is kept unless forced.

    Through a link, so that the link stays. Into a device or a pipe, which stays too; only a disk asks to be forced.
    """
    if output == "-":
        echo_whole(text if text.endswith("\n") else f"{text}\n")
        return
    write_file(text, output, force=force)
    say_written(output)


def write_file(text: str, output: str, *, force: bool) -> None:
    """The same without a word of it, and never to standard output."""
    check_output(output, force=force)
    path = Path(output)
    if _stays(path):
        write_into(path, text)
    else:
        write_whole(Path(os.path.realpath(path)), text)


def say_written(output: str) -> None:
    """Say that a file was written."""
    click.echo(f"wrote {output}", err=True)


def check_output(output: str, *, force: bool) -> None:
    """Refuse what ``write_output`` could not write to, or must not.

    Raises UsageError for what is there and would be replaced, PreconditionError for what cannot be written.
    """
    path = Path(output)
    try:
        stays = _stays(path)
    except OSError as error:  # a folder above it that we may not search
        raise storage_problem(error, path) from error
    if path.is_dir():
        raise PreconditionError(f"{output} is a folder")
    if (path.is_file() or path.is_block_device()) and not force:
        raise UsageError(f"{output} exists", hint="add --force to replace it")
    folder = Path(os.path.realpath(path)).parent
    if not stays and not folder.is_dir():
        raise PreconditionError(f"cannot write {output}: its folder is not there", hint="make it, or name another file")
    if not os.access(path if stays else folder, os.W_OK):
        which = "it" if stays else "its folder"
        raise PreconditionError(f"cannot write {output}: you may not write to {which}", hint="name another file")


def _stays(path: Path) -> bool:
    """Whether something is there that is no file: a device or a pipe is written to, never replaced."""
    return path.exists() and not path.is_file()
