"""``dyno bench``: the client against servers that already run, good ones and bad ones."""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from tests.tls_engine import certified, serving_tls

from dynamometer.analysis.advice import BENCH
from dynamometer.cli import main
from dynamometer.cli.bench import command
from dynamometer.domain.step import Step
from dynamometer.domain.summary import Summary
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.errors import PreconditionError, UsageError
from dynamometer.report.formats import FORMATS
from dynamometer.worker.bench import find_model, server_of
from dynamometer.worker.drive import Driven, drive

FAST = FakeOptions(ttft_ms=5, itl_ms=1)
SMALL = ["-n", "4", "--output-tokens", "4", "--ignore-eos", "--warmup", "1", "-q"]


class V6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextmanager
def answering(
    status: int, body: bytes, seen: list[tuple[str, str | None]], address: str = "127.0.0.1", **headers: str
) -> Iterator[str]:
    """A server that gives one answer to every GET, a stream of four tokens to every POST, and notes what it was asked.

    It answers those alone who call it by its address.
    """
    tokens = b'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": null}]}\n\n' * 4
    stream = tokens + b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(status, body, headers)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200, stream, {"Content-Type": "text/event-stream"})

        def _answer(self, code: int, content: bytes, fields: dict[str, str]) -> None:
            assert self.headers["Host"] == f"{shown}:{server.server_port}"
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(code)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    shown, kind = (f"[{address}]", V6) if ":" in address else (address, http.server.ThreadingHTTPServer)
    server = kind((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{shown}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_table_for_each_load_and_every_request_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save = tmp_path / "raw.jsonl"
    with serving(FAST) as endpoint:
        url = f"http://127.0.0.1:{endpoint.port}"
        assert main(["bench", url, "-c", "1,2", *SMALL, "--save", str(save)]) == 0
        out = capsys.readouterr().out
        assert "completed · 2 runs" in out
        assert "openai/fake" in out
        assert "the engine runs elsewhere" in out
        lines = [json.loads(line) for line in save.read_text().splitlines()]
        window = [line for line in lines if line["phase"] == "window"]
        assert len(window) == 8
        assert all(len(line["arrivals_ns"]) == 4 and line["arrivals_ns"][0] > line["sent_ns"] for line in window)
        assert {line["usage"]["completion_tokens"] for line in window} == {4}
        assert len({line["id"] for line in lines}) == len(lines)
        assert main(["bench", url, *SMALL, "--save", str(save)]) == 2
        assert "--force" in capsys.readouterr().err


def test_json_and_goodput(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FAST) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}/v1", *SMALL, "--slo", "ttft_ms=5000,e2e_ms=9000", "--json"]
        assert main(arguments) == 0
    summary = json.loads(capsys.readouterr().out)
    estimates = {estimate["metric"]: estimate for estimate in summary["experiments"][0]["estimates"]}
    assert estimates["goodput"]["value"] == 1.0
    assert estimates["load_s"]["missing"] == "the engine was running before"
    assert estimates["cold_ttft_ms"]["value"] is None


def test_open_loop_holds_its_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FakeOptions(ttft_ms=5, itl_ms=1, n_parallel=8)) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", "-r", "40", "-d", "1s", *SMALL[2:], "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["experiments"][0]
    assert row["load"] == "r40"
    rate = next(estimate for estimate in row["estimates"] if estimate["metric"] == "requests_s")
    assert 30 <= rate["value"] <= 41


def test_sweep_doubles_up_to_the_top(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FAST) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", "--sweep", "-c", "3", *SMALL, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["experiments"]
    assert [row["load"] for row in rows] == ["c1", "c2", "c3"]


def test_a_server_that_answers_nothing_whole_is_a_failure_not_a_row_of_noughts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(FakeOptions(fault="status")) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", *SMALL]) == 4
    captured = capsys.readouterr()
    assert "n/a" in captured.out
    assert "no request was answered whole" in captured.err


def test_nobody_there_is_8(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "127.0.0.1:9", "-q"]) == 8
    assert "cannot reach http://127.0.0.1:9" in capsys.readouterr().err


def test_nobody_there_is_8_with_a_model_named_too_and_what_was_found_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save = tmp_path / "raw.jsonl"
    assert main(["bench", "127.0.0.1:9", "--model", "m", "-c", "1,2", *SMALL, "--save", str(save)]) == 8
    captured = capsys.readouterr()
    assert "error: cannot reach http://127.0.0.1:9: Connection refused\nhint: is the server running?" in captured.err
    assert "2 runs: 2 failed" in captured.out
    assert {json.loads(line)["error"] for line in save.read_text().splitlines()} == {"refused"}


def test_a_server_that_takes_connections_and_answers_nothing_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FakeOptions(fault="no_answer")) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", "--model", "m", *SMALL]) == 4
    assert "no request was answered whole" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--model", "m"]])
def test_a_host_without_an_address_is_8(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = "https://[fe80::1%nosuch]:443"  # an interface that is not there: known without asking a name server
    assert main(["bench", nowhere, "-q", *options]) == 8
    assert "cannot reach https://" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>hello</html>", "not JSON"),
        (200, b'{"data": []}', "lists no model"),
        (200, b'{"data": "x"}', "lists no model"),
        (200, b"[1]", "lists no model"),
        (404, b"", "answered 404"),
        (200, b"[" * 100_000, "not JSON"),
        (200, b'{"data": [{"id": "a\\u001bb"}]}', "lists no model"),
        (302, b"", "answered 302: go to 'http://127.0.0.1:9/'"),
    ],
)
def test_what_is_no_llm_server_is_said(status: int, body: bytes, words: str) -> None:
    seen: list[tuple[str, str | None]] = []
    with (
        answering(status, body, seen, Location="http://127.0.0.1:9/") as url,
        pytest.raises(PreconditionError, match=words),
    ):
        find_model(server_of(url), "chat", None)
    assert seen == [("/v1/models", None)]


def test_a_server_that_wants_a_key_is_answered_with_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(401, b"{}", []) as url:
        assert main(["bench", url]) == 8
    assert "--api-key-env NAME" in capsys.readouterr().err


def test_what_does_not_speak_http_is_said_and_cannot_colour_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(b"SSH-2.0\x1b[31m\r\n")
                client.recv(65536)

        thread = threading.Thread(target=greet)
        thread.start()
        assert main(["bench", f"127.0.0.1:{server.getsockname()[1]}"]) == 8
        thread.join()
    said = capsys.readouterr().err
    assert "answered something that is not HTTP: 'SSH-2.0\\x1b[31m" in said


def test_a_key_that_no_header_can_hold_is_8(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret\r\nX-Evil: 1")
    assert main(["bench", "127.0.0.1:9", "--api-key-env", "MY_KEY"]) == 8
    said = capsys.readouterr().err
    assert "MY_KEY" in said
    assert "s3cret" not in said


def test_the_key_comes_from_the_environment_and_reaches_the_server_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret-canary")
    seen: list[tuple[str, str | None]] = []
    with answering(404, b"", seen) as url:
        assert main(["bench", url, "--api-key-env", "MY_KEY", "--save", str(tmp_path / "x"), *SMALL]) == 8
    assert seen == [("/v1/models", "Bearer s3cret-canary")]
    captured = capsys.readouterr()
    assert "canary" not in captured.out + captured.err
    monkeypatch.delenv("MY_KEY")
    assert main(["bench", "127.0.0.1:9", "--api-key-env", "MY_KEY"]) == 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-c", "1", "-r", "1"], "--concurrency and --rate exclude each other"),
        (["-c", "x"], "'-c' / '--concurrency': 'x' is no list of numbers such as 1,4,16"),
        (["-c", "0"], "--concurrency: must be at least 1, not 0"),
        (["-c", "1.5"], "--concurrency: must be a whole number, not 1.5"),
        (["-c", "1,1,2"], "'-c' / '--concurrency': 1 is there twice; --cycles repeats runs"),
        (["-r", "4,2,4.0"], "'-r' / '--rate': 4 is there twice"),
        (["-r", "0"], "--rate: must be more than 0, not 0"),
        (["-r", "1e9"], "--rate: must be at most 100000, not 1000000000"),
        (["-r", "-1"], "--rate: must be more than 0, not -1"),
        (["-r", "nan"], "'-r' / '--rate': 'nan' holds a number that is not finite"),
        (["--sweep", "-c", "inf"], "'-c' / '--concurrency': 'inf' holds a number that is not finite"),
        (["-n", "1", "-d", "1s"], "--requests and --duration exclude each other"),
        (["-d", "10"], "--duration: a duration needs a number and a unit"),
        (["-d", "0s"], "--duration: must be more than 0"),
        (["--timeout", "0s"], "--timeout: must be more than 0"),
        (["-d", "40m"], "--duration 40m does not fit in --timeout 30m\nhint: raise --timeout"),
        (["-d", "5s", "--timeout", "5s"], "--duration 5s does not fit in --timeout 5s"),
        (["-r", "10,2", "-n", "21", "--timeout", "10s"], "--requests 21 at --rate 2 do not fit in --timeout 10s"),
        (["--arrivals", "poisson"], "--arrivals belongs to --rate"),
        (["--slo", "ttft=5"], "--slo: ttft: unknown key (did you mean 'ttft_ms'?)"),
        (["--slo", "fast"], "--slo fast: write it as ttft_ms=500,itl_ms=50"),
        (["--slo", "ttft_ms=1,ttft_ms=2"], "write it as ttft_ms=500,itl_ms=50"),
        (["--slo", "ttft_ms=-1"], "--slo: ttft_ms: must be more than 0, not -1"),
        (["--slo", "itl_ms=x"], "--slo: itl_ms: must be a number, not 'x'"),
        (["--sweep", "-r", "1"], "--sweep takes one --concurrency to end at"),
        (["--input-tokens", "99999999"], "--input-tokens: must be at most 10000000, not 99999999"),
        (["--output-tokens", "99999999"], "--output-tokens: must be at most 10000000, not 99999999"),
        (["--warmup", "9999999"], "--warmup: must be at most 100000, not 9999999"),
        (["--seed", str(2**63)], f"--seed: must be less than {2**63}"),
        (["--dataset", ""], "--dataset: must not be empty"),
        (["--model", "a\nb"], "--model: give a name of 1 to 200 characters without control characters"),
        (["--max-error-share", "1"], "'--max-error-share': '1' is no share from 0 to below 1 (100%)"),
        (["--max-error-share", "few"], "'--max-error-share': 'few' is no share"),
        (["--save", "."], "--save .: is a folder"),
        (["--save", "-", "--json"], "--save - and --json both write to standard output"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_2_and_name_the_option_before_anything_is_sent(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "127.0.0.1:9", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Input should" not in said


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, ""),
        ("http://localhost/v1/", "localhost", 80, ""),
        ("http://localhost:1/v1/chat/completions", "localhost", 1, ""),
        ("http://[::1]:8/openai/v1", "::1", 8, "/openai"),
        ("https://host", "host", 443, ""),
        ("http://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher/a b", "xn--bcher-kva", 80, "/a%20b"),
        ("http://host/a%20b/v1/", "host", 80, "/a%20b"),
    ],
)
def test_addresses(url: str, host: str, port: int, prefix: str) -> None:
    server = server_of(url)
    assert (server.host, server.port, server.prefix) == (host, port, prefix)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x", "http://", "http://h:99999", "http://u:p@h", "http://h:x", "http://h:0", "http://[::1", "::1"),
        *("", "http://a b", "http://a..b", f"http://{'a' * 64}", "http://h/v1?version=1", "http://h#x"),
    ],
)
def test_wrong_addresses(url: str) -> None:
    with pytest.raises(UsageError):
        server_of(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://u:secret@h", "u:secret@h", "secret@h", "ftp://u:secret@h", "http://u:secret@h h", "http://@h?secret"),
        *("http://u:secret@h:99999", "http://u:x/secret@h", "http://u:x#secret@h", "http://u:x?secret@h:y"),
        *("http://h/v1?key=secret", "http://h#secret", "http://h:x?key=secret"),
    ],
)
def test_what_may_be_a_password_or_a_key_is_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        server_of(url)
    assert "secret" not in raised.value.message + (raised.value.hint or "")


def test_each_option_is_listed_once_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    said = capsys.readouterr().out
    options = said.partition("Examples:")[0]
    for option in command.params:
        if isinstance(option, click.Option):
            assert len(re.findall(rf"^  (?:-\w, )?{option.opts[-1]}(?![-\w])", options, re.MULTILINE)) == 1, option.name
    assert re.findall(r"^(\w+):$", options, re.MULTILINE) == ["Server", "Load", "Requests", "Limits", "Output"]


def test_a_server_that_hangs_up_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert main(["bench", f"127.0.0.1:{server.getsockname()[1]}"]) == 8
        thread.join()
    assert "/v1/models hung up without an answer\nhint: is this an LLM server? one with TLS" in capsys.readouterr().err


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_ipv6_addresses_are_shown_as_they_are_written() -> None:
    assert server_of("http://[::1]:8080/v1").url == "http://[::1]:8080"
    assert server_of("https://[::1]").url == "https://[::1]:443"


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback")
def test_a_server_at_an_ipv6_address(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[str, str | None]] = []
    with answering(200, b'{"data": [{"id": "m"}]}', seen, address="::1") as url:
        assert main(["bench", f"{url}/v1", *SMALL]) == 0
    assert f"bench {url} \N{MIDDLE DOT} completed" in capsys.readouterr().out
    assert {path for path, _ in seen} == {"/v1/models", "/v1/chat/completions"}


def test_over_tls_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, authority = certified(tmp_path, "localhost")
    with serving_tls(FAST, certificate) as endpoint:
        url = f"https://localhost:{endpoint.port}"
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        assert main(["bench", url, *SMALL]) == 8
        assert f"cannot reach {url}: the certificate is not trusted: " in capsys.readouterr().err
        assert main(["bench", url, *SMALL, "--model", "fake"]) == 8
        said = capsys.readouterr().err
        assert f"cannot reach {url}: the certificate is not trusted: " in said
        assert "hint: SSL_CERT_FILE=FILE" in said
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert main(["bench", url, *SMALL]) == 0
        assert "arrival stamps come from user space" not in capsys.readouterr().out
        assert main(["bench", url, *SMALL, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["provenance"]["clocks"] == ["kernel arrival stamps"]


def test_a_window_cut_short_is_a_failure_that_names_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FakeOptions(fault="stall")) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", *SMALL[2:], "-n", "3", "--warmup", "0", "--timeout", "1s"]
        assert main(arguments) == 4
    assert "raise --timeout if answers may take longer" in capsys.readouterr().err


def test_a_window_cut_short_tells_what_ended_and_what_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FakeOptions(ttft_ms=5, itl_ms=1, n_parallel=2, fault="stall", fault_after=3)) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", "-c", "2", "-n", "9", *SMALL[2:], "--timeout", "2s"]
        assert main([*arguments, "--warmup", "0"]) == 4
    said = capsys.readouterr().err
    assert "cut short when the 2s of --timeout were up: 3 of 5 requests sent were answered, 2 in flight" in said
    assert re.search(r"the oldest for [01]\.\d+ s; raise", said)


def test_a_duration_that_the_timeout_cuts_short_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FAST) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", "-d", "1.9s", "--warmup", "9", *SMALL[2:5], "-q"]
        assert main([*arguments, "--output-tokens", "20", "--timeout", "2s"]) == 4
    said = capsys.readouterr().err
    assert re.search(r"--duration 1\.9s was not over, as the window began after 0\.\d s; raise --timeout\n", said)


def test_errors_point_to_the_file_that_was_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save = tmp_path / "raw.jsonl"
    with serving(FakeOptions(fault="status")) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", *SMALL]
        assert main([*arguments, "--save", str(save), "--json"]) == 4
        captured = capsys.readouterr()
        hint = f"{save} has the error_detail of each request; the server's log may say more"
        (row,) = Summary.model_validate_json(captured.out).experiments
        assert [doubt.hint for doubt in row.doubts] == [hint]
        assert json.loads(captured.err.splitlines()[-1])["error"]["hint"] == hint
        assert main([*arguments, "--save", "-"]) == 4
    assert "hint: standard output has the error_detail of each request" in capsys.readouterr().err


def test_a_run_whose_client_dies_is_lost_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: list[str] = []

    def dying(step: Step, *others: Any, **named: Any) -> Driven:
        runs.append(step.run_id)
        if len(runs) == 2:
            raise PreconditionError("a process of the client died (signal SIGKILL)", hint="is memory short?")
        return drive(step, *others, **named)

    monkeypatch.setattr("dynamometer.worker.bench.drive", dying)
    save = tmp_path / "raw.jsonl"
    with serving(FAST) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", "-c", "1,2,3", *SMALL, "--save", str(save)]
        assert main(arguments) == 4
    captured = capsys.readouterr()
    assert "1 of 3 runs gave nothing: a process of the client died (signal SIGKILL); is memory short?" in captured.err
    assert "3 runs: 2 completed, 1 failed" in captured.out
    saved = {json.loads(line)["id"].rpartition("-a1-")[0] for line in save.read_text().splitlines()}
    assert saved == {runs[0], runs[2]}


@pytest.mark.parametrize(
    ("load", "most"), [(["-c", "1,100"], 100), (["-r", "1,50", "-d", "2s"], 100), (["-r", "1", "-n", "100"], 100)]
)
def test_too_few_open_files_for_the_largest_load_are_told_before_anything_is_sent(
    load: list[str], most: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, str | None]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _which: (99, 99))
    with answering(200, b"", seen) as url:
        assert main(["bench", url, "--model", "m", *load]) == 8
    assert f"{most} requests in flight take" in capsys.readouterr().err
    assert seen == []


def test_a_redirect_is_told_with_nothing_dangling_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FakeOptions(fault="redirect")) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", *SMALL]) == 4
    assert re.search(r"redirect to \S+, not followed$", capsys.readouterr().err, re.MULTILINE)


def test_a_dataset_that_is_no_file_is_told_what_bench_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "127.0.0.1:9", "--model", "m", "--dataset", "hf/thing"]) == 7
    said = capsys.readouterr().err
    assert "no file hf/thing" in said
    assert "datasets of Hugging Face take a campaign" in said


def test_throughput_follows_from_the_saved_requests_and_the_windows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save = tmp_path / "raw.jsonl"
    with serving(FAST) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", "--cycles", "2", *SMALL, "--save", str(save), "--json"]
        assert main(arguments) == 0
    row = json.loads(capsys.readouterr().out)["experiments"][0]
    told = next(one["per_cycle"] for one in row["estimates"] if one["metric"] == "output_tok_s")
    requests = [json.loads(line) for line in save.read_text().splitlines()]
    for cycle, window in enumerate(row["windows"]):
        begin, end = window["begin_ns"], window["end_ns"]
        arrivals = [at for one in requests for at in one["arrivals_ns"] if "-warmup-" not in one["id"]]
        tokens = sum(begin <= at <= end for at in arrivals)
        assert tokens == 16
        assert told[cycle] == pytest.approx(tokens / (end - begin) * 1e9)
        assert row["clients"][cycle]["clock"] == "kernel"
        assert row["clients"][cycle]["wall_s"] == pytest.approx((end - begin) / 1e9)


def test_a_file_that_cannot_be_saved_is_said_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "127.0.0.1:9", "--save", "/nonexistent/x"]) == 8
    assert "cannot write /nonexistent/x" in capsys.readouterr().err
    assert main(["bench", "127.0.0.1:9", "--timeout", "0s"]) == 2


def test_more_tokens_told_than_asked_for_are_doubted_and_a_service_level_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(FakeOptions(fault="wrong_usage")) as endpoint:
        url = f"127.0.0.1:{endpoint.port}"
        assert main(["bench", url, *SMALL, "--slo", "ttft_ms=9000"]) == 0
    out = capsys.readouterr().out
    assert "Goodput" in out
    assert "4 of 4 answers the server's usage" in out


def failing_after(answered: int) -> FakeOptions:
    return FakeOptions(ttft_ms=5, itl_ms=1, fault="status", fault_after=answered)


EIGHT = ["-n", "8", "--output-tokens", "4", "--warmup", "0", "-q"]


@pytest.mark.parametrize(
    ("limit", "code"), [("0", 5), ("30%", 5), ("0.374", 5), ("37.5%", 0), ("0.375", 0), (".5", 0), (None, 0)]
)
def test_more_errors_than_allowed_are_5_with_the_table_and_their_share(
    limit: str | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    allowed = ["--max-error-share", limit] if limit else []
    with serving(failing_after(5)) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", *EIGHT, *allowed]) == code
    captured = capsys.readouterr()
    assert "Errors" in captured.out
    assert "3 of 8 requests went wrong (37.5%: 3 http_status)" in captured.out
    assert ("openai/fake/c1: 3 of 8 requests went wrong, 37.5%; --max-error-share allows" in captured.err) == (
        code == 5
    )


def test_only_loads_beyond_the_limit_are_named_and_no_answer_at_all_is_beyond_any(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(failing_after(8)) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", "-c", "1,2", *EIGHT, "--max-error-share", "99%", "--json"]
        assert main(arguments) == 5
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["failures"]) == 1
    error = json.loads(captured.err)["error"]
    assert error["code"] == 5
    assert error["message"].startswith("openai/fake/c2: 8 of 8 requests went wrong, 100%; --max-error-share allows 99%")
    assert "503" in error["message"]
    assert "c1" not in error["message"]


def test_requests_of_runs_that_gave_nothing_count_in_table_doubt_csv_and_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first of three cycles is answered, the others are refused: two thirds of what was asked went wrong."""
    with serving(failing_after(8)) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", *EIGHT, "--cycles", "3", "--slo", "e2e_ms=9000"]
        assert main([*arguments, "--json"]) == 4
    found = Summary.model_validate_json(capsys.readouterr().out)
    (row,) = found.experiments
    wrong, good, ttft = (row.estimate(key) for key in ("error_share", "goodput", "ttft_ms"))
    assert wrong is not None
    assert good is not None
    assert ttft is not None
    assert (row.cycles_done, row.failed, found.runs) == (1, 2, {"completed": 1, "failed": 2})
    assert (list(wrong.per_cycle), wrong.samples, wrong.n) == ([0, 1, 1], 24, 3)
    assert wrong.value == pytest.approx(2 / 3)
    assert list(good.per_cycle) == [1, 0, 0]
    assert good.value == pytest.approx(1 / 3)
    assert (ttft.n, ttft.samples, ttft.per_cycle[1:]) == (1, 8, (None, None))
    assert [window is None for window in row.windows] == [False, True, True]
    (doubt,) = (doubt for doubt in row.doubts if doubt.code == "errors")
    assert doubt.message == "16 of 24 requests went wrong (66.7%: 16 http_status); figures are of the others"
    assert re.search(r"c1 +1/3 .* 0\.667 \[0, 1", FORMATS["text"](found))
    assert ",error_share,share,lower,share of the window's requests,mean,0.666" in FORMATS["csv"](found)


def test_a_load_that_was_never_answered_has_its_errors_and_no_other_figure(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FakeOptions(fault="status")) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", *SMALL, "--slo", "e2e_ms=9000", "--json"]) == 4
    (row,) = Summary.model_validate_json(capsys.readouterr().out).experiments
    assert {one.metric: one.value for one in row.estimates if one.value is not None} == {"error_share": 1, "goodput": 0}
    assert [doubt.message for doubt in row.doubts] == ["4 of 4 requests went wrong (100.0%: 4 http_status)"]


def test_the_first_error_is_said_while_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(failing_after(5)) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", *EIGHT[:-1]]) == 0
    said = capsys.readouterr().err
    assert re.search(r"^openai/fake/c1: 5 of 8 requests in .* s; the first that went wrong: 503: ", said)


def test_a_warm_up_that_takes_all_the_time_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FakeOptions(fault="stall", fault_after=1)) as endpoint:
        arguments = ["bench", f"127.0.0.1:{endpoint.port}", *SMALL[2:], "--warmup", "2", "--timeout", "3s"]
        assert main(arguments) == 4
    said = capsys.readouterr().err
    assert "the warm-up used up the 3s of --timeout, with 1 of 2 requests answered; raise --timeout, or lower" in said


def test_requests_saved_to_standard_output_are_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FAST) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", *SMALL, "--save", "-"]) == 0
    captured = capsys.readouterr()
    assert [json.loads(line)["status"] for line in captured.out.splitlines()] == [200] * 5
    assert "openai/fake" in captured.err


def test_hints_name_options_of_bench_and_nothing_of_campaigns(capsys: pytest.CaptureFixture[str]) -> None:
    hints = [getattr(BENCH, name) for name in BENCH.__slots__]
    known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    assert {flag for hint in hints for flag in re.findall(r"--[a-z-]+", hint)} <= known
    with serving(FakeOptions(ttft_ms=5, itl_ms=1, fault="wrong_usage")) as endpoint:
        assert main(["bench", f"127.0.0.1:{endpoint.port}", *EIGHT]) == 0
    out = capsys.readouterr().out
    assert "add --cycles 3 or more" in out
    assert "add --warmup 8" in out
    assert "--save FILE keeps both: usage and arrivals_ns" in out
    for word in ("campaign", "--resume", "workload.", "execution.", "samples.jsonl", "set cycles"):
        assert not any(word in hint for hint in hints)
        assert word not in out
