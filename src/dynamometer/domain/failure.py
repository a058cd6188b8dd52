"""Why a run or an attempt failed."""

from __future__ import annotations

from typing import Literal

from dynamometer.domain.base import Value

FailureClass = Literal["config", "runtime", "resource"]
"""config: the same settings will fail again. resource: memory, disk, time. runtime: everything else."""


class Failure(Value):
    """Why a run or an attempt failed."""

    kind: FailureClass
    """Class, which decides about retries."""
    message: str
    """What happened, for people, one or a few lines."""
    hint: str | None = None
    """What to do next."""
    stops_campaign: bool | None = None
    """True when every other run would fail of the same, such as a full disk: the campaign stops, to be resumed."""
    log_tail: tuple[str, ...] = ()
    """Last lines of the engine's log, at most 100."""
