"""What ``campaign run`` and ``experiment`` have in common: own, walk, show, report, end with the right code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial

import click
from rich.console import Console

from dynamometer.campaign.stop import listening
from dynamometer.cli import readers
from dynamometer.cli.display import Display, JsonLines, Log, Story
from dynamometer.cli.options import interactive, use_colour
from dynamometer.cli.results import print_report, write_report_page
from dynamometer.domain.event import Closed
from dynamometer.errors import DiskFull, Interrupted, RunsFailed, Terminated
from dynamometer.store.layout import CampaignFolder
from dynamometer.wiring import owning, reading
from dynamometer.wiring.owning import Hooks, Session
from dynamometer.wiring.planning import Prepared


@dataclass(frozen=True, slots=True)
class Manner:
    """How the user wants to be told and asked."""

    quiet: bool
    as_json: bool
    colour: str
    no_input: bool
    yes: bool
    retry_failed: bool | None = None


def execute(prepared: Prepared, folder: CampaignFolder, manner: Manner, advice: str) -> None:
    """Run what is left of a campaign, print its table, write its page.

    Raises RunsFailed, Interrupted, Terminated or DiskFull for everything that did not end well.
    """
    try:
        _execute(prepared, folder, manner, advice)
    except DiskFull as error:
        raise DiskFull(error.message, f"{error.hint}, then {advice}") from error


def _execute(prepared: Prepared, folder: CampaignFolder, manner: Manner, advice: str) -> None:
    console = Console(
        stderr=True,
        no_color=not use_colour(manner.colour, error=True),
        force_terminal=False if manner.as_json else None,
        highlight=False,
    )
    title = f"{prepared.campaign.name} ({folder.root.name})"
    display = Display(console, title, quiet=manner.quiet or manner.as_json)
    with display, listening(partial(_on_signal, display, advice)) as stop:
        hooks = Hooks(
            stop=stop,
            on_begin=partial(_tell_what_came_before, display),
            listeners=partial(_listeners, display, manner),
            retry_failed=partial(_ask_retry, manner),
            go_on=partial(_ask_go_on, manner),
            on_pause=lambda seconds: display.say(f"pause of {seconds:g} s"),
        )
        session, closed = owning.run(prepared, folder, hooks)
        number = stop.signal.name if stop.signal else None
    _finish(session, closed, number, manner, advice)


def _tell_what_came_before(display: Display, session: Session) -> None:
    if session.change.added or session.change.removed:
        added, removed = len(session.change.added), len(session.change.removed)
        display.say(f"the campaign changed: {added} runs added, {removed} removed (their results are kept)")
    if session.journal.torn:
        display.say("the last line of the journal was torn by a crash and is cut off; nothing else is lost")
    if session.swept:
        display.say(f"{session.swept} processes that an earlier crash left behind were stopped")


def _listeners(display: Display, manner: Manner, session: Session) -> list[owning.Listener]:
    durations = {run_id: run.duration_s for run_id, run in session.status.runs.items() if run.duration_s and run.record}
    make_story = partial(Story, session.prepared.plan, session.remaining, durations)
    listeners: list[owning.Listener] = [Log(session.folder.log, make_story()), display.listener(make_story())]
    return [*listeners, JsonLines()] if manner.as_json else listeners


def _on_signal(display: Display, advice: str, times: int) -> None:
    if times == 1:
        display.must_say(f"stopping (again to stop at once); state is saved; {advice}")
    else:
        display.must_say("stopping at once")


def _ask_retry(manner: Manner, failed: int) -> bool:
    if manner.retry_failed is not None:
        return manner.retry_failed
    if manner.yes or not interactive(manner.no_input):
        return True
    answer = click.prompt(
        f"{failed} runs failed before: retry, skip or abort",
        type=click.Choice(["retry", "skip", "abort"]),
        default="retry",
        err=True,
    )
    if answer == "abort":
        raise click.Abort
    return bool(answer == "retry")


def _ask_go_on(manner: Manner, reason: str) -> bool:
    if manner.yes:
        return True
    return interactive(manner.no_input) and click.confirm(f"{reason}. Go on?", default=False, err=True)


def _finish(session: Session, closed: Closed | None, number: str | None, manner: Manner, advice: str) -> None:
    root = session.folder.root
    results = reading.summary_of(root)
    page = write_report_page(session.folder, results.summary)
    with readers.may_leave():
        if manner.as_json:
            summary = results.summary.model_dump(mode="json")
            click.echo(json.dumps({"event": "summary", "summary": summary}, allow_nan=False))
        else:
            print_report(results, manner.colour)
            if closed is None:
                click.echo(_nothing_left(session), err=True)
            click.echo(f"report: {page}")
    if closed is not None and closed.state == "interrupted":
        kind = Interrupted if number == "SIGINT" else Terminated
        raise kind(closed.reason, hint=advice)
    failed = session.status.tally().get("failed", 0)
    if failed or (closed is not None and closed.state == "stopped"):
        reason = f": {closed.reason}" if closed is not None and closed.reason else ""
        raise RunsFailed(
            f"{failed} of {session.status.planned} runs failed{reason}",
            hint=f"log: {session.folder.log}; {advice}",
        )


def _nothing_left(session: Session) -> str:
    done = session.status.tally().get("completed", 0)
    skipped = f", {session.remaining.failed} failed ones are left as they are" if session.remaining.failed else ""
    return f"nothing left to do: {done} of {session.status.planned} runs are completed{skipped}"
