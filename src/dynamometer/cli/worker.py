"""``dyno worker``: the same command wherever a step runs."""

from __future__ import annotations

from pathlib import Path

import click

from dynamometer.worker.step import main


@click.command("worker")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--parent", type=int, help="End when this process, our parent, ends.")
def command(folder: Path, parent: int | None) -> int:
    """Run the step in FOLDER: step.json in; record.json and samples, or failure.json, out."""
    return main(folder, parent)
