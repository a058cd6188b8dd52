"""Doubts about a comparison: those of either side, and those that only two sides together raise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dynamometer.analysis.doubts import Row
from dynamometer.domain.comparison import Reason, SideDoubt
from dynamometer.domain.summary import Doubt, Summary

MANY = 20
"""Intervals from which chance is expected to mislead once or more."""


def pair_caveats(a: Row, b: Row, allowed: Sequence[Reason]) -> Iterable[SideDoubt]:
    """Doubts that only the two rows together raise. ``allowed``: what is unlike and compared all the same."""
    for reason in allowed:
        message = f"unlike, and compared because it was allowed: {reason.message}"
        metric = "energy_j" if reason.kind == "energy" else None
        hint = "the difference may come from that alone"
        yield SideDoubt(side="both", doubt=Doubt(code="unlike_allowed", message=message, hint=hint, metric=metric))
    clocks = [{run.record.client.clock for run in row.runs} for row in (a, b)]
    if all(clocks) and clocks[0] != clocks[1]:
        one, other = (" and ".join(sorted(side)) for side in clocks)
        message = f"arrival stamps are from {one} in A and from {other} in B: a small difference may be the clock's"
        yield SideDoubt(side="both", doubt=Doubt(code="unlike_clocks", message=message))


def caveats(a: Summary, b: Summary, intervals: int, *, together: bool) -> Iterable[SideDoubt]:
    """Doubts about the comparison as a whole, and those that each campaign has about itself."""
    if intervals >= MANY and not together:
        message = (
            f"{intervals} comparisons: at 95 %, one in twenty misleads by chance, about {intervals / 20:.0f} of these"
        )
        hint = "choose beforehand what matters (--metrics), or have all intervals hold together (--together)"
        yield SideDoubt(side="both", doubt=Doubt(code="many_comparisons", message=message, hint=hint))
    if a.campaign_id != b.campaign_id:
        message = "the campaigns ran at different times: whatever else changed on the machine counts as a difference"
        hint = "in one campaign the cycles of both are interleaved, and compared in pairs"
        yield SideDoubt(side="both", doubt=Doubt(code="two_campaigns", message=message, hint=hint))
    yield from sided(a.doubts, b.doubts)


def sided(a: Sequence[Doubt], b: Sequence[Doubt]) -> Iterable[SideDoubt]:
    """The doubts of both sides' own reports; one that is on both is said once."""
    for doubt in a:
        yield SideDoubt(side="both" if doubt in b else "a", doubt=doubt)
    yield from (SideDoubt(side="b", doubt=doubt) for doubt in b if doubt not in a)
