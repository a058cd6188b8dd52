"""llama.cpp's own HTTP server, in a process of its own: ``python -P llama_cpp_server.py '{"model": …}'``.

The only module that imports xllamacpp. It is started by path and needs nothing else of this package, so that the load
time in records is that of the engine. The one argument is a JSON object; every key must be known here.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import xllamacpp

FLASH_ATTENTION = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
CACHE_TYPES = {
    name: getattr(xllamacpp.ggml_type, f"GGML_TYPE_{name.upper()}")
    for name in ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
}
LOAD_MODES = {
    (False, False): xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE,
    (True, False): xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_MMAP,
    (False, True): xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_MLOCK,
    (True, True): xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_MMAP_MLOCK,
}
CAP_IPC_LOCK = 1 << 14
PLAIN = (
    *("n_ctx", "n_parallel", "kv_unified", "n_batch", "n_ubatch", "n_gpu_layers", "cont_batching", "warmup"),
    *("rope_freq_base", "rope_freq_scale"),
)
"""Keys that CommonParams has under the same name and type."""


def params(settings: dict[str, Any]) -> Any:
    """The engine's parameters. Raises KeyError for a setting that is missing; leftovers end the process."""
    rest = dict(settings)
    result = xllamacpp.CommonParams()
    result.model.path = rest.pop("model")
    result.model_alias = {rest.pop("alias")}
    result.hostnames = [rest.pop("host")]
    result.port = rest.pop("port")
    result.cpuparams.n_threads = rest.pop("n_threads")
    result.cpuparams_batch.n_threads = rest.pop("n_threads_batch")
    result.flash_attn_type = FLASH_ATTENTION[rest.pop("flash_attn")]
    result.cache_type_k = CACHE_TYPES[rest.pop("cache_type_k")]
    result.cache_type_v = CACHE_TYPES[rest.pop("cache_type_v")]
    result.load_mode = LOAD_MODES[rest.pop("mmap"), rest.pop("mlock")]
    result.verbosity = rest.pop("log_verbosity")
    for key in PLAIN:
        setattr(result, key, rest.pop(key))
    if rest:
        fail(f"unknown settings: {', '.join(sorted(rest))}")
    _measure_only_what_is_asked(result)
    return result


def _measure_only_what_is_asked(result: Any) -> None:
    # Caches of earlier prompts would hide prefill and count as the engine's memory; fitting would change the
    # settings behind our back; the web page is of no use here.
    result.cache_prompt = False
    result.cache_idle_slots = False
    result.cache_ram_mib = 0
    result.n_ctx_checkpoints = 0
    result.fit_params = False
    result.ui = False
    result.endpoint_slots = True
    result.endpoint_metrics = True


def has_gpu() -> bool:
    """Whether this build of the engine sees any device besides processors."""
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return any(device["type"] != cpu for device in xllamacpp.get_device_info())


def lockable_bytes() -> float:
    """Memory this process may lock into RAM, after raising its own limit as far as it is allowed to."""
    if int(_status("CapEff"), 16) & CAP_IPC_LOCK:
        return float("inf")
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    return float("inf") if hard == resource.RLIM_INFINITY else hard


def _status(key: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{key}:"))


def check_before(settings: dict[str, Any]) -> None:
    """Refuse what the engine would ignore in silence: GPU layers without a GPU, locking without permission."""
    if settings["n_gpu_layers"] > 0 and not has_gpu():
        fail(f"n_gpu_layers is {settings['n_gpu_layers']}, but this build of llama.cpp sees no GPU")
    model = Path(settings["model"])
    if settings["mlock"] and model.exists() and model.stat().st_size > lockable_bytes():
        fail("mlock is asked for, but the system does not let this process lock so much memory (see ulimit -l)")


def fail(message: str) -> None:
    """End the process with a line that ``llama_cpp.diagnose`` knows. Raises SystemExit."""
    sys.stderr.write(f"dynamometer: {message}\n")
    raise SystemExit(2)


def main(argument: str) -> None:
    """Serve until a signal ends the process at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    settings = json.loads(argument)
    check_before(settings)
    server = xllamacpp.Server(params(settings))
    if settings["mlock"] and _status("VmLck") == "0":
        fail("mlock is asked for, but the system locked no memory (see ulimit -l)")
    sys.stderr.write(f"dynamometer: serving on {server.listening_address}\n")
    sys.stderr.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
