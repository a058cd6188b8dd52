"""Help of a command with many options: in groups, each under its heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


class Grouped(click.Command):
    """A command whose ``--help`` lists options by subject; those of no group come last."""

    def __init__(self, *arguments: Any, groups: Mapping[str, Sequence[str]], **attributes: Any) -> None:
        """``groups``: heading -> names of parameters, both in the order of the help text."""
        super().__init__(*arguments, **attributes)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under their headings."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        grouped = {name for names in self.groups.values() for name in names}
        rest = dict.fromkeys(option.name for option in options if option.name not in grouped)
        for heading, names in {**self.groups, "Output": tuple(rest)}.items():
            chosen = sorted((one for one in options if one.name in names), key=lambda one: names.index(one.name))
            with formatter.section(heading):
                formatter.write_dl([record for one in chosen if (record := one.get_help_record(ctx))])
