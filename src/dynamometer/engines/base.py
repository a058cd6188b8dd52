"""What an engine module gives: its traits for planning, and how to start it.

An engine is one module with one ``Engine`` in it and one line in ``engines.ENGINES``. The engine itself runs as a
child process of the worker and answers HTTP on loopback; nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from dynamometer.domain.engine import EngineTraits
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.domain.wire import Endpoint


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start an engine for one step."""

    argv: tuple[str, ...]
    """Command line. No shell."""
    endpoint: Endpoint
    """Where it will answer."""
    env: dict[str, str] = field(default_factory=dict)
    """Variables to add to the environment."""
    health_path: str = "/health"
    """Answers 200 when the engine is ready."""


class Engine(Protocol):
    """One inference engine."""

    @property
    def traits(self) -> EngineTraits:
        """What planning knows of it."""

    def missing(self) -> str | None:
        """Why it cannot be started on this machine (a package that is not installed), with the remedy; None if it can.

        Cheap: looks, imports nothing heavy.
        """

    def version(self) -> str | None:
        """Version of the engine as installed, without starting it."""

    def launch(self, step: Step, host: str, port: int) -> Launch:
        """The command that serves this step's experiment on ``host:port``."""

    def details(self, answers: dict[str, Any]) -> dict[str, Any]:
        """What to keep in the record of the answers the running engine gave on its information paths."""

    def diagnose(self, log: tuple[str, ...], exit_code: int | None) -> Failure | None:
        """The failure that the engine's log tells of, if it is one this engine is known for."""

    @property
    def info_paths(self) -> tuple[str, ...]:
        """Paths to ask once after start, for ``details``."""
