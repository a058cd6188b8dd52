"""What is known of an engine before it is started: the catalogue that planning reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

Format = Literal["safetensors", "gguf", "ollama"]
"""Kinds of weights. An engine loads some of them; a model offers some of them."""

FORMATS: tuple[Format, ...] = ("safetensors", "gguf", "ollama")

Precision = Literal["float32", "float16", "bfloat16", "fp8", "auto"]
"""Number type of weights and activations, where the engine lets one choose (not GGUF, whose file decides)."""


class EngineOptions(BaseModel):
    """Base of an engine's own options: typed, ranged, closed to unknown keys.

    The field descriptions are the reference documentation; validators state mutual exclusions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class EngineTraits:
    """One engine as planning sees it."""

    name: str
    """Canonical name, as campaign files write it."""
    title: str
    """Name for people, with its home."""
    formats: tuple[Format, ...]
    """Weights it loads."""
    options: type[EngineOptions]
    """Its own options."""
    aliases: tuple[str, ...] = ()
    """Other spellings of the same engine (never of another one)."""
    precisions: tuple[Precision, ...] = ("auto",)
    """Values of ``precision`` it understands."""
    parallel_option: str | None = None
    """The option that bounds how many requests it computes at once; asking for more is a warning."""
    unavailable: str | None = None
    """Why this version of Dynamometer cannot run it yet; None when it can."""
    simulated: bool = False
    """True for fakes: their numbers are never mixed with real ones."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All engines known to this installation, by name."""

    engines: Mapping[str, EngineTraits]

    def find(self, name: str) -> EngineTraits | None:
        """The engine of that name or alias, whatever its case and its use of - for _."""
        wanted = name.lower().replace("-", "_")
        return next(
            (traits for traits in self.engines.values() if wanted == traits.name or wanted in traits.aliases),
            None,
        )

    def spellings(self) -> tuple[str, ...]:
        """Every accepted spelling, for suggestions."""
        return tuple(spelling for traits in self.engines.values() for spelling in (traits.name, *traits.aliases))
