"""Small catalogues, suites and campaigns for tests of planning."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from dynamometer.domain.campaign import Campaign
from dynamometer.domain.engine import Catalogue, EngineOptions, EngineTraits
from dynamometer.domain.experiment import Load, Workload
from dynamometer.domain.plan import Benchmark, Facts, Plan, Suite
from dynamometer.domain.variant import Offer, Variant
from dynamometer.plan.make import make_plan


class Options(EngineOptions):
    slots: int = Field(1, ge=1)
    threads: int = Field(1, ge=1)
    four_bit: bool = False
    eight_bit: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> Options:
        if self.four_bit and self.eight_bit:
            raise ValueError("four_bit and eight_bit exclude each other")
        return self


CATALOGUE = Catalogue(
    {
        "alpha": EngineTraits("alpha", "Alpha", ("gguf",), Options, parallel_option="slots"),
        "beta": EngineTraits(
            "beta", "Beta", ("safetensors",), Options, aliases=("b",), precisions=("auto", "float16", "bfloat16")
        ),
        "later": EngineTraits("later", "Later", ("gguf", "safetensors"), Options, unavailable="engine later"),
    }
)
SUITES = {
    "one": Suite(name="one", benchmarks=(Benchmark(name="latency", workload=Workload(requests=4)),)),
    "quick": Suite(
        name="quick",
        benchmarks=(
            Benchmark(name="latency", workload=Workload(load=Load(concurrency=1), requests=4)),
            Benchmark(name="throughput", workload=Workload(load=Load(concurrency=4), requests=8)),
        ),
    ),
    "asks": Suite(name="asks", benchmarks=(Benchmark(name="latency"), Benchmark(name="questions", kind="quality"))),
}


def gguf(*quants: str, size: int | None = None) -> Offer:
    """A model with these GGUF variants."""
    return Offer(
        tuple(
            Variant(format="gguf", source="path", ref="models", file=f"m-{quant}.gguf", quant=quant, size_bytes=size)
            for quant in quants
        )
    )


FACTS = Facts(
    offers={
        "small": gguf("Q4_0", "Q8_0", size=10**9),
        "tensors": Offer((Variant(format="safetensors", source="path", ref="tensors"),)),
        "gone": Offer(missing="no such file"),
    },
    cores=2,
    memory_bytes=10**10,
)


def campaign(**keys: Any) -> Campaign:
    """A campaign with these keys over sensible ones."""
    return Campaign.model_validate({"name": "test", "workload": {"suite": "one"}, **keys})


def plan(facts: Facts = FACTS, **keys: Any) -> Plan:
    """The plan of such a campaign."""
    return make_plan(campaign(**keys), CATALOGUE, SUITES, facts)


def model(name: str) -> dict[str, str]:
    return {"name": name, "path": name}
