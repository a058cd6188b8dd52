"""``dyno campaign report``."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.cli.options import colour_option, json_option, output_options, results_option, write_output
from dynamometer.cli.results import print_report
from dynamometer.errors import DamageError
from dynamometer.report.formats import FORMATS
from dynamometer.wiring import owning, reading


@click.command("report")
@click.argument("campaign_id", required=False)
@output_options
@click.option(
    "--interval",
    type=click.Choice(["auto", "student-t", "bootstrap"]),
    default="auto",
    show_default=True,
    help="How intervals are made; auto is Student t below 10 cycles and BCa bootstrap from 10 on.",
)
@results_option
@json_option
@colour_option
def command(
    campaign_id: str | None,
    form: str,
    output: str,
    force: bool,
    interval: str,
    results_dir: Path,
    as_json: bool,
    colour: str,
) -> None:
    """Print the results of a campaign: the newest one, or the one with this id. Works while it runs, too.

    Records that are damaged are left out and named; when no other is there, the exit code is 3.
    """
    root = owning.find_campaign(campaign_id, results_dir) if campaign_id else owning.newest_campaign(results_dir)
    results = reading.summary_of(root, None if interval == "auto" else interval)
    form = "json" if as_json else form
    if form == "text" and output == "-":
        print_report(results, colour)
    else:
        for problem in results.damaged:
            click.echo(f"left out, damaged: {problem}", err=True)
        write_output(FORMATS[form](results.summary), output, force=force)
    if results.damaged and not any(row.runs for row in results.analysed.rows):
        raise DamageError(
            f"no record of this campaign reads: {results.damaged[0]}",
            hint="restore the folder from a backup, or run the campaign anew (without --resume)",
        )
