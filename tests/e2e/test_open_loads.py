"""Open loads from the command line: a rate, a ramp and a trace through a whole campaign, and traces that are wrong."""

from __future__ import annotations

import pytest
from tests.lab import Lab, assert_finished

from dynamometer.store.records import read_record, read_samples

LOADS = {
    "rate": {"rate": 50, "arrivals": "poisson"},
    "ramp": {"ramp": {"of": "rate", "start": 20, "end": 60, "over": "300ms"}},
    "trace": {"trace": "sends.jsonl"},
}
SENDS = '{"at_s": 0, "output_tokens": 2}\n{"at_s": 0.1, "output_tokens": 3}\n{"at_s": 0.15, "output_tokens": 2}\n'


def test_open_loads_run_and_their_records_say_how_they_were_kept(lab: Lab) -> None:
    (lab.cwd / "sends.jsonl").write_text(SENDS)
    engine = {"engine": "fake", "model": "tiny", "options": {"ttft_ms": 1, "itl_ms": 0, "n_parallel": 8}}
    file = lab.file(
        engines=[],
        experiments=[{**engine, "load": load} for load in LOADS.values()],
        workload={"requests": None, "duration": "400ms", "max_output_tokens": 2},
    )
    said = lab.dyno("campaign", "run", file)
    assert said.code == 0, said.err
    assert_finished(lab.folder)
    records = {
        read.record.experiment.name.rsplit("/", 1)[-1]: (
            read.record,
            [s for s in read_samples(path.parent / read.record.samples_file) if s.phase == "window"],
        )
        for path in lab.folder.root.rglob("record.json")
        for read in [read_record(path)]
    }
    assert records.keys() == {"r50-poisson", "ramp20-60-rate", "trace-sends"}
    for record, samples in records.values():
        assert record.window.seconds == 0.4
        assert record.client.asked_per_s is not None
        assert record.client.send_lateness_p99_ms is not None
        assert (record.client.held, record.client.unsent) == (0, 0)
        assert all(sample.scheduled_ns is not None and sample.sent_ns >= sample.scheduled_ns for sample in samples)
    assert [sample.max_tokens for sample in records["trace-sends"][1]] == [2, 3, 2]
    assert len(records["ramp20-60-rate"][1]) == 18
    report = lab.dyno("campaign", "report", lab.folder.root, "--format", "csv")
    assert "scheduled_e2e_ms" in report.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"at_s": 0}\n{"at_s": 2}\n{"at_s": 1}\n', "sends.jsonl:3: out of order: at_s 1 comes after 2"),
        ('{"at_s": -1}\n', "sends.jsonl:1: at_s must be at least 0"),
        ('{"at_s": "soon"}\n', "sends.jsonl:1: at_s must be a number of seconds, not 'soon'"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_wrong_trace_is_refused_with_its_line_before_anything_runs(
    lab: Lab, command: str, text: str, message: str
) -> None:
    (lab.cwd / "sends.jsonl").write_text(text)
    said = lab.dyno("campaign", command, lab.file(workload={"load": {"trace": "sends.jsonl"}}))
    assert said.code == 2
    assert message in said.err
    assert lab.folders == []


def test_a_trace_that_is_not_there(lab: Lab) -> None:
    said = lab.dyno("campaign", "validate", lab.file(workload={"load": {"trace": "none.csv"}}))
    assert said.code == 7
    assert "none.csv" in said.err
