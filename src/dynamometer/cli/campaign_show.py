"""``dyno campaign show``."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.cli.options import json_option, print_json, results_option
from dynamometer.errors import UsageError
from dynamometer.spec.explain import canonical_yaml, origins_text
from dynamometer.store.layout import CampaignFolder
from dynamometer.store.plans import read_plan
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
    if what == source.STDIN or Path(what).is_file():
        prepared = planning.prepare(what)
        campaign, text, history = prepared.campaign, prepared.text, origins_text(prepared.resolved)
    else:
        folder = CampaignFolder(owning.find_campaign(what, results_dir))
        campaign, text = read_plan(folder.plan).campaign, folder.campaign.read_text("utf-8")
        history = None
    if as_json:
        print_json(campaign.model_dump(mode="json", exclude_defaults=not full))
    elif origins and history is None:
        raise UsageError("--origins takes a campaign file: what ran knows its values, not who set them")
    elif origins:
        click.echo(history, nl=False)
    elif canonical or full:
        click.echo(canonical_yaml(campaign, full=full), nl=False)
    else:
        click.echo(text, nl=not text.endswith("\n"))
