"""When a window has had enough requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a closed loop has come, when it is about to send another request."""

    sent: int
    """Requests sent."""
    elapsed_ns: int
    """Time since the first."""
    latencies_ns: Sequence[int]
    """End-to-end latencies of those that ended whole, in the order of their ends."""


@dataclass(frozen=True, slots=True)
class AfterRequests:
    """A fixed number of requests: the window ends with the last answer."""

    most_requests: int
    duration_ns: None = None

    def more(self, progress: Progress) -> bool:
        """True while fewer have been sent."""
        return progress.sent < self.most_requests


@dataclass(frozen=True, slots=True)
class AfterDuration:
    """A length of time: requests are sent for so long, and the window ends then, whatever is in flight."""

    duration_ns: int
    most_requests: None = None

    def more(self, progress: Progress) -> bool:
        """True until the time is up."""
        return progress.elapsed_ns < self.duration_ns
