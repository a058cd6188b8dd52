"""Engines that campaign files may already name, and that this version cannot start yet."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Any

from dynamometer.domain.engine import EngineTraits
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.engines.base import Launch
from dynamometer.errors import PreconditionError


@dataclass(frozen=True, slots=True)
class PlannedEngine:
    """An engine whose options are known and checked, so that files can be written and validated for it today.

    It never starts: ``launch`` raises PreconditionError with the sentence of ``traits.unavailable``.
    """

    traits: EngineTraits
    distribution: str | None = None
    """Python distribution that holds it, to tell its version."""
    info_paths: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why it cannot be started."""
        return self.traits.unavailable or f"{self.traits.name}: not available yet"

    def missing(self) -> str | None:
        """The same reason on every machine."""
        return self.reason

    def version(self) -> str | None:
        """Version of the installed distribution, None when there is none."""
        return installed_version(self.distribution) if self.distribution else None

    def launch(self, step: Step, host: str, port: int) -> Launch:
        """Refuse. Raises PreconditionError."""
        raise PreconditionError(
            f"{step.run_id}: cannot start {self.traits.title} on {host}:{port}: {self.reason}",
            "take llama_cpp, or leave this engine out",
        )

    def details(self, answers: dict[str, Any]) -> dict[str, Any]:
        """What it says of itself: everything, since nothing is known about it."""
        return answers

    def diagnose(self, log: tuple[str, ...], exit_code: int | None) -> Failure | None:
        """Whatever failed, it cannot be this engine's doing: it did not run."""
        return Failure(kind="config", message=self.reason, log_tail=log[-100:]) if exit_code is not None else None


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, without importing it; None when it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
