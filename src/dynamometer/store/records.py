"""What a worker leaves in its folder, and what that means: a valid record, or a failure. Nothing else counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dynamometer.domain.failure import Failure
from dynamometer.domain.record import RECORD_SCHEMA, Record, Sample
from dynamometer.domain.step import Step
from dynamometer.errors import DamageError, NotFoundError
from dynamometer.store import layout
from dynamometer.store.files import write_whole

_SAMPLE = TypeAdapter(Sample)
LOG_TAIL = 100


@dataclass(frozen=True, slots=True)
class Success:
    """A valid record."""

    record: Record
    sha256: str


def write_samples(folder: Path, samples: Iterable[Sample]) -> str:
    """Write the raw samples, one JSON line each; returns the hash of the file."""
    data = b"".join(sample.line().encode() + b"\n" for sample in samples)
    write_whole(folder / layout.SAMPLES, data)
    return hashlib.sha256(data).hexdigest()


def read_samples(path: Path, sha256: str | None = None) -> tuple[Sample, ...]:
    """The raw samples.

    Raises DamageError with the line of the first bad one, or when the file is not the one with that ``sha256``.
    """
    samples, data = [], _bytes(path)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise DamageError(f"{path}: it is not what its record says it is")
    for number, line in enumerate(data.splitlines(), 1):
        try:
            samples.append(_SAMPLE.validate_json(line))
        except ValidationError as error:
            raise DamageError(f"{path}:{number}: not a sample: {_first(error)}") from error
    return tuple(samples)


def write_record(folder: Path, record: Record) -> None:
    """Write the record, whole or not at all. Its samples must be there already."""
    write_whole(folder / layout.RECORD, record.model_dump_json(indent=1) + "\n")


def read_record(path: Path) -> Success:
    """The record at ``path``. Raises NotFoundError, or DamageError when it is not a valid record."""
    data = _bytes(path)
    refuse_newer(data, RECORD_SCHEMA, path)
    try:
        record = Record.model_validate_json(data)
    except ValidationError as error:
        raise DamageError(f"{path}: not a valid record: {_first(error)}") from error
    return Success(record, hashlib.sha256(data).hexdigest())


def write_failure(folder: Path, failure: Failure) -> None:
    """Write why an attempt failed."""
    write_whole(folder / layout.FAILURE, failure.model_dump_json(indent=1) + "\n")


def outcome(folder: Path, step: Step) -> Success | Failure | None:
    """What an ended worker left: its record if that is valid and of this step, its failure, or nothing.

    A record that does not hold up is a failure with the reason, never a success.
    """
    if (folder / layout.RECORD).exists():
        try:
            found = read_record(folder / layout.RECORD)
            _check_belongs(found.record, step, folder)
        except (DamageError, NotFoundError) as error:
            return Failure(kind="runtime", message=f"the record does not hold up: {error}", log_tail=log_tail(folder))
        return found
    if (folder / layout.FAILURE).exists():
        try:
            return Failure.model_validate_json((folder / layout.FAILURE).read_bytes())
        except ValidationError as error:
            return Failure(kind="runtime", message=f"unreadable failure report: {_first(error)}")
    return None


def _check_belongs(record: Record, step: Step, folder: Path) -> None:
    if (record.run_id, record.attempt, record.experiment.id) != (step.run_id, step.attempt, step.experiment.id):
        raise DamageError(f"it is of {record.run_id}, attempt {record.attempt}, not of {step.run_id}")
    if hashlib.sha256(_bytes(folder / record.samples_file)).hexdigest() != record.samples_sha256:
        raise DamageError(f"{record.samples_file} is not what the record says it is")


def log_tail(folder: Path, lines: int = LOG_TAIL) -> tuple[str, ...]:
    """Last lines of the engine's log, control characters made harmless; the worker's own when the engine left none."""
    for name in (layout.ENGINE_LOG, layout.WORKER_LOG):
        if tail := tuple(_tail(folder / name, lines)):
            return tail
    return ()


def _tail(path: Path, lines: int, most_bytes: int = 256 * 1024) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            raw = file.read()
    except OSError:
        return
    for line in raw.decode("utf-8", "replace").splitlines()[-lines:]:
        yield "".join(char if char.isprintable() or char == "\t" else "?" for char in line)[:2000]


def write_step(folder: Path, step: Step) -> None:
    """Write what the worker is handed."""
    write_whole(folder / layout.STEP, step.model_dump_json(indent=1) + "\n")


def read_step(folder: Path) -> Step:
    """What the worker was handed."""
    path = folder / layout.STEP
    try:
        return Step.model_validate_json(_bytes(path))
    except ValidationError as error:
        raise DamageError(f"{path}: not a step: {_first(error)}") from error


@dataclass(frozen=True, slots=True)
class WorkerMark:
    """Which processes an attempt started, to find what a crash left behind."""

    pid: int
    start: float
    """Start time of the worker as the kernel tells it."""
    engine_pgid: int | None = None
    engine_start: float | None = None


def write_mark(folder: Path, mark: WorkerMark) -> None:
    """Write which processes belong to the attempt."""
    fields = {"pid": mark.pid, "start": mark.start, "engine_pgid": mark.engine_pgid, "engine_start": mark.engine_start}
    write_whole(folder / layout.WORKER, json.dumps(fields) + "\n")


def read_mark(folder: Path) -> WorkerMark | None:
    """Which processes belong to the attempt, if it came so far."""
    try:
        return WorkerMark(**json.loads((folder / layout.WORKER).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def refuse_newer(data: bytes, known: int, path: Path) -> None:
    """Raise DamageError for a document that a later version of Dynamometer wrote, whose meaning we cannot know."""
    try:
        document = json.loads(data)
    except ValueError:
        return  # not a document at all, which its own reader says better
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > known:
        raise DamageError(
            f"{path} was written by a newer version of Dynamometer (schema {version}; this one knows {known})",
            hint="use that version, or a newer one",
        )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is not there") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
