"""``dyno campaign validate``."""

from __future__ import annotations

import click

from dynamometer.cli.options import json_option, print_json
from dynamometer.cli.plan_view import plan_document, plan_lines
from dynamometer.wiring import planning


@click.command("validate")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--cycles", type=click.IntRange(1, 100_000), help="Cycles, instead of what the file says.")
@click.option("--all", "everything", is_flag=True, help="Show every experiment.")
@json_option
def command(file: str, cycles: int | None, everything: bool, as_json: bool) -> None:
    """Check a campaign file and show the plan it makes. Needs no GPU and no network, writes nothing.

    Ends with exit code 2 and every mistake with its line when the file is wrong. Features that this version does not
    have yet are listed; run refuses them.
    """
    prepared = planning.prepare(file, {} if cycles is None else {"cycles": cycles})
    if as_json:
        print_json(plan_document(prepared))
        return
    click.echo("\n".join(plan_lines(prepared, everything=everything)))
    runnable = not prepared.plan.unavailable and prepared.plan.experiments
    click.echo(f"\n{file} is valid" + ("" if runnable else ", but cannot be run as it is"))
