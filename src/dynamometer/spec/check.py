"""What a canonical campaign says wrong: first its shape, then what its names and axes mean. All mistakes at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import BaseModel

from dynamometer.domain.campaign import Campaign, DecoderAxes, ExperimentEntry, Grid, LoadAxes, WorkloadAxes
from dynamometer.domain.engine import Catalogue, EngineTraits
from dynamometer.domain.plan import Suite
from dynamometer.domain.units import format_duration
from dynamometer.spec.dialects import CELL, GRID, TOP
from dynamometer.spec.wording import Finding, nearest, shape, shown
from dynamometer.spec.yamltext import Path

SPELLINGS: dict[type[BaseModel], Iterable[str]] = {Campaign: (*TOP, "campaign"), Grid: GRID, ExperimentEntry: CELL}
"""Keys of the dialects that may be suggested."""
DATASETS = ("builtin", "synthetic")
TOKEN_KEYS = ("max_input_tokens", "max_output_tokens", "streaming")
FLAT_LOAD = ("concurrency", "rate", "trace")
"""What cells may name of a load; arrivals stays with the rate it belongs to, under workload."""
GROUP_KEYS = (
    "model",
    "quant",
    "precision",
    *FLAT_LOAD,
    "requests",
    "ignore_eos",
    *TOKEN_KEYS,
    *(f"decoder.{key}" for key in DecoderAxes.model_fields),
)
"""What a group may set beside options of engines."""
EXCLUDE_KEYS = ("engine", *(key for key in GROUP_KEYS if key != "quant"))
"""What exclude may name beside options of engines, and beside what groups set. Quants are left out under quants."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names a campaign may use."""

    catalogue: Catalogue
    suites: Mapping[str, Suite]


def findings(data: Mapping[str, Any], vocabulary: Vocabulary) -> list[Finding]:
    """Everything that is wrong with canonical data, in the order of the checks."""
    shapes = (found for found in shape(Campaign, data, SPELLINGS) if not _is_section(found.path))
    declared = tuple(entry.get("name") for _, entry in _mappings(data.get("models"), ()))
    return [*shapes, *_Meaning(data, vocabulary, tuple(filter(_is_text, declared))).findings()]


def time_findings(campaign: Campaign) -> Iterator[Finding]:
    """Durations that execution.timeout leaves no room for: it bounds a run, engine start included.

    They are those of the campaign whole, since any layer may set either. Those beside a trace, which may end before,
    are not looked at, nor is one of ``workload`` that no experiment takes.
    """
    timeout = campaign.execution.timeout
    own = [(("experiments", place), entry) for place, entry in enumerate(campaign.experiments)]
    takes = [entry for _, entry in own if entry.requests is None and entry.duration is None and not _traced(entry.load)]
    parts: list[tuple[Path, WorkloadAxes | ExperimentEntry]] = [*own]
    if campaign.grid is not None or campaign.engines or takes:
        parts.append((("workload",), campaign.workload))
    for base, part in parts:
        if part.duration is not None and part.duration >= timeout and not _traced(part.load):
            told = f"{format_duration(part.duration)} does not fit in execution.timeout ({format_duration(timeout)})"
            yield Finding((*base, "duration"), f"{told}; raise execution.timeout")


def _traced(load: LoadAxes | None) -> bool:
    return load is not None and load.trace is not None


def options_findings(traits: EngineTraits, options: object, base: Path, *, axes: bool) -> Iterator[Finding]:
    """Options an engine does not have, and values it refuses one by one. With ``axes``, lists vary an option."""
    if not isinstance(options, dict):
        return
    known = traits.options.model_fields
    for key, value in options.items():
        if key not in known:
            message = f"{traits.name} has no such option"
            yield Finding((*base, key), message, at_key=True, suggestion=nearest(key, known))
        elif axes and isinstance(value, list):
            yield from axis_findings(value, (*base, key))
            for place, item in enumerate(value):
                yield from _option_findings(traits, key, item, (*base, key, place))
        else:
            yield from _option_findings(traits, key, value, (*base, key))


def axis_findings(values: object, path: Path) -> Iterator[Finding]:
    """An axis without values, or with the same value twice."""
    if not isinstance(values, list):
        return
    if not values:
        yield Finding(path, "an empty list; give at least one value, or leave the key out")
    seen: set[str] = set()
    for place, value in enumerate(values):
        text = json.dumps(value, sort_keys=True)
        if text in seen:
            yield Finding((*path, place), f"{shown(value)} stands in this list twice")
        seen.add(text)


def entry_findings(values: Mapping[str, Any], base: Path) -> Iterator[Finding]:
    """Keys of an experiment checked one by one, whatever else an experiment needs."""
    for found in shape(ExperimentEntry, values, SPELLINGS):
        if found.path:
            yield Finding(base + found.path, found.message, found.at_key, found.suggestion)


def _option_findings(traits: EngineTraits, key: str, value: object, base: Path) -> Iterator[Finding]:
    for found in shape(traits.options, {key: value}):
        if found.path[:1] == (key,):
            yield Finding(base + found.path[1:], found.message, found.at_key, found.suggestion)


def _is_section(path: Path) -> bool:
    return len(path) == 2 and path[0] == "grid" and path[1] not in Grid.model_fields


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Checks of names, options and axes. Parts of a wrong shape are left to the check of shapes."""

    data: Mapping[str, Any]
    vocabulary: Vocabulary
    declared: tuple[str, ...]
    """Names of models."""

    def findings(self) -> Iterator[Finding]:
        yield from self._models()
        for path, entry in _mappings(self.data.get("engines"), ("engines",)):
            yield from self._engine(entry.get("name"), (*path, "name"))
            yield from self._suite(entry.get("suite"), (*path, "suite"))
            yield from self._options(entry.get("name"), entry.get("options"), (*path, "options"), axes=True)
        grid = self.data.get("grid")
        if isinstance(grid, dict):
            yield from self._grid(grid)
        for path, entry in _mappings(self.data.get("experiments"), ("experiments",)):
            yield from self._experiment(entry, path)
        workload = self.data.get("workload")
        if isinstance(workload, dict):
            yield from self._suite(workload.get("suite"), ("workload", "suite"))
            yield from _dataset(workload.get("dataset"), ("workload", "dataset"))
            yield from _axes(workload, ("workload",), WorkloadAxes.model_fields)

    def _models(self) -> Iterator[Finding]:
        seen: set[str] = set()
        for path, entry in _mappings(self.data.get("models"), ("models",)):
            name = entry.get("name")
            if isinstance(name, str) and name in seen:
                yield Finding((*path, "name"), f"another model is called {name!r} too")
            elif isinstance(name, str):
                seen.add(name)

    def _grid(self, grid: dict[str, Any]) -> Iterator[Finding]:
        for key in ("engines", "models"):
            if grid.get(key):
                yield from axis_findings(grid[key], ("grid", key))
        engines = [name for name in _list(grid.get("engines")) if isinstance(name, str)]
        for place, name in enumerate(_list(grid.get("engines"))):
            yield from self._engine(name, ("grid", "engines", place))
        for place, name in enumerate(_list(grid.get("models"))):
            yield from self._model(name, ("grid", "models", place))
        yield from _axes(grid, ("grid",), Grid.model_fields)
        for key in grid.keys() - Grid.model_fields.keys():
            yield from self._section(key, grid[key], engines)
        yield from self._groups(grid.get("groups"), engines)
        grouped = {key for group in _list(grid.get("groups")) for _, each in _mappings(group, ()) for key in each}
        for path, cell in _mappings(grid.get("exclude"), ("grid", "exclude")):
            if not cell:
                yield Finding(path, "an empty mapping leaves nothing out")
            yield from self._cell(cell, path, (*EXCLUDE_KEYS, *(grouped & {"quant"})), engines)
        for path, cell in _mappings(grid.get("include"), ("grid", "include")):
            yield from self._included(cell, path)

    def _section(self, key: str, section: object, engines: list[str]) -> Iterator[Finding]:
        path: Path = ("grid", key)
        traits = self.vocabulary.catalogue.find(key)
        if traits is None:
            words = (*Grid.model_fields, *GRID, *self.vocabulary.catalogue.spellings())
            message = "unknown key: neither a key of grid nor an engine"
            yield Finding(path, message, at_key=True, suggestion=nearest(key, words))
            return
        if traits.name not in engines:
            yield Finding(path, f"a section for {traits.name}, which grid.engines does not list", at_key=True)
        if not isinstance(section, dict):
            yield Finding(path, f"must be a mapping of {traits.name}'s options, not {shown(section)}")
        yield from options_findings(traits, section, path, axes=True)

    def _groups(self, groups: object, engines: list[str]) -> Iterator[Finding]:
        for place, group in enumerate(_list(groups)):
            yield from axis_findings(group, ("grid", "groups", place))
            for path, alternative in _mappings(group, ("grid", "groups", place)):
                for key, value in alternative.items():
                    if isinstance(value, (list, dict)):
                        yield Finding((*path, key), "a group holds single values; list alternatives as mappings")
                yield from self._cell(alternative, path, GROUP_KEYS, engines)

    def _cell(self, cell: dict[str, Any], path: Path, keys: Iterable[str], engines: list[str]) -> Iterator[Finding]:
        """One mapping of exclude or groups: its keys name axes or options of the grid's engines."""
        listed = [traits for name in engines if (traits := self.vocabulary.catalogue.find(name))]
        options = dict.fromkeys(option for traits in listed for option in traits.options.model_fields)
        for key, value in cell.items():
            place = (*path, key)
            if key in keys:
                yield from self._cell_value(key, value, place)
            elif owners := [traits for traits in listed if key in traits.options.model_fields]:
                for at, item in _each(value, place):
                    refused = [list(_option_findings(traits, key, item, at)) for traits in owners]
                    yield from refused[0] if all(refused) else ()
            else:
                message = "no axis and no option of the grid's engines"
                yield Finding(place, message, at_key=True, suggestion=nearest(key, (*keys, *options)))

    def _cell_value(self, key: str, value: object, path: Path) -> Iterator[Finding]:
        for place, item in _each(value, path):
            if key == "engine":
                yield from self._engine(item, place)
                continue
            first, _, rest = (f"load.{key}" if key in FLAT_LOAD else key).partition(".")
            nested = {first: {rest: item} if rest else item}
            for found in shape(ExperimentEntry, nested):
                if found.path:
                    yield Finding(place, found.message, suggestion=found.suggestion)

    def _included(self, cell: dict[str, Any], path: Path) -> Iterator[Finding]:
        for key in ("config", "overrides"):
            if key in cell:
                yield Finding((*path, key), "files belong under experiments", at_key=True)
        if "config" not in cell:
            for found in shape(ExperimentEntry, cell, SPELLINGS):
                yield Finding(path + found.path, found.message, found.at_key, found.suggestion)
        yield from self._experiment(cell, path)

    def _experiment(self, entry: dict[str, Any], path: Path) -> Iterator[Finding]:
        yield from self._named(entry, path)
        overrides = entry.get("overrides")
        if isinstance(overrides, dict):
            base = (*path, "overrides")
            for key in ("config", "overrides"):
                if key in overrides:
                    yield Finding((*base, key), "cannot be overridden", at_key=True)
            yield from entry_findings({k: v for k, v in overrides.items() if k not in ("config", "overrides")}, base)
            yield from self._named(overrides, base)

    def _named(self, entry: dict[str, Any], path: Path) -> Iterator[Finding]:
        """Names and options of an experiment, or of what lies over one."""
        if "engine" in entry:
            yield from self._engine(entry["engine"], (*path, "engine"))
            yield from self._options(entry["engine"], entry.get("options"), (*path, "options"), axes=False)
        yield from self._suite(entry.get("suite"), (*path, "suite"))
        yield from self._model(entry.get("model"), (*path, "model"))
        yield from _dataset(entry.get("dataset"), (*path, "dataset"))
        load = entry.get("load")
        if isinstance(load, dict):
            for key, values in load.items():
                yield from axis_findings(values, (*path, "load", key))

    def _engine(self, name: object, path: Path) -> Iterator[Finding]:
        if isinstance(name, str) and self.vocabulary.catalogue.find(name) is None:
            known = ", ".join(sorted(self.vocabulary.catalogue.engines))
            near = nearest(name, self.vocabulary.catalogue.spellings())
            yield Finding(path, f"unknown engine {shown(name)}; there are {known}", suggestion=near)

    def _suite(self, name: object, path: Path) -> Iterator[Finding]:
        if isinstance(name, str) and name not in self.vocabulary.suites:
            known = ", ".join(sorted(self.vocabulary.suites)) or "none"
            near = nearest(name, self.vocabulary.suites)
            yield Finding(path, f"unknown suite {shown(name)}; there are {known}", suggestion=near)

    def _options(self, name: object, options: object, path: Path, *, axes: bool) -> Iterator[Finding]:
        traits = self.vocabulary.catalogue.find(name) if isinstance(name, str) else None
        if traits is not None:
            yield from options_findings(traits, options, path, axes=axes)

    def _model(self, name: object, path: Path) -> Iterator[Finding]:
        """A plain name that misses one of models by a little; paths and repositories are looked up later."""
        if not isinstance(name, str) or name in self.declared or any(sign in name for sign in "/\\:~"):
            return
        near = nearest(name, self.declared)
        if near and not name.endswith(".gguf"):
            yield Finding(path, f"models has no {shown(name)}", suggestion=near)


def _dataset(name: object, path: Path) -> Iterator[Finding]:
    """A plain name that misses one of ours by a little; other names are looked up on the hub later."""
    if isinstance(name, str) and name not in DATASETS and "/" not in name and (near := nearest(name, DATASETS)):
        yield Finding(path, f"unknown dataset {shown(name)}", suggestion=near)


def _axes(part: Mapping[str, Any], base: Path, keys: Iterable[str]) -> Iterator[Finding]:
    """Axes of a part of the file: its own lists, and those of its decoder and load."""
    for key in keys:
        value = part.get(key)
        if key in ("decoder", "load") and isinstance(value, dict):
            for name, values in value.items():
                yield from axis_findings(values, (*base, key, name))
        elif key in ("precision", *TOKEN_KEYS):
            yield from axis_findings(value, (*base, key))


def _mappings(value: object, base: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The mappings of a list, with their places."""
    for place, item in enumerate(_list(value)):
        if isinstance(item, dict):
            yield (*base, place), item


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _each(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    """A value, or each of a list's values, with its place."""
    if isinstance(value, list):
        yield from (((*path, place), item) for place, item in enumerate(value))
    else:
        yield path, value
