"""A group whose commands are imported when they are called, so that ``--help`` costs nothing but Click."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

import click


def load(target: str) -> Any:
    """What ``module:attribute`` names, imported now."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


class Lazy(NamedTuple):
    """Where a command lives and what ``--help`` says of it."""

    target: str
    """module:attribute."""
    summary: str
    hidden: bool = False
    prefix: str = ""
    """What stands before the names of its own options in environment variables: ``BENCH_``."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads each on demand."""

    def __init__(self, name: str | None = None, *, lazy: dict[str, Lazy], **attributes: Any) -> None:
        """``lazy`` lists the commands in the order of the help text."""
        super().__init__(name, **attributes)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return [*self.names(), *super().list_commands(ctx)]

    def names(self) -> list[str]:
        """Names that are shown."""
        return [name for name, command in self.lazy.items() if not command.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        command = load(self.lazy[cmd_name].target)
        assert isinstance(command, click.Command), cmd_name
        return name_variables(command, self.lazy[cmd_name].prefix)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing any."""
        rows = [(name, self.lazy[name].summary) for name in self.names()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which name is near."""
        name = args[0]
        if name not in self.lazy and not name.startswith("-"):
            near = get_close_matches(name, self.names(), 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(self.names())}."
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


SHARED = frozenset({"--json", "--color", "--no-color", "--quiet", "--yes", "--no-input", "--results-dir"})
"""Options that mean the same in every command."""


def variable_of(option: click.Option, prefix: str = "") -> str | None:
    """The environment variable that sets an option: ``DYNO_CYCLES`` for ``--cycles``, ``DYNO_BENCH_RATE`` in bench."""
    flag = next((name for name in option.opts if name.startswith("--")), None)
    if flag is None or flag == "--help":
        return None
    return f"DYNO_{'' if flag in SHARED else prefix}{flag[2:].replace('-', '_').upper()}"


def name_variables(command: click.Command, prefix: str = "") -> click.Command:
    """Give each option of a command its variable."""
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None:
            option.envvar = variable_of(option, prefix)
    return command
