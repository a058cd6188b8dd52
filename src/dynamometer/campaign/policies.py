"""The loop's decisions, each a pure function of values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dynamometer.domain.campaign import FailureThreshold
from dynamometer.domain.failure import Failure

JUDGED_FROM = 5
"""Finished runs before the failure threshold is judged: one early failure says little."""


def again(failure: Failure, failures: int, max_retries: int) -> bool:
    """Whether a run is tried again after its ``failures``-th failed attempt.

    The same settings may work at the second try, also after running out of memory; an error of configuration will not.
    """
    return failure.kind != "config" and failures <= max_retries


@dataclass(slots=True)
class Threshold:
    """Share of failed runs among the finished ones of this session, by scope."""

    policy: FailureThreshold
    _finished: Counter[int] = field(default_factory=Counter)
    _failed: Counter[int] = field(default_factory=Counter)
    _accepted: set[int] = field(default_factory=set)

    def finished(self, cycle: int, *, failed: bool) -> str | None:
        """Take one finished run; a sentence when too many of its scope have failed."""
        scope = cycle if self.policy.scope == "per_cycle" else 0
        self._finished[scope] += 1
        self._failed[scope] += failed
        done, bad = self._finished[scope], self._failed[scope]
        if scope in self._accepted or done < JUDGED_FROM or bad / done <= self.policy.rate:
            return None
        where = f"cycle {cycle}" if scope else "the campaign"
        return f"{bad} of {done} runs of {where} failed, more than failure_threshold.rate ({self.policy.rate:g})"

    def accept(self, cycle: int) -> None:
        """The user wants to go on all the same; do not ask again for this scope."""
        self._accepted.add(cycle if self.policy.scope == "per_cycle" else 0)
