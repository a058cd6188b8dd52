"""A mistake of our own in a worker, as the failure of its run."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import dynamometer
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.store import layout

HERE = Path(dynamometer.__file__).parent
SHOWN_LINES = 100


def crash(error: Exception, step: Step) -> Failure:
    """What went wrong and where, with the traceback, which is also in the worker's log."""
    words = traceback.format_exception_only(error)[0].strip()
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(HERE)]
    where = f" ({Path(ours[-1].filename).relative_to(HERE)}:{ours[-1].lineno}, in {ours[-1].name})" if ours else ""
    return Failure(
        kind="runtime",
        message=f"the worker crashed: {words}{where}",
        hint="this is a bug of dyno; please report it with the file "
        f"runs/{step.run_id}/attempt-{step.attempt}/{layout.WORKER_LOG} in the campaign's folder",
        log_tail=tuple("".join(traceback.format_exception(error)).splitlines()[-SHOWN_LINES:]),
    )


def versions() -> str:
    """What a bug report has to name."""
    return f"dyno {dynamometer.__version__}, Python {sys.version}, {sys.platform}"
