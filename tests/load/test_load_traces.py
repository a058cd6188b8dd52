"""Traces: read whole or refused with every wrong line."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.errors import CampaignError
from dynamometer.load.traces import Trace, parse_trace

S = 1_000_000_000


def mistakes(text: str, file: str = "t.jsonl") -> list[tuple[int | None, str]]:
    with pytest.raises(CampaignError) as caught:
        parse_trace(text, file)
    assert caught.value.exit_code == 2
    return [(problem.line, problem.message) for problem in caught.value.problems]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_times_in_order_are_read_from_the_first_on(times: list[float]) -> None:
    ordered = sorted(times)
    text = "\n".join(json.dumps({"at_s": time}) for time in ordered)
    trace = parse_trace(text)
    assert trace.times_ns[0] == 0
    assert len(trace.times_ns) == len(times)
    assert all(earlier <= later for earlier, later in pairwise(trace.times_ns))
    assert trace.times_ns[-1] == pytest.approx((ordered[-1] - ordered[0]) * S, abs=S * 1e-6)
    assert parse_trace("at_s\n" + "\n".join(map(repr, ordered)), "t.CSV") == trace


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20, unique=True))
def test_times_out_of_order_are_told_with_their_line(times: list[float]) -> None:
    ordered = sorted(times)
    swapped = [ordered[-1], *ordered[:-1]]
    found = mistakes("\n".join(json.dumps({"at_s": time}) for time in swapped))
    assert [line for line, _ in found] == list(range(2, len(times) + 1))
    assert all("out of order" in message for _, message in found)


def test_lengths_stand_beside_times_in_both_formats() -> None:
    wanted = Trace((0, S // 2), (10, 20), (3, 4))
    lines = ['{"at_s": 1, "input_tokens": 10, "output_tokens": 3, "user": "x"}', ""]
    lines += ['{"at_s": 1.5, "input_tokens": 20, "output_tokens": 4}', ""]
    assert parse_trace("\ufeff" + "\r\n".join(lines)) == wanted
    assert parse_trace("output_tokens, at_s,input_tokens\r\n3, 1 ,10\r\n4,1.5,20\r\n", "t.csv") == wanted
    assert parse_trace("at_s,output_tokens\n1,3\n1,4\n", "t.csv") == Trace((0, 0), None, (3, 4))


def test_every_wrong_line_is_told() -> None:
    text = """{"at_s": 1}
{"at_s": -1}
{"at_s": "1.5"}
{"at_s": true}
{"at_s": NaN}
{"at_s": [1]}
{"timestamp": 5}
7
nonsense
{"at_s": 0.5}
{"at_s": 2, "input_tokens": 5}
{"at_s": 3, "output_tokens": [5]}
{"at_s": 1e12}
"""
    found = mistakes(text)
    assert [line for line, _ in found] == list(range(2, 14))
    assert "at least 0" in found[0][1]
    assert "needs at_s" in found[5][1]
    assert "out of order: at_s 0.5 comes after 1" in found[8][1]
    assert "on every line or on none" in found[9][1]


@pytest.mark.parametrize(
    ("text", "file", "message"),
    [
        ("", "t.jsonl", "holds no send times"),
        ("at_s\n", "t.csv", "holds no send times"),
        ("time\n1\n", "t.csv", "must name the columns"),
        ("", "t.csv", "must name the columns"),
        ("at_s,input_tokens\n1,2.5\n", "t.csv", "whole number"),
        ("at_s,input_tokens\n1,0\n", "t.csv", "whole number"),
        ('at_s\n"1\n' + "x" * 200_000, "t.csv", "not CSV"),
    ],
)
def test_what_is_no_trace(text: str, file: str, message: str) -> None:
    assert message in mistakes(text, file)[0][1]


@given(st.text(max_size=60), st.sampled_from(["t.csv", "t.jsonl"]))
def test_any_text_is_a_trace_or_a_campaign_error(text: str, file: str) -> None:
    with suppress(CampaignError):
        assert parse_trace(text, file).times_ns
