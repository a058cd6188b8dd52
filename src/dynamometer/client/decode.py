"""A raw exchange becomes a sample. Pure, and only after the run: which events carried tokens, how many, when.

OpenAI's APIs stream server-sent events. Ollama's own streams JSON objects, one per line; what we know of it is the
contract of its official client (PyPI ``ollama`` 0.6.3), and this was not verified against a real Ollama.
Not tokens: events that name only a role, empty ones, usage, comments, whatever follows ``[DONE]``. Reasoning, refusals
and calls of tools are output like any other text, and so is what comes after a finish reason. Each event's arrival is
that of the read that brought its end. What an answer does against its API, and is whole all the same, is counted.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from dynamometer.client.exchange import Exchange
from dynamometer.client.message import Message, read_message
from dynamometer.client.sse import Event, events, lines, looks_like_events
from dynamometer.domain.record import ErrorKind, Oddity, Sample, Usage
from dynamometer.domain.wire import Api

DONE = "[DONE]"
_DETAIL = 300
_JSON = json.JSONDecoder(parse_constant=lambda _: None)
"""Made once: with these words ``json.loads`` makes one for each event."""
_TEXTS = ("content", "refusal", "tool_calls", "function_call")
_HOLDERS = ("thinking", "text", "function", "name", "arguments")
"""Keys under which parts of a content, and calls of tools, hold what the model wrote."""
_STREAMS = {"chat": "text/event-stream", "completions": "text/event-stream", "ollama": "application/x-ndjson"}

Phase = Literal["cold", "warmup", "window"]


@dataclass(slots=True)
class _Answer:
    """What was read so far."""

    text_chars: int = 0
    reads: list[int] = field(default_factory=list)
    counts: list[int | None] = field(default_factory=list)
    totals: list[int | None] = field(default_factory=list)
    usage: Usage | None = None
    timings: dict[str, Any] | None = None
    choice: int | None = None
    """Index of the choice that is read: the first that came."""
    finish: str | None = None
    done: bool = False
    odd: Counter[Oddity] = field(default_factory=Counter)
    error: ErrorKind | None = None
    detail: str | None = None

    def fail(self, kind: ErrorKind, detail: str) -> None:
        """Keep the first error; later ones follow from it."""
        if self.error is None:
            self.error, self.detail = kind, _clean(detail[:_DETAIL])


def decode(
    exchange: Exchange,
    *,
    streaming: bool,
    api: Api = "chat",
    phase: Phase = "window",
    prompt_chars: int = 0,
    max_tokens: int | None = None,
) -> Sample:
    """The sample of one exchange by one of the APIs.

    An answer that was not streamed has no arrivals: no TTFT and no ITL can be told, only its end.
    """
    message = read_message(exchange.pieces)
    answer = _Answer()
    if not exchange.pieces:
        _judge_silence(exchange, answer)
    else:
        _read(message, answer, streaming=streaming, api=api)
        _judge_end(exchange, message, answer, streaming=streaming)
    if (answer.reads or answer.text_chars) and answer.usage and answer.usage.completion_tokens == 0:
        answer.usage = answer.usage.model_copy(update={"completion_tokens": None})  # tokens came: zero is no count
        answer.odd["usage_no_count"] += 1
    arrivals = tuple(message.arrivals_ns[read] for read in answer.reads)
    return Sample(
        id=exchange.id,
        phase=phase,
        scheduled_ns=exchange.scheduled_ns,
        sent_ns=exchange.sent_ns,
        ended_ns=exchange.pieces.arrivals_ns[-1] if exchange.pieces else None,
        arrivals_ns=arrivals,
        event_tokens=event_tokens(answer.counts, answer.totals, answer.usage, answer.finish),
        merged=sum(count for count in Counter(arrivals).values() if count > 1),
        resent=exchange.resent,
        prompt_chars=prompt_chars,
        max_tokens=max_tokens,
        text_chars=answer.text_chars,
        usage=answer.usage,
        timings=answer.timings,
        finish=answer.finish,
        odd=dict(+answer.odd),
        status=message.status,
        error=answer.error,
        error_detail=answer.detail,
    )


def event_tokens(
    counts: list[int | None], totals: list[int | None], usage: Usage | None, finish: str | None = None
) -> tuple[int, ...] | None:
    """Tokens in each event that carries some, or None when nobody tells.

    First the events' own counts (token ids, log probabilities), then the engine's running total in each event, then
    one each, if the server's usage agrees with that; it may also count the token that ended the text, which no event
    carries.
    """
    if not counts:
        return None
    told = tuple(count for count in counts if count is not None)
    if len(told) == len(counts):
        return told
    running = [total for total in totals if total is not None]
    if len(running) == len(counts):
        steps = tuple(later - earlier for earlier, later in pairwise([0, *running]))
        if all(step > 0 for step in steps):
            return steps
    unseen = usage.completion_tokens - len(counts) if usage and usage.completion_tokens is not None else None
    return (1,) * len(counts) if unseen == 0 or (unseen == 1 and finish not in {None, "length"}) else None


def _judge_silence(exchange: Exchange, answer: _Answer) -> None:
    kinds: dict[str, ErrorKind] = {"refused": "refused", "timeout": "timeout", "stopped": "timeout"}
    answer.fail(kinds.get(exchange.end, "connection"), exchange.detail or "closed without an answer")


def _judge_end(exchange: Exchange, message: Message, answer: _Answer, *, streaming: bool) -> None:
    """Errors that show only at the end of what came."""
    if answer.done and exchange.end in {"complete", "closed", "reset"}:
        whole = True
    else:
        whole = exchange.end == "complete" and message.complete and (answer.finish is not None or not streaming)
    if exchange.end in {"timeout", "stopped"}:
        answer.fail("timeout", exchange.detail or "no end in time")
    elif exchange.end in {"oversize", "malformed"}:
        answer.fail("bad_response", exchange.detail or exchange.end)
    elif message.status is None:
        answer.fail("connection", exchange.detail or "closed within the head of the answer")
    elif not whole:
        answer.fail("truncated", exchange.detail or "the stream ended without [DONE] or a finish_reason")
    elif streaming and not answer.done:
        answer.odd["no_done"] += 1
    if not answer.text_chars and not answer.reads:
        answer.fail("empty", "no output token")


def _read(message: Message, answer: _Answer, *, streaming: bool, api: Api) -> None:
    if message.problem:
        answer.fail("bad_response", message.problem)
    if message.status is None:
        return
    if message.status != 200:
        where = f"redirect to {message.location}, not followed" if message.location else ""
        said = f"compressed with {message.coding}" if message.coding else _excerpt(message.body)
        details = "; ".join(filter(None, (where, said)))
        answer.fail("http_status", f"{message.status}: {details or 'no more was said'}")
        return
    if message.coding:
        answer.fail("bad_response", f"the answer is compressed with {message.coding}, and we accept only plain ones")
        return
    wanted = _STREAMS[api]
    is_stream = message.content_type == wanted or (
        not message.content_type and looks_like_events(message.body) and api != "ollama"
    )
    if streaming and is_stream:
        _read_stream(message, answer, api)
    elif streaming or is_stream:
        asked = f"a stream ({wanted})" if streaming else "JSON"
        answer.fail("bad_response", f"asked for {asked}, got {message.content_type}: {_excerpt(message.body)}")
    elif message.complete:
        _read_document(message, answer, api)


def _read_stream(message: Message, answer: _Answer, api: Api) -> None:
    found, read = (_json_lines, _read_line) if api == "ollama" else (events, _read_event)
    is_clean, begin = _is_utf8(message.body), 0
    for event in found(message.body):
        if not is_clean:
            answer.odd["not_utf8"] += not _is_utf8(message.body[begin : event.end])
            begin = event.end
        if answer.done:
            answer.odd["after_done"] += event.data.strip() != DONE
        else:
            read(event, message, answer)
        if answer.error:
            return


def _json_lines(body: bytes) -> Iterator[Event]:
    """The lines of a body that are not empty."""
    for line, end in lines(body):
        if line.strip():
            yield Event(line.decode("utf-8", "replace"), "", end)


def _read_line(event: Event, message: Message, answer: _Answer) -> None:
    """One object of Ollama's stream."""
    value = _object_of(event, message, answer)
    if value is None:
        return
    text = _note_ollama(value, answer)
    if text:
        answer.reads.append(message.read_of(event.end))
        answer.counts.append(None)
        answer.totals.append(None)


def _note_ollama(value: dict[str, Any], answer: _Answer) -> str:
    """The text of one of Ollama's objects; of the last one also its counts, its timings and why it ended."""
    texts = (value.get("thinking"), value.get("response"))
    text = "".join(part for part in texts if isinstance(part, str))
    answer.text_chars += len(text)
    if value.get("done") is True:
        answer.done = True
        counts = Usage(
            prompt_tokens=_count(value.get("prompt_eval_count")), completion_tokens=_count(value.get("eval_count"))
        )
        answer.usage = counts if counts != Usage() else None
        answer.timings = {key: value[key] for key in _OLLAMA_TIMINGS if _is_number(value.get(key))}
        reason = value.get("done_reason")
        answer.finish = _clean(reason) if isinstance(reason, str) else None
    return text


_OLLAMA_TIMINGS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
"""Nanoseconds."""


def _read_event(event: Event, message: Message, answer: _Answer) -> None:
    if event.data.strip() == DONE:
        answer.done = True
        return
    value = _object_of(event, message, answer)
    if value is None:
        return
    choice, had_finished = _choice_of(value, answer), answer.finish is not None
    _note_facts(value, choice, answer)
    text, count = _text_of(choice), _token_count(choice)
    if text or count:
        answer.text_chars += len(text)
        answer.reads.append(message.read_of(event.end))
        answer.counts.append(count)
        answer.totals.append(_count((answer.timings or {}).get("predicted_n")) if "timings" in value else None)
        if had_finished:
            answer.odd["after_finish"] += 1
    _note_usage(value, answer)


def _object_of(event: Event, message: Message, answer: _Answer) -> dict[str, Any] | None:
    """The object of an event; None, and what is wrong noted, when it is an error or none."""
    value = _json_object(event.data)
    if event.kind == "error" or (value is not None and value.get("error")):
        answer.fail("stream_error", _error_text(value, event.data))
        return None
    cut_off = event.end == len(message.body) and not message.complete
    if value is None and not cut_off:
        answer.fail("bad_response", f"event is not a JSON object: {event.data.strip() or 'empty'}")
    return value


def _read_document(message: Message, answer: _Answer, api: Api) -> None:
    """An answer in one JSON document."""
    text = message.body.decode("utf-8", "replace")
    answer.odd["not_utf8"] += not _is_utf8(message.body)
    value = _json_object(text)
    if value is None:
        answer.fail("bad_response", f"not a JSON object: {text}")
    elif value.get("error"):
        answer.fail("bad_response", _error_text(value, text))
    elif api == "ollama":
        _note_ollama(value, answer)
    else:
        choice = _choice_of(value, answer)
        _note_facts(value, choice, answer)
        answer.text_chars = len(_text_of(choice))
        _note_usage(value, answer)


def _note_facts(value: dict[str, Any], choice: dict[str, Any], answer: _Answer) -> None:
    """Timings and the finish reason, wherever they come; the last ones count."""
    timings = value.get("timings")
    if isinstance(timings, dict):
        answer.timings = {key: number for key, number in timings.items() if _is_number(number)}
    finish = choice.get("finish_reason")
    if isinstance(finish, str) and finish:
        answer.odd["finish_changed"] += answer.finish not in (None, _clean(finish))
        answer.finish = _clean(finish)


def _note_usage(value: dict[str, Any], answer: _Answer) -> None:
    """Usage, wherever it comes; the last counts. Some servers send a running one, which grows as tokens come, with or
    without an event that shows them; it never shrinks.
    """
    said = value.get("usage")
    if not isinstance(said, dict):
        return
    usage = _usage(said)
    before = answer.usage.completion_tokens if answer.usage is not None else None
    now = usage.completion_tokens
    if now is None:
        answer.odd["usage_no_count"] += said.get("completion_tokens") is not None
    elif before is not None:
        answer.odd["usage_changed"] += now < before
    if usage != Usage():
        answer.usage = usage


def _choice_of(value: dict[str, Any], answer: _Answer) -> dict[str, Any]:
    """What an event says of the choice that is read; empty when it says nothing of it."""
    listed = value.get("choices")
    found: dict[str, Any] = {}
    for place, choice in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(choice, dict):
            continue
        told = _count(choice.get("index"))
        index = place if told is None else told
        answer.choice = index if answer.choice is None else answer.choice
        if index == answer.choice:
            found = choice
        else:
            answer.odd["choices"] += 1
    return found


def _text_of(choice: dict[str, Any]) -> str:
    """Output text of a choice: ``text`` (completions), ``delta`` (a chat stream) or ``message`` (a chat answer)."""
    if isinstance(choice.get("text"), str):
        return str(choice["text"])
    part = choice.get("delta") or choice.get("message")
    if not isinstance(part, dict):
        return ""
    reasoning = part.get("reasoning_content") or part.get("reasoning")  # two spellings of the same text
    return "".join([_written(content) for content in (reasoning, *map(part.get, _TEXTS)) if content])


def _written(content: object) -> str:
    """What the model wrote in a content: a text, or parts that hold texts."""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, list):
            waiting += reversed(one)
        elif isinstance(one, dict):
            waiting += [one[key] for key in reversed(_HOLDERS) if key in one]
    return "".join(texts)


def _token_count(choice: dict[str, Any]) -> int | None:
    """Tokens of a choice by its token ids or its log probabilities; None when it has neither."""
    logprobs = choice.get("logprobs")
    of_logprobs = (logprobs.get("content"), logprobs.get("tokens")) if isinstance(logprobs, dict) else ()
    lists: Iterable[Any] = (choice.get("token_ids"), choice.get("tokens"), *of_logprobs)
    return next((len(tokens) for tokens in lists if isinstance(tokens, list) and tokens), None)


def _usage(value: dict[str, Any]) -> Usage:
    details = value.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=_count(value.get("prompt_tokens")),
        completion_tokens=_count(value.get("completion_tokens")),
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
    )


def _count(value: object) -> int | None:
    """A count if it is one: not a truth value, not negative, not a text."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = _JSON.decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _error_text(value: dict[str, Any] | None, text: str) -> str:
    error = value.get("error", value) if value is not None else text
    if isinstance(error, dict):
        error = error.get("message", error)
    return str(error)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: JSON escapes can spell half a character."""
    return text.encode("utf-8", "replace").decode()


def _excerpt(body: bytes) -> str:
    return " ".join(body[:_DETAIL].decode("utf-8", "replace").split())
