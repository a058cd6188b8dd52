"""What must be alike on both sides of a comparison, and what is said when it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dynamometer.analysis.doubts import Row
from dynamometer.analysis.metrics.base import Origin
from dynamometer.analysis.metrics.readings import of_one_origin, origins
from dynamometer.domain.comparison import Reason, Unlike
from dynamometer.domain.experiment import Slo, Workload
from dynamometer.domain.record import Record

CAN_ALLOW: tuple[Unlike, ...] = ("host", "prompts", "model", "trace", "tokens", "energy")
"""In what rows may be unlike if the user says so. Simulated results never stand against real ones."""
LENGTHS = 0.05
"""Answers whose mean lengths differ by more than this share are unlike."""
_PROMPT_KEYS = ("dataset", "max_input_tokens", "seed")
_LENGTH_KEYS = ("max_input_tokens", "max_output_tokens", "ignore_eos", "streaming")

Check = Callable[[Row, Row], Iterable[Reason]]


def reasons(a: Row, b: Row) -> tuple[Reason, ...]:
    """In what two rows with finished runs are unlike, the gravest first; nothing when they compare."""
    return tuple(reason for check in CHECKS for reason in check(a, b)) if a.runs and b.runs else ()


def energy_reason(a: Row, b: Row) -> Reason | None:
    """Why energy of the two does not compare: unlike sensors or scopes, or an estimate against a measurement.

    The last is never allowed.
    """
    one, other = _energy_origin(a), _energy_origin(b)
    if one is None or other is None or one == other:
        return None
    message = f"energy is {one} in A and {other} in B"
    return Reason(kind="energy", message=message, can_allow=one.kind == other.kind)


def slo_reason(a: Row, b: Row) -> str | None:
    """Why goodput of the two does not compare: it is judged by unlike service levels. Nothing else depends on them."""
    one, other = a.experiment.workload.slo, b.experiment.workload.slo
    return f"service level {_level(one)} in A, {_level(other)} in B" if one != other else None


def _level(slo: Slo | None) -> str:
    given = slo.model_dump(exclude_none=True) if slo is not None else {}
    return ", ".join(f"{key} {limit:g}" for key, limit in given.items()) or "none"


def _simulated(a: Row, b: Row) -> Iterable[Reason]:
    one, other = ({run.record.simulated for run in row.runs} for row in (a, b))
    if one != other or len(one) > 1:
        message = f"{_side(one)} in A, {_side(other)} in B: simulated results are no measurements"
        yield Reason(kind="simulated", message=message, can_allow=False)


def _side(simulated: set[bool]) -> str:
    return "simulated and real runs" if len(simulated) > 1 else "simulated runs" if True in simulated else "real runs"


def _hosts(a: Row, b: Row) -> Iterable[Reason]:
    one, other = ({run.record.host.fingerprint: run.record.host for run in row.runs} for row in (a, b))
    if one.keys() != other.keys():
        texts = [
            " and ".join(f"{host.processor}, {host.cores} cores ({mark})" for mark, host in side.items())
            for side in (one, other)
        ]
        yield Reason(kind="host", message=f"host: {texts[0]} in A, {texts[1]} in B")


def _models(a: Row, b: Row) -> Iterable[Reason]:
    """Another model or quantisation is a choice; another file under the same name is an accident."""
    labels = [(row.experiment.model, row.experiment.weights.format, row.experiment.weights.quant) for row in (a, b)]
    files = _unlike_files(a, b, lambda record: record.model.sha256)
    if labels[0] == labels[1] and files:
        yield Reason(kind="model", message=f"model {a.experiment.model}: file with {files}")


def _unlike_files(a: Row, b: Row, hash_of: Callable[[Record], str | None]) -> str:
    """The hashes of a file on both sides, when they are unlike; empty when they are not, or one is not known."""
    one, other = ({text for run in row.runs if (text := hash_of(run.record)) is not None} for row in (a, b))
    return f"sha256 {_short(one)} in A, {_short(other)} in B" if one and other and one != other else ""


def unlike_prompts(a: Row, b: Row) -> str:
    """In what the prompts of the cycles that both have are unlike; empty when they are alike."""
    if not _fixed(a.experiment.workload) or not _fixed(b.experiment.workload):
        # How many prompts a duration takes differs from run to run, so their hash does too: what makes them must agree.
        files = _unlike_files(a, b, lambda record: record.dataset_sha256)
        return _unlike_settings(a, b, _PROMPT_KEYS) or (f"files with {files}" if files else "")
    by_cycle = [{run.record.cycle: run.record.prompts_sha256 for run in row.runs} for row in (a, b)]
    shared = by_cycle[0].keys() & by_cycle[1].keys()
    unlike = sum(by_cycle[0][cycle] != by_cycle[1][cycle] for cycle in shared)
    if not unlike:
        return ""
    made = _unlike_settings(a, b, (*_PROMPT_KEYS, "requests"))
    return made or f"sha256 of {unlike} of {len(shared)} cycles differ"


def _prompts(a: Row, b: Row) -> Iterable[Reason]:
    if what := unlike_prompts(a, b):
        yield Reason(kind="prompts", message=f"prompts: {what}")


def _traces(a: Row, b: Row) -> Iterable[Reason]:
    """Another trace is another load; another file under the same name is an accident."""
    one, other = (row.experiment.workload.load.trace for row in (a, b))
    if one == other and (files := _unlike_files(a, b, lambda record: record.trace_sha256)):
        yield Reason(kind="trace", message=f"trace {one}: file with {files}")


def _fixed(workload: Workload) -> bool:
    return workload.duration_s is None


def _unlike_settings(a: Row, b: Row, keys: Sequence[str]) -> str:
    """These keys of the workload where they are unlike, with both values; empty when all are alike."""
    pairs = ((key, *(getattr(row.experiment.workload, key) for row in (a, b))) for key in keys)
    return "; ".join(f"{key} {_value(one)} in A, {_value(other)} in B" for key, one, other in pairs if one != other)


def _value(setting: object) -> str:
    return "none" if setting is None else str(setting).lower() if isinstance(setting, bool) else str(setting)


def _tokens(a: Row, b: Row) -> Iterable[Reason]:
    if unlike := _unlike_settings(a, b, _LENGTH_KEYS):
        yield Reason(kind="tokens", message=f"workload: {unlike}")
        return
    lengths = [_mean_length(row) for row in (a, b)]
    if lengths[0] and lengths[1] and abs(lengths[1] / lengths[0] - 1) > LENGTHS:
        message = f"answers have {lengths[0]:.1f} tokens on average in A, {lengths[1]:.1f} in B"
        yield Reason(kind="tokens", message=message)


def _mean_length(row: Row) -> float | None:
    counts = [run.metrics.observed.output_tokens for run in row.runs]
    known = [count for count in counts if count is not None]
    answers = sum(run.metrics.observed.good for run in row.runs)
    return sum(known) / answers if len(known) == len(counts) and answers else None


def _energy_origin(row: Row) -> Origin | None:
    """What the energy of the row comes from; None when it has none."""
    found = origins(of_one_origin([run.metrics.values["energy_j"] for run in row.runs]))
    return found[0] if found else None


def _short(hashes: set[str]) -> str:
    return " and ".join(sorted(f"{text[:12]}…" for text in hashes))


CHECKS: tuple[Check, ...] = (_simulated, _hosts, _models, _prompts, _traces, _tokens)
"""All checks, gravest first."""
