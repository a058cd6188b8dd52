"""Energy of unlike origins: never averaged, never compared, and always said."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from tests.analysis.analysis_samples import experiment, record, sample

from dynamometer.analysis.compare import Terms, compare
from dynamometer.analysis.likeness import CAN_ALLOW
from dynamometer.analysis.match import Matched
from dynamometer.analysis.measure import measure
from dynamometer.analysis.summarise import Analysed, analyse
from dynamometer.domain.campaign import Campaign, ExperimentEntry
from dynamometer.domain.comparison import Pair
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.record import Reading, Record
from dynamometer.domain.status import CampaignStatus
from dynamometer.domain.summary import Doubt, Estimate

A, B = experiment(max_output_tokens=2), experiment(max_output_tokens=2, requests=7)
WHOLE, PACKAGE = "package-0 + dram, whole host", "package-0, whole host"


def rapl(joules: float, scope: str = WHOLE) -> Reading:
    return Reading(meter="rapl", quantity="energy", unit="J", value=joules, source="rapl", scope=scope)


def nvml(joules: float) -> Reading:
    return Reading(meter="nvml", quantity="energy", unit="J", value=joules, source="nvml-counter")


def guess(joules: float) -> Reading:
    return Reading(meter="codecarbon", quantity="energy", unit="J", value=joules, kind="estimated")


DEAD = Reading(meter="rapl", quantity="energy", unit="J", value=None, missing="the counters did not move in 1.0 s")


def analysed(a: list[Reading], b: list[Reading] | None = None, unknown: Collection[int] = ()) -> Analysed:
    """One campaign of two rows, with one reading for each cycle; its requests have two tokens each, or unknown ones."""
    sides = [(A, a), (B, b or a)]
    entry = ExperimentEntry(engine="llama_cpp", model="M")
    runs = tuple(RunRef(index, cycle) for index, (_, made) in enumerate(sides) for cycle in range(1, len(made) + 1))
    plan = Plan(campaign=Campaign(name="n", experiments=(entry,), seed=0), experiments=(A, B), runs=runs)
    records: dict[str, Record] = {}
    for one, readings in sides:
        for cycle, reading in enumerate(readings, start=1):
            made = record(cycle, of=one, readings=(reading,))
            records[made.run_id] = made
    whole, odd = sample(5, 10), sample(5, 10).model_copy(update={"event_tokens": None})
    metrics = {key: measure(one, [odd if one.cycle in unknown else whole]) for key, one in records.items()}
    return analyse(plan, CampaignStatus(), records, metrics, version="1")


def energy(of: Analysed, key: str = "energy_j") -> Estimate:
    found = of.summary.experiments[0].estimate(key)
    assert found is not None
    return found


def doubt(of: Analysed) -> Doubt | None:
    return next((one for one in of.summary.experiments[0].doubts if one.code == "energy_source"), None)


def test_one_sensor_over_one_scope_is_averaged_without_a_word() -> None:
    alike = analysed([rapl(10), rapl(10), DEAD])
    assert (energy(alike).value, energy(alike).n, doubt(alike)) == (10, 2, None)


def test_only_the_measured_cycles_count_and_the_others_are_told() -> None:
    mixed = analysed([guess(90), rapl(10), rapl(10)])
    assert (energy(mixed).value, energy(mixed).n, energy(mixed).per_cycle) == (10, 2, (None, 10, 10))
    per_token = energy(mixed, "energy_j_per_token")
    assert (per_token.value, per_token.n) == (5, 2)
    assert (told := doubt(mixed)) is not None
    assert told.message == (
        "energy of the cycles does not average: it is estimated by codecarbon; in 2 of 3 cycles, which alone count, "
        f"it is measured by rapl ({WHOLE})"
    )


def test_per_token_counts_no_cycle_that_energy_does_not() -> None:
    """Tokens of the measured cycles are unknown: what is left would be the estimate alone."""
    mixed = analysed([guess(90), rapl(10)], unknown={2})
    assert (energy(mixed).value, energy(mixed).n) == (10, 1)
    per_token = energy(mixed, "energy_j_per_token")
    assert (per_token.value, per_token.n) == (None, 0)


@pytest.mark.parametrize("other", [nvml(10), rapl(10, PACKAGE)])
def test_two_sensors_or_scopes_give_no_energy(other: Reading) -> None:
    mixed = analysed([rapl(10), other, DEAD])
    assert (energy(mixed).value, energy(mixed).n) == (None, 0)
    assert (energy(mixed).missing or "").endswith("do not average")
    assert energy(mixed, "energy_j_per_token").value is None
    assert (told := doubt(mixed)) is not None
    assert told.message.endswith("; none counts")
    assert WHOLE in told.message


def test_estimates_alone_are_averaged_and_named_so() -> None:
    guessed = analysed([guess(10)] * 3)
    assert energy(guessed).value == 10
    assert (told := doubt(guessed)) is not None
    assert told.message == "energy is estimated by codecarbon"


def pair(a: list[Reading], b: list[Reading], **terms: Any) -> Pair:
    one = analysed(a, b)
    allow = frozenset(CAN_ALLOW)
    return compare(one, one, Matched(((0, 1),)), Terms(**{"allow": allow - {"energy"}, **terms}), version="1").pairs[0]


def test_a_row_is_compared_by_the_cycles_that_count() -> None:
    found = pair([guess(90), rapl(10), rapl(10), rapl(10)], [rapl(20)] * 4).effect("energy_j")
    assert found is not None
    assert found.value == pytest.approx(2)
    assert (found.n, found.missing) == (3, None)


def test_unlike_scopes_are_compared_only_when_that_is_allowed() -> None:
    sides = ([rapl(10)] * 3, [rapl(10, PACKAGE)] * 3)
    for key in ("energy_j", "energy_j_per_token"):
        assert (refused := pair(*sides).effect(key)) is not None
        assert refused.missing == f"energy is measured by rapl ({WHOLE}) in A and measured by rapl ({PACKAGE}) in B"
        assert (allowed := pair(*sides, allow=frozenset(CAN_ALLOW)).effect(key)) is not None
        assert allowed.value == 1


def test_estimates_never_stand_against_measurements() -> None:
    found = pair([guess(10)] * 3, [rapl(10)] * 3, allow=frozenset(CAN_ALLOW)).effect("energy_j")
    assert found is not None
    assert (found.value, found.verdict) == (None, "cannot_tell")
    assert found.missing == f"energy is estimated by codecarbon in A and measured by rapl ({WHOLE}) in B"
