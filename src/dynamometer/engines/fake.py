"""The fake engine: a real server process that computes nothing; it answers on a schedule, or with a fault."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dynamometer import __version__
from dynamometer.domain.engine import FORMATS, EngineOptions, EngineTraits
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.domain.wire import Endpoint
from dynamometer.engines import shield
from dynamometer.engines.base import Launch
from dynamometer.engines.fake_server import CRASH_CODE, START_FAILURE_CODE
from dynamometer.errors import PreconditionError

SERVER = Path(__file__).with_name("fake_server.py")
FAULT_STATUS = 503
END_S = 10.0
"""Time for the server to write its true times at its end."""

Milliseconds = Annotated[float, Field(ge=0, le=3_600_000)]

Fault = Literal[
    "status",
    "rate_limit",
    "redirect",
    "html",
    "no_answer",
    "hang",
    "drop",
    "stall",
    "malformed",
    "error_event",
    "invalid_utf8",
    "huge_event",
    "after_finish",
    "wrong_usage",
    "empty",
    "endless",
    "crash",
    "kill",
    "never_healthy",
    "start_failure",
]


class FakeOptions(EngineOptions):
    """Schedule and faults of the fake engine."""

    ttft_ms: Milliseconds = 20.0
    """Time from the start of a request in its slot to its first token."""
    itl_ms: Milliseconds = 5.0
    """Time between events with tokens."""
    jitter_ms: Milliseconds = 0.0
    """Each event is late by up to so much, by the seed."""
    load_ms: Milliseconds = 0.0
    """Time from the start to the first good health answer."""
    n_parallel: Annotated[int, Field(ge=1, le=65_536)] = 4
    """Requests answered at once; others wait."""
    tokens_per_event: Annotated[int, Field(ge=1, le=1024)] = 1
    """Tokens in one event."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of jitter and of answer lengths."""
    fault: Fault | None = None
    """What goes wrong: an error status, 429 with Retry-After, a redirect, HTML, a closed connection, silence; a stream
    that is dropped, stalls, holds a malformed event, an error event, text that is not UTF-8, an event of 10 MB, tokens
    after its finish reason, three times the tokens in its usage, nothing, or no end; a crash (exit code 7), SIGKILL,
    never healthy, failure to start."""
    fault_after: Annotated[int, Field(ge=0)] = 0
    """Requests answered well before the fault."""
    fault_status: Annotated[int, Field(ge=300, le=599)] = FAULT_STATUS
    """HTTP status of the fault ``status``."""
    allocate_mb: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Memory to hold, in MB."""
    ignore_sigterm: bool = False
    """Ends only by SIGKILL."""
    orphan: bool = False
    """Leaves a process behind in a session of its own."""
    log_kb: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Size of what it logs at the start, in kB."""
    phased: bool = False
    """Streams are due one after the other: each slot has its own place within the ITL."""
    core: Annotated[int, Field(ge=0)] | None = None
    """Processor to run on; any when left out."""
    truth_file: str | None = None
    """File for the true send times of streamed answers, written when the server ends."""

    @model_validator(mode="after")
    def _exclusions(self) -> FakeOptions:
        if self.fault_after and self.fault in (None, "never_healthy", "start_failure"):
            raise ValueError("fault_after needs a fault that shows in a request")
        if self.fault_status != FAULT_STATUS and self.fault != "status":
            raise ValueError("fault_status needs fault: status")
        return self


class FakeEngine:
    """See ``engines.base.Engine``."""

    traits = EngineTraits(
        name="fake",
        title="Fake engine (simulated, for tests)",
        formats=FORMATS,
        options=FakeOptions,
        precisions=("auto", "float32", "float16", "bfloat16", "fp8"),
        parallel_option="n_parallel",
        simulated=True,
    )
    info_paths = ("/v1/models",)

    def missing(self) -> str | None:
        """Nothing: it is part of Dynamometer."""
        return None

    def version(self) -> str | None:
        """Our own version."""
        return __version__

    def launch(self, step: Step, host: str, port: int) -> Launch:
        """Its server in a process of its own."""
        options = FakeOptions.model_validate(step.experiment.options)
        return Launch(argv=command(options, host, port), endpoint=_endpoint(host, port))

    def details(self, answers: dict[str, Any]) -> dict[str, Any]:
        """The names of its models."""
        models = answers.get("/v1/models")
        listed = models.get("data", ()) if isinstance(models, dict) else ()
        return {"models": [model.get("id") for model in listed if isinstance(model, dict)]}

    def diagnose(self, log: tuple[str, ...], exit_code: int | None) -> Failure | None:
        """The faults it was asked for."""
        if exit_code == START_FAILURE_CODE:
            return Failure(kind="config", message="the fake engine could not start, as asked", log_tail=log[-100:])
        if exit_code == CRASH_CODE:
            return Failure(kind="runtime", message="the fake engine crashed, as asked", log_tail=log[-100:])
        return None


ENGINE = FakeEngine()


@contextmanager
def serving(options: FakeOptions, host: str = "127.0.0.1") -> Iterator[Endpoint]:
    """A fake engine for the length of the block, on a port of its own choice; it does not outlive us.

    Raises PreconditionError when it ends instead of listening.
    """
    argv = [sys.executable, "-I", "-S", shield.__file__, str(os.getpid()), *command(options, host, 0)]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    with process:
        try:
            yield _endpoint(host, _listening_port(process))
        finally:
            process.terminate()  # it writes its true times
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def command(options: FakeOptions, host: str, port: int) -> tuple[str, ...]:
    """The server file itself, in an isolated Python without site packages: it starts in some 50 ms."""
    settings = json.dumps(options.model_dump(exclude_defaults=True))
    return (sys.executable, "-I", "-S", str(SERVER), host, str(port), settings)


def _endpoint(host: str, port: int) -> Endpoint:
    return Endpoint(host=host, port=port, model="fake", ignore_eos=True)


def _listening_port(process: subprocess.Popen[str]) -> int:
    for line in process.stderr or ():
        if found := re.search(r"listens on .*:(\d+) ", line):
            return int(found[1])
    raise PreconditionError("the fake engine ended before it listened")
