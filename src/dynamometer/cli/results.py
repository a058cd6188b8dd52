"""Printing and writing results."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from dynamometer.cli.options import echo_whole, use_colour
from dynamometer.domain.summary import Summary
from dynamometer.report import html, text
from dynamometer.store.files import write_whole
from dynamometer.store.layout import CampaignFolder
from dynamometer.wiring.reading import Results


def print_report(results: Results, colour: str, *, error: bool = False) -> None:
    """The table on standard output, or with ``error`` on standard error; damaged records on standard error."""
    width = shutil.get_terminal_size((100, 24)).columns
    table = text.terminal(results.summary, width=width, colour=use_colour(colour, error=error))
    echo_whole(f"{table}\n", error=error)
    for problem in results.damaged:
        click.echo(f"left out, damaged: {problem}", err=True)


def write_report_page(folder: CampaignFolder, summary: Summary) -> Path:
    """The self-contained page in the campaign's folder."""
    write_whole(folder.report, html.render(summary))
    return folder.report
