"""A server that answers like an inference engine, on a schedule that is known. Standard library only.

``python -I -S fake_server.py HOST PORT JSON``: the JSON object holds fields of ``Settings``; HOST ``fd`` takes PORT as
the descriptor of a socket that listens already. Events are due at absolute times, so that lateness never adds up.

With ``truth_file``, one JSON line per streamed answer tells when each event was due, the monotonic time right before
the call that hands it to the kernel (``sends_ns``) and right after it (``returns_ns``): the kernel took it in between.
They are kept in memory and written when the server is told to end (SIGTERM, SIGINT).
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import random
import select
import signal
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

MS = 1_000_000
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
START_FAILURE_CODE = 3
CRASH_CODE = 7
ORPHAN_LIFE_S = 600
HEADERS_MOST = 65_536
NICE = -10
HUGE_EVENT_BYTES = 10_000_000


@dataclass(frozen=True)
class Settings:
    """How the server behaves. ``FakeOptions`` describes the same fields."""

    ttft_ms: float = 20.0
    itl_ms: float = 5.0
    jitter_ms: float = 0.0
    load_ms: float = 0.0
    n_parallel: int = 4
    tokens_per_event: int = 1
    seed: int = 0
    fault: str | None = None
    fault_after: int = 0
    fault_status: int = 503
    allocate_mb: int = 0
    ignore_sigterm: bool = False
    orphan: bool = False
    log_kb: int = 0
    phased: bool = False
    core: int | None = None
    truth_file: str | None = None


class Told(Exception):
    """A signal told the server to end."""


@dataclass(eq=False)
class Connection:
    """One client: what it sent that is not yet read, what it is still to get, and the answer under way."""

    sock: socket.socket
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytearray = field(default_factory=bytearray)
    job: Job | None = None
    answer: Iterator[int] | None = None
    closing: bool = False


@dataclass(eq=False)
class Job:
    """One request for tokens."""

    connection: Connection
    number: int
    id: str
    received_ns: int
    chat: bool
    stream: bool
    usage: bool
    prompt_tokens: int
    tokens: int
    finish: str
    fault: str | None
    truth: Truth | None = None


@dataclass(eq=False)
class Truth:
    """What truly happened in one streamed answer, in monotonic nanoseconds: one entry per event with tokens."""

    received_ns: int
    begin_cpu_ns: int
    due_ns: array[int] = field(default_factory=lambda: array("q"))
    sends_ns: array[int] = field(default_factory=lambda: array("q"))
    returns_ns: array[int] = field(default_factory=lambda: array("q"))
    blocked: int = 0
    """Events that the socket did not take at once: their send times are not true."""
    end_cpu_ns: int = 0

    def line(self, request: str) -> bytes:
        """One line of the truth file."""
        value = {
            "id": request,
            "received_ns": self.received_ns,
            "due_ns": self.due_ns.tolist(),
            "sends_ns": self.sends_ns.tolist(),
            "returns_ns": self.returns_ns.tolist(),
            "blocked": self.blocked,
            "cpu_ns": [self.begin_cpu_ns, self.end_cpu_ns],
        }
        return json.dumps(value).encode() + b"\n"


class Server:
    """One loop over sockets, and over answers that continue when they are due."""

    def __init__(self, listener: socket.socket, settings: Settings, started_ns: int, told: int) -> None:
        self.settings = settings
        self.listener = listener
        self.told = told
        self.ready_ns = started_ns + round(settings.load_ms * MS)
        self.epoll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.due: list[tuple[int, int, Connection, Iterator[int]]] = []
        self.waiting: deque[Job] = deque()
        self.running: set[Job] = set()
        self.seen = 0
        self.order = 0
        self.truths: list[tuple[str, Truth]] = []
        whole = settings.tokens_per_event
        starts = range(0, len(WORDS) * whole, whole)
        self.patterns = {chat: [tokens_event(NOBODY, chat, start, whole) for start in starts] for chat in (True, False)}

    def serve(self) -> None:
        """Serve until told to end. Waits by ``select`` on the epoll: to the microsecond, not to the millisecond.

        Raises Told.
        """
        self.epoll.register(self.listener, select.EPOLLIN)
        self.epoll.register(self.told, select.EPOLLIN)
        due, monotonic_ns = self.due, time.monotonic_ns
        while True:
            wait = max(0.0, (due[0][0] - monotonic_ns()) / 1e9) if due else None
            if select.select([self.epoll], [], [], wait)[0]:
                for fd, mask in self.epoll.poll(0):
                    self.on_socket(fd, mask)
            now = monotonic_ns()
            while due and due[0][0] <= now:
                _, _, connection, answer = heapq.heappop(due)
                if connection.answer is answer:
                    self.advance(connection, answer)

    def on_socket(self, fd: int, mask: int) -> None:
        """A socket can be read or written, or is gone."""
        if fd == self.listener.fileno():
            self.accept()
            return
        if fd == self.told:  # the handler was called within something that takes its exception for its own
            raise Told
        connection = self.connections.get(fd)
        if connection is None:
            return
        if mask & select.EPOLLOUT:
            self.flush(connection)
        if mask & ~select.EPOLLOUT and fd in self.connections:
            self.receive(connection)

    def accept(self) -> None:
        """Take a new connection."""
        try:
            sock, _ = self.listener.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[sock.fileno()] = Connection(sock)
        self.epoll.register(sock, select.EPOLLIN)

    def receive(self, connection: Connection) -> None:
        """Read, and begin the next request when it is whole."""
        try:
            data = connection.sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # reset by the client: gone, like one that closed
        if not data:
            self.close(connection)
            return
        connection.inbox += data
        self.next_request(connection)

    def next_request(self, connection: Connection) -> None:
        """Route the next whole request of a connection that has no answer under way."""
        inbox = connection.inbox
        while connection.job is None and not connection.closing and (at := inbox.find(b"\r\n\r\n")) >= 0:
            start, *lines = inbox[:at].decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = headers.get("content-length", "0")
            if start.count(" ") != 2 or not (length.isascii() and length.isdigit()):
                self.refuse(connection)
                return
            size = at + 4 + int(length)
            if len(inbox) < size:
                return
            body = bytes(inbox[at + 4 : size])
            del inbox[:size]
            method, path, _ = start.split(" ")
            self.route(connection, method, path, headers, body)
        if connection.job is None and len(inbox) > HEADERS_MOST and inbox.find(b"\r\n\r\n") < 0:
            self.refuse(connection)

    def refuse(self, connection: Connection) -> None:
        """What came is not a request that we can read, nor is what follows it."""
        self.document(connection, 400, {"error": {"message": "not an HTTP/1.1 request", "code": 400}})
        self.close(connection)

    def route(self, connection: Connection, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        """Answer one request, or begin to."""
        ready = time.monotonic_ns() >= self.ready_ns and self.settings.fault != "never_healthy"
        match method, path:
            case "GET", "/health":
                self.document(connection, 200 if ready else 503, {"status": "ok" if ready else "loading model"})
            case "GET", "/v1/models":
                self.document(connection, 200, {"object": "list", "data": [{"id": "fake", "object": "model"}]})
            case "POST", "/v1/chat/completions" | "/v1/completions" if ready:
                self.accept_job(connection, path, headers, body)
            case "POST", _ if not ready:
                self.document(connection, 503, {"error": {"message": "loading model", "code": 503}})
            case _:
                self.document(connection, 404, {"error": {"message": f"no {method} {path}", "code": 404}})

    def accept_job(self, connection: Connection, path: str, headers: dict[str, str], body: bytes) -> None:
        """Begin a request for tokens, queue it when all slots are busy, or show the fault it is to show."""
        received_ns = time.monotonic_ns()
        number, self.seen = self.seen, self.seen + 1
        try:
            job = self.job_of(connection, path == "/v1/chat/completions", number, received_ns, json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.document(connection, 400, {"error": {"message": f"bad request: {error!r}", "code": 400}})
            return
        job.id = headers.get("x-request-id", "")
        if not self.fault_at_once(job):
            connection.job = job
            self.waiting.append(job)
            self.start_waiting()

    def job_of(self, connection: Connection, chat: bool, number: int, received_ns: int, asked: dict[str, Any]) -> Job:
        """What a body asks for. Without ``ignore_eos`` an answer ends up to a quarter early, by the seed."""
        text = asked["messages"][-1]["content"] if chat else asked["prompt"]
        most = int(asked.get("max_tokens", 16))
        early = 0 if asked.get("ignore_eos") else random.Random(f"{self.settings.seed}-{number}").randint(0, most // 4)
        faulty = number >= self.settings.fault_after
        return Job(
            connection=connection,
            number=number,
            id="",
            received_ns=received_ns,
            chat=chat,
            stream=bool(asked.get("stream")),
            usage=bool((asked.get("stream_options") or {}).get("include_usage")),
            prompt_tokens=len(text.split()),
            tokens=most - early,
            finish="stop" if early else "length",
            fault=self.settings.fault if faulty else None,
        )

    def fault_at_once(self, job: Job) -> bool:
        """Faults shown instead of an answer. True when there will be none."""
        connection = job.connection
        match job.fault:
            case "status":
                self.document(connection, self.settings.fault_status, {"error": {"message": "fake fault", "code": 1}})
            case "rate_limit":
                self.document(
                    connection, 429, {"error": {"message": "too many requests", "code": 429}}, "Retry-After: 1"
                )
            case "redirect":
                self.send(connection, head("307 Temporary Redirect", "text/html", 0, "Location: /elsewhere"))
            case "html":
                self.send(connection, head("200 OK", "text/html", 30) + b"<html><body>Hi</body></html>\r\n")
            case "no_answer":
                self.close(connection)
            case "hang":
                connection.closing = True  # takes no further request
            case "crash":
                log(f"fatal: crashing at request {job.number}")
                os._exit(CRASH_CODE)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case _:
                return False
        return True

    def start_waiting(self) -> None:
        """Fill free slots, first come first served."""
        while self.waiting and len(self.running) < self.settings.n_parallel:
            job = self.waiting.popleft()
            self.running.add(job)
            answer = self.stream(job) if job.stream else self.whole(job)
            job.connection.answer = answer
            self.advance(job.connection, answer)

    def advance(self, connection: Connection, answer: Iterator[int]) -> None:
        """Go on with an answer until it waits for its next due time, or ends."""
        due_ns = next(answer, None)
        if due_ns is not None:
            self.order += 1
            heapq.heappush(self.due, (due_ns, self.order, connection, answer))
        elif connection.answer is answer:
            self.finish(connection)
            self.next_request(connection)

    def finish(self, connection: Connection) -> None:
        """Free the slot of a connection's answer, or its place in the queue."""
        job, connection.job, connection.answer = connection.job, None, None
        if job is not None:
            self.running.discard(job)
            if job in self.waiting:
                self.waiting.remove(job)
        self.start_waiting()

    def stream(self, job: Job) -> Iterator[int]:
        """A streamed answer; yields when it wants to go on. A fault shows after half of the events."""
        first_ns, step_ns = self.first_due(job), round(self.settings.itl_ms * MS)
        role = self.event(job, {"role": "assistant", "content": ""}) if job.chat else b""
        self.send(job.connection, head("200 OK", "text/event-stream", None) + role)
        if self.settings.truth_file:
            job.truth = Truth(job.received_ns, time.process_time_ns())
            self.truths.append((job.id, job.truth))
        jitter = random.Random(f"{self.settings.seed}-{job.number}-jitter") if self.settings.jitter_ms else None
        endless, most = job.fault == "endless", 0 if job.fault == "empty" else job.tokens
        whole = self.settings.tokens_per_event
        mark, own_mark = NOBODY.encode(), answer_id(job.number).encode()
        events = [event.replace(mark, own_mark) for event in self.patterns[job.chat]]
        fault = job.fault
        sent, due_ns = 0, first_ns
        while endless or sent < most:
            yield due_ns + round(jitter.uniform(0, self.settings.jitter_ms) * MS) if jitter else due_ns
            if fault is not None and sent * 2 >= most:
                if self.fault_within(job):
                    while True:  # stalled: never goes on
                        yield time.monotonic_ns() + 3_600_000 * MS
                data, fault = self.faulty_tokens(job, sent), None
            elif endless or sent + whole <= most:
                data = events[sent // whole % len(WORDS)]
            else:
                data = self.tokens(job, sent, most - sent)
            self.hand_over(job, data, due_ns)
            sent += whole
            due_ns += step_ns
        self.end_stream(job)

    def first_due(self, job: Job) -> int:
        """When the first event of a streamed answer that begins now is due.

        With ``phased``, later by up to one ITL: every slot has its own place in the ITL on the clock, so that streams
        are due one after the other, however their requests came.
        """
        first_ns = time.monotonic_ns() + round(self.settings.ttft_ms * MS)
        step_ns, slots = round(self.settings.itl_ms * MS), self.settings.n_parallel
        if not self.settings.phased or not step_ns:
            return first_ns
        place_ns = step_ns * (job.number % slots) // slots
        return first_ns + (place_ns - first_ns) % step_ns

    def hand_over(self, job: Job, data: bytes, due_ns: int) -> None:
        """Send an event with tokens, and note its true times when they are kept."""
        truth = job.truth
        if truth is None:
            self.send(job.connection, data)
            return
        truth.due_ns.append(due_ns)
        truth.sends_ns.append(time.monotonic_ns())
        self.send(job.connection, data)
        truth.returns_ns.append(time.monotonic_ns())
        truth.blocked += bool(job.connection.outbox)

    def fault_within(self, job: Job) -> bool:
        """Faults shown in the middle of a stream. True when the stream shall not go on."""
        match job.fault:
            case "drop":
                self.close(job.connection)
            case "malformed":
                self.send(job.connection, chunk(b'data: {"choices": [{"del\n\n'))
            case "error_event":
                self.send(job.connection, chunk(b'data: {"error": {"message": "fake fault", "code": 500}}\n\n'))
            case "after_finish":
                self.send(job.connection, self.event(job, {}, job.finish))
            case _:
                pass
        return job.fault in {"stall", "drop"}

    def faulty_tokens(self, job: Job, sent: int) -> bytes:
        """The event in the middle of a stream, which some faults change."""
        whole = min(self.settings.tokens_per_event, max(1, job.tokens - sent))
        match job.fault:
            case "huge_event":
                return self.event(job, {"content": "x" * HUGE_EVENT_BYTES})
            case "invalid_utf8":
                event = event_bytes(self.event_value(job, {"content": "INVALID"}, None))
                return chunk(event.replace(b"INVALID", b"\xff\xc3\x28\xed\xa0\x80"))
            case _:
                return self.tokens(job, sent, whole)

    def end_stream(self, job: Job) -> None:
        """Finish reason, usage, end mark, last chunk."""
        last = [event_bytes(self.event_value(job, {}, job.finish))]
        if job.usage:
            last.append(event_bytes({**self.event_value(job, {}, None), "choices": [], "usage": usage_of(job)}))
        last.append(b"data: [DONE]\n\n")
        if job.fault == "after_finish":
            last.append(event_bytes(self.event_value(job, {"content": " late"}, None)))
        self.send(job.connection, chunk(b"".join(last)) + b"0\r\n\r\n")
        if job.truth is not None:
            job.truth.end_cpu_ns = time.process_time_ns()

    def tokens(self, job: Job, start: int, count: int) -> bytes:
        """The event with the ``count`` tokens from the ``start``-th."""
        return tokens_event(answer_id(job.number), job.chat, start, count)

    def event(self, job: Job, delta: dict[str, str], finish: str | None = None) -> bytes:
        """One event of a stream as it goes over the wire."""
        return chunk(event_bytes(self.event_value(job, delta, finish)))

    def event_value(self, job: Job, delta: dict[str, str], finish: str | None) -> dict[str, Any]:
        """One event in the shape of the API."""
        return event_value(answer_id(job.number), job.chat, delta, finish)

    def whole(self, job: Job) -> Iterator[int]:
        """An answer in one piece, at the time at which a stream would have ended."""
        events = -(-job.tokens // self.settings.tokens_per_event)
        wait_ms = self.settings.ttft_ms + max(0, events - 1) * self.settings.itl_ms
        yield time.monotonic_ns() + round(wait_ms * MS)
        text = " ".join(WORDS[index % len(WORDS)] for index in range(0 if job.fault == "empty" else job.tokens))
        said = {"message": {"role": "assistant", "content": text}} if job.chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": job.finish}
        kind = "chat.completion" if job.chat else "text_completion"
        value = {"id": answer_id(job.number), "object": kind, "choices": [choice], "usage": usage_of(job)}
        if job.fault == "error_event":
            value = {"error": {"message": "fake fault", "code": 500}}
        content = json.dumps(value).encode()
        if job.fault == "malformed":
            content = content[:-10]
        answer = head("200 OK", "application/json", len(content)) + content
        if job.fault not in {"drop", "stall"}:
            self.send(job.connection, answer)
            return
        self.send(job.connection, answer[: len(answer) // 2])
        if job.fault == "drop":
            self.close(job.connection)
        while True:
            yield time.monotonic_ns() + 3_600_000 * MS

    def document(self, connection: Connection, status: int, value: dict[str, Any], *lines: str) -> None:
        """Send a JSON document, with further header lines."""
        content = json.dumps(value).encode()
        self.send(connection, head(f"{status} X", "application/json", len(content), *lines) + content)

    def send(self, connection: Connection, data: bytes) -> None:
        """Send now what the socket takes, and the rest when it takes more."""
        if connection.outbox:
            connection.outbox += data
            return
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close(connection)  # the client is gone
            return
        if sent < len(data):
            connection.outbox += data[sent:]
            self.epoll.modify(connection.sock, select.EPOLLIN | select.EPOLLOUT)

    def flush(self, connection: Connection) -> None:
        """Send what waits."""
        waiting, connection.outbox = connection.outbox, bytearray()
        self.epoll.modify(connection.sock, select.EPOLLIN)
        self.send(connection, bytes(waiting))

    def close(self, connection: Connection) -> None:
        """Close a connection and free what it holds."""
        fd = connection.sock.fileno()
        if fd in self.connections:
            del self.connections[fd]
            self.epoll.unregister(connection.sock)
            connection.sock.close()
            self.finish(connection)


def head(status: str, content_type: str, length: int | None, *lines: str) -> bytes:
    """Head of a response: with a length, or chunked; with further header lines."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {content_type}", framing, *lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event_bytes(value: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: %b\n\n" % json.dumps(value).encode()


def answer_id(number: int) -> str:
    """Identity of an answer: always of the same length, so that events are made by replacing it."""
    return f"fake-{number:010d}"


def event_value(answer: str, chat: bool, delta: dict[str, str], finish: str | None) -> dict[str, Any]:
    """One event in the shape of the API."""
    said = {"delta": delta} if chat else {"text": delta.get("content", "")}
    kind = "chat.completion.chunk" if chat else "text_completion"
    choice = {"index": 0, **said, "finish_reason": finish}
    return {"id": answer, "object": kind, "model": "fake", "choices": [choice]}


def tokens_event(answer: str, chat: bool, start: int, count: int) -> bytes:
    """The event with ``count`` tokens from the ``start``-th, as it goes over the wire."""
    text = " ".join(WORDS[(start + offset) % len(WORDS)] for offset in range(count))
    return chunk(event_bytes(event_value(answer, chat, {"content": f" {text}"}, None)))


NOBODY = answer_id(0)


def usage_of(job: Job) -> dict[str, int]:
    """Token counts of an answer."""
    tokens = {"empty": 0, "wrong_usage": 3 * job.tokens}.get(job.fault or "", job.tokens)
    total = job.prompt_tokens + tokens
    return {"prompt_tokens": job.prompt_tokens, "completion_tokens": tokens, "total_tokens": total}


def log(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def leave_orphan(listener: socket.socket) -> None:
    """Leave a process behind that has left our group and our session, as badly behaved engines do."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            listener.close()
            log(f"orphan pid {os.getpid()}")
            time.sleep(ORPHAN_LIFE_S)
        os._exit(0)
    os.wait()


def listener_of(host: str, port: int) -> socket.socket:
    """The socket to listen on: a new one, or the one with that descriptor."""
    if host == "fd":
        listener = socket.socket(fileno=port)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=4096)
    listener.setblocking(False)
    return listener


def obey_signals(*, ignore_sigterm: bool) -> int:
    """SIGTERM and SIGINT raise Told, once. Returns a descriptor that becomes readable when one comes.

    A handler runs between two steps of Python. Of a signal that comes right before a wait, the wait would know nothing.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise Told

    signal.signal(signal.SIGTERM, signal.SIG_IGN if ignore_sigterm else end)
    signal.signal(signal.SIGINT, end)
    told, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    return told


def be_punctual(core: int | None) -> None:
    """Run on our own core when there is one, before others where that is allowed, without pauses for garbage.

    The kernel may still wake us 50 µs late (its timer slack); less would double our cost at 1,024 streams, and lateness
    against the schedule does no harm, because the true times are kept.
    """
    if core is not None:
        os.sched_setaffinity(0, {core})
        with suppress(OSError):  # not allowed: how late we are is told either way
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
    gc.freeze()
    gc.disable()


def main(argv: list[str]) -> int:
    """Start as told, then serve until told to end."""
    started_ns = time.monotonic_ns()
    host, port, text = argv
    settings = Settings(**json.loads(text))
    try:
        told = obey_signals(ignore_sigterm=settings.ignore_sigterm)
        return run(host, int(port), settings, started_ns, told)
    except Told:
        return 0


def run(host: str, port: int, settings: Settings, started_ns: int, told: int) -> int:
    """Serve; write the true times when told to end. Returns the exit code of a start that is to fail."""
    for line in range(settings.log_kb):
        log(f"load {line:08d} ".ljust(1023, "."))
    if settings.fault == "start_failure":
        log("error: fake start failure: cannot load model")
        return START_FAILURE_CODE
    ballast = b"\x01" * (settings.allocate_mb * 1_000_000)
    truth_file = Path(settings.truth_file) if settings.truth_file else None
    if truth_file is not None:
        truth_file.write_bytes(b"")  # it must be one that we may write
    listener = listener_of(host, port)
    if settings.orphan:
        leave_orphan(listener)
    if host != "fd":  # else whoever made the socket knows
        address = listener.getsockname()
        log(f"fake engine listens on {address[0]}:{address[1]} with {len(ballast)} bytes of ballast")
    be_punctual(settings.core)
    server = Server(listener, settings, started_ns, told)
    try:
        server.serve()
    finally:
        if truth_file is not None:
            truth_file.write_bytes(b"".join(truth.line(request) for request, truth in server.truths))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
