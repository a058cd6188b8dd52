"""A prompt becomes the JSON body of a request."""

from __future__ import annotations

from typing import Any

from dynamometer.domain.experiment import Decoder, Workload
from dynamometer.domain.wire import Endpoint, Prompt
from dynamometer.errors import CampaignError, Problem

_SEED_LIMIT = 2**31
"""Servers keep seeds in 32 bits, some with a sign."""


def body(prompt: Prompt, endpoint: Endpoint, workload: Workload) -> dict[str, Any]:
    """The body for the endpoint's API, with the workload's streaming, decoder and ``ignore_eos``.

    ``ignore_eos`` goes only to an endpoint that has it; a stream asks for its usage; the endpoint's ``extra`` comes
    last, and its ``renames`` give keys their name there. Raises CampaignError for a conversation that the API does
    not take.
    """
    if endpoint.api == "ollama":
        return _ollama(prompt, endpoint, workload)
    asked: dict[str, Any] = {"model": endpoint.model, **_prompt(prompt, endpoint), "max_tokens": prompt.max_tokens}
    asked["stream"] = workload.streaming
    if workload.streaming:
        asked["stream_options"] = {"include_usage": True}
    if workload.ignore_eos and endpoint.ignore_eos:
        asked["ignore_eos"] = True
    asked |= sampling(workload.decoder, workload.seed)
    return {endpoint.renames.get(key, key): value for key, value in asked.items()} | endpoint.extra


def sampling(decoder: Decoder, seed: int) -> dict[str, Any]:
    """Keys about sampling. ``deterministic`` is temperature 0 and a fixed seed; a value given beside it wins.

    What is not set is left to the engine.
    """
    preset = {"temperature": 0.0, "seed": seed % _SEED_LIMIT} if decoder.preset == "deterministic" else {}
    return preset | decoder.model_dump(exclude={"preset"}, exclude_none=True)


def _prompt(prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.api == "chat":
        return {"messages": _messages(prompt)}
    return {"prompt": _text(prompt, endpoint)}


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    if prompt.messages is None:
        return [{"role": "user", "content": prompt.text}]
    return [message.model_dump() for message in prompt.messages]


def _text(prompt: Prompt, endpoint: Endpoint) -> str:
    if prompt.messages is not None:
        problem = Problem(f"messages need a chat API, and this engine is asked by {endpoint.path}")
        raise CampaignError([problem], hint='give each line a "prompt" instead')
    return prompt.text


def _ollama(prompt: Prompt, endpoint: Endpoint, workload: Workload) -> dict[str, Any]:
    """Ollama's own API keeps everything about sampling under ``options``; it knows no ``ignore_eos``."""
    settings = {"num_predict": prompt.max_tokens, **sampling(workload.decoder, workload.seed)}
    asked = {"model": endpoint.model, "prompt": _text(prompt, endpoint), "stream": workload.streaming}
    options = {_OLLAMA.get(key, key): value for key, value in settings.items()}
    extra = dict(endpoint.extra)
    return {**asked, "options": options | extra.pop("options", {}), **extra}


_OLLAMA = {"repetition_penalty": "repeat_penalty"}
