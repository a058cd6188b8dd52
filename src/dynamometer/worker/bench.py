"""The client alone against an endpoint that already runs: find its model, drive it, make the record."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from dynamometer.client.tls import reason
from dynamometer.domain.ident import text_hash
from dynamometer.domain.record import EngineFacts, ModelFacts, Reading, Record, Sample
from dynamometer.domain.step import Step
from dynamometer.domain.units import NS_PER_S
from dynamometer.domain.wire import Api, Endpoint
from dynamometer.errors import PreconditionError, UsageError
from dynamometer.worker.drive import drive
from dynamometer.worker.facts import host_facts
from dynamometer.worker.record import record_of

ANSWER_S = 10
"""Longest wait for the list of models."""
MOST_BYTES = 4 * 1024 * 1024
"""Longest list of models read."""
PATHS: dict[Api, str] = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "ollama": "/api/generate"}
MODELS: dict[Api, str] = {"chat": "/v1/models", "completions": "/v1/models", "ollama": "/api/tags"}


NOT_OURS = tuple(
    Reading(meter=meter, quantity=quantity, unit=unit, value=None, missing="the engine runs elsewhere")
    for meter, quantity, unit in (("memory", "peak_rss", "bytes"), ("energy", "energy", "J"))
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where an endpoint is."""

    url: str
    """Without path, for people."""
    tls: bool
    host: str
    port: int
    prefix: str
    """Path before the API's own, without a slash at its end."""


def server_of(url: str) -> Server:
    """The server of a URL: its root, or any of the API's own addresses on it. Raises UsageError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url} is no address of a server", hint="write it as http://127.0.0.1:8080")
    if parts.username or parts.password:
        raise UsageError("an address must not hold a password", hint="name an environment variable: --api-key-env NAME")
    prefix = parts.path.rstrip("/")
    for known in (*PATHS.values(), *MODELS.values(), "/v1"):
        prefix = prefix.removesuffix(known)
    tls = parts.scheme == "https"
    port = port or (443 if tls else 80)
    return Server(f"{parts.scheme}://{parts.hostname}:{port}", tls, parts.hostname, port, prefix)


def find_model(server: Server, api: Api, key: SecretStr | None) -> str:
    """The first model that the endpoint lists. Raises PreconditionError, saying what came instead."""
    path = server.prefix + MODELS[api]
    status, data = _get(server, path, key)
    where = f"{server.url}{path}"
    if status != http.client.OK:
        raise PreconditionError(f"{where} answered {status}", hint="name the model: --model NAME")
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise PreconditionError(
            f"{where} answered something that is not JSON", hint="is this an LLM server?"
        ) from error
    names = _names(answer, api)
    if not names:
        raise PreconditionError(f"{where} lists no model", hint="name the model: --model NAME")
    return names[0]


def _names(answer: Any, api: Api) -> list[str]:
    listed, field = ("models", "name") if api == "ollama" else ("data", "id")
    models = answer.get(listed) if isinstance(answer, dict) else None
    found = (model.get(field) for model in models or [] if isinstance(model, dict)) if isinstance(models, list) else ()
    return [name for name in found if isinstance(name, str) and name]


def _get(server: Server, path: str, key: SecretStr | None) -> tuple[int, bytes]:
    if server.tls:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            server.host, server.port, timeout=ANSWER_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=ANSWER_S)
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    except ssl.SSLError as error:
        hint = "SSL_CERT_FILE=FILE names authorities to trust; a server without TLS is at http://"
        raise PreconditionError(f"cannot reach {server.url}: {reason(error)}", hint) from error
    except (OSError, http.client.HTTPException) as error:
        raise PreconditionError(f"cannot reach {server.url}: {error}", hint="is the server running?") from error
    finally:
        connection.close()


def endpoint_of(server: Server, api: Api, model: str, key: SecretStr | None, *, ignore_eos: bool) -> Endpoint:
    """Where the client sends its requests."""
    return Endpoint(
        host=server.host,
        port=server.port,
        tls=server.tls,
        api=api,
        path=server.prefix + PATHS[api],
        model=model,
        bearer=key,
        ignore_eos=ignore_eos,
    )


@dataclass(frozen=True, slots=True)
class Benched:
    """One level of load."""

    record: Record | None
    """None when not one request was answered whole, or the window was cut short."""
    samples: tuple[Sample, ...]
    problem: str | None
    """Why there is no record."""


def bench(
    step: Step, endpoint: Endpoint, server: Server, *, prompts_text: str | None, trace_text: str | None
) -> Benched:
    """Drive the endpoint with one load. The engine is not ours: no load time, no memory, no energy.

    Raises PreconditionError for a host that has no address, and what ``drive`` does.
    """
    began, started_at = time.monotonic_ns(), datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        driven = drive(
            step,
            endpoint,
            prompts_text=prompts_text,
            trace_text=trace_text,
            on_window_open=lambda: None,
            on_window_close=lambda: None,
            deadline_ns=began + int(step.timeout_s * NS_PER_S),
            cold_request=False,
        )
    except socket.gaierror as error:
        raise PreconditionError(f"cannot reach {server.url}: {error.strerror}") from error
    sent = [sample for sample in driven.samples if sample.phase == "window"]
    if driven.cut_short is not None:
        return Benched(None, driven.samples, f"the window was cut short: {driven.cut_short}; give it more --timeout")
    if not any(sample.error is None for sample in sent):
        detail = next((sample.error_detail or sample.error for sample in sent), "no request was sent")
        return Benched(None, driven.samples, f"no request was answered whole: {detail}")
    record = record_of(
        step,
        driven,
        simulated=False,
        started_at=started_at,
        duration_ns=time.monotonic_ns() - began,
        engine=EngineFacts(
            name=step.experiment.engine, version=None, argv=(), endpoint_kind=endpoint.api, details={"url": server.url}
        ),
        model=ModelFacts(name=step.experiment.model, file=None, size_bytes=None, sha256=None),
        host=host_facts(),
        readings=NOT_OURS,
        samples_sha256=text_hash(""),
    )
    return Benched(record, driven.samples, None)
