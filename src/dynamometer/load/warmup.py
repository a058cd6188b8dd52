"""When a warm-up has had enough requests: when latencies have become steady, or when its cap is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from dynamometer.domain.experiment import Warmup
from dynamometer.load.stops import AfterRequests, Progress

SPAN = 4
"""Latencies looked at: the last so many."""
THRESHOLD = 0.10
"""Steady below this coefficient of variation (standard deviation / mean)."""


def variation(latencies_ns: Sequence[int]) -> float:
    """Coefficient of variation: population standard deviation over mean. Zero for fewer than two values."""
    if len(latencies_ns) < 2:
        return 0.0
    mean = fmean(latencies_ns)
    return pstdev(latencies_ns, mean) / mean if mean > 0 else 0.0


def is_steady(latencies_ns: Sequence[int]) -> bool:
    """Whether the last ``SPAN`` latencies vary by less than ``THRESHOLD``. Fewer than that are never steady."""
    recent = latencies_ns[-SPAN:]
    return len(recent) == SPAN and variation(recent) < THRESHOLD


@dataclass(frozen=True, slots=True)
class UntilSteady:
    """Requests until latencies are steady, at most ``most_requests``."""

    most_requests: int
    duration_ns: None = None

    def more(self, progress: Progress) -> bool:
        """True while neither steady nor at the cap."""
        return progress.sent < self.most_requests and not is_steady(progress.latencies_ns)


def warmup_stop(warmup: Warmup) -> AfterRequests | UntilSteady | None:
    """The stop for this setting; None when there is no warm-up."""
    if warmup.max_requests == 0:
        return None
    return UntilSteady(warmup.max_requests) if warmup.until == "steady" else AfterRequests(warmup.max_requests)
