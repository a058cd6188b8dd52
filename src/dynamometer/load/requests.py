"""A prompt becomes the JSON body of a request."""

from __future__ import annotations

from typing import Any

from dynamometer.domain.experiment import Decoder, Workload
from dynamometer.domain.wire import Endpoint, Prompt

_SEED_LIMIT = 2**31
"""Servers keep seeds in 32 bits, some with a sign."""


def body(prompt: Prompt, endpoint: Endpoint, workload: Workload) -> dict[str, Any]:
    """The body for the endpoint's API, with the workload's streaming, decoder and ``ignore_eos``.

    ``ignore_eos`` goes only to an endpoint that has it; a stream asks for its usage; the endpoint's ``extra`` comes
    last, and its ``renames`` give keys their name there.
    """
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
        return {"messages": [{"role": "user", "content": prompt.text}]}
    return {"prompt": prompt.text}
