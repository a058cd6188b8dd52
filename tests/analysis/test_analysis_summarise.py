"""From plan, journal and records to rows; also with half of them, and with none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.analysis.analysis_samples import calibration, experiment, record, sample

from dynamometer.analysis.advice import CAMPAIGN
from dynamometer.analysis.measure import RunMetrics, measure
from dynamometer.analysis.summarise import METHODS, analyse
from dynamometer.domain.campaign import Campaign, ExperimentEntry
from dynamometer.domain.event import Claimed, Closed, Done, Event, Failed, Opened, Replanned, Stamped, Started
from dynamometer.domain.failure import Failure
from dynamometer.domain.plan import Plan, RunRef
from dynamometer.domain.record import Record
from dynamometer.domain.status import CampaignStatus, fold

FAST, SLOW = experiment(max_output_tokens=2), experiment(max_output_tokens=2, requests=7)


def plan(cycles: int = 3) -> Plan:
    entry = ExperimentEntry(engine="llama_cpp", model="M")
    campaign = Campaign(name="demo", cycles=cycles, experiments=(entry,), seed=0)
    runs = tuple(RunRef(index, cycle) for cycle in range(1, cycles + 1) for index in (0, 1))
    return Plan(campaign=campaign, experiments=(FAST, SLOW), runs=runs)


def journal(*events: Event) -> CampaignStatus:
    opened = Opened(campaign_id="demo-1", name="demo", source="f", config_hash="h", runs=6, version="0")
    bodies = (opened, Claimed(pid=1, process_start=0, host="h", remaining=6), *events)
    return fold(Stamped(seq=seq, at="2026-11-22T00:00:00+00:00", body=body) for seq, body in enumerate(bodies))


def done(key: str) -> Done:
    return Done(run=key, attempt=1, record="r", record_sha256="s", duration_s=1)


def results(*ttfts: float) -> tuple[dict[str, Record], dict[str, RunMetrics]]:
    records, metrics = {}, {}
    for cycle, ttft in enumerate(ttfts, start=1):
        one = record(cycle, of=FAST)
        records[one.run_id] = one
        metrics[one.run_id] = measure(one, [sample(ttft, ttft + 10)])
    return records, metrics


def test_rows_follow_the_plan_and_say_what_is_missing() -> None:
    records, metrics = results(10, 11, 12)
    summary = analyse(plan(), journal(*map(done, records)), records, metrics, version="1").summary
    first, second = summary.experiments
    ttft = first.estimate("ttft_ms")
    assert ttft is not None
    assert ttft.value == pytest.approx((10 * 11 * 12) ** (1 / 3))
    assert (ttft.n, ttft.method, ttft.per_cycle) == (3, "student-t-log", (10, 11, 12))
    assert ttft.low is not None
    assert (first.cycles_done, second.cycles_done, second.cycles_planned) == (3, 0, 3)
    assert [e.missing for e in second.estimates] == ["no finished run"] * len(second.estimates)
    assert summary.state == "running"
    assert "partial results: 3 of 6" in summary.doubts[0].message


@pytest.mark.parametrize(("streams", "told"), [(1, "at 1 stream, 50 events/s"), (16, "at 16 streams, 50 events/s")])
def test_provenance_counts_the_streams_of_the_calibration(streams: int, told: str) -> None:
    records, metrics = results(10)
    cited = calibration(streams=streams, events_s=50.0)
    records = {key: one.model_copy(update={"calibration": cited}) for key, one in records.items()}
    (line,) = analyse(
        plan(), journal(*map(done, records)), records, metrics, version="1"
    ).summary.provenance.calibrations
    assert told in line


def test_rows_with_one_name_get_their_ids() -> None:
    names = [row.name for row in analyse(plan(), journal(), {}, {}, version="1").summary.experiments]
    assert FAST.name == SLOW.name
    assert names == [f"{FAST.name}#{FAST.id}", f"{SLOW.name}#{SLOW.id}"]


def test_nothing_at_all_is_a_summary_too() -> None:
    summary = analyse(plan(), CampaignStatus(), {}, {}, version="1").summary
    assert summary.state == "pending"
    assert summary.runs == {"pending": 6}
    assert not any(row.doubts for row in summary.experiments)


def test_failures_come_with_class_and_log_and_never_as_zeros() -> None:
    key = plan().run_ids[1]
    failure = Failure(kind="resource", message="out of memory", hint="use a smaller model", log_tail=("a", "b"))
    events = (Started(run=key, attempt=2), Failed(run=key, attempt=2, failure=failure, duration_s=1))
    summary = analyse(plan(), journal(*events, Closed(state="failed")), {}, {}, version="1").summary
    (failed,) = summary.failures
    assert (failed.cycle, failed.attempts, failed.kind, failed.log_tail) == (1, 2, "resource", ("a", "b"))
    assert failed.message == "out of memory\nuse a smaller model"
    assert summary.experiments[1].failed == 1
    assert all(estimate.value is None for estimate in summary.experiments[1].estimates)


def test_what_is_left_is_finished_and_what_failed_is_tried_again() -> None:
    def hint(failed: Sequence[str]) -> str | None:
        failure = Failure(kind="runtime", message="m")
        events = [Failed(run=key, attempt=1, failure=failure, duration_s=1) for key in failed]
        doubts = analyse(plan(), journal(*events), {}, {}, version="1").summary.doubts
        return next(doubt.hint for doubt in doubts if doubt.code == "partial")

    assert hint(plan().run_ids[:2]) == CAMPAIGN.finish
    assert hint(plan().run_ids) == CAMPAIGN.retry


def test_a_cycle_without_a_value_is_left_out_and_is_not_zero() -> None:
    records, metrics = results(10, 10)
    empty = record(3, of=FAST)
    records[empty.run_id], metrics[empty.run_id] = empty, measure(empty, [sample(error="empty")])
    ttft = analyse(plan(), journal(), records, metrics, version="1").summary.experiments[0].estimate("ttft_ms")
    assert ttft is not None
    assert (ttft.value, ttft.n, ttft.per_cycle) == (10, 2, (10, 10, None))


def test_runs_that_left_the_plan_are_counted_and_not_shown() -> None:
    events = (Started(run="gone-c1", attempt=1), done("gone-c1"))
    replanned = Replanned(config_hash="h", removed=("gone-c1",), runs=6)
    summary = analyse(plan(), journal(*events, replanned), {}, {}, version="1").summary
    assert "removed_runs" in {doubt.code for doubt in summary.doubts}
    assert len(summary.experiments) == 2


def test_completed_runs_without_a_record_are_missed_aloud() -> None:
    summary = analyse(plan(), journal(done(plan().run_ids[0])), {}, {}, version="1").summary
    found = {doubt.code: doubt for doubt in summary.doubts}
    assert found["records_missing"].message.startswith("1 of 6 runs are completed and have no readable record")
    assert found["partial"].message == "partial results: 1 of 6 runs are finished"
    assert found["partial"].hint == CAMPAIGN.finish
    assert {one.missing for one in summary.experiments[0].estimates} == {"no readable record"}
    assert {one.missing for one in summary.experiments[1].estimates} == {"no finished run"}


def test_resuming_is_not_advised_where_it_repeats_nothing() -> None:
    records, metrics = results(10)
    summary = analyse(plan(), journal(*map(done, plan().run_ids)), records, metrics, version="1").summary
    assert {doubt.code: doubt.hint for doubt in summary.doubts} == {"records_missing": CAMPAIGN.restore}
    (few,) = (doubt for doubt in summary.experiments[0].doubts if doubt.code == "too_few_cycles")
    assert few.hint == CAMPAIGN.restore
    bad = [
        Failed(run=key, attempt=1, failure=Failure(kind="runtime", message="m"), duration_s=1)
        for key in plan().run_ids
        if key not in records
    ]
    failed = analyse(plan(), journal(*map(done, records), *bad), records, metrics, version="1").summary
    (few,) = (doubt for doubt in failed.experiments[0].doubts if doubt.code == "too_few_cycles")
    assert few.hint == CAMPAIGN.retry


def test_simulated_rows_are_never_mixed_in_silently() -> None:
    records, metrics = results(10)
    key = next(iter(records))
    fake = records[key].model_copy(update={"simulated": True})
    other = record(1, of=SLOW)
    records = {key: fake, other.run_id: other}
    metrics[other.run_id] = measure(other, [sample(5)])
    summary = analyse(plan(), journal(), records, metrics, version="1").summary
    assert summary.simulated
    assert [row.simulated for row in summary.experiments] == [True, False]
    assert "simulated_rows" in {doubt.code for doubt in summary.doubts}


def test_the_interval_method_can_be_forced_and_must_exist() -> None:
    records, metrics = results(10, 11, 12)
    summary = analyse(plan(), journal(), records, metrics, version="1", interval_method="bootstrap").summary
    ttft = summary.experiments[0].estimate("ttft_ms")
    assert ttft is not None
    assert (ttft.method or "").startswith("bca-bootstrap (9999 resamples, seed 0)")
    assert "forced_bootstrap" in {doubt.code for doubt in summary.experiments[0].doubts}
    with pytest.raises(ValueError, match=", ".join(METHODS)):
        analyse(plan(), journal(), {}, {}, version="1", interval_method="guess")


def test_shares_stay_between_0_and_1() -> None:
    records, metrics = results(1, 1, 1)
    for cycle, key in enumerate(records):
        metrics[key] = measure(records[key], [sample(5)] * 9 + [sample(error="timeout")] * cycle)
    share = analyse(plan(), journal(), records, metrics, version="1").summary.experiments[0].estimate("error_share")
    assert share is not None
    assert share.low == 0.0
