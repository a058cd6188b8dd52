"""NVIDIA TensorRT-LLM."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dynamometer.domain.engine import EngineOptions, EngineTraits
from dynamometer.engines.planned import PlannedEngine


class TensorRtOptions(EngineOptions):
    """Options of ``trtllm-serve`` and of the engine builder."""

    backend: Literal["pytorch", "tensorrt"] = "pytorch"
    """pytorch runs the weights as they are; tensorrt builds an engine first."""
    max_batch_size: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """Most requests computed at once."""
    max_num_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens in one step."""
    max_input_len: Annotated[int, Field(ge=1)] | None = None
    """Longest prompt in tokens; only for a built engine."""
    max_seq_len: Annotated[int, Field(ge=1)] | None = None
    """Longest prompt and answer together, in tokens."""
    max_beam_width: Annotated[int, Field(ge=1, le=64)] = 1
    """Beams of the search; 1 is none."""
    tp_size: Annotated[int, Field(ge=1, le=1024)] = 1
    """GPUs that share each layer."""
    pp_size: Annotated[int, Field(ge=1, le=1024)] = 1
    """Groups of GPUs that share the stack of layers."""
    kv_cache_free_gpu_memory_fraction: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of free GPU memory for the KV cache."""
    quantization: Literal["fp8", "int8", "w4a16", "w4a16_awq", "w4a16_gptq", "nvfp4"] | None = None
    """Quantisation of the built engine."""
    builder_opt: Annotated[int, Field(ge=0, le=5)] | None = None
    """Optimisation level of the builder; only for a built engine."""
    enable_chunked_prefill: bool = False
    """Split long prompts over steps."""
    enable_block_reuse: bool = False
    """Reuse the KV cache of shared prompt beginnings. Off, because it hides the cost of prefill."""

    @model_validator(mode="after")
    def _exclusions(self) -> TensorRtOptions:
        for option in ("max_input_len", "builder_opt"):
            if self.backend == "pytorch" and option in self.model_fields_set:
                raise ValueError(f"{option} needs backend: tensorrt")
        if self.max_input_len and self.max_seq_len and self.max_input_len >= self.max_seq_len:
            raise ValueError("max_seq_len must be above max_input_len")
        return self


ENGINE = PlannedEngine(
    EngineTraits(
        name="tensorrt",
        title="TensorRT-LLM (github.com/NVIDIA/TensorRT-LLM)",
        formats=("safetensors",),
        options=TensorRtOptions,
        aliases=("tensorrt_llm", "trt", "trtllm", "trt_llm"),
        precisions=("auto", "float16", "bfloat16", "fp8"),
        parallel_option="max_batch_size",
        unavailable="not available yet: this version of Dynamometer cannot start TensorRT-LLM",
    ),
    distribution="tensorrt-llm",
)
