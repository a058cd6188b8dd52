"""``dyno experiment``."""

from __future__ import annotations

import shlex

import click

from dynamometer.cli.options import colour_option, json_events_option, no_input_option, print_json, quiet_option
from dynamometer.cli.plan_view import plan_document, plan_lines
from dynamometer.cli.running import Manner, execute
from dynamometer.wiring import owning, planning


@click.command("experiment")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Show what would run; write nothing.")
@quiet_option
@no_input_option
@json_events_option
@colour_option
def command(file: str, dry_run: bool, quiet: bool, no_input: bool, yes: bool, as_json: bool, colour: str) -> None:
    """Run a file with a single experiment, once. Repetition, and with it intervals, belong to campaigns."""
    prepared = planning.prepare_experiment(file)
    if dry_run:
        if as_json:
            print_json(plan_document(prepared))
        else:
            click.echo("\n".join(plan_lines(prepared)))
        return
    again = shlex.join(["dyno", "experiment", file])
    folder = owning.new_campaign(prepared)
    execute(prepared, folder, Manner(quiet, as_json, colour, no_input, yes), f"run it again with: {again}")
