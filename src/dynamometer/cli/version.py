"""``dyno version``."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

from dynamometer import __version__
from dynamometer.cli.options import json_option, print_json

PACKAGES = ("click", "httptools", "lets-plot", "numpy", "pydantic", "pyyaml", "rich", "xllamacpp")


@click.command("version")
@json_option
def command(as_json: bool) -> None:
    """Print the versions of Dynamometer, Python and the packages that matter, for bug reports."""
    versions: dict[str, str | None] = {package: _version(package) for package in PACKAGES}
    document = {
        "schema_version": 1,
        "dynamometer": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": versions,
    }
    if as_json:
        print_json(document)
        return
    click.echo(
        f"dynamometer {__version__}\npython {document['python']}\n{document['system']}\nsqlite {sqlite3.sqlite_version}"
    )
    for package, found in versions.items():
        click.echo(f"{package} {found or 'not installed'}")


def _version(package: str) -> str | None:
    try:
        return installed(package)
    except PackageNotFoundError:
        return None
