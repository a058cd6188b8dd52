"""An endpoint that already runs and speaks the OpenAI API; nothing is started."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dynamometer.domain.engine import EngineOptions, EngineTraits
from dynamometer.engines.planned import PlannedEngine


class OpenAiOptions(EngineOptions):
    """Where the endpoint is and how to talk to it."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")] | None = None
    """Address up to and including /v1."""
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Name of the model on that server; the campaign's name when left out."""
    api: Literal["chat", "completions"] = "chat"
    """API to use."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Environment variable that holds the key; the key itself never stands in a file."""


ENGINE = PlannedEngine(
    EngineTraits(
        name="openai",
        title="a running OpenAI-compatible endpoint",
        formats=(),
        options=OpenAiOptions,
        aliases=("openai_compatible", "endpoint"),
        unavailable="not available yet: campaigns cannot measure running endpoints; dyno bench does",
    )
)
