"""One owner per campaign; everybody else may look."""

from __future__ import annotations

import json
import os
import signal

from tests.lab import Lab, assert_finished

from dynamometer.store.lock import is_owned, own


def test_of_two_that_resume_at_once_one_runs_and_the_other_names_it(lab: Lab) -> None:
    file = lab.file(cycles=2)
    begun = lab.start("campaign", "run", file, "-q")
    assert lab.until("started", 1, begun)
    begun.kill()
    begun.wait()
    racers = [lab.start("campaign", "run", file, "--resume", "-q") for _ in range(3)]
    ends = {racer.pid: (racer.communicate(timeout=60)[1], racer.returncode) for racer in racers}
    codes = sorted(code for _, code in ends.values())
    assert codes == [0, 6, 6], ends
    winner = next(pid for pid, (_, code) in ends.items() if code == 0)
    for errors, code in ends.values():
        if code == 6:
            assert f"process {winner} on {os.uname().nodename}, since 2" in errors
            assert "hint: " in errors
    assert_finished(lab.folder, most_repeats=1)


def test_while_it_runs_everybody_may_look_and_a_second_run_is_refused(lab: Lab) -> None:
    file = lab.file(cycles=1, loads=[1], options={"ttft_ms": [1, 600_000]})
    process = lab.start("campaign", "run", file, "-q")
    assert lab.until("done", 1, process)
    assert lab.until("started", 2, process)
    status = lab.dyno("campaign", "status", "--json").json()
    assert (status["state"], status["alive"], status["counts"]) == ("running", True, {"completed": 1, "running": 1})
    assert f"owned by process {process.pid}" in lab.dyno("campaign", "status").out
    assert "running" in lab.dyno("campaign", "list").out
    report = lab.dyno("campaign", "report", "-f", "json")
    assert (report.code, report.json()["runs"]["completed"]) == (0, 1)
    refused = lab.dyno("campaign", "run", file, "--resume", "--json")
    assert (refused.code, json.loads(refused.err)["error"]["code"], refused.out) == (6, 6, "")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not lab.left_over()


def test_a_lock_is_free_when_its_owner_is_gone_and_looking_makes_none(lab: Lab) -> None:
    path = lab.cwd / "campaign.lock"
    assert not is_owned(path)
    assert not path.exists()
    with own(path, "now"):
        assert is_owned(path)
    assert not is_owned(path)
    (lab.cwd / "campaign.owner").write_text('{"pid": 999999999, "host": "h", "since": "long ago"}')
    with own(path, "now"):
        assert is_owned(path)
