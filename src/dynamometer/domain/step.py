"""What a worker is handed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.experiment import ClientProcesses, Experiment


class Step(Value):
    """What is handed to a worker: a folder with this in it is all it gets.

    ``step.json`` in the attempt's folder; the same on this host, in a container, on an agent.
    """

    schema_version: int = 1
    """Version of this format."""
    campaign_id: str
    """Campaign it belongs to; empty for a single experiment."""
    run_id: str
    """Identity of the run."""
    cycle: Annotated[int, Field(ge=1)]
    """Cycle, from 1."""
    attempt: Annotated[int, Field(ge=1)]
    """Attempt, from 1."""
    experiment: Experiment
    """What to run."""
    weights_path: str | None = None
    """Where the weights are on the machine of the worker."""
    dataset_path: str | None = None
    """Where the prompts are on the machine of the worker; None for the built-in ones."""
    trace_path: str | None = None
    """Where the trace of send times is on the machine of the worker; None when the load has none."""
    timeout_s: Annotated[float, Field(gt=0)]
    """Longest time for the run."""
    energy_source: str = "auto"
    """Sensor to use."""
    client_processes: ClientProcesses = 1
    """Processes that share the load, for when one core is not enough for the client."""
