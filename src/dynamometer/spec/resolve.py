"""Layers of settings -> one Campaign, and who set each value.

Default < user configuration < file < environment < flags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dynamometer.domain.campaign import Campaign
from dynamometer.domain.experiment import SHAPES
from dynamometer.errors import Problem
from dynamometer.spec.check import findings, time_findings
from dynamometer.spec.dialects import Canonical, translate_layer
from dynamometer.spec.parse import CampaignFile, ExperimentFile, refuse
from dynamometer.spec.places import Places
from dynamometer.spec.wording import Finding
from dynamometer.spec.yamltext import Path, dotted

Layer = Literal["preferences", "file", "environment", "flags"]
TITLES: dict[Layer, str] = {
    "preferences": "user configuration",
    "file": "campaign file",
    "environment": "environment",
    "flags": "command line",
}
ALONE_ONLY = ("execution", "energy", "io", "seed")
"""What a file with one experiment may say that counts only when it is run alone."""
INSTEAD_OF: Mapping[str, tuple[str, ...]] = {
    **{shape: tuple(other for other in SHAPES if other != shape) for shape in SHAPES},
    "concurrency": ("rate", "trace", "ramp", "arrivals", "max_in_flight"),
    "requests": ("duration",),
    "duration": ("requests",),
}
"""Key -> keys beside it that a layer under the one that sets it has set in vain."""
SECTIONS = ("", "workload", "load")
"""Where these keys stand; in an experiment they stand at its top."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a value. A value without an origin is a default."""

    layer: Layer
    """Which layer."""
    file: str | None = None
    """File it stands in, if it stands in one."""
    line: int | None = None
    """Line in that file, from 1."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A campaign with its history."""

    campaign: Campaign
    """The canonical campaign."""
    origins: Mapping[str, Origin]
    """Dotted canonical key -> who set it. A list is one value."""
    notes: tuple[Problem, ...] = ()
    """What files of experiments say that does not count in a campaign."""


def config_references(file: CampaignFile) -> tuple[str, ...]:
    """Files that ``experiments[].config`` names, each once; the caller reads them."""
    configs = (entry.get("config") for entry in file.data.get("experiments", ()))
    return tuple(dict.fromkeys(config for config in configs if config is not None))


def resolve(
    file: CampaignFile,
    *,
    preferences: Mapping[str, object] | None = None,
    environment: Mapping[str, object] | None = None,
    flags: Mapping[str, object] | None = None,
    experiment_files: Mapping[str, ExperimentFile] | None = None,
) -> Resolved:
    """The campaign that a file, and what lies under and over it, stand for.

    Layers are nested mappings with the file's keys. Mappings are joined key by key; anything else, lists included,
    replaces what lies under it. Overrides of ``experiments[].config`` are laid over the file in the same way.
    Raises CampaignError with every mistake, each with the file or the layer it comes from.
    """
    references = _References(file, experiment_files or {})
    data = references.data()
    given: dict[Layer, Mapping[str, object] | None] = {
        "preferences": preferences,
        "environment": environment,
        "flags": flags,
    }
    stack = {
        name: translate_layer(settings, TITLES[name], file.vocabulary.catalogue)
        for name, settings in given.items()
        if settings
    }
    layers = _layers(stack, data, file)
    merged: Mapping[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer.data)
    problems = [*references.problems, *(problem for layer in stack.values() for problem in layer.problems)]
    if stack or references.used:
        problems += [_blame(found, layers, references) for found in findings(merged, file.vocabulary)]
    refuse(problems)
    campaign = Campaign.model_validate_json(json.dumps(merged), strict=True)
    refuse(_blame(found, layers, references) for found in time_findings(campaign))
    origins = {key: origin for key, origin in _origins(layers) if _sets(merged, key)}
    return Resolved(campaign, {dotted(key): origin for key, origin in origins.items()}, tuple(references.notes))


def merge(under: Mapping[str, Any], over: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """``over`` laid over ``under``: mappings are joined, everything else replaces.

    Of keys that stand for each other, such as the shapes of a load, those under give way to the one over them.
    ``section`` is the key of both.
    """
    instead = INSTEAD_OF if section in SECTIONS else {}
    ousted = {key for key, others in instead.items() if over.get(key) is not None for key in others}
    joined = {key: value for key, value in under.items() if key not in ousted}
    for key, value in over.items():
        below = joined.get(key)
        joined[key] = merge(below, value, key) if isinstance(below, dict) and isinstance(value, dict) else value
    return joined


@dataclass(frozen=True, slots=True)
class _Settings:
    layer: Layer
    data: Mapping[str, Any]
    places: Places


def _layers(stack: Mapping[Layer, Canonical], data: Mapping[str, Any], file: CampaignFile) -> list[_Settings]:
    """The lowest first."""
    layers: list[_Settings] = []
    for name in TITLES:
        if name == "file":
            layers.append(_Settings(name, data, file.positions))
        elif name in stack:
            layers.append(_Settings(name, stack[name].data, stack[name].places))
    return layers


def _blame(found: Finding, layers: list[_Settings], references: _References) -> Problem:
    """A finding as a problem of the topmost layer that sets the value."""
    owner = next((layer for layer in reversed(layers) if _sets(layer.data, found.path)), None)
    if owner is None or owner.layer == "file":
        return references.problem(found)
    return owner.places.problem(found.message, found.path, at_key=found.at_key, suggestion=found.suggestion)


def _sets(data: Any, path: Path) -> bool:
    for part in path:
        within = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if not within:
            return False
        data = data[part]
    return bool(path)


def _origins(layers: list[_Settings]) -> Iterator[tuple[Path, Origin]]:
    for layer in layers:
        for path in _leaves(layer.data):
            mark = layer.places.mark(path, at_key=True)
            file = layer.places.file if layer.layer == "file" else None
            yield path, Origin(layer.layer, file, mark.line if mark else None)


def _leaves(data: Mapping[str, Any], base: Path = ()) -> Iterator[Path]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*base, key))
        else:
            yield (*base, key)


@dataclass(slots=True)
class _References:
    """Replaces ``experiments[].config`` by what those files hold."""

    file: CampaignFile
    files: Mapping[str, ExperimentFile]
    used: dict[int, ExperimentFile] = field(default_factory=dict)
    """Place in experiments -> the file its values come from."""
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def data(self) -> Mapping[str, Any]:
        """The campaign file's data with every reference replaced."""
        entries = self.file.data.get("experiments", [])
        if not any("config" in entry for entry in entries):
            return self.file.data
        replaced = [self._entry(place, entry) for place, entry in enumerate(entries)]
        data = {**self.file.data, "experiments": replaced}
        models = self._models()
        return {**data, "models": models} if models else data

    def problem(self, found: Finding) -> Problem:
        """A problem at the place of the value: in the campaign file, or in a file it refers to."""
        place = found.path[1] if len(found.path) > 1 and found.path[0] == "experiments" else None
        source = self.used.get(place) if isinstance(place, int) else None
        places, path = self.file.positions, found.path
        if source is not None:
            inner = found.path[2:]
            if _sets(self._overrides(place), inner):
                path = (*found.path[:2], "overrides", *inner)
            else:
                places, path = source.positions, ("experiments", 0, *inner)
        return places.problem(found.message, path, at_key=found.at_key, suggestion=found.suggestion)

    def _overrides(self, place: str | int | None) -> Mapping[str, Any]:
        entries = self.file.data["experiments"]
        overrides: Mapping[str, Any] = entries[place].get("overrides", {})
        return overrides

    def _entry(self, place: int, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        if "config" not in entry or entry["config"] is None:
            return entry
        path: Path = ("experiments", place, "config")
        source = self.files.get(entry["config"])
        if source is None:
            self.problems.append(self.file.positions.problem(f"there is no file {entry['config']!r}", path))
            return entry
        self.used[place] = source
        if "quants" in source.data:
            message = "quants counts only when this file is run alone; name the one quant the experiment is about"
            self.problems.append(source.positions.problem(message, ("quants",), at_key=True))
        for key in ALONE_ONLY:
            if key in source.data:
                message = f"{key} counts only when this file is run alone; the campaign's own applies"
                self.notes.append(source.positions.problem(message, (key,), at_key=True))
        return merge(source.experiment, entry.get("overrides", {}))

    def _models(self) -> list[Mapping[str, Any]]:
        """The campaign's models and those that the files describe."""
        models = {model["name"]: model for model in self.file.data.get("models", [])}
        for place, source in self.used.items():
            for number, model in enumerate(source.data.get("models", [])):
                path: Path = ("models", number)
                if models.setdefault(model["name"], model) != model:
                    message = f"{model['name']!r} is described otherwise elsewhere"
                    self.problems.append(source.positions.problem(message, path))
                elif self.file.data.get("engines") and model not in self.file.data.get("models", []):
                    message = (
                        f"its file brings the model {model['name']!r}, which would join the matrix of models and "
                        "engines; describe it under the campaign's models"
                    )
                    self.problems.append(self.file.positions.problem(message, ("experiments", place, "config")))
        return list(models.values())
