"""What a model offers: variants of its weights, or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dynamometer.domain.base import Value
from dynamometer.domain.engine import Format
from dynamometer.domain.experiment import Name, Source


class Variant(Value):
    """One set of weights that a model offers, found by looking (a folder's listing, a repository's index)."""

    format: Format
    """Kind of weights."""
    source: Source
    """Where they are."""
    ref: Name
    """Path, repository or tag, as the campaign writes it."""
    file: Name | None = None
    """The one file, where the place holds several."""
    quant: Name | None = None
    """Quantisation by its exact name."""
    revision: Name | None = None
    """Revision of a repository."""
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    """Size where known."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What looking for a model's weights gave: variants, or the reason why there are none."""

    variants: tuple[Variant, ...] = ()
    missing: str | None = None
    skipped: tuple[str, ...] = ()
    """Files left out beside the variants, each with its reason: cut short, unreadable."""
