"""Ollama: a server over its own library of GGUF models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dynamometer.domain.engine import EngineOptions, EngineTraits
from dynamometer.domain.units import Duration
from dynamometer.engines.planned import PlannedEngine


class OllamaOptions(EngineOptions):
    """Options of the Ollama server and of its models."""

    num_ctx: Annotated[int, Field(ge=1)] | None = None
    """Context of one request in tokens; Ollama chooses when left out."""
    num_parallel: Annotated[int, Field(ge=1, le=1024)] = 1
    """Requests computed at once."""
    num_gpu: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Layers on the GPU; as many as fit when left out."""
    num_thread: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Threads on processors."""
    num_batch: Annotated[int, Field(ge=1)] | None = None
    """Prompt tokens computed in one step."""
    keep_alive: Duration = 1800.0
    """How long an idle model stays loaded."""
    flash_attention: bool | None = None
    """Use flash attention; Ollama chooses when left out."""
    kv_cache_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    """Number type of the KV cache."""
    use_mmap: bool = True
    """Map the file instead of reading it."""

    @model_validator(mode="after")
    def _quantised_cache_needs_flash_attention(self) -> OllamaOptions:
        if self.kv_cache_type != "f16" and self.flash_attention is not True:
            raise ValueError(f"kv_cache_type: {self.kv_cache_type} needs flash_attention: true")
        return self


ENGINE = PlannedEngine(
    EngineTraits(
        name="ollama",
        title="Ollama (ollama.com)",
        formats=("ollama",),
        options=OllamaOptions,
        parallel_option="num_parallel",
        unavailable="not available yet: this version of Dynamometer cannot start Ollama",
    )
)
