"""A real llama.cpp on a tiny model: what each option does to it, and how it fails."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import tiny_gguf as tiny_gguf_maker
from tests.lab import until

from dynamometer.domain.experiment import Experiment, Weights
from dynamometer.domain.failure import Failure
from dynamometer.domain.step import Step
from dynamometer.engines.base import Launch
from dynamometer.engines.llama_cpp import ENGINE

pytestmark = pytest.mark.engine


@dataclass(frozen=True)
class Up:
    launch: Launch
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Its log so far, which a thread of its own writes: a line may come after what it tells of."""
        return self.log.read_text(errors="replace")

    def get(self, path: str) -> Any:
        return self._ask("GET", path)[1]

    def complete(self, **body: Any) -> tuple[int, dict[str, Any]]:
        return self._ask("POST", self.launch.endpoint.path, {**self.launch.endpoint.extra, **body})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.launch.endpoint.host, self.launch.endpoint.port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launch_of(model: Path, options: dict[str, Any], port: int) -> Launch:
    weights = Weights(format="gguf", source="path", ref=str(model))
    experiment = Experiment(engine="llama_cpp", model="tiny", weights=weights, options={"n_threads": 1} | options)
    step = Step(
        campaign_id="", run_id="r-c1", cycle=1, attempt=1, experiment=experiment, weights_path=str(model), timeout_s=60
    )
    return ENGINE.launch(step, "127.0.0.1", port)


def started(launch: Launch, log: Path, memory: int | None = None) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            launch.argv, env={**os.environ, **launch.env}, stdout=output, stderr=output, start_new_session=True
        )
    if memory is not None:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
    return process


def healthy(up: Up) -> bool:
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and up.process.poll() is None:
        try:
            if up.get(up.launch.health_path) == {"status": "ok"}:
                return True
        except OSError:
            time.sleep(0.02)
    return False


@contextmanager
def serving(model: Path, folder: Path, **options: Any) -> Iterator[Up]:
    launch = launch_of(model, options, free_port())
    up = Up(launch, started(launch, folder / "engine.log"), folder / "engine.log")
    try:
        assert healthy(up), up.log.read_text(errors="replace")
        yield up
    finally:
        up.process.kill()
        up.process.wait()


def failure_of(
    model: Path, folder: Path, memory: int | None = None, port: int | None = None, **options: Any
) -> Failure:
    log = folder / "engine.log"
    process = started(launch_of(model, options, port or free_port()), log, memory)
    try:
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
    lines = tuple(log.read_text(errors="replace").splitlines())
    failure = ENGINE.diagnose(lines, code)
    assert failure is not None, lines
    return failure


def details(up: Up) -> dict[str, Any]:
    return ENGINE.details({path: up.get(path) for path in ENGINE.info_paths})


MESSAGE = [{"role": "user", "content": "hello world"}]


def test_it_generates_exactly_what_is_asked_and_reuses_no_prompt(tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path) as up:
        for _ in range(2):
            status, answer = up.complete(model="tiny", messages=MESSAGE, max_tokens=7, ignore_eos=True)
            assert status == 200
            assert answer["usage"]["completion_tokens"] == 7
            assert answer["timings"]["cache_n"] == 0


def test_it_says_what_it_is(tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path) as up:
        facts = details(up)
    assert facts["model_ftype"] == "all F32"
    assert facts["model"]["n_ctx_train"] == 2048
    assert "im_start" in facts["chat_template"]
    assert ENGINE.missing() is None
    assert (ENGINE.version() or "").startswith("20")


@pytest.mark.parametrize(
    ("options", "slots", "n_ctx_slot"),
    [
        ({"n_ctx": 1024}, 1, 1024),
        ({"n_ctx": 1024, "n_parallel": 4}, 4, 256),
        ({"n_ctx": 1000, "n_parallel": 3}, 3, 512),
        ({"n_ctx": 1024, "n_parallel": 4, "kv_unified": True}, 4, 1024),
        ({"n_ctx": 8192}, 1, 2048),
    ],
    ids=["one slot", "split evenly", "rounded up", "shared", "never above the model's"],
)
def test_context_is_split_over_slots(
    options: dict[str, Any], slots: int, n_ctx_slot: int, tiny_gguf: Path, tmp_path: Path
) -> None:
    with serving(tiny_gguf, tmp_path, **options) as up:
        facts = details(up)
    assert (facts["slots"], facts["n_ctx_slot"]) == (slots, n_ctx_slot)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_threads": 2}, "n_threads = 2"),
        ({"n_threads_batch": 2}, "n_threads_batch = 2"),
        ({"n_batch": 96, "n_ubatch": 64}, "n_batch               = 96"),
        ({"n_batch": 96, "n_ubatch": 64}, "n_ubatch              = 64"),
        ({"flash_attn": "on"}, "flash_attn            = enabled"),
        ({"flash_attn": "off"}, "flash_attn            = disabled"),
        ({"cache_type_k": "q8_0"}, "K (q8_0)"),
        ({"cache_type_v": "q4_0"}, "V (q4_0)"),
        ({"mmap": False}, "load_mode = none"),
        ({"mmap": True}, "load_mode = mmap"),
        ({"rope_freq_base": 20000.0}, "freq_base             = 20000.0"),
        ({"rope_freq_scale": 0.5}, "freq_scale            = 0.5"),
        ({"warmup": True}, "warming up the model"),
    ],
)
def test_options_change_the_running_engine(options: dict[str, Any], line: str, tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path, log_verbosity=4, **options) as up:
        until(lambda: line in up.said())


LATER = "prompt cache is disabled"
"""What llama.cpp says when a warm-up would be over."""


def test_warmup_can_be_switched_off(tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path, log_verbosity=4, warmup=False) as up:
        until(lambda: LATER in up.said())
        assert "warming up the model" not in up.said()


def test_caches_of_earlier_prompts_are_off(tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path, log_verbosity=4) as up:
        until(lambda: LATER in up.said())
        assert "fitting params" not in up.said()


def test_it_listens_on_loopback_only_and_does_not_fork(tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path) as up:
        children = Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text()
        address = f"0100007F:{up.launch.endpoint.port:04X}"
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line]
    assert children == ""
    assert address in listening
    assert f"00000000:{up.launch.endpoint.port:04X}" not in listening


def test_sigterm_ends_it_at_once(tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path) as up:
        up.process.terminate()
        assert up.process.wait(60) == -signal.SIGTERM


def test_a_prompt_longer_than_the_slot(tiny_gguf: Path, tmp_path: Path) -> None:
    with serving(tiny_gguf, tmp_path, n_ctx=256) as up:
        status, answer = up.complete(model="tiny", messages=[{"role": "user", "content": "x" * 900}], max_tokens=4)
        until(lambda: ENGINE.diagnose(tuple(up.said().splitlines()), None) is not None)
        failure = ENGINE.diagnose(tuple(up.said().splitlines()), None)
    assert (status, answer["error"]["type"]) == (400, "exceed_context_size_error")
    assert failure is not None
    assert (failure.kind, "n_ctx" in (failure.hint or "")) == ("config", True)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    failure = failure_of(tmp_path / "gone.gguf", tmp_path)
    assert failure.kind == "config"
    assert "cannot be opened" in failure.message


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_text("hello world")
    failure = failure_of(tmp_path / "no.gguf", tmp_path)
    assert failure.kind == "config"
    assert "no GGUF" in failure.message


@pytest.mark.parametrize(("size", "words"), [(300_000, "cut short"), (200, "no GGUF")])
def test_a_model_that_is_cut_short(size: int, words: str, tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(tiny_gguf.read_bytes()[:size])
    failure = failure_of(tmp_path / "cut.gguf", tmp_path)
    assert failure.kind == "config"
    assert words in failure.message


def test_not_enough_memory(tiny_gguf: Path, tmp_path: Path) -> None:
    failure = failure_of(tiny_gguf, tmp_path, memory=1_500_000_000, n_ctx=10_000_000)
    assert failure.kind == "resource"
    assert "memory" in failure.message


def test_a_port_that_is_taken(tiny_gguf: Path, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        failure = failure_of(tiny_gguf, tmp_path, port=holder.getsockname()[1])
    assert failure.kind == "runtime"
    assert "listen" in failure.message


def test_gpu_layers_without_a_gpu_are_refused_not_ignored(tiny_gguf: Path, tmp_path: Path) -> None:
    failure = failure_of(tiny_gguf, tmp_path, n_gpu_layers=4)
    assert failure.kind == "config"
    assert "sees no GPU" in failure.message


def test_cache_types_that_do_not_fit_the_model(tmp_path: Path) -> None:
    model = tiny_gguf_maker.make(tmp_path / "narrow.gguf", heads=4)
    failure = failure_of(model, tmp_path, cache_type_k="q8_0", n_ctx=512)
    assert failure.kind == "config"
    assert "do not fit this model" in failure.message


def test_locking_memory_works_or_is_refused_but_never_ignored(tiny_gguf: Path, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    process = started(launch_of(tiny_gguf, {"mlock": True, "mmap": False}, free_port()), log)
    try:
        until(lambda: b"dynamometer: " in log.read_bytes())
        locked = Path(f"/proc/{process.pid}/status").read_text().partition("VmLck:")[2].split() or ["0"]
        failure = ENGINE.diagnose(tuple(log.read_text(errors="replace").splitlines()), None)
        assert (int(locked[0]) > 0) != (failure is not None and "mlock" in failure.message)
    finally:
        process.kill()
        process.wait()


def seconds_to_complete(up: Up, began: float, tokens: int) -> float:
    up.complete(model="tiny", messages=MESSAGE, max_tokens=tokens, ignore_eos=True)
    return time.monotonic() - began


@pytest.mark.parametrize("cont_batching", [True, False])
def test_continuous_batching_lets_a_request_join_one_that_runs(
    cont_batching: bool, tiny_gguf: Path, tmp_path: Path
) -> None:
    with (
        serving(tiny_gguf, tmp_path, n_ctx=4096, n_parallel=2, cont_batching=cont_batching) as up,
        ThreadPoolExecutor(1) as pool,
    ):
        began = time.monotonic()
        long = pool.submit(seconds_to_complete, up, began, 1900)
        while not any(slot["is_processing"] for slot in up.get("/slots")):
            assert not long.done()
        share = seconds_to_complete(up, began, 1) / long.result()
    assert (share < 0.8) is cont_batching
