"""Records and samples for the tests of analysis: small, whole, and easy to change."""

from __future__ import annotations

from typing import Any

from dynamometer.domain.calibration import CalibrationRef
from dynamometer.domain.experiment import Experiment, Weights, Workload, run_id
from dynamometer.domain.record import ClientHealth, EngineFacts, HostFacts, ModelFacts, Record, Sample, Usage, Window

MS = 1_000_000


def experiment(**workload: Any) -> Experiment:
    weights = Weights(format="gguf", source="path", ref="/models/m.gguf", quant="Q4_1")
    return Experiment(engine="llama_cpp", model="M", weights=weights, workload=Workload(**workload))


def record(cycle: int = 1, *, of: Experiment | None = None, seconds: float = 1.0, **changes: Any) -> Record:
    one = of or experiment()
    values: dict[str, Any] = {
        "dynamometer": "0",
        "campaign_id": "c",
        "run_id": run_id(one.id, cycle),
        "cycle": cycle,
        "attempt": 1,
        "experiment": one,
        "started_at": "2026-11-22T00:00:00+00:00",
        "duration_ns": 5_000 * MS,
        "window": Window(begin_ns=0, end_ns=round(seconds * 1e9)),
        "engine": EngineFacts(name="llama_cpp", version="1", argv=(), endpoint_kind="chat", load_ns=420 * MS),
        "model": ModelFacts(name="M", file="m.gguf", size_bytes=1, sha256="ab"),
        "host": HostFacts(
            fingerprint="h", system="Linux", processor="cpu", cores=2, memory_bytes=2**30, python="3.11", load_1m=0.1
        ),
        "client": client(),
        "calibration": calibration(),
        "requests": 1,
        "good": 1,
        "warmup_requests": 4,
        "warmup_steady": True,
        "prompts_sha256": "p",
        "dataset": "builtin",
        "samples_file": "samples.jsonl",
        "samples_sha256": "s",
    }
    return Record(**{**values, **changes})


def calibration(**changes: Any) -> CalibrationRef:
    values: dict[str, Any] = {
        "id": "cal1",
        "at": "2026-11-22T00:00:00+00:00",
        "streams": 64,
        "events_s": 3200.0,
        "clock": "kernel",
        "ttft_error_p99_ms": 0.02,
        "itl_error_p99_ms": 0.01,
        "covered": True,
    }
    return CalibrationRef(**{**values, **changes})


def client(**changes: Any) -> ClientHealth:
    values: dict[str, Any] = {"clock": "kernel", "cpu_s": 0.05, "wall_s": 1.0, "wakes": 1, "reads": 1}
    return ClientHealth(**{**values, **changes})


def sample(*arrivals_ms: float, sent_ms: float = 0, tokens: tuple[int, ...] | None = None, **changes: Any) -> Sample:
    """A request whose events arrived at these times, with one token each unless told."""
    stamps = tuple(round(ms * MS) for ms in arrivals_ms)
    values: dict[str, Any] = {
        "id": "r",
        "sent_ns": round(sent_ms * MS),
        "ended_ns": stamps[-1] if stamps else None,
        "arrivals_ns": stamps,
        "event_tokens": tokens if tokens is not None else (1,) * len(stamps),
    }
    return Sample(**{**values, **changes})


def usage(completion: int | None, cached: int | None = None) -> Usage:
    return Usage(prompt_tokens=8, completion_tokens=completion, cached_tokens=cached)
