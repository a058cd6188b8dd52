"""A small catalogue of engines and two suites, so that tests of reading need no engine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dynamometer.domain.engine import Catalogue, EngineOptions, EngineTraits
from dynamometer.domain.plan import Benchmark, Suite
from dynamometer.spec.check import Vocabulary


class LlamaOptions(EngineOptions):
    n_ctx: Annotated[int, Field(ge=64)] = 4096
    """Context in tokens."""
    n_parallel: Annotated[int, Field(ge=1, le=256)] = 1
    """Slots."""


class VllmOptions(EngineOptions):
    max_num_seqs: Annotated[int, Field(ge=1)] = 256
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    quantisation: Literal["awq", "gptq"] | None = None
    lora: bool = False

    @model_validator(mode="after")
    def _lora_is_not_quantised(self) -> VllmOptions:
        if self.lora and self.quantisation:
            raise ValueError("lora and quantisation exclude each other")
        return self


class TransformersOptions(EngineOptions):
    batch_size: Annotated[int, Field(ge=1)] = 1


ENGINES = (
    EngineTraits("llama_cpp", "llama.cpp", ("gguf",), LlamaOptions, aliases=("llamacpp",)),
    EngineTraits("vllm", "vLLM", ("safetensors",), VllmOptions),
    EngineTraits("transformers", "Transformers", ("safetensors",), TransformersOptions, aliases=("pytorch",)),
    EngineTraits("tensorrt", "TensorRT-LLM", ("safetensors",), TransformersOptions, aliases=("tensorrt_llm",)),
    EngineTraits("ollama", "Ollama", ("gguf", "ollama"), EngineOptions),
)
CATALOGUE = Catalogue({traits.name: traits for traits in ENGINES})
SUITES = {name: Suite(name=name, benchmarks=(Benchmark(name="latency"),)) for name in ("quick", "standard")}
VOCABULARY = Vocabulary(CATALOGUE, SUITES)
