"""The commands and what they end with, from Click and from the table of errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from source_text import first_paragraph, one_line, page, table

from dynamometer import errors
from dynamometer.cli.app import dyno
from dynamometer.cli.lazy import LazyGroup
from dynamometer.spec.layers import ENVIRONMENT_PREFIX

ENVIRONMENT = {
    "DYNO_HOME": "One folder for configuration, state and cache instead of the XDG folders.",
    "XDG_CONFIG_HOME": "Where `dynamometer/config.yaml` and `dynamometer/suites` are; `~/.config` when not set.",
    "XDG_STATE_HOME": "Where the index of campaigns is kept; `~/.local/state` when not set.",
    "XDG_CACHE_HOME": "Where demo models and remembered file hashes are kept; `~/.cache` when not set.",
    f"{ENVIRONMENT_PREFIX}KEY__KEY": (
        "Sets a key of the campaign file, over the file and under the command line; two underscores stand for the dot: "
        f"`{ENVIRONMENT_PREFIX}EXECUTION__TIMEOUT=10m`."
    ),
    "NO_COLOR": "Any value: no colours.",
    "FORCE_COLOR": "Any value: colours, also when the output is not a terminal.",
    "CLICOLOR_FORCE": "The same as FORCE_COLOR.",
    "CLICOLOR": "`0`: no colours.",
    "TERM": "`dumb`: no colours.",
    "COLUMNS": "Width of the tables that `report`, `compare` and `bench` print.",
    "DYNO_JSON": "The same as `--json`, also for errors before an option is read.",
    "DYNO_ATTEMPT": "Set by dyno itself for every process of an attempt, so that left-over ones can be found. "
    "Do not set it.",
}


def commands(group: LazyGroup = dyno, path: tuple[str, ...] = ("dyno",)) -> Iterator[tuple[str, click.Command]]:
    """Every command that is shown, with its full name."""
    context = click.Context(group, info_name=path[-1])
    for name in group.names():
        command = group.get_command(context, name)
        assert command is not None, name
        yield " ".join((*path, name)), command
        if isinstance(command, LazyGroup):
            yield from commands(command, (*path, name))


def cli_page() -> str:
    """docs/reference/cli.md."""
    assert isinstance(dyno, LazyGroup)
    intro = (
        "Every command prints its answer on standard output, and progress, questions and errors on standard error. "
        "`-h` and `--help` work everywhere. What each exit code means stands in [exit codes](exit-codes.md)."
    )
    top = "## dyno\n\n" + one_line((dyno.help or "").split("\n")[0]) + "\n\n" + _options(dyno)
    return page("Command line", intro, top, *(_section(name, command) for name, command in commands()), _environment())


def _section(name: str, command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "")
    parts = [f"## {name}", "\n\n".join(one_line(paragraph) for paragraph in text.split("\n\n"))]
    if isinstance(command, LazyGroup):
        listed = "\n".join(f"- [`{name} {child}`](#{_anchor(f'{name} {child}')})" for child in command.names())
        return "\n\n".join([*parts, listed])
    context = click.Context(command, info_name=name)
    usage = f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```"
    return "\n\n".join([*parts, usage, _options(command)])


def _anchor(title: str) -> str:
    return title.replace(" ", "-")


def _options(command: click.Command) -> str:
    rows = []
    for option in command.params:
        if isinstance(option, click.Option):
            spelled = ", ".join(f"`{word}`" for word in (*option.opts, *option.secondary_opts))
            rows.append([spelled, _takes(option), one_line(option.help), _variable(option)])
    return table(["option", "takes", "meaning", "environment"], rows) if rows else ""


def _takes(option: click.Option) -> str:
    if option.is_flag or option.count:
        return ""
    kind = option.type
    match kind:
        case click.Choice():
            words = ", ".join(f"`{choice}`" for choice in kind.choices)
        case click.IntRange() | click.FloatRange():
            words = f"{'integer' if isinstance(kind, click.IntRange) else 'number'}{_range(kind.min, kind.max)}"
        case click.Path():
            words = "folder" if not kind.file_okay else "file"
        case _:
            words = (option.metavar or kind.name).lower()
    default = option.default
    shown = isinstance(default, (str, int, float)) or hasattr(default, "as_posix")
    return f"{words}; default `{default}`" if shown and default != "" else words


def _range(least: float | None, most: float | None) -> str:
    return (f" from {least:,}" if least is not None else "") + (f" to {most:,}" if most is not None else "")


def _variable(option: click.Option) -> str:
    """The environment variable of an option, as Click reads it."""
    return f"`{option.envvar}`" if option.envvar else ""


def _environment() -> str:
    rows = [[f"`{name}`", meaning] for name, meaning in ENVIRONMENT.items()]
    return (
        "## Environment variables\n\n"
        "Each option of a command can also be set by the variable named beside it; a flag takes `1` or `0`. "
        "The command line wins over the environment. These have a meaning of their own:\n\n"
        + table(["variable", "meaning"], rows)
    )


def exit_codes_page() -> str:
    """docs/reference/exit-codes.md."""
    rows = [[f"`{code}`", meaning, _raised(code)] for code, meaning in errors.EXIT_CODES.items()]
    intro = (
        "A script can rely on these numbers. With `--json` an error is one JSON document on standard error: "
        "`schema_version` and `error` with `code`, `message` and `hint`; for a campaign file with mistakes also "
        "`file`, `line` and the list `problems`, each with `file`, `line`, `column`, `where`, `message` and "
        "`suggestion`."
    )
    return page("Exit codes", intro, table(["code", "meaning", "error"], rows))


def _raised(code: int) -> str:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DynoError)]
    return "; ".join(
        f"`{kind.__name__}`: {first_paragraph(kind.__doc__)}" for kind in kinds if kind.exit_code == code and code != 1
    )
