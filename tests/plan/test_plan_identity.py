"""Names and ids of experiments: the same for the same thing, different for different ones."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dynamometer.domain.experiment import Experiment, Load, Slo, Weights, Workload
from dynamometer.domain.ident import slug

WEIGHTS = Weights(format="gguf", source="path", ref="models/m.gguf", quant="Q4_0", size_bytes=5)
BASE = Experiment(engine="alpha", model="m", weights=WEIGHTS)


def test_the_id_survives_a_round_trip_through_json() -> None:
    assert Experiment.model_validate_json(BASE.model_dump_json()).id == BASE.id
    assert re.fullmatch("[0-9a-f]{12}", BASE.id)


def test_what_cannot_change_the_answer_does_not_change_the_id() -> None:
    moved = WEIGHTS.model_copy(update={"ref": "elsewhere/m.gguf", "size_bytes": None})
    read_differently = Workload(benchmark="other", slo=Slo(ttft_ms=5))
    assert BASE.model_copy(update={"weights": moved, "workload": read_differently}).id == BASE.id


def test_what_can_change_the_answer_changes_the_id() -> None:
    others = [
        Experiment(engine="beta", model="m", weights=WEIGHTS),
        Experiment(engine="alpha", model="n", weights=WEIGHTS),
        Experiment(engine="alpha", model="m", weights=Weights(format="gguf", source="path", ref="models/o.gguf")),
        Experiment(engine="alpha", model="m", weights=WEIGHTS, precision="float16"),
        Experiment(engine="alpha", model="m", weights=WEIGHTS, options={"slots": 2}),
        Experiment(engine="alpha", model="m", weights=WEIGHTS, workload=Workload(load=Load(concurrency=2))),
        Experiment(engine="alpha", model="m", weights=WEIGHTS, workload=Workload(seed=0)),
    ]
    assert len({BASE.id, *(other.id for other in others)}) == 8


def test_the_id_is_the_one_released() -> None:
    assert BASE.id == "1ffc7d395915"


def test_the_name_reads() -> None:
    experiment = Experiment(
        engine="llama_cpp",
        model="SmolLM2",
        weights=WEIGHTS,
        options={"n_parallel": 4},
        workload=Workload(load=Load(concurrency=8)),
    )
    assert experiment.name == "llama_cpp/SmolLM2/Q4_0/n_parallel=4/c8"


@given(st.text(max_size=80))
def test_a_slug_is_one_safe_path_part(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", slug(text)) or slug(text)[0] not in "./-"
    assert "/" not in slug(text)
    assert slug(text) != ".."


def test_slugs_of_bad_names() -> None:
    assert [slug("../../etc/passwd"), slug("a b/c"), slug("..."), slug("x" * 99)] == [
        "etc-passwd",
        "a-b-c",
        "campaign",
        "x" * 48,
    ]
