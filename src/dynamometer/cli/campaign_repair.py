"""``dyno campaign repair``."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.cli.options import results_option
from dynamometer.store.repair import repair
from dynamometer.wiring import owning


@click.command("repair")
@click.argument("campaign_id")
@results_option
def command(campaign_id: str, results_dir: Path) -> None:
    """Keep what is good of a campaign whose journal is damaged.

    The damaged journal is put aside, not deleted. The good lines before the damage are kept, and runs after it whose
    records hold up are entered again. Then dyno campaign run FILE --resume goes on.
    """
    outcome = repair(owning.find_campaign(campaign_id, results_dir))
    if outcome is None:
        click.echo("the journal is whole; nothing was changed")
        return
    click.echo(
        f"kept {outcome.kept} events before the damage, entered {outcome.recovered} runs again from their records; "
        f"the damaged journal is {outcome.aside}"
    )
