"""campaign_manifest.json and the progress file: the journal's fold, for people, for git, for other programs.

Writing the manifest costs O(runs), so it is throttled: at most one twentieth of the time goes into it. The journal is
the truth; whoever reads the manifest of a campaign that was killed reads it as it was a little before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dynamometer.domain.event import Claimed, Closed, Stamped
from dynamometer.domain.plan import Plan
from dynamometer.domain.status import CampaignStatus, RunStatus
from dynamometer.store.files import write_whole

MANIFEST_SCHEMA = 1
LEAST_INTERVAL_S = 5.0
LARGEST_SHARE = 0.05
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def manifest(plan: Plan, status: CampaignStatus) -> dict[str, Any]:
    """The state of every run of the plan, and of runs that left it, as one document."""
    tally = status.tally()
    return {
        "schema_version": MANIFEST_SCHEMA,
        "campaign_id": status.campaign_id,
        "name": status.name,
        "source": status.source,
        "created": status.created,
        "updated": status.updated,
        "config_hash": status.config_hash,
        "state": status.state,
        "reason": status.reason,
        "counts": tally,
        "runs": [
            _entry(run_id, run.cycle, plan.experiments[run.experiment].name, plan, run.experiment, status)
            for run_id, run in plan.by_run_id.items()
        ],
        "removed": sorted(status.removed),
    }


def _entry(run_id: str, cycle: int, name: str, plan: Plan, place: int, status: CampaignStatus) -> dict[str, Any]:
    experiment = plan.experiments[place]
    run = status.runs.get(run_id, RunStatus())
    return {
        "run_id": run_id,
        "exp_id": experiment.id,
        "name": name,
        "cycle": cycle,
        "engine": experiment.engine,
        "container": None,
        "status": run.state,
        "attempts": run.attempts,
        "error": run.failure.message if run.failure else None,
        "error_class": run.failure.kind if run.failure else None,
        "result_path": run.record,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "duration_s": run.duration_s,
    }


def write_manifest(path: Path, plan: Plan, status: CampaignStatus) -> None:
    """Write the manifest, whole or not at all: a line for each run, so that it reads well and differs well in git."""
    document = manifest(plan, status)
    runs = ",\n  ".join(_ENCODER.encode(entry) for entry in document.pop("runs"))
    head = ",\n ".join(f"{_ENCODER.encode(key)}: {_ENCODER.encode(value)}" for key, value in document.items())
    write_whole(path, f'{{{head},\n "runs": [\n  {runs}\n ]}}\n')


class ManifestWriter:
    """Listener that keeps the manifest near the journal."""

    def __init__(
        self, path: Path, plan: Plan, status: CampaignStatus, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to ``path`` the fold of ``plan`` and ``status``, which the journal's writer keeps up to date."""
        self._path, self._plan, self._status, self._clock = path, plan, status, clock
        self._next = clock() + LEAST_INTERVAL_S

    def __call__(self, stamped: Stamped) -> None:
        """Write now if it is time, or if this is the first or the last event of an owner."""
        begin = self._clock()
        if begin < self._next and not isinstance(stamped.body, (Claimed, Closed)):
            return
        write_manifest(self._path, self._plan, self._status)
        end = self._clock()
        self._next = end + max(LEAST_INTERVAL_S, (end - begin) / LARGEST_SHARE)


def write_progress(path: Path, status: CampaignStatus, folder: Path) -> None:
    """One small file per campaign under the state folder: where it stands, O(1)."""
    progress = {
        "schema_version": MANIFEST_SCHEMA,
        "campaign_id": status.campaign_id,
        "name": status.name,
        "folder": str(folder),
        "state": status.state,
        "updated": status.updated,
        "counts": status.tally(),
        "runs": status.planned,
    }
    write_whole(path, json.dumps(progress, ensure_ascii=False) + "\n")
