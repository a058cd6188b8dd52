"""``dyno campaign list``."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.cli.options import json_option, print_json, results_option
from dynamometer.errors import DynoError
from dynamometer.store import open as campaigns
from dynamometer.store.index import Index
from dynamometer.store.layout import is_campaign
from dynamometer.wiring.folders import home

Row = dict[str, str | int | None]


@click.command("list")
@results_option
@json_option
def command(results_dir: Path, as_json: bool) -> None:
    """List the campaigns of this user, the newest last, with where each stands."""
    folders = {entry.folder for entry in Index(home().index).entries()}
    if results_dir.is_dir():
        folders |= {child.resolve() for child in results_dir.iterdir()}
    rows = sorted((_row(folder) for folder in folders if is_campaign(folder)), key=lambda row: str(row["created"]))
    if as_json:
        print_json({"schema_version": 1, "campaigns": rows})
    elif not rows:
        click.echo("no campaigns yet; begin one with: dyno campaign run FILE")
    else:
        _print(rows)


def _row(folder: Path) -> Row:
    try:
        status = campaigns.read_status(folder).status
    except DynoError as error:
        return {
            "id": folder.name,
            "state": "damaged",
            "created": "",
            "runs": None,
            "problem": error.message,
            "folder": str(folder),
        }
    tally = status.tally()
    return {
        "id": status.campaign_id or folder.name,
        "name": status.name,
        "state": status.state,
        "created": status.created,
        "runs": status.planned,
        "completed": tally.get("completed", 0),
        "failed": tally.get("failed", 0),
        "folder": str(folder),
    }


def _print(rows: list[Row]) -> None:
    width = max(len(str(row["id"])) for row in rows)
    click.echo(f"{'ID':<{width}}  {'STATE':<11}  {'RUNS':>9}  {'FAILED':>6}  CREATED")
    for row in rows:
        runs = f"{row.get('completed', '?')}/{row['runs']}" if row["runs"] is not None else "?"
        created = str(row["created"])[:19].replace("T", " ")
        click.echo(f"{row['id']:<{width}}  {row['state']:<11}  {runs:>9}  {row.get('failed', '?'):>6}  {created}")
