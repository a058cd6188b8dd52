"""``dyno campaign status``."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.cli.options import colour_option, json_option, print_json, results_option, use_colour
from dynamometer.domain.units import human_duration
from dynamometer.store import open as campaigns
from dynamometer.store.manifest import manifest
from dynamometer.store.open import Opened
from dynamometer.wiring.owning import find_campaign, newest_campaign

COLOURS = {"completed": "green", "failed": "red", "interrupted": "yellow", "stopped": "yellow", "running": "cyan"}
SHOWN = 60


@click.command("status")
@click.argument("campaign_id", required=False)
@click.option("--all", "everything", is_flag=True, help="Show every run.")
@results_option
@json_option
@colour_option
def command(campaign_id: str | None, everything: bool, results_dir: Path, as_json: bool, colour: str) -> None:
    """Show where a campaign stands: the newest one, or the one with this id (or a beginning of it, or its folder)."""
    root = find_campaign(campaign_id, results_dir) if campaign_id else newest_campaign(results_dir)
    opened = campaigns.read(root)
    if as_json:
        document = manifest(opened.plan, opened.status)
        document |= {"alive": opened.alive, "folder": str(root.resolve()), "torn_journal": opened.torn is not None}
        print_json(document)
        return
    _print(opened, everything=everything, colour=use_colour(colour))


def _print(opened: Opened, *, everything: bool, colour: bool) -> None:
    status = opened.status

    def paint(state: str, width: int = 0) -> str:
        return click.style(f"{state:<{width}}", fg=COLOURS.get(state)) if colour else f"{state:<{width}}"

    reason = f" ({status.reason})" if status.reason else ""
    click.echo(f"{status.campaign_id}: {paint(status.state)}{reason}", color=colour)
    click.echo(f"folder: {opened.folder.root}")
    click.echo(f"runs: {', '.join(f'{count} {state}' for state, count in status.tally().items())} of {status.planned}")
    if opened.alive and status.owner:
        click.echo(f"owned by process {status.owner.pid} on {status.owner.host}")
    if opened.torn:
        click.echo(f"the journal's last line ({opened.torn.line}) was torn by a crash; it does not count")
    click.echo()
    entries = manifest(opened.plan, status)["runs"]
    shown = entries if everything else entries[:SHOWN]
    width = max((len(entry["name"]) for entry in shown), default=0)
    for entry in shown:
        took = human_duration(entry["duration_s"]) if entry["duration_s"] else ""
        line = f"  {entry['name']:<{width}}  cycle {entry['cycle']}  {paint(entry['status'], 11)}  {took}"
        click.echo(line.rstrip(), color=colour)
        if entry["error"]:
            click.echo(f"      {entry['error_class']}: {entry['error']}")
    if len(shown) < len(entries):
        click.echo(f"  … and {len(entries) - len(shown)} more (--all shows them)")
    if status.removed:
        click.echo(f"\n{len(status.removed)} runs left the plan; their results are kept in the folder")
