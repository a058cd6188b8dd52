from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
from pydantic import ValidationError

from dynamometer.domain.experiment import Experiment, Weights
from dynamometer.domain.step import Step
from dynamometer.engines import BUILT_IN, ENGINES, broken_plugins, catalogue, find
from dynamometer.engines.planned import PlannedEngine
from dynamometer.errors import PreconditionError

RUNNABLE = {"llama_cpp", "fake"}


def point(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name=name, value=value, group="dynamometer.engines")


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("pytorch", "transformers"),
        ("tensorrt_llm", "tensorrt"),
        ("TensorRT-LLM", "tensorrt"),
        ("trt", "tensorrt"),
        ("llamacpp", "llama_cpp"),
        ("llama.cpp", "llama_cpp"),
        ("llama-cpp", "llama_cpp"),
        ("vLLM", "vllm"),
    ],
)
def test_spellings(spelling: str, name: str) -> None:
    found = catalogue().find(spelling)
    assert found is not None
    assert found.name == name


def test_no_spelling_stands_for_two_engines() -> None:
    spellings = catalogue().spellings()
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_an_engine_is_listed_under_its_own_name_and_documents_every_option(name: str) -> None:
    traits = ENGINES[name].traits
    assert traits.name == name
    assert all(field.description for field in traits.options.model_fields.values())
    assert traits.parallel_option is None or traits.parallel_option in traits.options.model_fields
    traits.options.model_validate({})


@pytest.mark.parametrize("name", sorted(BUILT_IN.keys() - RUNNABLE))
def test_an_engine_that_is_not_there_yet_says_so_everywhere(name: str) -> None:
    engine = BUILT_IN[name]
    assert isinstance(engine, PlannedEngine)
    reason = engine.traits.unavailable or ""
    assert reason.startswith("not available yet: ")
    assert engine.missing() == reason
    weights = Weights(format="safetensors", source="hub", ref="gpt2")
    experiment = Experiment(engine=name, model="gpt2", weights=weights)
    step = Step(campaign_id="", run_id="r", cycle=1, attempt=1, experiment=experiment, timeout_s=1)
    with pytest.raises(PreconditionError, match="not available yet"):
        engine.launch(step, "127.0.0.1", 1)


@pytest.mark.parametrize("name", sorted(RUNNABLE))
def test_runnable_engines_are_available(name: str) -> None:
    assert ENGINES[name].traits.unavailable is None


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("transformers", {"load_in_4bit": True, "load_in_8bit": True}, "exclude each other"),
        ("transformers", {"bnb_4bit_quant_type": "nf4"}, "need load_in_4bit"),
        ("transformers", {"compile_mode": "default"}, "needs compile"),
        ("transformers", {"prompt_lookup_num_tokens": 3, "num_beams": 2}, "exclude each other"),
        ("transformers", {"use_cache": False, "cache_implementation": "static"}, "needs use_cache"),
        ("vllm", {"gpu_memory_utilization": 1.2}, "less than or equal to 1"),
        ("vllm", {"max_num_seqs": 8, "max_num_batched_tokens": 4}, "must not be below max_num_seqs"),
        (
            "vllm",
            {"enable_chunked_prefill": False, "max_model_len": 4096, "max_num_batched_tokens": 2048},
            "needs enable_chunked_prefill",
        ),
        ("vllm", {"batch_size": 4}, "Extra inputs"),
        ("tensorrt", {"builder_opt": 3}, "needs backend: tensorrt"),
        ("tensorrt", {"backend": "tensorrt", "max_input_len": 9, "max_seq_len": 9}, "above max_input_len"),
        ("ollama", {"kv_cache_type": "q8_0"}, "needs flash_attention"),
        ("ollama", {"keep_alive": 5}, "needs a unit"),
        ("openai", {"base_url": "localhost:8000"}, "match pattern"),
        ("openai", {"api_key_env": "sk-1234"}, "match pattern"),
    ],
)
def test_options_that_exclude_each_other(engine: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ENGINES[engine].traits.options.model_validate(options)


def test_tensorrt_knows_no_float32() -> None:
    assert "float32" not in ENGINES["tensorrt"].traits.precisions


def test_a_broken_plugin_is_listed_and_harms_nothing() -> None:
    found = find([point("gone", "no_such_module:ENGINE"), point("odd", "json:dumps"), point("noise", "math:pi")])
    assert found.engines == BUILT_IN
    assert found.broken.keys() == {"gone", "odd", "noise"}
    assert "no_such_module" in found.broken["gone"]


def test_a_plugin_cannot_take_a_name_that_is_taken() -> None:
    found = find([point("mine", "dynamometer.engines.vllm:ENGINE")])
    assert found.engines == BUILT_IN
    assert "'vllm' is taken" in found.broken["mine"]


def test_this_installation_has_no_broken_plugins() -> None:
    assert broken_plugins() == {}
    assert list(ENGINES)[: len(BUILT_IN)] == list(BUILT_IN)


def test_importing_the_catalogue_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'torch', 'xllamacpp', 'vllm', 'transformers', 'openai', 'platformdirs'}"
    code = f"import sys, dynamometer.engines as e; e.catalogue(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
