"""Prompts: seeded, of the asked length, unique where caches look, distinct across cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise, repeat
from statistics import fmean, pstdev
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dynamometer.domain.experiment import Lengths
from dynamometer.domain.wire import Message, Prompt
from dynamometer.errors import CampaignError
from dynamometer.load.builtin import PASSAGES, QUESTIONS
from dynamometer.load.prompts import (
    OwnPrompt,
    Phase,
    Sizes,
    builtin,
    own,
    parse_jsonl,
    prompts_hash,
    sizes,
    synthetic,
    tokens,
)
from dynamometer.load.words import WORDS

Maker: TypeAlias = Callable[[int, int, Phase, Sizes, Sizes], Iterator[Prompt]]
PHASES: tuple[Phase, ...] = ("cold", "warmup", "window")
MAKERS = [synthetic, builtin]


def texts(
    maker: Maker, seed: int = 42, cycle: int = 1, phase: Phase = "window", tokens: int = 64, n: int = 50
) -> list[str]:
    return [prompt.text for prompt in islice(maker(seed, cycle, phase, tokens, 16), n)]


def test_material_is_varied_and_distinct() -> None:
    assert len(QUESTIONS) >= 60
    assert len(set(QUESTIONS)) == len(QUESTIONS)
    assert len(set(PASSAGES)) == len(PASSAGES) >= 10
    assert len(set(WORDS)) == len(WORDS) >= 512


@pytest.mark.parametrize("maker", MAKERS)
def test_same_seed_same_prompts_and_other_cycle_seed_or_phase_others(maker: Maker) -> None:
    assert texts(maker) == texts(maker)
    for other in (
        texts(maker, cycle=2),
        texts(maker, seed=0),
        texts(maker, phase="warmup"),
        texts(maker, phase="cold"),
    ):
        assert not set(texts(maker)) & set(other)


@pytest.mark.parametrize("maker", MAKERS)
def test_prefixes_are_unique_over_phases_and_cycles_and_neighbours_differ_in_the_first_word(maker: Maker) -> None:
    prefixes = []
    for cycle in (1, 2, 3):
        for phase in PHASES:
            words = [
                text.split() for text in texts(maker, cycle=cycle, phase=phase, n=1000 if maker is synthetic else 100)
            ]
            assert all(one[0] != two[0] for one, two in pairwise(words))
            prefixes += [tuple(word[:4]) for word in words]
    assert len(set(prefixes)) == len(prefixes)


def length(text: str) -> int:
    return sum(map(tokens, text.split()))


@given(asked=st.integers(1, 600))
@settings(max_examples=30, deadline=None)
def test_length_follows_the_asked_tokens(asked: int) -> None:
    assert {len(text.split()) for text in texts(synthetic, tokens=asked, n=3)} == {asked}
    for text in texts(builtin, tokens=asked, n=3):
        *before, last = text.split()
        assert length(" ".join(before)) < asked <= length(text)
        assert tokens(last) <= 11, "a word is no sentence"


@pytest.mark.parametrize(
    ("word", "count"),
    [("kettle", 1), ("boils?", 2), ("[able", 2), ("engineer's", 3), ("240", 3), ("2024-05-17,", 11), ("fünf", 1)],
)
def test_letters_digits_and_marks_make_tokens(word: str, count: int) -> None:
    assert tokens(word) == count


SMOLLM2 = {
    "Explain in simple words why the sky is blue at noon and red at sunset.": 16,
    "Why do batteries grow weak with age? Describe it without formulas.": 13,
    "The museum keeps its clocks in a room without windows.": 11,
    "On a bridge every lorry trembles.": 10,
}


def test_the_estimate_is_near_what_a_real_vocabulary_makes() -> None:
    real = sum(SMOLLM2.values())
    assert sum(map(length, SMOLLM2)) == pytest.approx(real, rel=0.1)


def test_builtin_uses_every_question_before_it_repeats_one() -> None:
    many = texts(builtin, tokens=2000, n=len(QUESTIONS))
    assert all(sum(question in text for text in many) == 1 for question in QUESTIONS)


def test_output_tokens_are_handed_on() -> None:
    assert {prompt.max_tokens for prompt in islice(synthetic(1, 1, "window", 8, 33), 5)} == {33}


ABC = tuple(OwnPrompt(text) for text in "abc")


def test_own_prompts_unchanged_in_order_and_round() -> None:
    assert [prompt.text for prompt in islice(own(ABC, 2, repeat(4)), 4)] == ["c", "a", "b", "c"]
    assert next(own(ABC, -1, repeat(4))).text == "c"


def test_jsonl_reads_prompts_and_leaves_other_keys_alone() -> None:
    found = parse_jsonl('\ufeff{"prompt": "one", "id": 3}\r\n\n{"prompt": "two\\u2028three"}\n')
    assert found == (OwnPrompt("one"), OwnPrompt("two\u2028three"))


def test_jsonl_with_lengths_and_conversations() -> None:
    said = '[{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}]'
    found = parse_jsonl(f'{{"prompt": "one", "max_tokens": 3}}\n{{"messages": {said}}}\n')
    one, two = islice(own(found, 0, repeat(9)), 2)
    assert (one.max_tokens, two.max_tokens) == (3, 9)
    assert one.messages is None
    assert two.text == "Be short.\nHi"
    assert two.messages == (Message(role="system", content="Be short."), Message(role="user", content="Hi"))


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "a", "max_tokens": 0}',
        '{"prompt": "a", "max_tokens": "5"}',
        '{"prompt": "a", "max_tokens": true}',
        '{"prompt": "a", "messages": []}',
        '{"messages": []}',
        '{"messages": {}}',
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
        '{"messages": ["hi"]}',
        "[" * 100_000,
    ],
)
def test_jsonl_refuses_lengths_and_conversations_that_are_none(line: str) -> None:
    with pytest.raises(CampaignError) as caught:
        parse_jsonl(f'{{"prompt": "ok"}}\n{line}\n')
    assert [problem.line for problem in caught.value.problems] == [2]


def test_jsonl_reports_every_wrong_line() -> None:
    with pytest.raises(CampaignError) as caught:
        parse_jsonl('{"prompt": "ok"}\n{"prompt"\n[]\n{"prompt": " "}\n{"text": "x"}\n', "mine.jsonl")
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("mine.jsonl", n) for n in (2, 3, 4, 5)
    ]
    with pytest.raises(CampaignError, match="no prompts"):
        parse_jsonl("\n\n")


def hash_of(*texts: str, messages: tuple[Message, ...] | None = None) -> str:
    return prompts_hash(Prompt(text=text, messages=messages, max_tokens=1) for text in texts)


def test_hash_depends_on_order_and_borders_and_roles() -> None:
    assert hash_of("a", "b") != hash_of("b", "a") != hash_of("ba")
    user, system = ((Message(role=role, content="a"),) for role in ("user", "system"))
    assert len({hash_of("a"), hash_of("a", messages=user), hash_of("a", messages=system)}) == 3


@given(st.integers(1, 900), st.integers(0, 300), st.integers(0, 60), st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_drawn_lengths_stay_within_their_bounds_and_repeat(mean: int, stdev: int, below: int, above: int) -> None:
    asked = Lengths(mean=mean, stdev=stdev, min=max(1, mean - below), max=mean + above)
    drawn = list(islice(sizes(asked, 1, 2, "window", "output"), 60))
    assert drawn == list(islice(sizes(asked, 1, 2, "window", "output"), 60))
    assert all(max(1, mean - below) <= length <= mean + above for length in drawn)


def test_drawn_lengths_have_their_mean_and_spread() -> None:
    normal = list(islice(sizes(Lengths(mean=200, stdev=20), 1, 1, "window", "input"), 3000))
    assert fmean(normal) == pytest.approx(200, abs=2)
    assert pstdev(normal) == pytest.approx(20, abs=1.5)
    uniform = list(islice(sizes(Lengths(min=10, max=20), 1, 1, "window", "input"), 3000))
    assert {*uniform} == set(range(10, 21))
    assert fmean(uniform) == pytest.approx(15, abs=0.3)
    other = list(islice(sizes(Lengths(min=10, max=20), 1, 1, "window", "output"), 3000))
    assert uniform != other


@pytest.mark.parametrize("maker", MAKERS)
def test_prompts_take_drawn_and_traced_lengths(maker: Maker) -> None:
    drawn = list(islice(maker(1, 1, "window", Lengths(min=20, max=90), Lengths(min=2, max=9)), 50))
    assert len({len(prompt.text.split()) for prompt in drawn}) > 10
    assert {prompt.max_tokens for prompt in drawn} == set(range(2, 10))
    traced = list(islice(maker(1, 1, "window", (13, 26), (5, 6, 7)), 4))
    assert [prompt.max_tokens for prompt in traced] == [5, 6, 7, 5]
    assert [length(prompt.text) for prompt in traced[:2]] == [pytest.approx(13, abs=3), pytest.approx(26, abs=3)]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mean": 5}, "belong together"),
        ({"min": 5}, "needs mean and stdev, or min and max"),
        ({"min": 5, "max": 4}, "more than max"),
        ({"mean": 50, "stdev": 1, "max": 40}, "within min and max"),
    ],
)
def test_lengths_that_are_no_distribution(keys: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Lengths.model_validate(keys)
