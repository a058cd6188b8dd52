"""``dyno config schema``."""

from __future__ import annotations

import json

import click

from dynamometer.cli.options import write_output
from dynamometer.spec.schema import json_schema
from dynamometer.wiring.folders import engines


@click.command("schema")
@click.option("-o", "--output", metavar="FILE", default="-", help="Write to a file ('-': standard output).")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def command(output: str, force: bool) -> None:
    """Print the JSON Schema of campaign files, for editors.

    Point your editor at it with a first line:  # yaml-language-server: $schema=campaign.schema.json
    """
    write_output(json.dumps(json_schema(engines()), indent=2, ensure_ascii=False) + "\n", output, force=force)
