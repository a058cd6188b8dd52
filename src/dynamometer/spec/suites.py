"""Suite files: a name and a list of benchmarks, strictly read."""

from __future__ import annotations

import json
from typing import Any

from dynamometer.domain.plan import Suite
from dynamometer.spec.parse import refuse
from dynamometer.spec.places import Places
from dynamometer.spec.wording import Finding, shape
from dynamometer.spec.yamltext import read


def parse_suite(text: str | bytes, *, file: str) -> Suite:
    """The suite of a file: ``name``, ``description``, and ``benchmarks`` with ``name``, ``kind``, ``workload``.

    A workload that gives ``duration_s`` and no ``requests`` lasts that long. Raises CampaignError with every mistake.
    """
    document = read(text, file=file)
    places = Places(file, document.keys, document.values)
    found = [*shape(Suite, document.data), *_repeated(document.data.get("benchmarks")), *_set_elsewhere(document.data)]
    placed = [places.problem(each.message, each.path, at_key=each.at_key, suggestion=each.suggestion) for each in found]
    refuse([*document.problems, *placed])
    benchmarks = [_timed(benchmark) for benchmark in document.data["benchmarks"]]
    return Suite.model_validate_json(json.dumps({**document.data, "benchmarks": benchmarks}), strict=True)


def _repeated(benchmarks: object) -> list[Finding]:
    seen: set[str] = set()
    found: list[Finding] = []
    for place, benchmark in enumerate(benchmarks if isinstance(benchmarks, list) else []):
        name = benchmark.get("name") if isinstance(benchmark, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            found.append(Finding(("benchmarks", place, "name"), f"another benchmark is called {name!r} too"))
        seen.add(name)
    return found


def _set_elsewhere(data: dict[str, Any]) -> list[Finding]:
    """Keys of a workload that a suite may not set: the campaign's seed counts, and the benchmark has its own name."""
    benchmarks = data.get("benchmarks")
    return [
        Finding(("benchmarks", place, "workload", key), f"{key} is not set by a suite", at_key=True)
        for place, benchmark in enumerate(benchmarks if isinstance(benchmarks, list) else [])
        for key in ("seed", "benchmark")
        if isinstance(benchmark, dict) and isinstance(workload := benchmark.get("workload"), dict) and key in workload
    ]


def _timed(benchmark: dict[str, Any]) -> dict[str, Any]:
    """With a duration alone, the default number of requests does not apply."""
    workload = benchmark.get("workload", {})
    if workload.get("duration_s") is None or "requests" in workload:
        return benchmark
    return {**benchmark, "workload": {**workload, "requests": None}}
