"""Stops, warm-up and request bodies."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.domain.experiment import Decoder, Warmup, Workload
from dynamometer.domain.wire import Endpoint, Message, Prompt
from dynamometer.errors import CampaignError
from dynamometer.load.requests import body, sampling
from dynamometer.load.stops import AfterDuration, AfterRequests, Progress
from dynamometer.load.warmup import SPAN, UntilSteady, is_steady, variation, warmup_stop

PROMPT = Prompt(text="Hi", max_tokens=7)


def progress(sent: int = 0, elapsed_ns: int = 0, latencies: Sequence[int] = ()) -> Progress:
    return Progress(sent, elapsed_ns, latencies)


def test_after_requests_and_after_duration() -> None:
    assert AfterRequests(2).more(progress(sent=1))
    assert not AfterRequests(2).more(progress(sent=2))
    assert AfterDuration(10).more(progress(sent=10**6, elapsed_ns=9))
    assert not AfterDuration(10).more(progress(elapsed_ns=10))


def test_warmup_stops_when_steady_or_at_its_cap() -> None:
    stop = UntilSteady(8)
    assert stop.more(progress(sent=4, latencies=[900, 500, 300, 200]))
    assert not stop.more(progress(sent=6, latencies=[900, 500, 101, 100, 102, 99]))
    assert not stop.more(progress(sent=8, latencies=[900, 1]))


def test_warmup_settings() -> None:
    assert warmup_stop(Warmup(max_requests=0)) is None
    assert warmup_stop(Warmup(until="fixed", max_requests=3)) == AfterRequests(3)
    assert warmup_stop(Warmup(until="steady", max_requests=5)) == UntilSteady(5)


@given(st.lists(st.integers(1, 10**12), max_size=SPAN - 1))
def test_few_latencies_are_never_steady(latencies: list[int]) -> None:
    assert not is_steady(latencies)


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=20), st.integers(2, 1000))
def test_variation_has_no_unit(latencies: list[int], factor: int) -> None:
    assert variation([latency * factor for latency in latencies]) == pytest.approx(variation(latencies), abs=1e-9)


def test_chat_body() -> None:
    endpoint = Endpoint(host="h", port=1, model="m", ignore_eos=True, extra={"cache_prompt": False})
    assert body(PROMPT, endpoint, Workload(seed=2**40 + 5)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
        "temperature": 0.0,
        "seed": 5,
        "cache_prompt": False,
    }


def test_completions_body_without_streaming_for_a_server_without_ignore_eos() -> None:
    endpoint = Endpoint(host="h", port=1, model="m", api="completions", path="/v1/completions")
    workload = Workload(streaming=False, decoder=Decoder(preset="default"))
    assert body(PROMPT, endpoint, workload) == {"model": "m", "prompt": "Hi", "max_tokens": 7, "stream": False}


def test_decoder_values_win_over_the_preset_and_take_the_servers_names() -> None:
    decoder = Decoder(preset="deterministic", temperature=0.7, top_p=0.9, top_k=0, repetition_penalty=1.1)
    wanted = {"temperature": 0.7, "seed": 3, "top_p": 0.9, "top_k": 0, "repetition_penalty": 1.1}
    assert sampling(decoder, 3) == wanted
    endpoint = Endpoint(host="h", port=1, model="m", renames={"repetition_penalty": "repeat_penalty"})
    renamed = body(PROMPT, endpoint, Workload(decoder=decoder))
    assert renamed["repeat_penalty"] == 1.1
    assert "repetition_penalty" not in renamed


OLLAMA = Endpoint(host="h", port=1, api="ollama", path="/api/generate", model="m")
TALK = Prompt(text="Hi", messages=(Message(role="user", content="Hi"),), max_tokens=7)


def test_a_body_for_ollama_keeps_sampling_under_options() -> None:
    decoder = Decoder(preset="deterministic", repetition_penalty=1.1, top_k=3)
    extra = {"options": {"num_ctx": 512}, "keep_alive": "5m"}
    asked = body(PROMPT, OLLAMA.model_copy(update={"extra": extra}), Workload(decoder=decoder, seed=5))
    assert asked == {
        "model": "m",
        "prompt": "Hi",
        "stream": True,
        "keep_alive": "5m",
        "options": {
            "num_predict": 7, "temperature": 0.0, "seed": 5, "repeat_penalty": 1.1, "top_k": 3, "num_ctx": 512
        },
    }  # fmt: skip


def test_a_conversation_goes_to_a_chat_api_only() -> None:
    assert body(TALK, Endpoint(host="h", port=1, model="m"), Workload())["messages"] == [
        {"role": "user", "content": "Hi"}
    ]
    for endpoint in (OLLAMA, Endpoint(host="h", port=1, model="m", api="completions", path="/v1/completions")):
        with pytest.raises(CampaignError, match="chat API"):
            body(TALK, endpoint, Workload())
