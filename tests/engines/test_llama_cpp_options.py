from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dynamometer.domain.experiment import Experiment, Weights
from dynamometer.domain.step import Step
from dynamometer.engines.cores import cpu_quota, default_threads, physical_cores
from dynamometer.engines.llama_cpp import ENGINE, LlamaCppOptions
from dynamometer.errors import PreconditionError


def step(options: dict[str, Any] | None = None, weights_path: str | None = "/models/m.gguf") -> Step:
    weights = Weights(format="gguf", source="path", ref="m.gguf")
    experiment = Experiment(engine="llama_cpp", model="tiny", weights=weights, options=options or {})
    return Step(
        campaign_id="",
        run_id="r-c1",
        cycle=1,
        attempt=1,
        experiment=experiment,
        weights_path=weights_path,
        timeout_s=60,
    )


def settings(options: dict[str, Any] | None = None) -> dict[str, Any]:
    launch = ENGINE.launch(step(options), "127.0.0.1", 5000)
    loaded: dict[str, Any] = json.loads(launch.argv[-1])
    return loaded


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_ctx": 0}, "greater than or equal to 256"),
        ({"n_parallel": 0}, "greater than or equal to 1"),
        ({"n_batch": 64, "n_ubatch": 128}, r"n_ubatch \(128\) must not be above n_batch \(64\)"),
        ({"flash_attn": "off", "cache_type_v": "q8_0"}, "needs flash attention"),
        ({"cache_type_k": "q3_k"}, "Input should be 'f32'"),
        ({"threads": 4}, "Extra inputs"),
        ({"rope_freq_base": float("nan")}, "finite"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LlamaCppOptions.model_validate(options)


def test_every_option_reaches_the_server_process() -> None:
    asked = {
        "n_ctx": 512,
        "n_parallel": 2,
        "kv_unified": True,
        "n_threads": 3,
        "n_threads_batch": 4,
        "n_batch": 256,
        "n_ubatch": 64,
        "flash_attn": "on",
        "cache_type_k": "q8_0",
        "cache_type_v": "q4_0",
        "n_gpu_layers": 0,
        "cont_batching": False,
        "mmap": False,
        "mlock": True,
        "warmup": False,
        "rope_freq_base": 5000.0,
        "rope_freq_scale": 0.5,
        "log_verbosity": 4,
    }
    assert asked.keys() == LlamaCppOptions.model_fields.keys()
    assert settings(asked).items() >= asked.items()


def test_threads_left_out_are_resolved_and_stand_in_the_argv() -> None:
    resolved = settings()
    assert resolved["n_threads"] == resolved["n_threads_batch"] == default_threads()


def test_batch_threads_follow_threads() -> None:
    assert settings({"n_threads": 2})["n_threads_batch"] == 2


def test_launch_tells_the_client_to_switch_the_prompt_cache_off() -> None:
    endpoint = ENGINE.launch(step(), "127.0.0.1", 5000).endpoint
    assert endpoint.extra == {"cache_prompt": False}
    assert endpoint.ignore_eos
    assert (endpoint.host, endpoint.port, endpoint.model) == ("127.0.0.1", 5000, "tiny")


def test_launch_without_weights_is_a_precondition() -> None:
    with pytest.raises(PreconditionError, match="no weights"):
        ENGINE.launch(step(weights_path=None), "127.0.0.1", 5000)


def cpu_folder(tmp_path: Path, siblings: str) -> Path:
    for cpu in range(256):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings.format(cpu=cpu))
    return tmp_path


def test_hyperthreads_of_one_core_count_once(tmp_path: Path) -> None:
    assert physical_cores(cpu_folder(tmp_path, "0-255")) == 1


def test_a_machine_with_one_core_gets_one_thread(tmp_path: Path) -> None:
    assert default_threads(cpu_folder(tmp_path, "0-255"), tmp_path) == 1


@pytest.mark.parametrize(
    ("text", "quota"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("", None), ("100 0", None)]
)
def test_cpu_quota_of_a_container(tmp_path: Path, text: str, quota: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_quota(tmp_path) == quota


def test_no_control_group_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


def test_a_kill_by_the_kernel_is_a_want_of_memory() -> None:
    failure = ENGINE.diagnose(("loading model",), -9)
    assert failure is not None
    assert failure.kind == "resource"


def test_a_log_that_tells_nothing_is_not_explained() -> None:
    assert ENGINE.diagnose(("dynamometer: serving on http://127.0.0.1:1", "all slots are idle"), -15) is None
