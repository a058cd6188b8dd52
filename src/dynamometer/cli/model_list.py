"""``dyno model list``."""

from __future__ import annotations

import click

from dynamometer.cli.options import json_option, print_json
from dynamometer.domain.units import human_bytes
from dynamometer.sources import demo
from dynamometer.wiring.folders import home


@click.command("list")
@json_option
def command(as_json: bool) -> None:
    """List the demo models, and where those are that have been fetched."""
    rows = []
    for name, model in demo.DEMO_MODELS.items():
        path = demo.demo_path(home().cache, name)
        rows.append(
            {
                "name": name,
                "size_bytes": model.size_bytes,
                "licence": model.licence,
                "path": str(path) if path else None,
            }
        )
    if as_json:
        print_json({"schema_version": 1, "models": rows})
        return
    for row in rows:
        where = row["path"] or f"not here; fetch it with: dyno model fetch {row['name']}"
        click.echo(f"{demo.PREFIX}{row['name']}  {human_bytes(int(str(row['size_bytes'])))}, {row['licence']}: {where}")
