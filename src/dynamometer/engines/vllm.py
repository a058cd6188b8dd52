"""vLLM: continuous batching with paged attention on GPUs, and on processors in its CPU build."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dynamometer.domain.engine import EngineOptions, EngineTraits
from dynamometer.engines.planned import PlannedEngine


class VllmOptions(EngineOptions):
    """Options of ``vllm serve``, with its names."""

    max_num_seqs: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """Most sequences computed at once; vLLM chooses when left out."""
    max_num_batched_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens in one step of the scheduler."""
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    """Context of one sequence in tokens; the model's own when left out."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of GPU memory it may take."""
    kv_cache_memory_bytes: Annotated[int, Field(ge=1)] | None = None
    """Size of the KV cache instead of the rest of gpu_memory_utilization."""
    tensor_parallel_size: Annotated[int, Field(ge=1, le=1024)] = 1
    """GPUs that share each layer."""
    pipeline_parallel_size: Annotated[int, Field(ge=1, le=1024)] = 1
    """Groups of GPUs that share the stack of layers."""
    data_parallel_size: Annotated[int, Field(ge=1, le=1024)] = 1
    """Replicas of the model."""
    quantization: Literal["awq", "gptq", "fp8", "bitsandbytes", "gguf", "compressed-tensors"] | None = None
    """Method of quantised weights; read from the weights when left out."""
    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"] = "auto"
    """Number type of the KV cache."""
    block_size: Literal[1, 8, 16, 32, 64, 128] | None = None
    """Tokens in one block of the KV cache."""
    enforce_eager: bool = False
    """Run without compiled graphs."""
    enable_prefix_caching: bool = False
    """Reuse the KV cache of shared prompt beginnings. Off, because it hides the cost of prefill."""
    enable_chunked_prefill: bool | None = None
    """Split long prompts over steps; vLLM chooses when left out."""
    cpu_offload_gb: Annotated[float, Field(ge=0)] = 0.0
    """Weights kept in main memory, in GiB per GPU."""
    swap_space: Annotated[float, Field(ge=0)] | None = None
    """Main memory for swapped-out sequences, in GiB per GPU."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of sampling."""

    @model_validator(mode="after")
    def _batch_holds_a_sequence(self) -> VllmOptions:
        batch = self.max_num_batched_tokens
        if batch is None:
            return self
        if self.enable_chunked_prefill is False and batch < (self.max_model_len or 0):
            raise ValueError("max_num_batched_tokens below max_model_len needs enable_chunked_prefill")
        if batch < (self.max_num_seqs or 0):
            raise ValueError("max_num_batched_tokens must not be below max_num_seqs")
        return self


ENGINE = PlannedEngine(
    EngineTraits(
        name="vllm",
        title="vLLM (github.com/vllm-project/vllm)",
        formats=("safetensors", "gguf"),
        options=VllmOptions,
        precisions=("auto", "float32", "float16", "bfloat16", "fp8"),
        parallel_option="max_num_seqs",
        unavailable="not available yet: this version of Dynamometer cannot start vLLM",
    ),
    distribution="vllm",
)
