"""Prompts: synthetic, built in, or the user's own.

Synthetic and built-in prompts begin with a code of four words that no other request of the campaign's cycles has, so
that no prefix cache answers for the engine (one too short for its code has a part of it). They depend on seed, cycle
and phase alone: every configuration of one cycle gets the same prompts, and cycles differ. The user's own prompts are
sent as they are.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from itertools import count, cycle, islice
from typing import Literal

from dynamometer.domain.ident import text_hash
from dynamometer.domain.wire import Prompt
from dynamometer.errors import CampaignError, Problem
from dynamometer.load.builtin import PASSAGES, QUESTIONS
from dynamometer.load.words import WORDS

BUILTIN = "builtin"
SYNTHETIC = "synthetic"

TOKENS_PER_WORD = 1.3
"""Of English prose with punctuation, in the vocabularies of today's models. Synthetic words are one token each."""
_CODE_WORDS = 4
_INDICES = 2**20
"""Requests of one phase of one cycle with codes of their own: as many as a workload may ask for."""

Phase = Literal["cold", "warmup", "window"]
_PHASES: tuple[Phase, ...] = ("cold", "warmup", "window")


def synthetic(seed: int, cycle_number: int, phase: Phase, input_tokens: int, output_tokens: int) -> Iterator[Prompt]:
    """Endless prompts of ``input_tokens`` common words, about as many tokens, without meaning."""
    for index in count():
        chosen = _generator(seed, cycle_number, phase, index)
        words = [*_code(seed, cycle_number, phase, index), *chosen.choices(WORDS, k=max(0, input_tokens - _CODE_WORDS))]
        yield Prompt(text=" ".join(words[:input_tokens]), max_tokens=output_tokens)


def builtin(seed: int, cycle_number: int, phase: Phase, input_tokens: int, output_tokens: int) -> Iterator[Prompt]:
    """Endless prompts of our own: the questions in a shuffled order, again and again.

    ``input_tokens`` sets their length: a longer one is cut off at that many tokens, counted as words × 1.3, and a
    shorter one is followed by passages to read along, cut off there too.
    """
    most_words = max(1, round(input_tokens / TOKENS_PER_WORD))
    for index in count():
        chosen = _generator(seed, cycle_number, phase, index // len(QUESTIONS), "order")
        question = chosen.sample(QUESTIONS, len(QUESTIONS))[index % len(QUESTIONS)]
        filler = _generator(seed, cycle_number, phase, index)
        code = " ".join(_code(seed, cycle_number, phase, index))
        words = _lengthened(f"[{code}] {question}", filler.sample(PASSAGES, len(PASSAGES)), most_words)
        yield Prompt(text=" ".join(words), max_tokens=output_tokens)


def own(texts: tuple[str, ...], first: int, output_tokens: int) -> Iterator[Prompt]:
    """The user's prompts in their order from ``first`` on (counted round), again and again. Nothing is changed."""
    for text in islice(cycle(texts), first % len(texts), None):
        yield Prompt(text=text, max_tokens=output_tokens)


def parse_jsonl(text: str, file: str = "prompts") -> tuple[str, ...]:
    """Prompts of a JSONL file: one object with a ``prompt`` per line; its other keys are left alone.

    Raises CampaignError with every wrong line, or when there is no prompt at all.
    """
    prompts: list[str] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            prompts.append(_prompt_of(line))
        except ValueError as error:
            problems.append(Problem(str(error), file=file, line=number))
    if not prompts and not problems:
        problems.append(Problem("holds no prompts", file=file))
    if problems:
        raise CampaignError(problems, 'each line is one JSON object such as {"prompt": "Why is the sky blue?"}')
    return tuple(prompts)


def prompts_hash(texts: Iterable[str]) -> str:
    """SHA-256 over all prompts, in order."""
    return text_hash(json.dumps(list(texts), ensure_ascii=True))


def _prompt_of(line: str) -> str:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    prompt = value.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError("needs a prompt: a text that is not empty")
    return prompt


def _generator(*parts: object) -> random.Random:
    """Seeded by its parts alone, the same on every machine and Python."""
    return random.Random(text_hash(json.dumps(parts)))


def _code(seed: int, cycle_number: int, phase: Phase, index: int) -> list[str]:
    """Four words for this request alone; neighbours differ in the first, where prefix caches begin to compare."""
    number = (cycle_number * len(_PHASES) + _PHASES.index(phase)) * _INDICES + index + seed % _INDICES
    words = []
    for _ in range(_CODE_WORDS):
        number, digit = divmod(number, len(WORDS))
        words.append(WORDS[digit])
    return words


def _lengthened(text: str, passages: list[str], most_words: int) -> list[str]:
    words = text.split()
    if len(words) < most_words:
        words += ["Passages", "to", "read", "along:"]
    for passage in cycle(passages):
        if len(words) >= most_words:
            return words[:most_words]
        words += passage.split()
    return words
