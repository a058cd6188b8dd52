"""llama.cpp through xllamacpp: its C++ HTTP server in a child process.

Facts of the build 2026.10.11549, each seen by starting it:

- ``n_ctx`` is the whole context. It is split evenly over ``n_parallel`` slots and each part is rounded up to a
  multiple of 256; with ``kv_unified`` all slots share it. A slot never gets more than the model was trained for.
- ``n_ubatch`` above ``n_batch`` is cut to it in silence, so we refuse it.
- A V cache of a quantised type needs flash attention.
- A prompt that does not fit into its slot is answered with status 400 and ``exceed_context_size_error``.
- On a crash ggml starts gdb; ``GGML_NO_BACKTRACE`` stops that.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dynamometer.domain.engine import EngineOptions, EngineTraits
from dynamometer.domain.failure import Failure, FailureClass
from dynamometer.domain.step import Step
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.base import Launch
from dynamometer.engines.cores import default_threads
from dynamometer.engines.planned import installed_version
from dynamometer.errors import PreconditionError

SERVER = Path(__file__).with_name("llama_cpp_server.py")
INSTALL = "pip install 'dynamometer[llama-cpp]'"

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
PLAIN_CACHE_TYPES = ("f32", "f16", "bf16")


class LlamaCppOptions(EngineOptions):
    """Options of llama.cpp's server, with its names."""

    n_ctx: Annotated[int, Field(ge=256, le=16_777_216)] = 4096
    """Context in tokens, all slots together: each of n_parallel slots gets an equal part, rounded up to 256."""
    n_parallel: Annotated[int, Field(ge=1, le=256)] = 1
    """Slots: requests computed at once."""
    kv_unified: bool = False
    """Let all slots share the whole context instead of splitting it."""
    n_threads: Annotated[int, Field(ge=1, le=512)] | None = None
    """Threads that generate. Null: the physical cores this process may use, less one for the load generator, at
    least 1; the number is in the record. More threads than free cores is ruinous."""
    n_threads_batch: Annotated[int, Field(ge=1, le=512)] | None = None
    """Threads that compute prompts; null is n_threads."""
    n_batch: Annotated[int, Field(ge=32, le=65_536)] = 2048
    """Most prompt tokens in one logical batch."""
    n_ubatch: Annotated[int, Field(ge=32, le=65_536)] = 512
    """Most tokens in one physical batch; not above n_batch."""
    flash_attn: Literal["auto", "on", "off"] = "auto"
    """Flash attention."""
    cache_type_k: CacheType = "f16"
    """Number type of the K cache."""
    cache_type_v: CacheType = "f16"
    """Number type of the V cache; a quantised one needs flash attention."""
    n_gpu_layers: Annotated[int, Field(ge=-1, le=10_000)] = -1
    """Layers on the GPU; -1 is all if there is a GPU. A number above 0 fails where the build sees none."""
    cont_batching: bool = True
    """Let new requests join the batch that runs."""
    mmap: bool = True
    """Map the file instead of reading it."""
    mlock: bool = False
    """Lock the weights into memory; fails where the system does not allow it."""
    warmup: bool = True
    """Let the engine make one empty run while it loads."""
    rope_freq_base: Annotated[float, Field(ge=0)] = 0.0
    """Base frequency of RoPE; 0 takes it from the model."""
    rope_freq_scale: Annotated[float, Field(ge=0)] = 0.0
    """Frequency scale of RoPE; 0 takes it from the model."""
    log_verbosity: Annotated[int, Field(ge=1, le=5)] = 3
    """Detail of the engine's log; from 4 on it writes several lines per request, which costs time."""

    @model_validator(mode="after")
    def _exclusions(self) -> LlamaCppOptions:
        if self.n_ubatch > self.n_batch:
            raise ValueError(f"n_ubatch ({self.n_ubatch}) must not be above n_batch ({self.n_batch})")
        if self.flash_attn == "off" and self.cache_type_v not in PLAIN_CACHE_TYPES:
            raise ValueError(f"cache_type_v: {self.cache_type_v} needs flash attention, and flash_attn is off")
        return self


TRAITS = EngineTraits(
    name="llama_cpp",
    title="llama.cpp (github.com/ggml-org/llama.cpp) through xllamacpp",
    formats=("gguf",),
    options=LlamaCppOptions,
    aliases=("llamacpp", "llama.cpp", "xllamacpp"),
    parallel_option="n_parallel",
)


@dataclass(frozen=True, slots=True)
class Symptom:
    """A line of the engine's log that tells why it failed."""

    pattern: re.Pattern[str]
    kind: FailureClass
    message: str
    hint: str


def _symptom(pattern: str, kind: FailureClass, message: str, hint: str) -> Symptom:
    return Symptom(re.compile(pattern), kind, message, hint)


SYMPTOMS = (
    _symptom(
        r"dynamometer: (?!serving)(?P<detail>.+)",
        "config",
        "the options do not fit this machine",
        "change the option in the campaign file",
    ),
    _symptom(
        r"couldn't bind HTTP server socket, (?P<detail>.+)",
        "runtime",
        "the engine could not listen",
        "another process holds the port; a retry takes another port",
    ),
    _symptom(
        r"(?P<detail>data is not within the file bounds.*)",
        "config",
        "the model file is cut short",
        "download the model again and compare its size",
    ),
    _symptom(
        r"gguf_init_from_file\w*: (?P<detail>failed to open .*)",
        "config",
        "the model file cannot be opened",
        "check path and permissions",
    ),
    _symptom(
        r"(?P<detail>gguf_init\w*: .*|key not found in model: .*|invalid magic.*|unknown model architecture: .*)",
        "config",
        "the model file is no GGUF that this build of llama.cpp can read",
        "check the file, or install a newer engine",
    ),
    _symptom(
        r"(?P<detail>(failed|unable) to allocate .*|std::bad_alloc|MemoryError|out of memory.*)",
        "resource",
        "the engine ran out of memory",
        "take a smaller n_ctx, n_parallel or model",
    ),
    _symptom(
        r"llama_init_from_model: (?P<detail>.*(cache type|requires flash_attn).*)",
        "config",
        "the options do not fit this model",
        "change cache_type_k, cache_type_v or flash_attn",
    ),
    _symptom(
        r"(?P<detail>request \(\d+ tokens\) exceeds the available context size.*)",
        "config",
        "prompts do not fit into the context of a slot",
        "raise n_ctx (it is split over n_parallel), or lower max_input_tokens",
    ),
    _symptom(
        r"(?P<detail>failed to load model.*)",
        "config",
        "the engine could not load the model",
        "read engine.log for the reason",
    ),
)
"""In order: the first that matches any line decides."""


class LlamaCpp:
    """The engine llama_cpp."""

    traits = TRAITS
    info_paths = ("/props", "/v1/models")

    def missing(self) -> str | None:
        """Why it cannot be started: xllamacpp is not installed."""
        if importlib.util.find_spec("xllamacpp") is None:
            return f"the Python package xllamacpp is not installed: {INSTALL}"
        return None

    def version(self) -> str | None:
        """Version of xllamacpp; its last part is the build number of llama.cpp."""
        return installed_version("xllamacpp")

    def launch(self, step: Step, host: str, port: int) -> Launch:
        """The server on ``host:port``. Raises PreconditionError without a model file."""
        if step.weights_path is None:
            raise PreconditionError(f"{step.run_id}: no weights for llama_cpp", "give the model a path")
        options = LlamaCppOptions.model_validate(step.experiment.options)
        threads = options.n_threads or default_threads()
        settings = options.model_dump() | {
            "model": str(Path(step.weights_path).absolute()),
            "alias": step.experiment.model,
            "host": host,
            "port": port,
            "n_threads": threads,
            "n_threads_batch": options.n_threads_batch or threads,
        }
        return Launch(
            argv=(sys.executable, "-P", str(SERVER), json.dumps(settings, sort_keys=True)),
            env={"GGML_NO_BACKTRACE": "1", "OMP_NUM_THREADS": str(max(threads, settings["n_threads_batch"]))},
            endpoint=Endpoint(
                host=host,
                port=port,
                model=step.experiment.model,
                extra={"cache_prompt": False},
                renames={"repetition_penalty": "repeat_penalty"},
                ignore_eos=True,
            ),
        )

    def details(self, answers: dict[str, Any]) -> dict[str, Any]:
        """Build, slots and context as the running server has them, and what it says of the model."""
        props = answers.get("/props") or {}
        models = (answers.get("/v1/models") or {}).get("data") or [{}]
        facts = {
            "build_info": props.get("build_info"),
            "slots": props.get("total_slots"),
            "n_ctx_slot": (props.get("default_generation_settings") or {}).get("n_ctx"),
            "model_ftype": props.get("model_ftype"),
            "chat_template": props.get("chat_template"),
            "model": models[0].get("meta"),
        }
        return {key: value for key, value in facts.items() if value is not None}

    def diagnose(self, log: tuple[str, ...], exit_code: int | None) -> Failure | None:
        """The failure behind known lines of the log, or behind a kill by the kernel."""
        for symptom in SYMPTOMS:
            for line in log:
                if match := symptom.pattern.search(line):
                    return Failure(
                        kind=symptom.kind, message=f"{symptom.message}: {match['detail'].strip()}", hint=symptom.hint
                    )
        if exit_code in {-9, 137}:
            return Failure(
                kind="resource",
                message="the engine was killed (SIGKILL), most likely by the kernel for want of memory",
                hint="look for 'Out of memory' in dmesg; take a smaller n_ctx, n_parallel or model",
            )
        return None


ENGINE = LlamaCpp()
