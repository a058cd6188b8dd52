"""Raw bytes with stamps become samples: what counts as a token, when it came, and what went wrong."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamometer.client.decode import decode
from dynamometer.client.exchange import End, Exchange, Pieces
from dynamometer.client.sse import events
from dynamometer.domain.record import Sample

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def sse(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def delta(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    said: dict[str, Any] = {key: more.pop(key) for key in ("role", "reasoning_content", "reasoning") if key in more}
    if content is not None:
        said["content"] = content
    return sse({"choices": [{"index": 0, "delta": said, "finish_reason": finish, **more}]})


def usage(completion: object, **more: object) -> bytes:
    return sse({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": completion, **more}})


def exchange(parts: Iterable[bytes], end: End = "complete", detail: str = "") -> Exchange:
    """Parts arrive one per millisecond after the request was sent at 0."""
    data = list(parts)
    arrivals = array("q", (1000 * (index + 1) for index in range(len(data))))
    pieces = Pieces(bytearray(b"".join(data)), array("I", accumulate(map(len, data))), arrivals)
    return Exchange("id", 0, 0, pieces, end, detail)


def stream(*parts: bytes, end: End = "complete", last: bytes = b"0\r\n\r\n") -> Sample:
    """A chunked stream, one event or more per part; the head is read number one."""
    return decode(exchange([HEAD, *map(chunk, parts), *([last] if last else [])], end), streaming=True)


GOOD = (
    delta("", role="assistant"),
    delta("Grüße"),
    delta(" 世界"),
    delta("!", finish="stop"),
    usage(3, prompt_tokens_details={"cached_tokens": 2}),
    DONE,
)


def test_a_whole_stream() -> None:
    sample = stream(*GOOD)
    assert sample.error is None
    assert sample.arrivals_ns == (3000, 4000, 5000)
    assert sample.event_tokens == (1, 1, 1)
    assert (sample.text_chars, sample.finish, sample.status, sample.merged) == (9, "stop", 200, 0)
    assert sample.usage is not None
    assert sample.usage.model_dump() == {"prompt_tokens": 5, "completion_tokens": 3, "cached_tokens": 2}
    assert sample.ended_ns == 8000


@given(cuts=st.sets(st.integers(1, 700)), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(max_examples=200, deadline=None)
def test_any_split_of_the_bytes_gives_the_same_tokens_and_the_stamp_of_the_byte_that_ends_each_event(
    cuts: set[int], line_end: bytes
) -> None:
    body = b"".join((b": comment\n\n", *GOOD)).replace(b"\n", line_end)
    ends = [event.end for event in events(body)][1:4]
    wire = HEAD + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    start = len(HEAD) + len(b"%x\r\n" % len(body))
    borders = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
    parts = [wire[left:right] for left, right in pairwise(borders)]
    sample = decode(exchange(parts), streaming=True)
    assert sample.error is None
    assert (sample.text_chars, sample.event_tokens, sample.finish) == (9, (1, 1, 1), "stop")
    expected = [next(index for index, border in enumerate(borders) if border >= start + end) * 1000 for end in ends]
    assert list(sample.arrivals_ns) == expected
    assert sample.merged == sum(1 for arrival in expected if expected.count(arrival) > 1)


def test_merged_events_are_counted() -> None:
    sample = stream(delta("a"), delta("b") + delta("c"), delta("d", finish="length"), DONE)
    assert sample.arrivals_ns == (2000, 3000, 3000, 4000)
    assert sample.merged == 2


def test_reasoning_is_output_in_either_spelling_once() -> None:
    sample = stream(delta(reasoning_content="abc"), delta(reasoning="de", reasoning_content="de"), delta("f"), DONE)
    assert (len(sample.arrivals_ns), sample.text_chars) == (3, 6)


def test_multi_line_data_comments_other_fields_and_missing_space() -> None:
    event = b': ping\nevent: message\nid: 4\ndata:{"choices": [{"delta":\ndata:  {"content": "x"}}]}\n\n'
    sample = stream(event, DONE)
    assert (sample.error, sample.text_chars) == (None, 1)


def test_completions_api() -> None:
    said = sse({"choices": [{"text": "x", "finish_reason": None}]})
    sample = stream(said, said, sse({"choices": [{"text": "", "finish_reason": "length"}]}), usage(2), DONE)
    assert (sample.event_tokens, sample.text_chars, sample.finish) == ((1, 1), 2, "length")


def test_several_tokens_per_event_by_ids_logprobs_or_running_total() -> None:
    ids = stream(delta("ab", token_ids=[1, 2]), delta("c", token_ids=[3], finish="stop"), DONE)
    assert ids.event_tokens == (2, 1)
    logprobs = stream(delta("ab", logprobs={"content": [{}, {}, {}]}), delta("c", logprobs={"content": [{}]}), DONE)
    assert logprobs.event_tokens == (3, 1)

    def timed(text: str, total: int) -> bytes:
        return sse({"choices": [{"delta": {"content": text}}], "timings": {"predicted_n": total, "cache_n": 0}})

    total = stream(timed("a", 1), timed("bcd", 4), timed("e", 5), usage(5), DONE)
    assert total.event_tokens == (1, 3, 1)
    assert total.timings == {"predicted_n": 5, "cache_n": 0}


def test_a_token_without_text_counts_when_its_id_shows_it() -> None:
    assert stream(delta("", token_ids=[7]), delta("ü", token_ids=[8]), DONE).event_tokens == (1, 1)


def test_unknown_when_counts_differ_and_nobody_tells() -> None:
    sample = stream(delta("ab"), delta("c"), usage(3), DONE)
    assert sample.event_tokens is None
    assert sample.output_tokens == 3


@pytest.mark.parametrize("wrong", [-1, "3", 2.5, True, None, [1]])
def test_a_usage_that_is_no_count_is_no_usage(wrong: object) -> None:
    sample = stream(delta("a"), usage(wrong), DONE)
    assert sample.usage is not None
    assert sample.usage.completion_tokens is None
    assert sample.error is None


def test_zero_usage_is_no_count_when_tokens_came() -> None:
    assert stream(delta("a"), usage(0), DONE).output_tokens is None


def test_what_follows_done_is_not_output() -> None:
    assert len(stream(delta("a", finish="stop"), DONE, delta("b")).arrivals_ns) == 1


def test_tokens_after_the_finish_reason_are_still_seen() -> None:
    assert len(stream(delta("a", finish="stop"), delta("b"), DONE).arrivals_ns) == 2


def test_invalid_utf8_and_half_characters_do_not_stop_decoding() -> None:
    broken = b'data: {"choices": [{"delta": {"content": "\xff\xfe"}, "finish_reason": "\\ud83d"}]}\n\n'
    sample = stream(broken, DONE)
    assert (sample.error, sample.text_chars) == (None, 2)
    assert sample.model_dump_json()


def test_timings_that_no_json_can_hold_are_left_out() -> None:
    odd = b'data: {"choices": [{"delta": {"content": "a"}}], "timings": {"a": NaN, "b": 1e999, "c": 1.5, "d": "x"}}\n\n'
    assert stream(odd, DONE).timings == {"c": 1.5}


def test_an_end_without_done_is_whole_when_a_finish_reason_came() -> None:
    assert stream(delta("a"), delta(finish="stop")).error is None
    assert stream(delta("a"), delta("b")).error == "truncated"


def test_a_dropped_stream_is_truncated_and_keeps_what_came() -> None:
    sample = stream(delta("a"), delta("b"), b'data: {"choi', end="reset", last=b"")
    assert (sample.error, len(sample.arrivals_ns)) == ("truncated", 2)
    assert stream(delta("a", finish="stop"), end="closed", last=b"").error == "truncated"
    assert stream(delta("a", finish="stop"), DONE, end="closed", last=b"").error is None


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
        b"event: error\ndata: out of memory\n\n",
        b'error: {"message": "out of memory"}\n\n',
    ],
)
def test_error_events(event: bytes) -> None:
    sample = stream(delta("a"), event, DONE)
    assert (sample.error, sample.error_detail) == ("stream_error", "out of memory")
    assert len(sample.arrivals_ns) == 1


@pytest.mark.parametrize(
    "event", [b'data: {"choices": [{"del\n\n', b"data: 7\n\n", b"data: " + b"[" * 100_000 + b"\n\n"]
)
def test_malformed_events(event: bytes) -> None:
    assert stream(delta("a"), event, DONE).error == "bad_response"


@pytest.mark.parametrize("value", [{}, {"choices": {}}, {"choices": [None]}, {"choices": [{"delta": []}]}])
def test_odd_but_harmless_events_carry_nothing(value: object) -> None:
    assert stream(sse(value), delta("a"), DONE).arrivals_ns == (3000,)


def test_an_empty_stream() -> None:
    assert stream(delta("", role="assistant"), delta(finish="stop"), usage(0), DONE).error == "empty"


def plain(
    status: bytes = b"200 OK",
    content: bytes = b"",
    kind: bytes = b"application/json",
    streaming: bool = False,
    end: End = "complete",
) -> Sample:
    head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(content))
    return decode(exchange([head, content], end), streaming=streaming)


def test_an_answer_in_one_document_has_an_end_but_no_arrivals() -> None:
    content = {"choices": [{"message": {"content": "abc"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}}
    sample = plain(content=json.dumps(content).encode())
    assert sample.error is None
    assert (sample.arrivals_ns, sample.event_tokens, sample.ended_ns) == ((), None, 2000)
    assert (sample.output_tokens, sample.text_chars, sample.finish) == (3, 3, "stop")


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (plain(b"503 Busy", b'{"error": {"message": "loading"}}'), "http_status"),
        (plain(b"302 Found", b""), "http_status"),
        (plain(content=b"<html></html>", kind=b"text/html", streaming=True), "bad_response"),
        (plain(content=b"<html></html>"), "bad_response"),
        (plain(content=b'{"error": {"message": "no"}}'), "bad_response"),
        (plain(content=b'{"choices": []}'), "empty"),
        (plain(content=b'{"choices": []}', streaming=True), "bad_response"),
        (plain(content=DONE, kind=b"text/event-stream"), "bad_response"),
        (decode(exchange([b"SSH-2.0-OpenSSH_9\r\n"], "malformed"), streaming=True), "bad_response"),
        (decode(exchange([], "refused"), streaming=True), "refused"),
        (decode(exchange([], "reset"), streaming=True), "connection"),
        (decode(exchange([], "closed"), streaming=True), "connection"),
        (decode(exchange([b"HTTP/1.1 2"], "reset"), streaming=True), "connection"),
        (decode(exchange([], "timeout"), streaming=True), "timeout"),
        (decode(exchange([HEAD, chunk(delta("a"))], "timeout"), streaming=True), "timeout"),
        (decode(exchange([HEAD, chunk(delta("a"))], "oversize"), streaming=True), "bad_response"),
    ],
)
def test_error_kinds(sample: Sample, kind: str) -> None:
    assert sample.error == kind
    assert sample.error_detail


def test_interim_answers_and_close_delimited_bodies() -> None:
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    sample = decode(exchange([head, delta("a"), DONE]), streaming=True)
    assert (sample.error, sample.status, sample.arrivals_ns) == (None, 200, (2000,))


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans(), st.sampled_from(["complete", "closed", "reset"]))
@settings(max_examples=200, deadline=None)
def test_no_bytes_whatever_raise(parts: list[bytes], streaming: bool, end: End) -> None:
    for prefix in ([], [HEAD], [b"HTTP/1.1 200 OK\r\n\r\ndata: "]):
        decode(exchange([*prefix, *(part for part in parts if part)], end), streaming=streaming)


def test_a_redirect_is_an_error_that_names_its_target() -> None:
    head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://else.where/v1\r\nContent-Length: 0\r\n\r\n"
    sample = decode(exchange([head]), streaming=True)
    assert (sample.error, sample.status) == ("http_status", 307)
    assert "https://else.where/v1, not followed" in (sample.error_detail or "")


def test_an_event_of_ten_megabytes_is_one_event() -> None:
    text = "x" * 10_000_000
    whole = sse({"choices": [{"delta": {"content": text}, "finish_reason": "length"}]})
    parts = [whole[start : start + 65_536] for start in range(0, len(whole), 65_536)]
    sample = stream(delta("a"), *parts, usage(2), DONE)
    assert (sample.error, len(sample.arrivals_ns), sample.text_chars) == (None, 2, 10_000_001)
    assert sample.arrivals_ns[1] == (2 + len(parts)) * 1000


def test_usage_and_events_are_both_kept_when_they_differ() -> None:
    few = stream(delta("a"), delta("b"), delta("c", finish="length"), usage(1), DONE)
    assert (few.output_tokens, len(few.arrivals_ns), few.event_tokens) == (1, 3, None)
    many = stream(delta("a", token_ids=[1]), delta("b", token_ids=[2], finish="length"), usage(9), DONE)
    assert (many.output_tokens, many.event_tokens) == (9, (1, 1))


def test_what_was_asked_and_when_it_was_due_is_kept() -> None:
    raw = replace(exchange([], "timeout"), sent_ns=70, scheduled_ns=50)
    sample = decode(raw, streaming=True, max_tokens=7)
    assert (sample.error, sample.scheduled_ns, sample.sent_ns, sample.max_tokens) == ("timeout", 50, 70, 7)


def test_a_usage_may_count_the_token_that_ended_the_text() -> None:
    ended = stream(delta("a"), delta("b", finish="stop"), usage(3), DONE)
    assert (ended.output_tokens, ended.event_tokens) == (3, (1, 1))
    cut = stream(delta("a"), delta("b", finish="length"), usage(3), DONE)
    assert (cut.output_tokens, cut.event_tokens) == (3, None)


OLLAMA_HEAD = HEAD.replace(b"text/event-stream; charset=utf-8", b"application/x-ndjson")


def piece(text: str = "", **more: Any) -> bytes:
    said = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "response": text, "done": False, **more}
    return json.dumps(said).encode() + b"\n"


LAST = piece(
    done=True,
    done_reason="length",
    total_duration=900,
    load_duration=10,
    prompt_eval_count=5,
    prompt_eval_duration=20,
    eval_count=3,
    eval_duration=800,
    context=[1, 2],
)


def ollama(*parts: bytes, end: End = "complete", last: bytes = b"0\r\n\r\n", head: bytes = OLLAMA_HEAD) -> Sample:
    pieces = [head, *map(chunk, parts), *([last] if last else [])]
    return decode(exchange(pieces, end), streaming=True, api="ollama")


def test_ollama_streams_objects_in_lines() -> None:
    sample = ollama(piece("Grüße"), piece(" 世界"), piece("!"), LAST)
    assert sample.error is None
    assert (sample.arrivals_ns, sample.event_tokens, sample.text_chars) == ((2000, 3000, 4000), (1, 1, 1), 9)
    assert (sample.finish, sample.output_tokens) == ("length", 3)
    assert sample.usage is not None
    assert sample.usage.prompt_tokens == 5
    assert sample.timings == {
        "total_duration": 900, "load_duration": 10, "prompt_eval_duration": 20, "eval_duration": 800
    }  # fmt: skip


@given(st.lists(st.integers(1, 700), max_size=6))
def test_ollama_split_and_merged_lines(cuts: list[int]) -> None:
    whole = piece("a") + piece("b", thinking=None) + piece("c") + LAST
    parts, rest = [], whole
    for cut in cuts:
        parts.append(rest[:cut])
        rest = rest[cut:]
    sample = ollama(*(part for part in [*parts, rest] if part))
    assert (sample.error, sample.event_tokens, sample.output_tokens) == (None, (1, 1, 1), 3)


def test_ollama_lines_after_the_last_are_told_and_not_read() -> None:
    assert ollama(piece("a"), piece("b"), piece("c"), LAST).odd == {}
    sample = ollama(piece("a"), piece("\u00fc").replace(b"\\u00fc", b"\xfc"), piece("c"), LAST, piece("d"))
    assert (sample.error, sample.odd, sample.text_chars) == (None, {"after_done": 1, "not_utf8": 1}, 3)


def test_ollama_thinks_and_may_say_nothing() -> None:
    assert ollama(piece(thinking="hm"), piece("a"), LAST).text_chars == 3
    assert ollama(LAST.replace(b'"eval_count": 3', b'"eval_count": 0')).error == "empty"


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (ollama(piece("a"), b'{"error": "model runner has stopped"}\n'), "stream_error"),
        (ollama(piece("a"), b"{nonsense}\n", LAST), "bad_response"),
        (ollama(piece("a"), piece("b")), "truncated"),
        (ollama(piece("a"), b'{"resp', end="reset", last=b""), "truncated"),
        (ollama(delta("a"), head=HEAD), "bad_response"),
        (ollama(piece("a"), end="timeout", last=b""), "timeout"),
    ],
)
def test_ollama_errors(sample: Sample, kind: str) -> None:
    assert sample.error == kind


def test_ollama_in_one_document() -> None:
    text = json.dumps(json.loads(LAST) | {"response": "abc"}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(text)
    sample = decode(exchange([head, text]), streaming=False, api="ollama")
    assert (sample.error, sample.output_tokens, sample.text_chars, sample.finish) == (None, 3, 3, "length")
    assert sample.arrivals_ns == ()
