"""Refused options of ``dyno bench`` in the words of the command line, imported when something is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamometer.domain.experiment import Workload
from dynamometer.errors import UsageError
from dynamometer.spec.wording import Finding, shape

OPTIONS = {
    "load.concurrency": "--concurrency",
    "load.rate": "--rate",
    "requests": "--requests",
    "duration_s": "--duration",
    "max_input_tokens": "--input-tokens",
    "max_output_tokens": "--output-tokens",
    "dataset": "--dataset",
    "warmup.max_requests": "--warmup",
    "seed": "--seed",
}
"""Keys of a workload, and the options that set them."""


def refusal(settings: Mapping[str, Any]) -> UsageError:
    """What is wrong with these settings of a workload, which is not one."""
    return UsageError("\n".join(dict.fromkeys(map(_said, shape(Workload, settings)))))


def _said(finding: Finding) -> str:
    key = ".".join(map(str, finding.path))
    option = f"--slo: {key.removeprefix('slo.')}" if key.startswith("slo.") else OPTIONS.get(key, key)
    meant = f" (did you mean {finding.suggestion!r}?)" if finding.suggestion else ""
    return f"{option}: {finding.message}{meant}"
