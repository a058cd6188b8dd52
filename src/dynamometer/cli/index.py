"""``dyno index``."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.store.index import Index
from dynamometer.wiring.folders import home


@click.command("index")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, file_okay=False, exists=True))
def command(folders: tuple[Path, ...]) -> None:
    """Rebuild the index behind 'campaign list' from the campaign folders it knows and those under FOLDERS (results)."""
    count, problems = Index(home().index).rebuild(folders or (Path("results"),))
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    click.echo(f"{count} {'campaign' if count == 1 else 'campaigns'} in {home().index}")
