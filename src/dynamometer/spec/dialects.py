"""The dialects of campaign files, read into the canonical form with every value's place moved along.

- *flat*: everything at the top, with ``campaign_name``, ``quant_filter``, ``resource_limits``, ``parallel``,
  ``devon_managed``.
- *nested*: everything under ``campaign:``, engines' sections beside ``grid`` instead of in it, ``backends``,
  ``fp_precision``, ``notification``, ``docker``.

Both may be mixed with canonical keys, but nothing may be said twice. Engines' aliases become their names. Beside the
dialects stand a few short forms: ``engines: [llama_cpp]``, ``grid.models: gpt2``, and dotted keys such as
``decoder.temperature``. Only keys and engines' names are touched here; values are checked afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dynamometer.domain.campaign import Campaign, ExperimentEntry, Grid
from dynamometer.domain.engine import Catalogue
from dynamometer.errors import Problem
from dynamometer.spec.places import Places
from dynamometer.spec.yamltext import Document, Path, dotted

Dialect = Literal["canonical", "flat", "nested"]

FLAT: dict[str, Path] = {
    "campaign_name": ("name",),
    "quant_filter": ("quants",),
    "resource_limits": ("limits",),
    "parallel": ("execution", "parallel"),
    "devon_managed": ("models_from", "devon_managed"),
    "devon_url": ("models_from", "devon_url"),
}
NESTED: dict[str, Path] = {
    "notification": ("notifications",),
    "docker": ("execution", "container"),
    "fp_precision": ("precision",),
    "backends": ("engines",),
    "backend": ("engine",),
}
TOP: dict[str, Path] = {**FLAT, "notification": NESTED["notification"], "docker": NESTED["docker"]}
CELL = {"backend": "engine", "fp_precision": "precision"}
"""Keys of experiments and of the grid's lists of cells."""
PLAIN = ExperimentEntry.model_fields.keys() - {"overrides"}
"""Keys of experiments that every dialect spells alike."""
BESIDE_EXPERIMENT = ("name", "description", "seed", "models", "quants", "execution", "energy", "io")
"""Keys of campaigns that may stand in a file with one experiment, so that it can be run alone."""
GRID = {"backends": "engines", "fp_precision": "precision"}
PARTS = ("decoder", "load", "slo", "warmup")
"""Mappings whose keys may be written dotted: ``decoder.temperature``."""
EVENTS = {
    "complete": "on_complete",
    "completed": "on_complete",
    "completion": "on_complete",
    "failure": "on_failure",
    "failed": "on_failure",
}


@dataclass(frozen=True, slots=True)
class Canonical:
    """A document in canonical form: exactly what the file sets, nothing filled in."""

    data: dict[str, Any]
    places: Places
    dialect: Dialect
    problems: tuple[Problem, ...]


def canonical_campaign(document: Document, file: str, catalogue: Catalogue) -> Canonical:
    """A campaign file in canonical form."""
    translation = _Translation(document, file, catalogue)
    for source, value in _entries(document.data):
        translation.top(source, value)
    translation.finish_sections()
    return translation.result()


def canonical_experiment(document: Document, file: str, catalogue: Catalogue) -> Canonical:
    """A file with one experiment, as the campaign of that one experiment.

    Keys of experiments go to ``experiments.0``, the others (``models``, ``execution``, …) stay where they are.
    """
    translation = _Translation(document, file, catalogue)
    entry = {key: value for key, value in document.data.items() if not _is_for_campaign(key)}
    for key, value in document.data.items():
        if _is_for_campaign(key):
            translation.top((key,), value)
    translation.spelled["experiments", 0] = translation.spelled[("experiments",)] = ()
    translation.put(("experiments",), [translation.cell(("experiments", 0), entry, ())], ())
    return translation.result()


def translate_layer(data: Mapping[str, Any], name: str, catalogue: Catalogue) -> Canonical:
    """Settings that do not come from a file (user configuration, environment, flags), in canonical form."""
    return canonical_campaign(Document("", dict(data), {}, {}), name, catalogue)


def _is_for_campaign(key: str) -> bool:
    return key not in ExperimentEntry.model_fields and TOP.get(key, (key,))[0] in BESIDE_EXPERIMENT


def _entries(data: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    """The top-level entries, those under ``campaign:`` included."""
    inside = data.get("campaign")
    entries: list[tuple[Path, Any]] = []
    if isinstance(inside, dict):
        entries += ((("campaign", key), value) for key, value in inside.items())
    entries += (((key,), value) for key, value in data.items() if key != "campaign" or not isinstance(inside, dict))
    return entries


@dataclass(slots=True)
class _Translation:
    """The canonical form as it grows."""

    document: Document
    file: str
    catalogue: Catalogue
    data: dict[str, Any] = field(default_factory=dict)
    spelled: dict[Path, Path] = field(default_factory=dict)
    seen: set[Dialect] = field(default_factory=set)
    sections: list[str] = field(default_factory=list)
    """Engines with a section beside the grid."""
    problems: list[Problem] = field(default_factory=list)

    def result(self) -> Canonical:
        """What became of the file."""
        dialect: Dialect = "nested" if "nested" in self.seen else "flat" if "flat" in self.seen else "canonical"
        return Canonical(self.data, self._places(), dialect, tuple(self.problems))

    def top(self, source: Path, value: Any) -> None:
        """One entry of the top level (or of ``campaign:``)."""
        key = str(source[-1])
        self._note(key)
        if len(source) > 1:
            self.seen.add("nested")
        traits = None if key in Campaign.model_fields or key in TOP else self.catalogue.find(key)
        if traits is not None:
            self.seen.add("nested")
            self.sections.append(traits.name)
            self.put(("grid", traits.name), value, source)
        elif key in TRANSLATORS and isinstance(value, (dict, list)):
            TRANSLATORS[key](self, TOP.get(key, (key,)), value, source)
        else:
            self._dotted(TOP.get(key, (key,)), value, source)

    def finish_sections(self) -> None:
        """Sections beside a grid that is not there would be read and ignored."""
        grid = self.data.get("grid")
        if not self.sections or not isinstance(grid, dict) or "engines" in grid:
            return
        places = self._places()
        for engine in self.sections:
            message = "an engine's section belongs to a grid, and no grid lists engines here"
            self.problems.append(places.problem(message, ("grid", engine), at_key=True))
        rest = {key: value for key, value in grid.items() if key not in self.sections}
        self.data = {key: value for key, value in self.data.items() if key != "grid"} | ({"grid": rest} if rest else {})

    def grid(self, path: Path, value: Any, source: Path) -> None:
        """The grid: shared axes, engines' sections, lists of cells."""
        if not isinstance(value, dict):
            self.put(path, value, source)
            return
        self.put(path, {}, source)
        for key, inner in value.items():
            self._note(key)
            target, place = (*path, str(GRID.get(key, key))), (*source, key)
            known = target[-1] in Grid.model_fields
            traits = None if known else self.catalogue.find(key)
            if traits is not None:
                self.put((*path, traits.name), inner, place)
            elif target[-1] in ("engines", "models"):
                self.put(target, self._names(target, inner, place), place)
            elif key in ("exclude", "include", "groups"):
                self.put(target, self._cells(target, inner, place), place)
            else:
                self._dotted(target, inner, place)

    def engines(self, path: Path, value: Any, source: Path) -> None:
        """The matrix's engines; a bare name stands for an entry with that name."""
        if not isinstance(value, list):
            self.put(path, value, source)
            return
        self._spell(path, source)
        entries: list[Any] = []
        for place, item in enumerate(value):
            entry = {"name": item} if isinstance(item, str) else item
            if isinstance(item, str):
                self.spelled[*path, place, "name"] = (*source, place)
            named = isinstance(entry, dict) and "name" in entry
            entries.append({**entry, "name": self._engine(entry["name"])} if named else entry)
        self.put(path, entries, source)

    def experiments(self, path: Path, value: Any, source: Path) -> None:
        """Explicit experiments and what lies over their files."""
        self.put(path, self._cells(path, value, source), source)

    def notification(self, path: Path, value: Any, source: Path) -> None:
        """``webhook_url`` and ``on: [complete, failure]``."""
        if not isinstance(value, dict):
            self.put(path, value, source)
            return
        self.put(path, {}, source)
        for key, inner in value.items():
            place = (*source, key)
            if key == "webhook_url":
                self.put((*path, "urls"), [inner], place)
                self.spelled[*path, "urls", 0] = place
            elif key == "on":
                self._events(path, inner, place)
            else:
                self.put((*path, key), inner, place)

    def cell(self, path: Path, item: Any, source: Path) -> Any:
        """One experiment, or one mapping of ``exclude``, ``include`` or ``groups``."""
        if isinstance(item, list):
            return [self.cell((*path, place), inner, (*source, place)) for place, inner in enumerate(item)]
        if not isinstance(item, dict):
            return item
        flat = path[1:2] in (("exclude",), ("groups",))
        if not flat and item.keys() <= PLAIN:
            return {**item, "engine": self._engine(item["engine"])} if "engine" in item else item
        entry: dict[str, Any] = {}
        for key, value in item.items():
            self._note(key)
            name, place = str(CELL.get(key, key)), (*source, key)
            if flat:
                self._flat_key(entry, path, name, value, place)
            elif key in self._sections_of(item):
                self._into(entry, path, ("options",), value, place)
            elif key == "overrides":
                self._into(entry, path, (key,), self.cell((*path, key), value, place), place)
            else:
                head, _, rest = name.partition(".")
                self._into(entry, path, (head, rest) if rest and head in PARTS else (name,), value, place)
        return {**entry, "engine": self._engine(entry["engine"])} if "engine" in entry else entry

    def put(self, path: Path, value: Any, source: Path) -> None:
        """Set a canonical path; mappings that two spellings give are joined, values given twice are a mistake."""
        self._into(self.data, (), path, value, source)

    def _into(self, target: dict[str, Any], base: Path, path: Path, value: Any, source: Path) -> None:
        for end, part in enumerate(path[:-1], start=1):
            inner = target.setdefault(str(part), {})
            if not isinstance(inner, dict):
                self._twice(base + path[:end], source)
                return
            target[str(part)] = target = dict(inner)
        key, whole = str(path[-1]), base + path
        if key not in target:
            target[key] = value
            self._spell(whole, source)
        elif isinstance(target[key], dict) and isinstance(value, dict):
            self._spell(whole, source)
            for name, inner in value.items():
                target[key] = dict(target[key])
                self._into(target[key], whole, (name,), inner, (*source, name))
        else:
            self._twice(whole, source)

    def _spell(self, path: Path, source: Path) -> None:
        if self._places().spelling(path) != source:
            self.spelled.setdefault(path, source)

    def _twice(self, path: Path, source: Path) -> None:
        places = self._places()
        first, mark = places.mark(path, at_key=True), self.document.keys.get(source)
        line = f" (line {first.line})" if first else ""
        problem = Problem(
            f"says the same as {dotted(places.spelling(path))}{line}; keep one",
            dotted(source),
            self.file,
            *(mark or (None, None)),
        )
        self.problems.append(problem)

    def _dotted(self, path: Path, value: Any, source: Path) -> None:
        """Set a path; a mapping's dotted keys, and a dotted key itself, become mappings."""
        head, _, rest = str(path[-1]).partition(".")
        if rest and head in (*PARTS, "workload"):
            self._dotted((*path[:-1], head, *rest.split(".")), value, source)
        elif isinstance(value, dict) and any("." in key for key in value) and head == "workload":
            for key, inner in value.items():
                self._dotted((*path, key), inner, (*source, key))
        else:
            self.put(path, value, source)

    def _flat_key(self, entry: dict[str, Any], base: Path, key: str, value: Any, source: Path) -> None:
        """Keys of cells are flat: ``decoder: {temperature: 0}`` is ``decoder.temperature``; so is load."""
        if key == "decoder" and isinstance(value, dict):
            for name, inner in value.items():
                self._into(entry, base, (f"decoder.{name}",), inner, (*source, name))
        elif key == "load" and isinstance(value, dict):
            for name, inner in value.items():
                self._into(entry, base, (name,), inner, (*source, name))
        else:
            self._into(entry, base, (key.removeprefix("load."),), value, source)

    def _cells(self, path: Path, value: Any, source: Path) -> Any:
        if not isinstance(value, list):
            return value
        self._spell(path, source)
        return [self.cell((*path, place), item, (*source, place)) for place, item in enumerate(value)]

    def _sections_of(self, item: Mapping[str, Any]) -> tuple[str, ...]:
        """Keys of an experiment that are its own engine's section."""
        engine = item.get("engine", item.get("backend"))
        traits = self.catalogue.find(engine) if isinstance(engine, str) else None
        return () if traits is None else (traits.name, *traits.aliases)

    def _names(self, path: Path, value: Any, source: Path) -> Any:
        if isinstance(value, str):
            self.spelled[*path, 0] = source
            value = [value]
        if path[-1] == "engines" and isinstance(value, list):
            return [self._engine(name) for name in value]
        return value

    def _engine(self, name: Any) -> Any:
        if isinstance(name, list):
            return [self._engine(each) for each in name]
        traits = self.catalogue.find(name) if isinstance(name, str) else None
        return name if traits is None else traits.name

    def _events(self, path: Path, value: Any, source: Path) -> None:
        names = value if isinstance(value, list) else [value]
        chosen = {EVENTS[name] for name in names if isinstance(name, str) and name in EVENTS}
        for place, name in enumerate(names):
            if not isinstance(name, str) or name not in EVENTS:
                where = (*source, place) if isinstance(value, list) else source
                message = f"must be complete or failure, not {name!r}"
                self.problems.append(
                    Places(self.file, self.document.keys, self.document.values).problem(message, where)
                )
        for key in ("on_complete", "on_failure"):
            self.put((*path, key), key in chosen, source)

    def _note(self, key: str) -> None:
        if key in FLAT:
            self.seen.add("flat")
        elif key in NESTED and key != "engines":
            self.seen.add("nested")

    def _places(self) -> Places:
        return Places(self.file, self.document.keys, self.document.values, self.spelled)


TRANSLATORS: dict[str, Callable[[_Translation, Path, Any, Path], None]] = {
    "grid": _Translation.grid,
    "engines": _Translation.engines,
    "experiments": _Translation.experiments,
    "notification": _Translation.notification,
    "notifications": _Translation.notification,
}
