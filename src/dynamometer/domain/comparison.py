"""What two rows say against each other: an effect with its interval for each metric, and a verdict."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.summary import Doubt, Estimate, MetricInfo, Provenance

COMPARISON_SCHEMA = 1

Verdict = Literal["better", "worse", "differs", "equivalent", "cannot_tell"]
"""Of B against A. differs: certain, of a metric without a better direction. equivalent: certainly within the smallest
effect of interest. cannot_tell: neither, or there is no interval."""
Unlike = Literal["simulated", "host", "prompts", "model", "trace", "tokens", "energy"]
"""What must be alike on both sides. All but simulated can be allowed to differ."""
Outcome = Literal["held", "broken", "undecided"]


class Effect(Value):
    """One metric of B against A.

    ``value`` is None when there is none, and ``missing`` says why; ``low`` and ``high`` are None when there is no
    interval, and ``no_interval`` says why.
    """

    metric: str
    """Key of the metric."""
    a: Estimate
    """The estimate of A, as in A's own report."""
    b: Estimate
    """The estimate of B."""
    kind: Literal["ratio", "difference"] = "ratio"
    """ratio: B / A of geometric means over cycles. difference: B - A of means, for shares and for values of 0."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    n: Annotated[int, Field(ge=0)] = 0
    """Pairs of cycles; of an unpaired comparison, the cycles of the side that has fewer."""
    method: str | None = None
    """How the interval was made: paired-t-log, welch-t-log, …"""
    verdict: Verdict = "cannot_tell"
    missing: str | None = None
    no_interval: str | None = None


class Reason(Value):
    """One thing in which two rows are unlike, so that a comparison would mislead."""

    kind: Unlike
    message: str
    """What differs, with both values."""
    can_allow: bool = True


class Side(Value):
    """One side of a pair."""

    campaign_id: str
    experiment_id: str
    name: str
    """Name of the row."""
    simulated: bool
    cycles: int
    """Finished cycles."""


class SideDoubt(Value):
    """A doubt of one side's own report, or one about both sides."""

    side: Literal["a", "b", "both"]
    doubt: Doubt


class Difference(Value):
    """A setting that is not the same on both sides."""

    key: str
    """Its name: options.n_threads, workload.load.rate, engine version."""
    a: str
    """Its value in A, also where that is the default."""
    b: str


class Pair(Value):
    """Two rows that were compared."""

    a: Side
    b: Side
    differs: tuple[Difference, ...] = ()
    """Settings that are not the same."""
    paired: bool
    """Whether cycles were taken in pairs; ``unpaired`` says why not."""
    unpaired: str | None = None
    effects: tuple[Effect, ...]
    doubts: tuple[SideDoubt, ...] = ()

    def effect(self, metric: str) -> Effect | None:
        """The effect on that metric, if it was compared."""
        return next((effect for effect in self.effects if effect.metric == metric), None)


class Refused(Value):
    """Two rows that belong together and were not compared, since they are unlike."""

    a: Side
    b: Side
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]


class GateResult(Value):
    """What became of one limit for one pair."""

    gate: str
    """The limit, as it was written."""
    a: str
    """Row of A."""
    b: str
    """Row of B."""
    outcome: Outcome
    message: str
    """Why, with numbers."""


class Campaign(Value):
    """Where the rows of one side come from."""

    campaign_id: str
    name: str
    created: str
    simulated: bool
    provenance: Provenance


class Comparison(Value):
    """Rows of A and B against each other: what every form of the report prints."""

    schema_version: int = COMPARISON_SCHEMA
    a: Campaign
    b: Campaign
    metrics: tuple[MetricInfo, ...]
    """Definitions of the metrics compared."""
    pairs: tuple[Pair, ...]
    refused: tuple[Refused, ...] = ()
    unmatched_a: tuple[str, ...] = ()
    """Rows of A that nothing in B belongs to."""
    unmatched_b: tuple[str, ...] = ()
    intervals: Annotated[int, Field(ge=0)] = 0
    """Effects that have an interval: comparisons that could mislead by chance."""
    together: bool = False
    """Whether intervals are so wide (Bonferroni) that all of them hold at once with 95 %."""
    at_least: Annotated[float, Field(ge=0)] = 0.0
    """Smallest effect of interest, as a share; 0: none was given."""
    gates: tuple[GateResult, ...] = ()
    doubts: tuple[SideDoubt, ...] = ()
    """Doubts about the comparison as a whole, and of each campaign about itself."""
    version: str = ""
    """Version of Dynamometer that made this."""
