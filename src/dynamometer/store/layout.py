"""The only place that spells file names of a campaign folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STEP = "step.json"
RECORD = "record.json"
FAILURE = "failure.json"
SAMPLES = "samples.jsonl"
ENGINE_LOG = "engine.log"
WORKER_LOG = "worker.log"
WORKER = "worker.json"


@dataclass(frozen=True, slots=True)
class CampaignFolder:
    """Paths in one campaign's folder. The folder is self-contained and may be moved."""

    root: Path

    @property
    def campaign(self) -> Path:
        """The campaign file, letter by letter as the user wrote it."""
        return self.root / "campaign.yaml"

    @property
    def plan(self) -> Path:
        """The current plan."""
        return self.root / "plan.json"

    @property
    def journal(self) -> Path:
        """The truth."""
        return self.root / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that owns the campaign; freed by the kernel when it dies."""
        return self.root / "campaign.lock"

    @property
    def manifest(self) -> Path:
        """The state of every run, readable; derived from the journal."""
        return self.root / "campaign_manifest.json"

    @property
    def log(self) -> Path:
        """What happened, for people."""
        return self.root / "campaign.log"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.root / "report.html"

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        return self.root / "runs"

    def attempt(self, run_id: str, attempt: int) -> Path:
        """Folder of one attempt."""
        return self.runs / run_id / f"attempt-{attempt}"

    def attempts(self) -> Iterator[Path]:
        """Folders of all attempts there are."""
        return self.runs.glob("*/attempt-*")

    def relative(self, path: Path) -> str:
        """A path inside the folder as the journal writes it."""
        return path.relative_to(self.root).as_posix()


def is_campaign(root: Path) -> bool:
    """Whether a folder is a campaign's."""
    return CampaignFolder(root).journal.is_file()
