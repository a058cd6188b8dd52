"""Prompts: seeded, of the asked length, unique where caches look, distinct across cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamometer.domain.wire import Prompt
from dynamometer.errors import CampaignError
from dynamometer.load.builtin import PASSAGES, QUESTIONS
from dynamometer.load.prompts import TOKENS_PER_WORD, Phase, builtin, own, parse_jsonl, prompts_hash, synthetic
from dynamometer.load.words import WORDS

Maker: TypeAlias = Callable[[int, int, Phase, int, int], Iterator[Prompt]]
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


@given(tokens=st.integers(1, 600))
@settings(max_examples=30, deadline=None)
def test_length_follows_the_asked_tokens(tokens: int) -> None:
    assert {len(text.split()) for text in texts(synthetic, tokens=tokens, n=3)} == {tokens}
    words = max(1, round(tokens / TOKENS_PER_WORD))
    assert {len(text.split()) for text in texts(builtin, tokens=tokens, n=3)} == {words}


def test_builtin_uses_every_question_before_it_repeats_one() -> None:
    many = texts(builtin, tokens=2000, n=len(QUESTIONS))
    assert all(sum(question in text for text in many) == 1 for question in QUESTIONS)


def test_output_tokens_are_handed_on() -> None:
    assert {prompt.max_tokens for prompt in islice(synthetic(1, 1, "window", 8, 33), 5)} == {33}


def test_own_prompts_unchanged_in_order_and_round() -> None:
    assert [prompt.text for prompt in islice(own(("a", "b", "c"), 2, 4), 4)] == ["c", "a", "b", "c"]
    assert next(own(("a", "b", "c"), -1, 4)).text == "c"


def test_jsonl_reads_prompts_and_leaves_other_keys_alone() -> None:
    assert parse_jsonl('\ufeff{"prompt": "one", "id": 3}\r\n\n{"prompt": "two\\u2028three"}\n') == (
        "one",
        "two\u2028three",
    )


def test_jsonl_reports_every_wrong_line() -> None:
    with pytest.raises(CampaignError) as caught:
        parse_jsonl('{"prompt": "ok"}\n{"prompt"\n[]\n{"prompt": " "}\n{"text": "x"}\n', "mine.jsonl")
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("mine.jsonl", n) for n in (2, 3, 4, 5)
    ]
    with pytest.raises(CampaignError, match="no prompts"):
        parse_jsonl("\n\n")


def test_hash_depends_on_order_and_borders() -> None:
    assert prompts_hash(["a", "b"]) != prompts_hash(["b", "a"]) != prompts_hash(["ba"])
