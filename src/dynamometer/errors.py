"""Every fatal error of Dynamometer, and the exit code it ends the process with.

    DynoError                    1   a bug, or something nobody foresaw
    ├── UsageError               2   wrong words on the command line
    │   └── CampaignError        2   the campaign file does not say something that can be planned
    ├── DamageError              3   stored state is damaged (journal, record)
    ├── RunsFailed               4   the campaign ended, but some runs failed
    ├── GateBroken               5   a limit given with --fail-on or --max-error-share is broken
    ├── LockedError              6   another process owns the campaign
    ├── NotFoundError            7   no such campaign, file, run
    ├── PreconditionError        8   the machine lacks something (disk, engine, model, permission)
    ├── Interrupted            130   Ctrl-C (SIGINT)
    └── Terminated             143   SIGTERM

A message says what happened and why; ``hint`` says what to do next. Only ``cli.main`` turns an error
into text and an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_CODES: dict[int, str] = {
    0: "everything asked for was done",
    1: "unexpected error (a bug; please report it)",
    2: "usage: wrong option, or a campaign file with mistakes",
    3: "damage: stored state (journal, record) is corrupt",
    4: "finished, but some runs failed",
    5: "a limit given with --fail-on or --max-error-share is broken",
    6: "locked: another process owns the campaign",
    7: "not found: no such campaign, file or run",
    8: "precondition: something is missing (engine, model, disk space, permission, feature)",
    130: "interrupted (SIGINT, Ctrl-C)",
    143: "terminated (SIGTERM)",
}
"""Exit codes that ``dyno`` can end with, and what each means."""


class DynoError(Exception):
    """Base of every error we raise on purpose: a message, a hint and an exit code."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DynoError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a campaign file.

    ``where`` is the dotted place in the file (``engines.1.formats``); ``line`` and ``column`` count from 1
    and are None when the value did not come from a file; ``suggestion`` is a near spelling, if there is one.
    """

    message: str
    where: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        position = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = ": ".join(part for part in (position, self.where, self.message) if part)
        return f"{text} (did you mean {self.suggestion!r}?)" if self.suggestion else text


class CampaignError(UsageError):
    """A campaign file that cannot be planned; carries every mistake found, not only the first."""

    def __init__(self, problems: Sequence[Problem], hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint)
        self.problems = tuple(problems)


class DamageError(DynoError):
    """Stored state does not read back as it was written."""

    exit_code = 3


class RunsFailed(DynoError):
    """A campaign came to its end, and not every run of it succeeded."""

    exit_code = 4


class GateBroken(DynoError):
    """A limit does not hold; what it is about was made and printed."""

    exit_code = 5


class LockedError(DynoError):
    """Another live process owns the campaign folder."""

    exit_code = 6


class NotFoundError(DynoError):
    """What was asked for does not exist."""

    exit_code = 7


class PreconditionError(DynoError):
    """This machine lacks something the command needs; nothing was started."""

    exit_code = 8


class DiskFull(PreconditionError):
    """What had to be written did not fit on the disk."""


class Interrupted(DynoError):
    """The user pressed Ctrl-C; state is saved."""

    exit_code = 130


class Terminated(DynoError):
    """SIGTERM came; state is saved."""

    exit_code = 143
