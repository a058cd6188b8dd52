"""One step, whole: engine up, warm-up, window, engine down, record. The same wherever it runs."""

from __future__ import annotations

import ctypes
import http.client
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from dynamometer.domain.failure import Failure
from dynamometer.domain.record import EngineFacts, ModelFacts, Reading, Record
from dynamometer.domain.step import Step
from dynamometer.domain.units import NS_PER_S
from dynamometer.engines import ENGINES
from dynamometer.engines.base import Engine, Launch
from dynamometer.engines.process import EngineProcess
from dynamometer.engines.shield import die_with_parent
from dynamometer.errors import DiskFull, DynoError, PreconditionError, Terminated
from dynamometer.meters import select
from dynamometer.meters.base import Meter, Target
from dynamometer.sources import local
from dynamometer.store import layout
from dynamometer.store.lock import process_start
from dynamometer.store.records import (
    WorkerMark,
    log_tail,
    read_step,
    write_failure,
    write_mark,
    write_record,
    write_samples,
)
from dynamometer.worker.crash import crash, versions
from dynamometer.worker.drive import Driven, drive
from dynamometer.worker.facts import host_facts
from dynamometer.worker.record import record_of

LOG = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
PR_SET_CHILD_SUBREAPER = 36
LAST_RESORT_S = 20


class StepFailed(Exception):
    """The step cannot give a record; carries the failure to report."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def main(folder: Path, parent: int | None) -> int:
    """Run the step in ``folder``; returns the exit code (0: a record is there, 1: a failure report is there).

    With ``parent``, the worker ends when that process does. Raises Terminated when told to stop: then neither a
    record nor a failure is left, and the attempt counts as not made.
    """
    _obey_signals()
    if parent is not None:
        die_with_parent(parent, signal.SIGTERM)
    _adopt_orphans()
    step = read_step(folder)
    write_mark(folder, WorkerMark(os.getpid(), process_start(os.getpid()) or 0.0))
    try:
        run_step(step, folder)
    except StepFailed as error:
        write_failure(folder, error.failure)
        return 1
    except PreconditionError as error:
        stops = isinstance(error, DiskFull) or None
        write_failure(folder, Failure(kind="resource", message=error.message, hint=error.hint, stops_campaign=stops))
        return 1
    except DynoError as error:
        if isinstance(error, Terminated):
            raise
        write_failure(folder, Failure(kind="config", message=error.message, hint=error.hint))
        return 1
    except Exception as error:
        LOG.exception("the worker crashed: %s", versions())
        write_failure(folder, crash(error, step))
        return 1
    return 0


def _obey_signals() -> None:
    """TERM unwinds the stack, which stops the engine; if that hangs, the alarm ends us, and the engine with us."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.alarm(LAST_RESORT_S)
        raise Terminated("the worker was told to stop")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _adopt_orphans() -> None:
    """Become the parent of what the engine daemonises, so that it can be found and stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Running:
    """An engine that answers."""

    engine: Engine
    launch: Launch
    process: EngineProcess
    load_ns: int
    answers: dict[str, Any]


def run_step(step: Step, folder: Path) -> Record:
    """Engine up, drive, engine down, record on disk. Raises StepFailed with the reason."""
    began, started_at = time.monotonic_ns(), datetime.now(UTC).isoformat(timespec="milliseconds")
    deadline = began + int(step.timeout_s * NS_PER_S)
    host = host_facts()
    model = model_facts(step)
    engine = engine_of(step)
    prompts = _text_of(step.dataset_path, "prompts")
    trace = _text_of(step.trace_path, "the trace")
    meters = select(step.energy_source)
    with running(engine, step, folder, deadline) as up:
        readings: list[Reading] = []
        target = Target(up.process.pgid)
        try:
            driven = drive(
                step,
                up.launch.endpoint,
                prompts_text=prompts,
                trace_text=trace,
                on_window_open=lambda: _open(meters, target),
                on_window_close=lambda: readings.extend(_close(meters)),
                deadline_ns=deadline,
            )
        except OSError as error:
            raise StepFailed(_lost(up, folder, str(error))) from error
        if (code := up.process.exit_code()) is not None:
            raise StepFailed(_lost(up, folder, f"the engine ended during the run ({_exit_words(code)})"))
        facts = EngineFacts(
            name=engine.traits.name,
            version=engine.version(),
            argv=up.launch.argv,
            endpoint_kind=up.launch.endpoint.api,
            load_ns=up.load_ns,
            details=engine.details(up.answers),
        )
    _require_answers(driven, folder, deadline)
    if driven.cut_short is not None:
        raise StepFailed(
            Failure(
                kind="resource" if time.monotonic_ns() >= deadline else "runtime",
                message=f"the window was cut short: {driven.cut_short}",
                hint="raise execution.timeout, or ask for fewer requests",
                log_tail=log_tail(folder),
            )
        )
    digest = write_samples(folder, driven.samples)
    record = record_of(
        step,
        driven,
        simulated=engine.traits.simulated,
        started_at=started_at,
        duration_ns=time.monotonic_ns() - began,
        engine=facts,
        model=model,
        host=host,
        readings=readings,
        samples_sha256=digest,
    )
    write_record(folder, record)
    return record


def engine_of(step: Step) -> Engine:
    """The engine of a step, checked again right before it is started."""
    engine = ENGINES.get(step.experiment.engine)
    if engine is None:
        raise StepFailed(Failure(kind="config", message=f"no engine {step.experiment.engine!r} is installed here"))
    if reason := engine.traits.unavailable or engine.missing():
        raise StepFailed(Failure(kind="config", message=f"{engine.traits.name}: {reason}"))
    return engine


def model_facts(step: Step) -> ModelFacts:
    """What the weights are. A GGUF that is cut short, or is none, fails here, before an engine chokes on it."""
    weights, path = step.experiment.weights, step.weights_path
    if path is None:
        return ModelFacts(name=step.experiment.model, file=None, size_bytes=None, sha256=None, quant=weights.quant)
    return local.model_facts(step.experiment.model, Path(path), weights)


def _text_of(path: str | None, what: str) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StepFailed(Failure(kind="config", message=f"cannot read {what} {path}: {error}")) from error


@contextmanager
def running(engine: Engine, step: Step, folder: Path, deadline: int) -> Iterator[Running]:
    """An engine that answers, for as long as the block runs. It is stopped whatever happens."""
    port = free_port()
    launch = engine.launch(step, LOOPBACK, port)
    began = time.monotonic_ns()
    process = EngineProcess(launch.argv, launch.env, folder / layout.ENGINE_LOG, folder)
    try:
        write_mark(
            folder,
            WorkerMark(
                os.getpid(), process_start(os.getpid()) or 0.0, process.pgid, process_start(process.pgid) or 0.0
            ),
        )
        load_ns = _await_ready(launch, process, folder, engine, began, deadline)
        answers = {path: _ask(launch, path) for path in engine.info_paths}
        yield Running(engine, launch, process, load_ns, answers)
    except Terminated:
        process.stop(grace_s=1.0)
        raise
    finally:
        process.stop()


def free_port() -> int:
    """A loopback port that is free now. If another process takes it first, the engine's start fails and is retried."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _await_ready(
    launch: Launch, process: EngineProcess, folder: Path, engine: Engine, began: int, deadline: int
) -> int:
    """Nanoseconds from the start of the process to its first good health answer."""
    pause = 0.002
    while time.monotonic_ns() < deadline:
        if _healthy(launch):
            return time.monotonic_ns() - began
        if (code := process.exit_code()) is not None:
            tail = log_tail(folder)
            known = engine.diagnose(tail, code)
            raise StepFailed(
                known.model_copy(update={"log_tail": tail})
                if known
                else Failure(
                    kind="runtime", message=f"the engine ended before it was ready ({_exit_words(code)})", log_tail=tail
                )
            )
        time.sleep(pause)
        pause = min(pause * 1.2, 0.05)
    raise StepFailed(
        Failure(
            kind="resource",
            message=f"the engine was not ready within execution.timeout ({(deadline - began) / NS_PER_S:.0f} s)",
            hint="raise execution.timeout, or look into the engine's log",
            log_tail=log_tail(folder),
        )
    )


def _healthy(launch: Launch) -> bool:
    connection = http.client.HTTPConnection(launch.endpoint.host, launch.endpoint.port, timeout=2)
    try:
        connection.request("GET", launch.health_path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ask(launch: Launch, path: str) -> Any:
    """The JSON answer of an information path; None when the engine has none there."""
    connection = http.client.HTTPConnection(launch.endpoint.host, launch.endpoint.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _open(meters: Sequence[Meter], target: Target) -> None:
    for meter in meters:
        meter.open(target)


def _close(meters: Sequence[Meter]) -> Iterator[Reading]:
    for meter in reversed(meters):
        yield from meter.close()


def _lost(up: Running, folder: Path, message: str) -> Failure:
    """An engine that went away during the run."""
    tail = log_tail(folder)
    known = up.engine.diagnose(tail, up.process.exit_code())
    return (known or Failure(kind="runtime", message=message)).model_copy(update={"log_tail": tail})


def _require_answers(driven: Driven, folder: Path, deadline: int) -> None:
    """A run without one whole answer is a failure, whatever the exit codes say."""
    sent = [sample for sample in driven.samples if sample.phase == "window"]
    if any(sample.error is None for sample in sent):
        return
    kinds = Counter(sample.error for sample in sent)
    words = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common()) or "no request was sent"
    detail = next((sample.error_detail for sample in sent if sample.error_detail), None)
    late = time.monotonic_ns() >= deadline
    raise StepFailed(
        Failure(
            kind="resource" if late else "runtime",
            message=f"no request was answered whole: {words}" + (f"; the first: {detail}" if detail else ""),
            hint="raise execution.timeout" if late else None,
            log_tail=log_tail(folder),
        )
    )


def _exit_words(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
