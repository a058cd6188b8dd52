"""What servers send beside what their API says, over real sockets: read rightly, refused, or counted as odd."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.client.test_client_wire import read_request, send, server

from dynamometer.client.exchange import Traffic
from dynamometer.domain.record import Sample
from dynamometer.load.stops import AfterRequests

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def choice(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def said(*choices: dict[str, Any], **more: Any) -> bytes:
    return event({"choices": list(choices), **more})


def token(content: object = "a", finish: str | None = None, **more: Any) -> bytes:
    return said(choice(content=content, finish=finish), **more)


def usage(completion: object) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 5, "completion_tokens": completion}}


END = said(choice(finish="stop"))


def chunked(*events: bytes, trailers: bytes = b"", head: bytes = OK) -> bytes:
    parts = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in events)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n" + trailers + b"\r\n"


def sized(*events: bytes, head: bytes = OK) -> bytes:
    body = b"".join(events)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def replies(answer: bytes) -> Callable[[socket.socket, int], None]:
    """Sends the same bytes for each request of a connection, until it is closed."""

    def behave(connection: socket.socket, _number: int) -> None:
        while read_request(connection):
            connection.sendall(answer)

    return behave


def exchanged(answer: bytes, *, streaming: bool = True) -> tuple[Traffic, list[Sample]]:
    """Two requests, one after the other, each answered with these bytes."""
    with server(replies(answer)) as endpoint:
        return send(endpoint, AfterRequests(2), streaming=streaming)


def answered(*events: bytes) -> Sample:
    """The first sample of two from a chunked stream of these events; both read alike, on one connection."""
    traffic, (one, other) = exchanged(chunked(*events))
    assert traffic.connections == 1
    assert (one.error, one.odd, one.text_chars) == (other.error, other.odd, other.text_chars)
    return one


def test_a_plain_answer_is_not_odd() -> None:
    sample = answered(said(choice(role="assistant", content="")), token(), token(), END, said(**usage(2)), DONE)
    assert (sample.error, sample.odd, sample.event_tokens) == (None, {}, (1, 1))
    assert "odd" not in sample.model_dump(exclude_defaults=True), (
        "an older version must read it, and we what that wrote"
    )


def test_tokens_after_the_finish_reason_count_and_are_told() -> None:
    sample = answered(token(), END, token("b"), token("c"), said(**usage(3)), DONE)
    assert (sample.error, sample.odd) == (None, {"after_finish": 2})
    assert (len(sample.arrivals_ns), sample.text_chars, sample.output_tokens) == (3, 3, 3)


def test_a_finish_reason_beside_the_last_token_is_not_late() -> None:
    assert answered(token(), token("b", finish="length"), DONE).odd == {}
    assert answered(token(finish=""), token("b", finish=""), END, DONE).odd == {}, "an empty reason is none"


def test_an_empty_finish_reason_does_not_make_a_cut_stream_whole() -> None:
    assert answered(token(finish=""), token("b", finish="")).error == "truncated"


def test_what_follows_done_is_told_and_a_second_done_is_not() -> None:
    sample = answered(token(), END, DONE, token("b"), DONE, said(**usage(9)))
    assert (sample.error, sample.odd, sample.text_chars, sample.usage) == (None, {"after_done": 2}, 1, None)


def test_a_stream_without_done_is_told() -> None:
    sample = answered(token(), END)
    assert (sample.error, sample.odd) == (None, {"no_done": 1})


def test_bytes_that_are_not_utf8_are_told_by_event() -> None:
    broken = token("BROKEN").replace(b"BROKEN", b"\xff\xc3\x28")
    sample = answered(token("\u00fc"), broken, token("\ufffd"), broken, END, DONE)
    assert (sample.error, sample.odd, len(sample.arrivals_ns)) == (None, {"not_utf8": 2}, 4)


def test_characters_cut_by_a_read_or_a_chunk_are_utf8() -> None:
    whole = "data: " + json.dumps({"choices": [choice(content="世界")]}, ensure_ascii=False) + "\n\n"
    sample = answered(whole.encode()[:70], whole.encode()[70:], END, DONE)
    assert (sample.error, sample.odd, sample.text_chars) == (None, {}, 2)


@pytest.mark.parametrize(
    "events",
    [
        [token(), said(choice(1, content="xyz")), token(), said(choice(1, content="xyz", finish="stop")), token()],
        [said(choice(0, content="a"), choice(1, content="xyz")), token(), said(choice(1, content="x")), token()],
        [
            said(choice(1, content="a")),
            said(choice(1, content="b")),
            token("x"),
            token("x"),
            said(choice(1, content="c")),
        ],
    ],
)
def test_only_the_first_choice_is_read(events: list[bytes]) -> None:
    sample = answered(*events, DONE)
    assert (sample.odd.get("choices"), len(sample.arrivals_ns), sample.text_chars) == (2, 3, 3)
    assert "after_finish" not in sample.odd


def test_one_choice_under_another_index_is_the_answer() -> None:
    assert answered(said(choice(3, content="a")), said(choice(3, content="b", finish="stop")), DONE).odd == {}


def test_two_finish_reasons() -> None:
    assert answered(token(), END, END, DONE).odd == {}
    sample = answered(token(), END, said(choice(finish="length")), DONE)
    assert (sample.odd, sample.finish) == ({"finish_changed": 1}, "length")


@pytest.mark.parametrize(
    ("events", "odd", "tokens"),
    [
        ([token(**usage(1)), token(**usage(2)), said(**usage(2))], {}, 2),  # a running one
        ([token(**usage(1)), token("", **usage(2)), token(**usage(3))], {}, 3),  # a token without text
        ([said(**usage(0)), token(), token(), said(**usage(2))], {}, 2),
        ([token(), token(), said(**usage(2)), said(**usage(1))], {"usage_changed": 1}, 1),
        ([token(), token(), said(**usage(2)), said(**usage(7))], {}, 7),
        ([token(), said(**usage(0))], {"usage_no_count": 1}, None),
        ([token(), said(**usage(-1))], {"usage_no_count": 1}, None),
        ([token(), said(usage={"completion_tokens": -1})], {"usage_no_count": 1}, None),
        ([token(), said(**usage("3"))], {"usage_no_count": 1}, None),
        ([token(), said(**usage(None)), said(usage=None), said(usage={})], {}, None),
    ],
)
def test_usages_that_change_or_hold_no_count(events: list[bytes], odd: dict[str, int], tokens: int | None) -> None:
    sample = answered(*events, END, DONE)
    assert (sample.error, sample.odd, sample.output_tokens) == (None, odd, tokens)


@pytest.mark.parametrize(
    ("delta", "chars"),
    [
        ({"content": [{"type": "text", "text": "ab"}, {"type": "text", "text": "c"}]}, 3),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, 2),
        ({"content": None, "refusal": "no"}, 2),
        ({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a'}}]}, 4),
        ({"function_call": {"name": "f", "arguments": ""}}, 1),
        ({"reasoning": "hm", "content": None}, 2),
        ({"reasoning_content": "hm", "reasoning": "hm", "content": "a"}, 3),
    ],
)
def test_all_that_a_model_writes_is_output(delta: dict[str, Any], chars: int) -> None:
    sample = answered(said(choice(role="assistant", content="")), said(choice(**delta)), END, DONE)
    assert (sample.error, sample.odd, len(sample.arrivals_ns), sample.text_chars) == (None, {}, 1, chars)


@pytest.mark.parametrize(
    "nothing",
    [
        b": keep-alive\n\n",
        b":\n\n",
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b"retry: 3000\n\n",
        event({"choices": []}),
        event({"choices": None, "usage": None}),
        event({"choices": [{"index": 0, "delta": None}]}),
        said(choice(tool_calls=[], content=None)),
        said(choice(content=[])),
    ],
)
def test_what_carries_no_token_is_neither_a_token_nor_odd(nothing: bytes) -> None:
    sample = answered(nothing, token(), nothing, END, DONE)
    assert (sample.error, sample.odd, len(sample.arrivals_ns)) == (None, {}, 1)


@pytest.mark.parametrize("data", [b"data: ping\n\n", b"data:\n\n", b'data: "text"\n\n'])
def test_data_that_is_no_object_is_an_error(data: bytes) -> None:
    sample = answered(token(), data, END, DONE)
    assert (sample.error, len(sample.arrivals_ns)) == ("bad_response", 1)
    assert sample.error_detail


GOOD = (token(), token("b"), END, DONE)


@pytest.mark.parametrize(
    "answer",
    [
        sized(*GOOD),
        chunked(*GOOD, trailers=b"X-Time: 1\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(*GOOD),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Type: text/html\r\nContent-Encoding: br\r\n\r\n"
        + sized(*GOOD),
        chunked(*GOOD, head=OK + b"Content-Encoding: identity\r\n"),
        chunked(b"".join(GOOD), head=OK.replace(b"text/event-stream", b"Text/Event-Stream;charset=UTF-8")),
    ],
)
def test_framings_and_interim_answers(answer: bytes) -> None:
    traffic, samples = exchanged(answer)
    assert traffic.connections == 1
    assert [(one.error, one.odd, len(one.arrivals_ns), one.status) for one in samples] == [(None, {}, 2, 200)] * 2


PACKED = gzip.compress(b"".join(GOOD))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        sized(PACKED, head=OK + b"Content-Encoding: gzip\r\n"),
        chunked(PACKED, head=OK + b"Content-Encoding: GZIP\r\n"),
        chunked(PACKED, head=OK + b"Transfer-Encoding: gzip\r\n"),
    ],
)
def test_a_compressed_answer_is_refused_and_says_so(answer: bytes, streaming: bool) -> None:
    _, samples = exchanged(answer, streaming=streaming)
    assert [(one.error, one.error_detail) for one in samples] == [
        ("bad_response", "the answer is compressed with gzip, and we accept only plain ones")
    ] * 2


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.parametrize("answer", [SWITCH, SWITCH + sized(*GOOD)])
def test_an_answer_that_switches_protocols_is_an_error(answer: bytes) -> None:
    traffic, samples = exchanged(answer)
    assert [one.end for one in traffic.exchanges] == ["malformed"] * 2
    assert [(one.error, one.error_detail) for one in samples] == [
        ("bad_response", "not HTTP: 101, it goes on in another protocol")
    ] * 2


def test_a_switch_of_protocols_behind_a_whole_answer_is_of_no_use_and_no_harm() -> None:
    traffic, samples = exchanged(sized(*GOOD) + SWITCH)
    assert [(one.error, one.odd) for one in samples] == [(None, {})] * 2
    assert traffic.connections == 2


def test_we_ask_for_plain_answers() -> None:
    asked: list[bytes] = []

    def behave(connection: socket.socket, _number: int) -> None:
        while request := read_request(connection):
            asked.append(request)
            connection.sendall(chunked(*GOOD))

    with server(behave) as endpoint:
        send(endpoint)
    assert b"\r\nAccept-Encoding: identity\r\n" in asked[0]
    assert b"Expect:" not in asked[0]


def test_a_document_may_be_odd_too() -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": "BROKEN"}]}
    value = {"choices": [{"index": 0, "message": message}, {"index": 1, "message": message}], **usage(0)}
    body = json.dumps(value).encode().replace(b"BROKEN", b"\xff", 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    _, (sample, _) = exchanged(sized(body, head=head), streaming=False)
    assert (sample.error, sample.text_chars, sample.output_tokens) == (None, 1, None)
    assert sample.odd == {"not_utf8": 1, "choices": 1, "usage_no_count": 1}
