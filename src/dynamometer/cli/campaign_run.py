"""``dyno campaign run``."""

from __future__ import annotations

import shlex
from typing import Any

import click

from dynamometer.cli.options import (
    colour_option,
    interactive,
    json_events_option,
    no_input_option,
    print_json,
    quiet_option,
)
from dynamometer.cli.plan_view import plan_document, plan_lines
from dynamometer.cli.running import Manner, execute
from dynamometer.plan.resume import remaining
from dynamometer.store.layout import CampaignFolder
from dynamometer.store.open import read_status
from dynamometer.wiring import owning, planning
from dynamometer.wiring.planning import Prepared


@click.command("run")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--resume/--no-resume", default=False, help="Go on with the newest campaign of this name, or begin one.")
@click.option(
    "--campaign-id", metavar="ID", help="Go on with this campaign (its id, a beginning of it, or its folder)."
)
@click.option("--cycles", type=click.IntRange(1, 100_000), help="Cycles, instead of what the file says.")
@click.option(
    "--retry-failed/--skip-failed",
    "retry_failed",
    default=None,
    help="When going on: run failed runs again, or leave them. Asked on a terminal; else they are run again.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan that would run; write nothing.")
@click.option("--validate-only", is_flag=True, help="The same as dyno campaign validate.")
@click.option("--all", "everything", is_flag=True, help="With --dry-run: show every experiment.")
@quiet_option
@no_input_option
@json_events_option
@colour_option
def command(
    file: str,
    resume: bool,
    campaign_id: str | None,
    cycles: int | None,
    retry_failed: bool | None,
    dry_run: bool,
    validate_only: bool,
    everything: bool,
    quiet: bool,
    no_input: bool,
    yes: bool,
    as_json: bool,
    colour: str,
) -> None:
    """Run a campaign file ('-' reads it from standard input).

    Every run is measured on a real engine and written to a folder under results/ the moment it ends. Ctrl-C, a crash
    or a power cut lose at most the run under way; --resume goes on, every run exactly once.
    """
    flags: dict[str, Any] = {} if cycles is None else {"cycles": cycles}
    prepared = planning.prepare(file, flags)
    if dry_run and (resume or campaign_id):
        _say_what_is_left(prepared, campaign_id)
    if dry_run or validate_only:
        if as_json:
            print_json(plan_document(prepared))
        else:
            click.echo("\n".join(plan_lines(prepared, everything=everything)))
        return
    planning.check_runnable(prepared.plan)
    manner = Manner(quiet, as_json, colour, no_input, yes, retry_failed)
    if not quiet:
        for note in prepared.resolved.notes:
            click.echo(f"does not count here: {note}", err=True)
    _confirm(prepared, manner)
    words = ["dyno", "campaign", "run", file, "--resume", *(["--cycles", str(cycles)] if cycles else [])]
    folder = _folder(prepared, resume, campaign_id, quiet=quiet or as_json)
    again = shlex.join([*words, "--campaign-id", folder.root.name] if campaign_id else words)
    execute(prepared, folder, manner, f"go on with: {again}")


def _say_what_is_left(prepared: Prepared, campaign_id: str | None) -> None:
    """Before the plan of a dry run that would go on: what of it is done."""
    found = owning.find_campaign(campaign_id, prepared.results) if campaign_id else owning.resumable(prepared)
    if found is None:
        click.echo(f"no campaign {prepared.campaign.name!r} to go on with; all of the plan would be run", err=True)
        return
    left = len(remaining(prepared.plan, read_status(found).status, retry_failed=True).runs)
    click.echo(f"going on with {found.name}: {left} of {len(prepared.plan.runs)} runs are left", err=True)


def _confirm(prepared: Prepared, manner: Manner) -> None:
    """Cells were filtered: ask whether that was meant, where somebody can answer."""
    filtered = sum(item.count for item in prepared.plan.excluded)
    if not filtered or manner.yes or manner.quiet or manner.as_json or not interactive(manner.no_input):
        return
    reasons = "; ".join(f"{item.reason} × {item.count}" for item in prepared.plan.excluded[:5])
    count = len(prepared.plan.experiments)
    click.confirm(
        f"Generated {count + filtered} experiments ({filtered} filtered: {reasons}). Proceed?",
        default=True,
        abort=True,
        err=True,
    )


def _folder(prepared: Prepared, resume: bool, campaign_id: str | None, *, quiet: bool) -> CampaignFolder:
    """The folder to work in: a new one, or the one to go on with."""
    if campaign_id is not None:
        root = owning.find_campaign(campaign_id, prepared.results)
        return CampaignFolder(root)
    found = owning.resumable(prepared) if resume else None
    if found is not None:
        return CampaignFolder(found)
    if resume and not quiet:
        click.echo(
            f"no campaign {prepared.campaign.name!r} under {prepared.results} to go on with; beginning one", err=True
        )
    return owning.new_campaign(prepared)
