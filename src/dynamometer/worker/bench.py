"""The client alone against an endpoint that already runs: find its model, drive it, make the record."""

from __future__ import annotations

import http.client
import json
import math
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from dynamometer.client.measure import never, nothing
from dynamometer.client.stamps import make_room
from dynamometer.client.tls import reason
from dynamometer.domain.experiment import NAME_PATTERN, Workload
from dynamometer.domain.ident import text_hash
from dynamometer.domain.record import EngineFacts, ModelFacts, Reading, Record, Sample
from dynamometer.domain.step import Step
from dynamometer.domain.units import NS_PER_S, format_duration, human_duration
from dynamometer.domain.wire import Api, Endpoint
from dynamometer.errors import PreconditionError, UsageError
from dynamometer.worker.drive import Driven, drive
from dynamometer.worker.facts import host_facts
from dynamometer.worker.record import record_of

TLS_HINT = "SSL_CERT_FILE=FILE names authorities to trust; a server without TLS is at http://"
RUNS_HINT = "is the server running?"
"""What helps when a server cannot be reached, with TLS and without."""
ANSWER_S = 10
"""Longest wait for the list of models."""
MOST_BYTES = 4 * 1024 * 1024
"""Longest list of models read."""
PATHS: dict[Api, str] = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "ollama": "/api/generate"}
_PATH_MARKS = "/%:@!$&'()*+,;=~"
"""What a path may hold as it is, beside letters, digits and -._ (RFC 3986, 3.3)."""
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
    """The server of a URL: its root, or any of the API's own addresses on it.

    Raises UsageError, which never repeats what may be a password or a key.
    """
    shown = "what was given" if "@" in url else re.split(r"[?#]", url)[0]
    wrong = UsageError(f"{shown} is no address of a server", "write it as http://127.0.0.1:8080, or http://[::1]:8080")
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port
    except ValueError as error:
        raise wrong from error
    if "@" in parts.netloc:
        raise UsageError("an address must not hold a password", hint="name an environment variable: --api-key-env NAME")
    if parts.scheme not in ("http", "https") or not host or port == 0 or re.search(r"\s", host):
        raise wrong
    if parts.query or parts.fragment:
        message = f"{shown}: an address ends with its path; what follows '?' or '#' would not be sent"
        raise UsageError(message, hint="leave it out; a key comes from an environment variable: --api-key-env NAME")
    prefix = quote(parts.path, safe=_PATH_MARKS).rstrip("/")
    for known in (*PATHS.values(), *MODELS.values(), "/v1"):
        prefix = prefix.removesuffix(known)
    tls = parts.scheme == "https"
    port = port or (443 if tls else 80)
    name = f"[{host}]" if ":" in host else host
    return Server(f"{parts.scheme}://{name}:{port}", tls, host, port, prefix)


def find_model(server: Server, api: Api, key: SecretStr | None) -> str:
    """The first model that the endpoint lists. Raises PreconditionError, saying what came instead."""
    path = server.prefix + MODELS[api]
    answered = _get(server, path, key)
    where = f"{server.url}{path}"
    if answered.status != http.client.OK:
        raise _refused(where, answered)
    try:
        answer = json.loads(answered.data)
    except (ValueError, RecursionError) as error:
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
    return [name for name in found if isinstance(name, str) and re.search(NAME_PATTERN, name)]


def _refused(where: str, answered: _Answer) -> PreconditionError:
    status = answered.status
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        hint = "the key comes from an environment variable: --api-key-env NAME"
        return PreconditionError(f"{where} answered {status}: it wants another API key, or one at all", hint)
    if answered.location:
        hint = "redirects are not followed: give the address where it answers"
        return PreconditionError(f"{where} answered {status}: go to {answered.location[:200]!r}", hint)
    return PreconditionError(f"{where} answered {status}", hint="name the model: --model NAME")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str | None
    """Where a redirect leads to."""
    data: bytes


def _get(server: Server, path: str, key: SecretStr | None) -> _Answer:
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
        return _Answer(answer.status, answer.getheader("Location"), _read(answer))
    except ssl.SSLError as error:
        raise PreconditionError(f"cannot reach {server.url}: {reason(error)}", TLS_HINT) from error
    except TimeoutError as error:
        message = f"{server.url}{path} did not answer within {ANSWER_S} s"
        hint = f"name the model: --model NAME{'; a server without TLS is at http://' if server.tls else ''}"
        raise PreconditionError(message, hint) from error
    except ConnectionResetError as error:
        raise PreconditionError(f"{server.url}{path} hung up without an answer", _not_llm(server)) from error
    except OSError as error:
        reason_ = error.strerror or error
        raise PreconditionError(f"cannot reach {server.url}: {reason_}", RUNS_HINT) from error
    except http.client.HTTPException as error:
        message = f"{server.url}{path} answered something that is not HTTP: {str(error)[:80]!r}"
        raise PreconditionError(message, _not_llm(server)) from error
    finally:
        connection.close()


def _not_llm(server: Server) -> str:
    return "is this an LLM server?" if server.tls else "is this an LLM server? one with TLS is at https://"


def _read(answer: http.client.HTTPResponse) -> bytes:
    """What the server says, not for longer than it may take."""
    data, until = b"", time.monotonic() + ANSWER_S
    while len(data) < MOST_BYTES and (part := answer.read1(MOST_BYTES - len(data))):
        data += part
        if time.monotonic() > until:
            raise TimeoutError
    return data


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


def make_room_for(workloads: Iterable[Workload]) -> None:
    """Make sure that the largest load can have its connections. Raises PreconditionError."""
    make_room(max(map(_most_slots, workloads)))


def _most_slots(workload: Workload) -> int:
    """Most requests in flight: never more than an open loop has."""
    within = workload.load.requests_within(workload.duration_s) if workload.duration_s is not None else None
    most = workload.load.most_in_flight
    return min(most, workload.requests or math.ceil(within or most)) if workload.load.is_open else most


@dataclass(frozen=True, slots=True)
class Benched:
    """One level of load."""

    record: Record | None
    """None when not one request was answered whole, the window was cut short, or the client could not go on."""
    samples: tuple[Sample, ...]
    problem: str | None
    """Why there is no record."""
    reached: bool = True
    """False when the server was not there: not one connection was made."""


def bench(
    step: Step,
    endpoint: Endpoint,
    server: Server,
    *,
    prompts_text: str | None,
    on_window_open: Callable[[], None] = nothing,
    interrupted: Callable[[], bool] = never,
) -> Benched:
    """Drive the endpoint with one load. The engine is not ours: no load time, no memory, no energy.

    ``on_window_open``, ``interrupted`` and what is raised are those of ``drive``; PreconditionError becomes the problem
    of this run alone.
    """
    began, started_at = time.monotonic_ns(), datetime.now(UTC).isoformat(timespec="milliseconds")
    deadline_ns = began + int(step.timeout_s * NS_PER_S)
    try:
        driven = drive(
            step,
            endpoint,
            prompts_text=prompts_text,
            on_window_open=on_window_open,
            on_window_close=nothing,
            deadline_ns=deadline_ns,
            cold_request=False,
            interrupted=interrupted,
        )
    except socket.gaierror as error:
        return Benched(None, (), f"cannot reach {server.url}: {error.strerror}", reached=False)
    except PreconditionError as error:
        return Benched(None, (), "; ".join(filter(None, (error.message, error.hint))))
    if not driven.connections and all(sample.status is None for sample in driven.samples):
        detail = _first_wrong(driven.samples) or driven.cut_short
        return Benched(None, driven.samples, f"cannot reach {server.url}: {detail}", reached=False)
    if (problem := _problem(driven, step, deadline_ns)) is not None:
        return Benched(None, driven.samples, problem)
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


def _problem(driven: Driven, step: Step, deadline_ns: int) -> str | None:
    """Why there is no record of what came from a server that was reached; None when there is one."""
    sent = [sample for sample in driven.samples if sample.phase == "window"]
    if driven.cut_short is not None:
        if driven.window.begin_ns >= deadline_ns:
            return _used_up(driven, step.timeout_s)
        if time.monotonic_ns() >= deadline_ns:
            return _ran_out(driven, sent, step, deadline_ns)
        return f"the window was cut short: {driven.cut_short}"
    if any(sample.error is None for sample in sent):
        return None
    return f"no request was answered whole: {_first_wrong(sent) or 'no request was sent'}"


def _first_wrong(samples: Iterable[Sample]) -> str | None:
    return next((sample.error_detail or sample.error for sample in samples if sample.error), None)


def _ran_out(driven: Driven, sent: list[Sample], step: Step, deadline_ns: int) -> str:
    cut_short, seconds = driven.cut_short, step.experiment.workload.duration_s
    answered = sum(sample.error is None for sample in sent)
    endless = [sample for sample in sent if sample.error_detail == cut_short]
    wrong = [sample for sample in sent if sample.error and sample.error_detail != cut_short]
    oldest_s = (deadline_ns - min((sample.sent_ns for sample in endless), default=deadline_ns)) / NS_PER_S
    parts = (
        f"{answered} of {len(sent)} requests sent were answered",
        f"{len(endless)} in flight without an end, the oldest for {oldest_s:.3g} s" if endless else "",
        f"{len(wrong)} went wrong ({_first_wrong(wrong)})" if wrong else "",
    )
    remedy = "raise --timeout if answers may take longer"
    left_s = (deadline_ns - driven.window.begin_ns) / NS_PER_S
    if seconds is not None and left_s < seconds and answered and not wrong:
        before = human_duration(step.timeout_s - left_s)
        remedy = (
            f"--duration {format_duration(seconds)} was not over, as the window began after {before}; raise --timeout"
        )
    return (
        f"the window was cut short when the {format_duration(step.timeout_s)} of --timeout were up: "
        f"{', '.join(filter(None, parts))}; {remedy}"
    )


def _used_up(driven: Driven, timeout_s: float) -> str:
    warm = [sample for sample in driven.samples if sample.phase == "warmup"]
    answered = sum(sample.error is None for sample in warm)
    details = (sample.error_detail for sample in warm if sample.error)
    wrong = next((f" ({detail})" for detail in details if detail and detail != driven.cut_short), "")
    return (
        f"the warm-up used up the {format_duration(timeout_s)} of --timeout, with {answered} of {len(warm)} requests "
        f"answered{wrong}; raise --timeout, or lower --warmup"
    )
