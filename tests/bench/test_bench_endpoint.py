"""``dyno bench``: the client against servers that already run, good ones and bad ones."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.tls_engine import certified, serving_tls

from dynamometer.cli import main
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.errors import PreconditionError, UsageError
from dynamometer.worker.bench import find_model, server_of

FAST = FakeOptions(ttft_ms=5, itl_ms=1)
SMALL = ["-n", "4", "--output-tokens", "4", "--ignore-eos", "--warmup", "1", "-q"]


@contextmanager
def answering(status: int, body: bytes, seen: list[tuple[str, str | None]], **headers: str) -> Iterator[str]:
    """A server that gives one answer to everything, and notes what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
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
        window = [line for line in lines if line.get("phase", "window") == "window"]
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
        (302, b"", "answered 302"),
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
    "arguments",
    [
        ["-c", "1", "-r", "1"],
        ["-c", "x"],
        ["-c", "0"],
        ["-c", "1.5"],
        ["-r", "0"],
        ["-r", "1e9"],
        ["-r", "-1"],
        ["-n", "1", "-d", "1s"],
        ["-d", "10"],
        ["--arrivals", "poisson"],
        ["--slo", "ttft=5"],
        ["--slo", "fast"],
        ["--slo", "ttft_ms=-1"],
        ["--sweep", "-r", "1"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_2_before_anything_is_sent(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "127.0.0.1:9", *arguments]) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, ""),
        ("http://localhost/v1/", "localhost", 80, ""),
        ("http://localhost:1/v1/chat/completions", "localhost", 1, ""),
        ("http://[::1]:8/openai/v1", "::1", 8, "/openai"),
        ("https://host", "host", 443, ""),
    ],
)
def test_addresses(url: str, host: str, port: int, prefix: str) -> None:
    server = server_of(url)
    assert (server.host, server.port, server.prefix) == (host, port, prefix)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://h:99999", "http://u:p@h", "http://h:x"])
def test_wrong_addresses(url: str) -> None:
    with pytest.raises(UsageError):
        server_of(url)


def test_over_tls_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, authority = certified(tmp_path, "localhost")
    with serving_tls(FAST, certificate) as endpoint:
        url = f"https://localhost:{endpoint.port}"
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        assert main(["bench", url, *SMALL]) == 8
        assert f"cannot reach {url}: the certificate is not trusted: " in capsys.readouterr().err
        assert main(["bench", url, *SMALL, "--model", "fake"]) == 4
        assert "no request was answered whole: the certificate is not trusted: " in capsys.readouterr().err
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
    assert "--timeout" in capsys.readouterr().err


def test_a_file_that_cannot_be_saved_is_said_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "127.0.0.1:9", "--save", "/nonexistent/x"]) == 8
    assert "--save" in capsys.readouterr().err
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
