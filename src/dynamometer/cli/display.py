"""What a running campaign shows: a live line on a terminal, plain lines elsewhere, JSON lines, a log file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from dynamometer.cli import readers
from dynamometer.domain.event import (
    AttemptFailed,
    Claimed,
    Closed,
    Done,
    Failed,
    InterruptedRun,
    Skipped,
    Stamped,
    Started,
)
from dynamometer.domain.plan import Plan
from dynamometer.domain.units import human_duration
from dynamometer.plan.estimate import Forecast
from dynamometer.plan.resume import Remaining

ETA_UNKNOWN = "ETA after the first run"


class Story:
    """Events of a campaign as sentences, with the time that is left. Knows the plan; writes nowhere."""

    def __init__(self, plan: Plan, remaining: Remaining, measured: dict[str, float]) -> None:
        """``measured``: durations in seconds of runs that an earlier owner finished, by run id."""
        self._plan = plan
        self._forecast = Forecast([run for _, run in remaining.runs], plan.campaign.execution.thermal)
        for run_id, seconds in measured.items():
            if run_id in plan.by_run_id:
                self._forecast.measured(plan.by_run_id[run_id].experiment, seconds)
        self.total, self.finished, self._cycle = len(plan.runs), len(plan.runs) - len(remaining.runs), 0
        self._current = ""

    @property
    def current(self) -> str:
        """The run under way: ``cycle 2/3 llama_cpp/…``."""
        return self._current

    def eta(self) -> str:
        """Time left, from the durations measured so far."""
        seconds = self._forecast.seconds_left()
        return ETA_UNKNOWN if seconds is None else f"ETA {human_duration(seconds)}"

    def sentences(self, stamped: Stamped) -> list[tuple[str, str]]:
        """(style, sentence) for one event; style is '' or 'bad' or 'head'."""
        event = stamped.body
        match event:
            case Claimed():
                return [("", f"{event.remaining} of {self.total} runs to do")]
            case Started():
                return self._started(event)
            case Done():
                self._finish(event.run, event.duration_s)
                return [("", f"{self._count()} {self._name(event.run)} done in {human_duration(event.duration_s)}")]
            case Failed():
                self._finish(event.run, event.duration_s)
                words = f"{event.failure.kind}: {event.failure.message}"
                return [("bad", f"{self._count()} {self._name(event.run)} failed ({words})")]
            case AttemptFailed():
                words = f"attempt {event.attempt} failed ({event.failure.kind}: {event.failure.message})"
                return [("bad", f"{self._name(event.run)} {words}; trying again")]
            case InterruptedRun():
                return [("bad", f"{self._name(event.run)} interrupted ({event.reason})")]
            case Skipped():
                return [("", f"{self._name(event.run)} skipped ({event.reason})")]
            case Closed():
                reason = f" ({event.reason})" if event.reason else ""
                return [("bad" if event.state in ("failed", "stopped") else "", f"campaign {event.state}{reason}")]
        return []

    def _started(self, event: Started) -> list[tuple[str, str]]:
        run = self._plan.by_run_id[event.run]
        cycles = self._plan.campaign.cycles
        self._current = self._name(event.run)
        if run.cycle == self._cycle:
            return []
        self._cycle = run.cycle
        return [("head", f"=== Cycle {run.cycle} of {cycles} ===")]

    def _finish(self, run_id: str, seconds: float) -> None:
        self._forecast.finished(self._plan.by_run_id[run_id].experiment, seconds)
        self.finished += 1

    def _count(self) -> str:
        return f"[{self.finished}/{self.total}]"

    def _name(self, run_id: str) -> str:
        run = self._plan.by_run_id[run_id]
        return f"{self._plan.experiments[run.experiment].name} cycle {run.cycle}"


class Log:
    """Listener that writes sentences into the campaign's log file."""

    def __init__(self, path: Path, story: Story) -> None:
        """Append to ``path``."""
        self._path, self._story = path, story

    def __call__(self, stamped: Stamped) -> None:
        """Write what happened."""
        with self._path.open("a", encoding="utf-8") as file:
            for _, sentence in self._story.sentences(stamped):
                file.write(f"{stamped.at} {sentence}\n")


class JsonLines:
    """Listener that prints each event as one JSON line."""

    def __init__(self) -> None:
        """Somebody reads them, until we learn otherwise."""
        self._read = True

    def __call__(self, stamped: Stamped) -> None:
        """Print it, at once. A reader that went away (| head) does not end the campaign."""
        if not self._read:
            return
        try:
            sys.stdout.write(stamped.model_dump_json(exclude_none=True) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._read = False


STYLES = {"": "", "bad": "red", "head": "bold"}


class Display(AbstractContextManager["Display"]):
    """Progress on standard error: animated on a terminal, plain lines elsewhere, nothing when quiet."""

    def __init__(self, console: Console, title: str, *, quiet: bool) -> None:
        """``title`` names the campaign and its id."""
        self._console, self._title, self._quiet = console, title, quiet
        self._story: Story | None = None
        self._progress: Progress | None = None

    def say(self, sentence: str, style: str = "") -> None:
        """A line above the progress."""
        if not self._quiet:
            self._print(Text(sentence, style=STYLES.get(style, style)))

    def must_say(self, sentence: str) -> None:
        """A line that is shown even when quiet."""
        self._print(Text(sentence))

    def _print(self, text: Text) -> None:
        with readers.may_leave():
            self._console.print(text, soft_wrap=True)

    def listener(self, story: Story) -> Callable[[Stamped], None]:
        """Begin to show a campaign."""
        self._story = story
        if self._console.is_terminal and not self._quiet:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[eta]}", markup=False),
                console=self._console,
                refresh_per_second=2,
                transient=True,
            )
            self._progress.start()
            self._progress.add_task(self._title, total=story.total, completed=story.finished, eta=story.eta())
        else:
            self.say(self._title)
        return self._hear

    def _hear(self, stamped: Stamped) -> None:
        assert self._story is not None, "listener() was called"
        for style, sentence in self._story.sentences(stamped):
            ends = isinstance(stamped.body, (Done, Failed))
            self.say(
                f"{sentence}, {self._story.eta()}" if ends and self._story.finished < self._story.total else sentence,
                style,
            )
        if self._progress is not None:
            task = self._progress.task_ids[0]
            self._progress.update(
                task,
                description=self._story.current or self._title,
                completed=self._story.finished,
                eta=self._story.eta(),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            with readers.may_leave():
                self._progress.stop()
