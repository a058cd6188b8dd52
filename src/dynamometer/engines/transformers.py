"""Hugging Face Transformers on PyTorch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dynamometer.domain.engine import EngineOptions, EngineTraits
from dynamometer.engines.planned import PlannedEngine


class TransformersOptions(EngineOptions):
    """Options of loading a model with Transformers and of generating with it."""

    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 1
    """Prompts generated together in one static batch."""
    device_map: Literal["auto", "cpu", "cuda", "balanced"] = "auto"
    """Where layers go."""
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3"] | None = None
    """Attention kernels; Transformers chooses when left out."""
    load_in_4bit: bool = False
    """Quantise to 4 bits with bitsandbytes while loading."""
    load_in_8bit: bool = False
    """Quantise to 8 bits with bitsandbytes while loading."""
    bnb_4bit_quant_type: Literal["nf4", "fp4"] | None = None
    """Number type of 4-bit weights."""
    bnb_4bit_compute_dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Number type of computing with 4-bit weights."""
    bnb_4bit_use_double_quant: bool = False
    """Quantise the scales of 4-bit weights too."""
    compile: bool = False
    """Compile the model with torch.compile."""
    compile_mode: Literal["default", "reduce-overhead", "max-autotune"] | None = None
    """Mode of torch.compile."""
    cache_implementation: Literal["dynamic", "static", "offloaded", "quantized"] = "dynamic"
    """KV cache."""
    use_cache: bool = True
    """Keep the KV cache between tokens."""
    num_beams: Annotated[int, Field(ge=1, le=64)] = 1
    """Beams of the search; 1 is none."""
    prompt_lookup_num_tokens: Annotated[int, Field(ge=1, le=128)] | None = None
    """Tokens to speculate from the prompt."""
    num_threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Threads of PyTorch on processors."""

    @model_validator(mode="after")
    def _exclusions(self) -> TransformersOptions:
        if self.load_in_4bit and self.load_in_8bit:
            raise ValueError("load_in_4bit and load_in_8bit exclude each other")
        four_bit = self.bnb_4bit_quant_type or self.bnb_4bit_compute_dtype or self.bnb_4bit_use_double_quant
        if four_bit and not self.load_in_4bit:
            raise ValueError("bnb_4bit_* need load_in_4bit: true")
        if self.compile_mode and not self.compile:
            raise ValueError("compile_mode needs compile: true")
        if self.prompt_lookup_num_tokens and self.num_beams > 1:
            raise ValueError("prompt_lookup_num_tokens and num_beams above 1 exclude each other")
        if not self.use_cache and self.cache_implementation != "dynamic":
            raise ValueError("cache_implementation needs use_cache: true")
        return self


ENGINE = PlannedEngine(
    EngineTraits(
        name="transformers",
        title="Transformers on PyTorch (github.com/huggingface/transformers)",
        formats=("safetensors",),
        options=TransformersOptions,
        aliases=("pytorch", "hf", "huggingface"),
        precisions=("auto", "float32", "float16", "bfloat16"),
        parallel_option="batch_size",
        unavailable="not available yet: this version of Dynamometer cannot start Transformers",
    ),
    distribution="transformers",
)
