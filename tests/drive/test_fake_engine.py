"""The fake engine as an engine: what it launches, its schedule, its ways to fail."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.lab import until
from tests.waiting import until_it_waits

from dynamometer.domain.experiment import Experiment, Weights
from dynamometer.domain.step import Step
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.base import Engine
from dynamometer.engines.fake import ENGINE, FakeOptions, command, serving
from dynamometer.engines.fake_server import CRASH_CODE, START_FAILURE_CODE, Settings
from dynamometer.errors import PreconditionError


def get(endpoint: Endpoint, path: str, method: str = "GET", body: str | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=60)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def started(options: FakeOptions) -> subprocess.Popen[str]:
    return subprocess.Popen(command(options, "127.0.0.1", 0), stderr=subprocess.PIPE, text=True)


def until_listening(process: subprocess.Popen[str]) -> list[str]:
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        if "listens on" in line:
            break
    return lines


MISSED = """
import signal, sys, threading
from dynamometer.engines import fake_server
threading.Thread(target=signal.pause, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
sys.exit(fake_server.main(sys.argv[1:]))
"""


def test_a_signal_that_interrupts_no_wait_ends_it() -> None:
    """Another thread gets the signal: the wait is as untouched as by one that comes right before it."""
    process = subprocess.Popen(
        [sys.executable, "-c", MISSED, "127.0.0.1", "0", "{}"], stderr=subprocess.PIPE, text=True
    )
    with process:
        until_listening(process)
        until_it_waits(process.pid, process.pid)
        process.terminate()
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_options_are_the_servers_settings_and_defaults() -> None:
    settings = {field.name: field.default for field in dataclasses.fields(Settings)}
    assert settings == FakeOptions().model_dump()


@pytest.mark.parametrize(
    "ignored",
    [{"fault_after": 3}, {"fault_after": 3, "fault": "start_failure"}, {"fault_status": 404, "fault": "drop"}],
)
def test_options_of_a_fault_that_would_be_ignored_are_refused(ignored: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="needs"):
        FakeOptions.model_validate(ignored)


def test_launch_starts_the_server_with_the_steps_options() -> None:
    weights = Weights(format="gguf", source="demo", ref="x")
    experiment = Experiment(engine="fake", model="m", weights=weights, options={"ttft_ms": 7.0})
    step = Step(campaign_id="", run_id="r", cycle=1, attempt=1, experiment=experiment, timeout_s=9)
    engine: Engine = ENGINE
    launch = engine.launch(step, "127.0.0.1", 4321)
    assert launch.argv[-3:-1] == ("127.0.0.1", "4321")
    assert json.loads(launch.argv[-1]) == {"ttft_ms": 7.0}
    assert (launch.endpoint.port, launch.endpoint.ignore_eos) == (4321, True)
    assert engine.traits.simulated
    assert engine.missing() is None
    assert engine.version()
    assert engine.details({"/v1/models": {"data": [{"id": "fake"}]}}) == {"models": ["fake"]}


def test_the_server_needs_nothing_but_the_standard_library() -> None:
    probe = "import sys, runpy; runpy.run_path(sys.argv[1], run_name='probe'); print(*sys.modules)"
    python, *flags, file = command(FakeOptions(), "h", 0)[:4]
    loaded = subprocess.run(
        [python, *flags, "-c", probe, file], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "socket" in loaded
    assert not {"pydantic", "dynamometer", "asyncio", "http"} & set(loaded)


def test_health_tells_when_loading_ends() -> None:
    with serving(FakeOptions(load_ms=1500)) as endpoint:
        assert get(endpoint, "/health")[0] == 503
        until(lambda: get(endpoint, "/health")[0] == 200)
        assert get(endpoint, "/v1/models")[1]["data"][0]["id"] == "fake"
        assert get(endpoint, "/nothing")[0] == 404
        assert get(endpoint, "/v1/completions", "POST", "{")[0] == 400


def test_never_healthy() -> None:
    with serving(FakeOptions(fault="never_healthy")) as endpoint:
        assert get(endpoint, "/health")[0] == 503
        assert get(endpoint, "/v1/completions", "POST", "{}")[0] == 503


def test_requests_beyond_its_slots_wait() -> None:
    ask = json.dumps({"prompt": "a b", "max_tokens": 5, "ignore_eos": True})
    with serving(FakeOptions(ttft_ms=100, itl_ms=0, n_parallel=1)) as endpoint:
        connections = [http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=60) for _ in range(3)]
        begin = time.monotonic()
        for connection in connections:
            connection.request("POST", "/v1/completions", ask)
        ends, answers = [], []
        for connection in connections:
            answers.append(json.loads(connection.getresponse().read()))
            ends.append(time.monotonic() - begin)
            connection.close()
    assert ends[0] >= 0.1
    assert ends[1] >= 0.2
    assert ends[2] >= 0.3
    assert answers[0]["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}


def test_start_failure_and_what_is_made_of_it() -> None:
    process = started(FakeOptions(fault="start_failure"))
    _, log = process.communicate(timeout=60)
    assert process.returncode == START_FAILURE_CODE
    failure = ENGINE.diagnose(tuple(log.splitlines()), process.returncode)
    assert failure is not None
    assert failure.kind == "config"
    assert ENGINE.diagnose((), 1) is None
    with pytest.raises(PreconditionError), serving(FakeOptions(fault="start_failure")):
        pass


@pytest.mark.parametrize(("fault", "code"), [("crash", CRASH_CODE), ("kill", -signal.SIGKILL)])
def test_crashes(fault: Any, code: int) -> None:
    with started(FakeOptions(fault=fault)) as process:
        found = re.search(r":(\d+) ", until_listening(process)[-1])
        assert found
        port = int(found[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/completions", '{"prompt": "a"}')
        assert process.wait(60) == code
        connection.close()


def test_it_can_ignore_sigterm_hold_memory_and_fill_its_log() -> None:
    with started(FakeOptions(ignore_sigterm=True, allocate_mb=50, log_kb=100)) as process:
        lines = until_listening(process)
        assert sum(map(len, lines[:-1])) == 100 * 1024
        resident_pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
        assert resident_pages * os.sysconf("SC_PAGESIZE") > 50_000_000
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.kill()


def test_it_can_leave_a_process_behind_in_its_own_session() -> None:
    with started(FakeOptions(orphan=True)) as process:
        lines = until_listening(process)
        told = next((line for line in lines if "orphan" in line), None)
        if told is None and process.stderr is not None:
            told = process.stderr.readline()
        assert told
        orphan = int(told.split()[-1])
        try:
            assert os.getsid(orphan) != os.getsid(process.pid)
            process.kill()
            process.wait(60)
            os.kill(orphan, 0)
        finally:
            os.kill(orphan, signal.SIGKILL)
