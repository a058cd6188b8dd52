"""``dyno campaign show``."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.cli.options import json_option, print_json, results_option
from dynamometer.spec.explain import canonical_yaml, origins_text
from dynamometer.store.layout import CampaignFolder
from dynamometer.wiring import owning, planning, source


@click.command("show")
@click.argument("what", metavar="FILE_OR_ID")
@click.option("--canonical", is_flag=True, help="The canonical form, whatever dialect the file is written in.")
@click.option("--full", is_flag=True, help="With --canonical: also what stands at its default.")
@click.option("--origins", is_flag=True, help="Who set each value: the file (and line), a flag, the environment, …")
@results_option
@json_option
def command(what: str, canonical: bool, full: bool, origins: bool, results_dir: Path, as_json: bool) -> None:
    """Print a campaign file, or the file of a campaign that ran, as written or in its canonical form."""
    file = what if what == source.STDIN or Path(what).is_file() else _stored(what, results_dir)
    prepared = planning.prepare(file)
    if as_json:
        print_json(prepared.campaign.model_dump(mode="json", exclude_defaults=not full))
    elif origins:
        click.echo(origins_text(prepared.resolved))
    elif canonical or full:
        click.echo(canonical_yaml(prepared.campaign, full=full), nl=False)
    else:
        click.echo(prepared.text, nl=not prepared.text.endswith("\n"))


def _stored(wanted: str, results_dir: Path) -> str:
    return str(CampaignFolder(owning.find_campaign(wanted, results_dir)).campaign)
