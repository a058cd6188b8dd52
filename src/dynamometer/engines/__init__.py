"""Engines, listed by hand. Adding one is one module and one line here; other packages add theirs by entry point.

An entry point of the group ``dynamometer.engines`` names an object that follows ``engines.base.Engine``. A plugin that
cannot be loaded is listed by ``broken_plugins`` and does not stop anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from typing import NamedTuple

from dynamometer.domain.engine import Catalogue, EngineTraits
from dynamometer.engines import fake, llama_cpp, ollama, openai, tensorrt, transformers, vllm
from dynamometer.engines.base import Engine

LOG = logging.getLogger(__name__)

GROUP = "dynamometer.engines"

BUILT_IN: dict[str, Engine] = {
    "llama_cpp": llama_cpp.ENGINE,
    "fake": fake.ENGINE,
    "vllm": vllm.ENGINE,
    "transformers": transformers.ENGINE,
    "tensorrt": tensorrt.ENGINE,
    "ollama": ollama.ENGINE,
    "openai": openai.ENGINE,
}
"""The engines of this package, by canonical name."""


class Found(NamedTuple):
    """All engines of an installation, and the plugins that gave none, with reasons."""

    engines: dict[str, Engine]
    broken: dict[str, str]


def find(points: Iterable[metadata.EntryPoint]) -> Found:
    """Our engines and those that entry points add. A plugin cannot take the name of another engine."""
    engines = dict(BUILT_IN)
    broken: dict[str, str] = {}
    for point in points:
        try:
            loaded = point.load()
            traits = loaded.traits
        except Exception as error:  # a plugin may raise anything; this is the border to other people's code
            LOG.debug("engine plugin %s is broken", point.name, exc_info=True)
            broken[point.name] = f"{point.value}: {type(error).__name__}: {error}"
            continue
        if not isinstance(traits, EngineTraits):
            broken[point.name] = f"{point.value}: has no EngineTraits in traits"
        elif Catalogue(_traits(engines)).find(traits.name):
            broken[point.name] = f"{point.value}: the name {traits.name!r} is taken"
        else:
            engines[traits.name] = loaded
    return Found(engines, broken)


class _Installed(Mapping[str, Engine]):
    """Built-in engines and plugins; plugins are looked for when somebody first asks."""

    def __getitem__(self, name: str) -> Engine:
        return _found().engines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_found().engines)

    def __len__(self) -> int:
        return len(_found().engines)


ENGINES: Mapping[str, Engine] = _Installed()
"""Every engine of this installation, by canonical name."""


@cache
def catalogue() -> Catalogue:
    """What planning knows of all engines, those of plugins included."""
    return Catalogue(_traits(ENGINES))


def broken_plugins() -> dict[str, str]:
    """Name of the entry point -> why it gave no engine."""
    return _found().broken


@cache
def _found() -> Found:
    return find(metadata.entry_points(group=GROUP))


def _traits(engines: Mapping[str, Engine]) -> dict[str, EngineTraits]:
    return {name: engine.traits for name, engine in engines.items()}
