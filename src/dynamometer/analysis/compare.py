"""Two campaigns, or rows of one, against each other: an effect with an interval and a verdict for each metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dynamometer.analysis.caveats import caveats, pair_caveats, sided
from dynamometer.analysis.contrast import SAME, Contrast, paired, unpaired
from dynamometer.analysis.doubts import Row
from dynamometer.analysis.gate import Gate, judge, unknown_metric
from dynamometer.analysis.likeness import energy_reason, reasons, slo_reason, unlike_prompts
from dynamometer.analysis.match import Defaults, Matched, differences
from dynamometer.analysis.metrics import METRICS
from dynamometer.analysis.metrics.readings import of_one_origin
from dynamometer.analysis.summarise import Analysed
from dynamometer.domain.comparison import (
    Campaign,
    Comparison,
    Difference,
    Effect,
    GateResult,
    Pair,
    Reason,
    Refused,
    Side,
    Unlike,
    Verdict,
)
from dynamometer.domain.summary import Estimate, ExperimentSummary, MetricInfo, Summary

CONFIDENCE = 0.95
SHARE = "share"
_ENERGY = ("energy_j", "energy_j_per_token")


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms rows are compared."""

    metrics: tuple[str, ...] = ()
    """Keys of metrics; all when empty. Fewer mislead less."""
    at_least: float = 0.0
    """Smallest effect of interest as a share (of shares: points); an interval within it is equivalent."""
    allow: frozenset[Unlike] = frozenset()
    """What may be unlike."""
    together: bool = False
    """Widen the intervals so that all of them hold at once with 95 % (Bonferroni)."""
    gates: tuple[Gate, ...] = ()
    """Limits to judge for each pair."""
    defaults: Defaults = field(default_factory=dict)
    """Values of options that a campaign does not set, to say them where they differ."""

    def allows(self, reason: Reason) -> bool:
        """Whether rows that are unlike in this are compared all the same."""
        return reason.can_allow and reason.kind in self.allow


def compare(a: Analysed, b: Analysed, matched: Matched, terms: Terms, *, version: str) -> Comparison:
    """Rows of B against rows of A. Rows that are unlike are refused, with reasons.

    Raises UsageError for a metric that does not exist.
    """
    infos = chosen_metrics((*terms.metrics, *(gate.metric for gate in terms.gates)) if terms.metrics else ())
    couples = [_Couple(_Member.of(a, i), _Member.of(b, j), terms) for i, j in matched.pairs]
    like = [couple for couple in couples if not couple.refusals]
    pairs = [_pair(couple, infos, CONFIDENCE) for couple in like]
    intervals = sum(effect.low is not None for pair in pairs for effect in pair.effects)
    if terms.together and intervals > 1:
        pairs = [_pair(couple, infos, 1 - (1 - CONFIDENCE) / intervals) for couple in like]
    return Comparison(
        a=_campaign(a.summary),
        b=_campaign(b.summary),
        metrics=infos,
        pairs=tuple(pairs),
        refused=tuple(Refused(a=c.a.side, b=c.b.side, reasons=c.refusals) for c in couples if c.refusals),
        unmatched_a=tuple(a.summary.experiments[index].name for index in matched.unmatched_a),
        unmatched_b=tuple(b.summary.experiments[index].name for index in matched.unmatched_b),
        intervals=intervals,
        together=terms.together,
        at_least=terms.at_least,
        gates=tuple(_gate(gate, pair) for gate in terms.gates for pair in pairs),
        doubts=tuple(caveats(a.summary, b.summary, intervals, together=terms.together)) if pairs else (),
        version=version,
    )


def chosen_metrics(keys: Sequence[str]) -> tuple[MetricInfo, ...]:
    """Metrics by their keys, in the order of the table; all for none. Raises UsageError for one that does not exist."""
    infos = {metric.info.key: metric.info for metric in METRICS}
    for key in keys:
        if key not in infos:
            raise unknown_metric(key, infos)
    return tuple(info for key, info in infos.items() if not keys or key in keys)


def verdict(info: MetricInfo, found: Contrast, at_least: float) -> Verdict:
    """What an interval says of B.

    Equivalent when all of it is within the smallest effect of interest: between 1 / (1 + s) and 1 + s of a ratio,
    between -s and s of a difference of shares; and when all cycles of both have the same value. Else certain when it
    leaves out no change at all.
    """
    if found.reason == SAME and at_least > 0:
        return "equivalent"
    if found.low is None or found.high is None:
        return "cannot_tell"
    none = 1.0 if found.kind == "ratio" else 0.0
    least, most = (1 / (1 + at_least), 1 + at_least) if found.kind == "ratio" else (-at_least, at_least)
    is_relative = found.kind == "ratio" or info.unit == SHARE
    if at_least > 0 and is_relative and least <= found.low and found.high <= most:
        return "equivalent"
    if found.low <= none <= found.high:
        return "cannot_tell"
    if info.better == "neither":
        return "differs"
    return "better" if (found.low > none) == (info.better == "higher") else "worse"


@dataclass(frozen=True, slots=True)
class _Member:
    """One row with all that is known of it."""

    campaign: str
    summary: ExperimentSummary
    row: Row

    @classmethod
    def of(cls, campaign: Analysed, index: int) -> _Member:
        return cls(campaign.summary.campaign_id, campaign.summary.experiments[index], campaign.rows[index])

    @property
    def side(self) -> Side:
        return Side(
            campaign_id=self.campaign,
            experiment_id=self.summary.experiment_id,
            name=self.summary.name,
            simulated=self.summary.simulated,
            cycles=self.summary.cycles_done,
        )

    def estimate(self, key: str) -> Estimate:
        return self.summary.estimate(key) or Estimate(metric=key, value=None, missing="not computed")

    def by_cycle(self, key: str) -> dict[int, float]:
        counted = of_one_origin([run.metrics.values[key] for run in self.row.runs])
        values = {run.metrics.cycle: one.value for run, one in zip(self.row.runs, counted, strict=True)}
        return {cycle: value for cycle, value in sorted(values.items()) if value is not None}


@dataclass(frozen=True, slots=True)
class _Couple:
    """Two rows that belong together, and the terms they are compared on."""

    a: _Member
    b: _Member
    terms: Terms

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return reasons(self.a.row, self.b.row)

    @property
    def refusals(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if not self.terms.allows(reason))


def _pair(couple: _Couple, infos: Sequence[MetricInfo], confidence: float) -> Pair:
    a, b, terms = couple.a, couple.b, couple.terms
    unlike = [*couple.reasons, *([energy] if (energy := energy_reason(a.row, b.row)) else ())]
    refused = dict.fromkeys(_ENERGY, energy.message) if energy and not terms.allows(energy) else {}
    if levels := slo_reason(a.row, b.row):
        refused |= {"goodput": levels}
    why_not = _why_unpaired(a, b)
    return Pair(
        a=a.side,
        b=b.side,
        differs=(*differences(a.row.experiment, b.row.experiment, terms.defaults), *_versions(a.row, b.row)),
        paired=why_not is None,
        unpaired=why_not,
        effects=tuple(
            _effect(info, couple, refused.get(info.key), is_paired=why_not is None, confidence=confidence)
            for info in infos
        ),
        doubts=(
            *pair_caveats(a.row, b.row, [reason for reason in unlike if terms.allows(reason)]),
            *sided(a.summary.doubts, b.summary.doubts),
        ),
    )


def _why_unpaired(a: _Member, b: _Member) -> str | None:
    """Cycles pair up when each cycle of A stood beside the same cycle of B in time, with the same prompts."""
    if a.campaign != b.campaign:
        return "two campaigns, made at different times"
    one, other = ({run.record.cycle for run in member.row.runs} for member in (a, b))
    shared = one & other
    if not shared:
        return "no cycle is finished in both"
    if unlike_prompts(a.row, b.row):
        return "prompts differ"
    runs = sorted((run.record.started_at, run.record.cycle) for member in (a, b) for run in member.row.runs)
    in_time = [cycle for _, cycle in runs if cycle in shared]
    return None if in_time == sorted(in_time) else "cycles of the two were not interleaved"


def _effect(info: MetricInfo, couple: _Couple, refused: str | None, *, is_paired: bool, confidence: float) -> Effect:
    a, b = couple.a.estimate(info.key), couple.b.estimate(info.key)
    plain = Effect(metric=info.key, a=a, b=b, confidence=confidence)
    if missing := refused or _missing(a, b):
        return plain.model_copy(update={"missing": missing})
    one, other = couple.a.by_cycle(info.key), couple.b.by_cycle(info.key)
    if is_paired:
        shared = sorted(one.keys() & other.keys())
        if not shared:
            return plain.model_copy(update={"missing": "no cycle has a value on both sides"})
        one, other = ({cycle: values[cycle] for cycle in shared} for values in (one, other))
    contrast, is_share = paired if is_paired else unpaired, info.unit == SHARE
    found = contrast(list(one.values()), list(other.values()), as_difference=is_share, confidence=confidence)
    if is_share and found.low is not None and found.high is not None:  # shares cannot differ by more than all
        found = replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))
    return plain.model_copy(
        update={
            "kind": found.kind,
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "n": found.n,
            "method": found.method,
            "no_interval": found.reason,
            "verdict": verdict(info, found, couple.terms.at_least),
        }
    )


def _missing(a: Estimate, b: Estimate) -> str | None:
    why = {side: one.missing or "no reason given" for side, one in (("A", a), ("B", b)) if one.value is None}
    if len(why) == 2 and why["A"] == why["B"]:
        return why["A"]
    return "; ".join(f"{side}: {reason}" for side, reason in why.items()) or None


def _gate(gate: Gate, pair: Pair) -> GateResult:
    unit = next(metric.info.unit for metric in METRICS if metric.info.key == gate.metric)
    outcome, message = judge(gate, pair.effect(gate.metric), is_share=unit == SHARE)
    return GateResult(gate=gate.text, a=pair.a.name, b=pair.b.name, outcome=outcome, message=message)


def _campaign(summary: Summary) -> Campaign:
    return Campaign(
        campaign_id=summary.campaign_id,
        name=summary.name,
        created=summary.created,
        simulated=summary.simulated,
        provenance=summary.provenance,
    )


def _versions(a: Row, b: Row) -> Iterable[Difference]:
    """Versions of what was measured, and of what measured it, where they are not the same."""
    for what, one, other in (
        ("engine version", *({run.record.engine.version or "unknown" for run in row.runs} for row in (a, b))),
        ("Dynamometer", *({run.record.dynamometer for run in row.runs} for row in (a, b))),
    ):
        if one and other and one != other and a.experiment.engine == b.experiment.engine:
            yield Difference(key=what, a=", ".join(sorted(one)), b=", ".join(sorted(other)))
