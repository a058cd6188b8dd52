"""Ollama's own API over real sockets, against a small server that keeps the contract of its official client.

The contract is that of PyPI ollama 0.6.3; nothing here was compared with a real Ollama. Where that package is
installed, its models check what we send and what the server answers.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest

from dynamometer.client.decode import decode
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.domain.experiment import Decoder, Workload
from dynamometer.domain.record import Sample
from dynamometer.domain.wire import Endpoint, Prompt
from dynamometer.load.requests import body
from dynamometer.load.stops import AfterRequests

WORDS = (" sun", " rain", " Wörter", " 世界")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        if self.path != "/api/generate" or asked["model"] != "m":
            self._document(404, {"error": f"model '{asked['model']}' not found"})
            return
        texts = [WORDS[index % len(WORDS)] for index in range(asked["options"]["num_predict"])]
        if not asked["stream"]:
            self._document(200, self._last(asked, "".join(texts), len(texts)))
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for text in texts:
            self._line(self._part(text, done=False))
        self._line(self._last(asked, "", len(texts)))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _part(self, text: str, **more: object) -> dict[str, Any]:
        part = {"model": "m", "created_at": "2026-11-22T05:00:00.000000Z", "response": text, **more}
        self.server.said.append(part)
        return part

    def _last(self, asked: dict[str, Any], text: str, tokens: int) -> dict[str, Any]:
        durations = {"total_duration": 9_000, "load_duration": 100, "prompt_eval_duration": 200, "eval_duration": 8_000}
        counts = {"prompt_eval_count": len(asked["prompt"].split()), "eval_count": tokens}
        return self._part(text, done=True, done_reason="length", context=[1, 2, 3], **counts, **durations)

    def _document(self, status: int, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _line(self, value: dict[str, Any]) -> None:
        data = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


@contextmanager
def ollama() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


def ask(server: _Server, times: int = 1, *, model: str = "m", streaming: bool = True) -> list[Sample]:
    endpoint = Endpoint(host="127.0.0.1", port=server.server_port, api="ollama", path="/api/generate", model=model)
    workload = Workload(streaming=streaming, decoder=Decoder(preset="deterministic", repetition_penalty=1.1))
    asked = body(Prompt(text="Say some words", max_tokens=6), endpoint, workload)
    requests = (prepare(endpoint, f"r{number}", asked) for number in count())
    traffic = measure(endpoint.host, endpoint.port, requests, slots=2, stop=AfterRequests(times))
    return [decode(exchange, streaming=streaming, api="ollama") for exchange in traffic.exchanges]


def test_streamed_answers() -> None:
    with ollama() as server:
        samples = ask(server, 4)
    for sample in samples:
        assert (sample.error, sample.finish, sample.event_tokens) == (None, "length", (1,) * 6)
        assert sample.output_tokens == 6
        assert sample.usage is not None
        assert sample.usage.prompt_tokens == 3
        assert sample.timings is not None
        assert sample.timings["load_duration"] == 100


def test_an_answer_in_one_document() -> None:
    with ollama() as server:
        (sample,) = ask(server, streaming=False)
    assert (sample.error, sample.output_tokens, sample.arrivals_ns) == (None, 6, ())


def test_a_model_that_is_not_there() -> None:
    with ollama() as server:
        (sample,) = ask(server, model="other")
    assert (sample.error, sample.status) == ("http_status", 404)
    assert "not found" in (sample.error_detail or "")


@pytest.mark.skipif(importlib.util.find_spec("ollama") is None, reason="the official client is not installed")
def test_the_official_client_agrees_with_both_sides() -> None:
    official = importlib.import_module("ollama")
    with ollama() as server:
        ask(server)
    for asked in server.asked:
        request = official._types.GenerateRequest(**asked)
        assert set(asked) <= set(type(request).model_fields)
        assert set(asked["options"]) <= set(official.Options.model_fields)
    for said in server.said:
        assert official.GenerateResponse(**said).model == "m"
        assert set(said) <= set(official.GenerateResponse.model_fields)
