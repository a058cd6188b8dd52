"""Prompts: synthetic, built in, or the user's own.

Synthetic and built-in prompts begin with a code of four words that no other request of the campaign's cycles has, so
that no prefix cache answers for the engine (one too short for its code has a part of it). They depend on seed, cycle
and phase alone: every configuration of one cycle gets the same prompts, and cycles differ. The user's own prompts are
sent as they are.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, count, cycle, islice
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from dynamometer.domain.experiment import Lengths
from dynamometer.domain.ident import text_hash
from dynamometer.domain.wire import Message, Prompt
from dynamometer.errors import CampaignError, Problem
from dynamometer.load.builtin import PASSAGES, QUESTIONS
from dynamometer.load.words import WORDS

BUILTIN = "builtin"
SYNTHETIC = "synthetic"

_TOKEN = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")
"""What is a token of plain English, about, in the vocabularies of today's models: a run of letters, a digit, a mark.

It makes 1,758 tokens of our questions and passages; SmolLM2's vocabulary makes 1,799 of them.
"""
_CODE_WORDS = 4
_MOST_TOKENS = 10_000_000
_DRAWS = 1000
"""Tries to draw a length within its bounds, before the mean stands in: bounds that narrow leave little else."""
_INDICES = 2**20
"""Requests of one phase of one cycle with codes of their own: as many as a workload may ask for."""

Phase = Literal["cold", "warmup", "window"]
_PHASES: tuple[Phase, ...] = ("cold", "warmup", "window")

Sizes: TypeAlias = int | Lengths | tuple[int, ...]
"""Lengths of the prompts, or of the answers, of a phase: one for all, drawn for each, or those of a trace, in order."""


@dataclass(frozen=True, slots=True)
class OwnPrompt:
    """One of the user's prompts."""

    text: str
    messages: tuple[Message, ...] | None = None
    """The conversation, where it is one."""
    max_tokens: int | None = None
    """Tokens to generate; None leaves it to the workload."""


def synthetic(
    seed: int, cycle_number: int, phase: Phase, input_tokens: Sizes, output_tokens: Sizes
) -> Iterator[Prompt]:
    """Endless prompts of ``input_tokens`` common words, about as many tokens, without meaning."""
    inputs = sizes(input_tokens, seed, cycle_number, phase, "input")
    outputs = sizes(output_tokens, seed, cycle_number, phase, "output")
    for index in count():
        size = next(inputs)
        chosen = _generator(seed, cycle_number, phase, index)
        words = [*_code(seed, cycle_number, phase, index), *chosen.choices(WORDS, k=max(0, size - _CODE_WORDS))]
        yield Prompt(text=" ".join(words[:size]), max_tokens=next(outputs))


def builtin(seed: int, cycle_number: int, phase: Phase, input_tokens: Sizes, output_tokens: Sizes) -> Iterator[Prompt]:
    """Endless prompts of our own: the questions in a shuffled order, again and again.

    ``input_tokens`` sets their length: a longer one is cut off at that many tokens (see ``tokens``), and a shorter one
    is followed by passages to read along, cut off there too.
    """
    inputs = sizes(input_tokens, seed, cycle_number, phase, "input")
    outputs = sizes(output_tokens, seed, cycle_number, phase, "output")
    for index in count():
        chosen = _generator(seed, cycle_number, phase, index // len(QUESTIONS), "order")
        question = chosen.sample(QUESTIONS, len(QUESTIONS))[index % len(QUESTIONS)]
        filler = _generator(seed, cycle_number, phase, index)
        code = " ".join(_code(seed, cycle_number, phase, index))
        words = _lengthened(f"[{code}] {question}", filler.sample(PASSAGES, len(PASSAGES)), next(inputs))
        yield Prompt(text=" ".join(words), max_tokens=next(outputs))


@cache
def tokens(word: str) -> int:
    """About how many tokens an English word has, with the marks at its ends.

    The same for every model on purpose: the prompts of a cycle are the same for all of them. How many tokens a prompt
    has to the model that answers, its server says.
    """
    return len(_TOKEN.findall(word))


def own(prompts: tuple[OwnPrompt, ...], first: int, output_tokens: Iterator[int]) -> Iterator[Prompt]:
    """The user's prompts in their order from ``first`` on (counted round), again and again. Nothing is changed.

    One without ``max_tokens`` of its own takes the next of ``output_tokens``.
    """
    for prompt, most in zip(islice(cycle(prompts), first % len(prompts), None), output_tokens, strict=False):
        yield Prompt(text=prompt.text, messages=prompt.messages, max_tokens=prompt.max_tokens or most)


def sizes(asked: Sizes, seed: int, cycle_number: int, phase: Phase, what: Literal["input", "output"]) -> Iterator[int]:
    """Endless lengths: the same one, those of a trace again and again, or drawn by seed, cycle, phase and place.

    A normal distribution is cut at its bounds: what falls outside is drawn again.
    """
    if isinstance(asked, Lengths):
        for index in count():
            yield _drawn(asked, _generator(seed, cycle_number, phase, index, what))
    else:
        yield from cycle((asked,) if isinstance(asked, int) else asked)


def parse_jsonl(text: str, file: str = "prompts") -> tuple[OwnPrompt, ...]:
    """Prompts of a JSONL file: per line one object with a ``prompt``, or with ``messages`` (each a role and a content).

    ``max_tokens`` beside it says how many tokens to generate; other keys are left alone. Raises CampaignError with
    every wrong line, or when there is no prompt at all.
    """
    prompts: list[OwnPrompt] = []
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


def prompts_hash(prompts: Iterable[Prompt]) -> str:
    """SHA-256 over what all prompts say, in order."""
    return text_hash(json.dumps([_said(prompt) for prompt in prompts], ensure_ascii=True))


def _said(prompt: Prompt) -> str | list[list[str]]:
    if prompt.messages is None:
        return prompt.text
    return [[message.role, message.content] for message in prompt.messages]


def _prompt_of(line: str) -> OwnPrompt:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    most = value.get("max_tokens")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_TOKENS):
        raise ValueError(f"max_tokens must be a whole number from 1 to {_MOST_TOKENS}, not {most!r}")
    if "messages" in value:
        messages = _messages_of(value)
        return OwnPrompt("\n".join(message.content for message in messages), messages, most)
    prompt = value.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError("needs a prompt: a text that is not empty")
    return OwnPrompt(prompt, None, most)


def _messages_of(value: dict[str, Any]) -> tuple[Message, ...]:
    if "prompt" in value:
        raise ValueError("has both prompt and messages; keep one")
    messages = value["messages"]
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list that is not empty")
    try:
        return tuple(
            Message.model_validate({"role": message["role"], "content": message["content"]}, strict=True)
            for message in messages
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise ValueError("each of messages needs a role and a content, both texts") from error


def _drawn(lengths: Lengths, generator: random.Random) -> int:
    low, high = lengths.min or 1, lengths.max or _MOST_TOKENS
    if lengths.mean is None or lengths.stdev is None:
        return generator.randint(low, high)
    for _ in range(_DRAWS):
        drawn = round(generator.gauss(lengths.mean, lengths.stdev))
        if low <= drawn <= high:
            return drawn
    return round(lengths.mean)


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


def _lengthened(text: str, passages: list[str], size: int) -> list[str]:
    """Words of the text, and then of the passages, until they come to so many tokens."""
    words, reached = [], 0
    for word in chain.from_iterable(map(str.split, chain((text, "Passages to read along:"), cycle(passages)))):
        words.append(word)
        reached += tokens(word)
        if reached >= size:
            break
    return words
