"""What pairs of rows are called: what both names share, then what not; of several pairs, what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynamometer.domain.comparison import Difference
from dynamometer.report.names import without

OPTION = "options."


@dataclass(frozen=True, slots=True)
class Couple:
    """Two names as one."""

    kept: str
    """What they have in common; empty when nothing."""
    change: str
    """What not: ``Q4_1 → Q8_0``, ``n_threads=1 → 2``; empty for equal names."""

    @property
    def title(self) -> str:
        """``llama_cpp/M/c8 (Q4_1 → Q8_0)``."""
        return f"{self.kept} ({self.change})" if self.kept and self.change else self.kept or self.change


def couple(a: str, b: str, differs: Sequence[Difference] = ()) -> Couple:
    """Two names. An option that one of them leaves at its default has the value that ``differs`` tells."""
    one, other = a.split("/"), b.split("/")
    kept = "/".join(part for part in one if part in other)
    only_a, only_b = [part for part in one if part not in other], [part for part in other if part not in one]
    if not kept:
        return Couple("", f"{a} → {b}")
    told = [] if any(found.key == "engine" for found in differs) else differs
    values = {found.key.removeprefix(OPTION): found for found in told if found.key.startswith(OPTION)}
    named = [key for key in dict.fromkeys(map(_key, [*only_a, *only_b])) if key in values]
    rest_a, rest_b = ([part for part in side if _key(part) not in values] for side in (only_a, only_b))
    changes = [f"{'/'.join(rest_a) or 'default'} → {'/'.join(rest_b) or 'default'}"] if rest_a or rest_b else []
    changes += [f"{key}={values[key].a} → {values[key].b}" for key in named]
    return Couple(kept, ", ".join(changes))


def _key(part: str) -> str:
    return part.partition("=")[0]


@dataclass(frozen=True, slots=True)
class Labels:
    """What several pairs have in common, and what each of them is called without it."""

    common: str
    """Empty when that is nothing, and of a single pair."""
    each: tuple[str, ...]


def labels(couples: Sequence[Couple]) -> Labels:
    """Short names that tell the pairs apart; the full ones where short ones would be alike."""
    titles = tuple(one.title for one in couples)
    if len(couples) < 2 or not all(one.kept for one in couples):
        return Labels("", titles)
    parts = [one.kept.split("/") for one in couples]
    shared = [part for part in parts[0] if all(part in other for other in parts)]
    changes = {one.change for one in couples}
    each = []
    for one, own in zip(couples, parts, strict=True):
        left = "/".join(part for part in own if part not in shared)
        each.append(left if len(changes) == 1 and left else Couple(left, one.change).title)
    if not shared or len(set(each)) < len(set(titles)):
        return Labels("", titles)
    return Labels("/".join(shared), tuple(each))


def left_over(names: Sequence[str], matched: Sequence[str]) -> list[str]:
    """Names of rows that belong to none, without what they share with all rows of their side that do."""
    parts = [name.split("/")[:-1] for name in [*matched, *names]]
    shared = [part for part in parts[0] if all(part in other for other in parts)] if matched else []
    short = [without(name, shared) for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)
