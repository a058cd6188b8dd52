"""The reference server as a product: ``dyno mock`` over real sockets, its faults, its true times."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dynamometer.cli.app import main
from dynamometer.client.decode import decode
from dynamometer.client.loop import Limits
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.domain.record import Sample
from dynamometer.domain.wire import Endpoint
from dynamometer.load.stops import AfterRequests

MS = 1_000_000
TOKENS = 8


@contextmanager
def mock(*words: str) -> Iterator[tuple[Endpoint, subprocess.Popen[str]]]:
    argv = [sys.executable, "-m", "dynamometer", "mock", "--ttft-ms", "2", "--itl-ms", "2", *words]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DYNO_")}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        address = urlsplit(json.loads(line)["url"] if "--json" in words else line)
        assert address.port
        yield Endpoint(host="127.0.0.1", port=address.port, model="fake"), process
    finally:
        process.kill()
        process.communicate()


def ask(endpoint: Endpoint, number: int, *, streaming: bool = True, limits: Limits | None = None) -> list[Sample]:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": TOKENS, "ignore_eos": True}
    asked |= {"stream": streaming, "stream_options": {"include_usage": True}}
    traffic = measure(
        endpoint.host,
        endpoint.port,
        iter([prepare(endpoint, f"r{index}", asked) for index in range(number)]),
        slots=1,
        stop=AfterRequests(number),
        limits=limits,
    )
    return [decode(exchange, streaming=streaming) for exchange in traffic.exchanges]


@pytest.mark.parametrize(
    ("words", "kind", "detail"),
    [
        (("status",), "http_status", "503: "),
        (("status", "--fault-status", "400"), "http_status", "400: "),
        (("rate_limit",), "http_status", "429: "),
        (("redirect",), "http_status", "307: "),
        (("html",), "bad_response", "text/html"),
        (("no_answer",), "connection", ""),
        (("hang",), "timeout", "no end within"),
        (("drop",), "truncated", ""),
        (("stall",), "timeout", "no end within"),
        (("malformed",), "bad_response", "not a JSON object"),
        (("error_event",), "stream_error", "fake fault"),
        (("empty",), "empty", "no output token"),
        (("endless",), "timeout", "no end within"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_a_fault_gives_its_kind_of_error_after_good_answers(words: tuple[str, ...], kind: str, detail: str) -> None:
    with mock("--fault-after", "1", "--fault", *words) as (endpoint, _):
        good, bad = ask(endpoint, 2, limits=Limits(request_ns=1000 * MS) if kind == "timeout" else None)
    assert (good.error, good.output_tokens) == (None, TOKENS)
    assert bad.error == kind
    assert detail in (bad.error_detail or "")


def one(fault: str) -> Sample:
    with mock("--fault", fault) as (endpoint, _):
        (sample,) = ask(endpoint, 1)
    return sample


def test_an_event_of_ten_megabytes_is_read_whole() -> None:
    sample = one("huge_event")
    assert (sample.error, sample.output_tokens, len(sample.arrivals_ns)) == (None, TOKENS, TOKENS)
    assert sample.text_chars > 10_000_000


def test_text_that_is_not_utf8_is_kept_with_replacements() -> None:
    sample = one("invalid_utf8")
    assert (sample.error, sample.output_tokens, len(sample.arrivals_ns)) == (None, TOKENS, TOKENS)


def test_tokens_after_the_finish_reason_count_and_those_after_the_end_mark_do_not() -> None:
    sample = one("after_finish")
    assert (sample.error, sample.finish, len(sample.arrivals_ns)) == (None, "length", TOKENS)


def test_usage_that_does_not_agree_leaves_the_tokens_of_events_unknown() -> None:
    sample = one("wrong_usage")
    assert (sample.error, sample.output_tokens, sample.event_tokens) == (None, 3 * TOKENS, None)
    assert len(sample.arrivals_ns) == TOKENS


def test_the_bytes_of_429_and_of_a_redirect() -> None:
    for fault, status, header, value in (
        ("rate_limit", 429, "Retry-After", "1"),
        ("redirect", 307, "Location", "/elsewhere"),
    ):
        with mock("--fault", fault) as (endpoint, _):
            connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=60)
            connection.request("POST", "/v1/completions", '{"prompt": "a"}')
            answer = connection.getresponse()
            assert (answer.status, answer.getheader(header)) == (status, value)
            answer.read()
            connection.close()


def test_a_slow_start_is_told_by_its_health_and_by_its_answers() -> None:
    with mock("--load-ms", "600000") as (endpoint, _):
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=60)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 503
        connection.close()
        assert ask(endpoint, 1)[0].error == "http_status"


def test_a_crash_and_a_kill() -> None:
    for fault, code in (("crash", 7), ("kill", -signal.SIGKILL)):
        with mock("--fault", fault) as (endpoint, process):
            assert ask(endpoint, 1)[0].error in {"connection", "refused"}  # asked once more, which may come too late
            assert process.wait(60) == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_told_and_writes_what_it_truly_did(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "true.jsonl"
    with mock("--true-times", str(path), "--tokens-per-event", "3", "--json") as (endpoint, process):
        (sample,) = ask(endpoint, 1)
        process.send_signal(number)
        assert process.wait(60) == 0
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["id"], line["blocked"]) == ("r0", 0)
    assert len(line["sends_ns"]) == len(line["due_ns"]) == len(line["returns_ns"]) == len(sample.arrivals_ns) == 3
    assert sample.sent_ns <= line["received_ns"] <= line["due_ns"][0] - 2 * MS
    assert all(later - earlier == 2 * MS for earlier, later in pairwise(line["due_ns"]))
    for due, sent, back in zip(line["due_ns"], line["sends_ns"], line["returns_ns"], strict=True):
        assert due <= sent <= back
    for sent, seen in zip(line["sends_ns"], sample.arrivals_ns, strict=True):
        assert sent - 20_000 <= seen


def test_its_address_is_all_it_says() -> None:
    with mock() as (endpoint, process):
        assert ask(endpoint, 1)[0].error is None
        process.terminate()
        assert process.communicate(timeout=60) == ("", "")


def test_true_times_that_cannot_be_written_are_told_before_anything_is_served(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "dynamometer", "mock", "--true-times", str(tmp_path / "nope" / "x")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (8, "")
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--ttft-ms", "--itl-ms", "--jitter-ms", "--load-ms"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_time_that_is_no_finite_number_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mock", option, value]) == 2
    said = capsys.readouterr().err
    assert f"Invalid value for '{option}': " in said
    assert "bug" not in said


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--fault-status", "404"], "--fault-status belongs to --fault status", "use --fault status"),
        (["--fault", "drop", "--fault-status", "404"], "--fault-status belongs to --fault status", "leave --fault-st"),
        (["--fault-status", "503"], "--fault-status belongs to --fault status", "use --fault status"),
        (["--fault-after", "404"], "--fault-after belongs to --fault", "--fault drop"),
        (
            ["--fault", "never_healthy", "--fault-after", "4"],
            "--fault-after does not go with",
            "leave --fault-after out",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_of_a_fault_that_would_be_ignored_is_refused(
    words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mock", *words, "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert message in error["message"]
    assert hint in error["hint"]


def test_a_port_in_use_is_a_precondition() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "dynamometer", "mock", "--port", str(port), "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 8
    assert "use another --port" in json.loads(done.stderr)["error"]["hint"]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n",
        b"x" * 70_000,
    ],
    ids=["tls", "no path", "negative", "not a number", "endless head"],
)
def test_what_is_no_request_is_refused_and_the_server_goes_on(sent: bytes) -> None:
    with mock() as (endpoint, _):
        with socket.create_connection((endpoint.host, endpoint.port), timeout=60) as connection:
            connection.sendall(sent)
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        assert ask(endpoint, 1)[0].error is None
