"""Which rows belong together: across two campaigns by what they measure, within one by what alone differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import Any

from dynamometer.analysis.summarise import Analysed
from dynamometer.domain.comparison import Difference
from dynamometer.domain.experiment import Experiment
from dynamometer.domain.ident import canonical_json
from dynamometer.errors import NotFoundError, UsageError

Facts = dict[str, Any]
Defaults = Mapping[str, Mapping[str, Any]]
"""Engine -> its options with the values they have when a campaign does not set them."""
NO_DEFAULTS: Defaults = MappingProxyType({})
Keyed = dict[int, str]
Keying = Callable[[dict[int, Experiment], dict[int, Experiment]], tuple[Keyed, Keyed]]
"""What rows of both sides must have in common, as one text for each row."""

WITHIN: dict[str, tuple[str, ...]] = {
    "engine": ("engine", "weights", "precision", "options"),
    "model": ("model", "weights"),
    "quant": ("quant", "weights"),
    "precision": ("precision",),
    "load": ("workload.load",),
    "concurrency": ("workload.load",),
}
"""What rows may be compared by -> what may differ beside it. Options and settings of the workload stand alone."""
_TIERS: tuple[tuple[str, ...], ...] = (
    ("weights",),
    ("weights", "options"),
    ("weights", "options", "engine", "precision"),
    ("weights", "quant"),
    ("weights", "quant", "model"),
)
"""What may differ between two rows that belong together, the least first."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Rows that belong together, by their index on either side, and those that are left."""

    pairs: tuple[tuple[int, int], ...]
    unmatched_a: tuple[int, ...] = ()
    unmatched_b: tuple[int, ...] = ()


def select(campaign: Analysed, wanted: str | None) -> tuple[int, ...]:
    """Rows whose name or id is ``wanted``, else those that begin with it or fit it as a glob; all of them for None.

    Raises NotFoundError when none does.
    """
    rows = campaign.summary.experiments
    if wanted is None:
        return tuple(range(len(rows)))
    exact = [index for index, row in enumerate(rows) if wanted in (row.name, row.experiment_id)]
    found = exact or [
        index
        for index, row in enumerate(rows)
        if any(text.startswith(wanted) or fnmatchcase(text, wanted) for text in (row.name, row.experiment_id))
    ]
    if not found:
        names = _named(campaign, range(len(rows)))
        raise NotFoundError(f"no row {wanted!r} in {campaign.summary.campaign_id}", hint=f"its rows: {names}")
    return tuple(found)


def _named(campaign: Analysed, rows: Sequence[int], most: int = 8) -> str:
    """The names of the first of these rows."""
    names = [campaign.summary.experiments[index].name for index in rows[:most]]
    return ", ".join(names) + (", …" if len(rows) > most else "")


def across(a: Analysed, chosen_a: Sequence[int], b: Analysed, chosen_b: Sequence[int]) -> Matched:
    """Rows of A with rows of B: the same experiment first, then the same name, then the one that differs least.

    What all rows of a side have in common tells the side, not the row, and does not count. Only what is unique on
    both sides is matched; one row left on each side belongs together. Raises UsageError when a row would stand on both
    sides, and when nothing belongs together.
    """
    if a.summary.campaign_id == b.summary.campaign_id and set(chosen_a) & set(chosen_b):
        raise UsageError(
            f"both sides are rows of {a.summary.campaign_id}, and one would be compared with itself",
            hint="name another campaign, other rows (ID:ROW), or say what to compare by: "
            + _axes([a.rows[i].experiment for i in chosen_a]),
        )
    left_a, left_b = list(chosen_a), list(chosen_b)
    pairs: list[tuple[int, int]] = []
    steps: tuple[Keying, ...] = (_identity, _name, _all_but_shift, *(partial(_all_but, tier) for tier in _TIERS))
    for key in steps:
        for pair in _unique_pairs(*key(_experiments(a, left_a), _experiments(b, left_b))):
            pairs.append(pair)
            left_a.remove(pair[0])
            left_b.remove(pair[1])
    if len(left_a) == len(left_b) == 1:
        pairs.append((left_a.pop(), left_b.pop()))
    if not pairs:
        raise UsageError(
            f"no row of {a.summary.campaign_id} belongs to a row of {b.summary.campaign_id}\n"
            f"  rows of A: {_named(a, chosen_a)}\n  rows of B: {_named(b, chosen_b)}",
            hint="name the rows to compare: A:ROW B:ROW (a name, an id, the beginning of one, or a glob)",
        )
    return Matched(tuple(sorted(pairs)), tuple(left_a), tuple(left_b))


def within(campaign: Analysed, chosen: Sequence[int], by: str, defaults: Defaults = NO_DEFAULTS) -> Matched:
    """Rows that differ in ``by`` alone, each against the first of its kind in the order of the plan.

    ``by`` is a key of ``WITHIN``, an option of the engine or a setting of the workload; with ``=VALUE`` the row with
    that value is A. Raises UsageError when no two rows differ in it alone.
    """
    axis, _, baseline = by.partition("=")
    experiments = {index: campaign.rows[index].experiment for index in chosen}
    groups: dict[str, list[int]] = {}
    for index, experiment in experiments.items():
        groups.setdefault(canonical_json(_left(_facts(experiment), _free(axis))), []).append(index)
    pairs, alone = [], []
    for members in groups.values():
        values = {index: _value(experiments[index], axis, defaults) for index in members}
        first = next((index for index in members if not baseline or _is_written(values[index], baseline)), None)
        others = [index for index in members if first is not None and values[index] != values[first]]
        pairs += [(first, other) for other in others if first is not None]
        alone += [i for i in members if i not in others and (i != first or not others)]
    if not pairs:
        wrong = f" against {baseline!r}" if baseline else ""
        raise UsageError(
            f"no two rows differ in {axis} alone{wrong}", hint=f"rows differ in: {_axes(list(experiments.values()))}"
        )
    return Matched(tuple(pairs), tuple(sorted(alone)))


def differences(a: Experiment, b: Experiment, defaults: Defaults) -> tuple[Difference, ...]:
    """Settings of two experiments that are not the same. An option left at its default has the value of that.

    One without a value there either is ``default``; what a side does not have at all is ``none``.
    """
    one, other = (_flat(_facts(side) | {"slo": _slo(side)}) for side in (a, b))
    if one.get("quant") != other.get("quant") or one["model"] != other["model"] or one["engine"] != other["engine"]:
        one, other = ({k: v for k, v in facts.items() if not k.startswith("weights.")} for facts in (one, other))
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    filled = [
        {f"options.{key}": value for key, value in defaults.get(side.engine, {}).items() if value is not None} | facts
        for side, facts in ((a, one), (b, other))
    ]
    texts = [[_told(facts.get(key), key, is_same_engine=a.engine == b.engine) for key in keys] for facts in filled]
    return tuple(Difference(key=key, a=before, b=after) for key, before, after in zip(keys, *texts, strict=True))


def _slo(experiment: Experiment) -> Facts:
    slo = experiment.workload.slo
    return slo.model_dump(exclude_none=True) if slo is not None else {}


def _told(value: object, key: str, *, is_same_engine: bool) -> str:
    unset = "default" if is_same_engine and key.startswith("options.") else "none"
    return unset if value is None else _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _identity(a: dict[int, Experiment], b: dict[int, Experiment]) -> tuple[Keyed, Keyed]:
    one, other = ({index: experiment.id for index, experiment in side.items()} for side in (a, b))
    return one, other


def _name(a: dict[int, Experiment], b: dict[int, Experiment]) -> tuple[Keyed, Keyed]:
    one, other = ({index: experiment.name for index, experiment in side.items()} for side in (a, b))
    return one, other


def _all_but(keys: tuple[str, ...], a: dict[int, Experiment], b: dict[int, Experiment]) -> tuple[Keyed, Keyed]:
    one, other = (
        {index: canonical_json(_left(_facts(experiment), keys)) for index, experiment in side.items()}
        for side in (a, b)
    )
    return one, other


def _all_but_shift(a: dict[int, Experiment], b: dict[int, Experiment]) -> tuple[Keyed, Keyed]:
    """Settings that are the same throughout each side left out."""
    sides = [{index: _flat(_facts(experiment)) for index, experiment in side.items()} for side in (a, b)]
    keys = dict.fromkeys(key for side in sides for facts in side.values() for key in facts)
    varying = [
        key
        for key in keys
        if any(len({canonical_json(facts.get(key)) for facts in side.values()}) > 1 for side in sides)
    ]
    one, other = (
        {index: canonical_json([facts.get(key) for key in varying]) for index, facts in side.items()} for side in sides
    )
    return one, other


def _experiments(campaign: Analysed, rows: Sequence[int]) -> dict[int, Experiment]:
    return {index: campaign.rows[index].experiment for index in rows}


def _unique_pairs(of_a: Keyed, of_b: Keyed) -> list[tuple[int, int]]:
    count_a, count_b = Counter(of_a.values()), Counter(of_b.values())
    place_b = {key: index for index, key in of_b.items()}
    return [(index, place_b[key]) for index, key in of_a.items() if count_a[key] == count_b[key] == 1]


def _facts(experiment: Experiment) -> Facts:
    return {
        "engine": experiment.engine,
        "model": experiment.model,
        "quant": experiment.weights.quant,
        "precision": experiment.precision,
        "weights": experiment.weights.identity,
        "options": experiment.options,
        "workload": experiment.workload.identity,
    }


def _left(facts: Facts, keys: Sequence[str]) -> Facts:
    """``facts`` without these dotted keys."""
    for key in keys:
        head, _, rest = key.partition(".")
        inner = facts.get(head)
        kept = {other: value for other, value in facts.items() if other != head}
        facts = kept | {head: _left(inner, (rest,))} if rest and isinstance(inner, dict) else kept
    return facts


def _free(axis: str) -> tuple[str, ...]:
    """What may differ when rows are compared by ``axis``."""
    return WITHIN.get(axis, (f"options.{axis}", f"workload.{axis}"))


def _value(experiment: Experiment, axis: str, defaults: Defaults) -> str:
    """The value of one axis, as people write it."""
    facts = _facts(experiment)
    if axis in ("load", "concurrency"):
        load = facts["workload"]["load"]
        return str(load.get("concurrency", canonical_json(load))) if isinstance(load, dict) else str(load)
    if axis in WITHIN:
        return str(facts[axis])
    options = {**defaults.get(experiment.engine, {}), **facts["options"]}
    found = options.get(axis, _flat(facts["workload"]).get(axis))
    return "default" if found is None else _text(found)


def _is_written(value: str, wanted: str) -> bool:
    """Whether ``wanted`` means this value: 4 is 4.0."""
    try:
        return value == wanted or float(value) == float(wanted)
    except ValueError:
        return False


def _flat(facts: Facts, prefix: str = "") -> Facts:
    flat: Facts = {}
    for key, value in facts.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _axes(experiments: Sequence[Experiment]) -> str:
    """What these differ in, as ``--by`` takes it."""
    flat = [_flat(_facts(experiment)) for experiment in experiments]
    keys = dict.fromkeys(key for facts in flat for key in facts if not key.startswith("weights."))
    varying = [key for key in keys if len({canonical_json(facts.get(key)) for facts in flat}) > 1]
    names = dict.fromkeys(
        "load" if key.startswith("workload.load") else key.partition(".")[2] or key for key in varying
    )
    return ", ".join(f"--by {name}" for name in names) or "nothing"
