"""Every storage call of a campaign is the last one once: by kill -9, by a full disk, by a broken one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lab import Lab, assert_finished

from dynamometer.store.layout import CampaignFolder, is_campaign

SCRIPT = Path(__file__).with_name("crash_points.py")


@pytest.mark.parametrize("mode", ["kill", "fail"])
def test_whatever_call_is_the_last_resume_finishes_every_run_once(mode: str, lab: Lab) -> None:
    file = lab.file(cycles=2 if mode == "kill" else 1, loads=[1], execution={"mode": "simulated"})
    argv = [sys.executable, str(SCRIPT), mode, str(lab.root), str(file)]
    ended = subprocess.run(argv, env=lab.env, capture_output=True, text=True, timeout=250, check=False)
    assert ended.returncode == 0, ended.stderr
    tries = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(tries) > 40
    for tried in tries:
        first = {-signal.SIGKILL} if mode == "kill" else {0, 8}
        assert (tried["first"] in first, tried["second"]) == (True, 0), tried
        results = Path(tried["folder"]) / "results"
        folders = [CampaignFolder(path) for path in results.iterdir() if is_campaign(path)]
        finished = [folder for folder in folders if folder.manifest.exists()]
        assert len(finished) == 1, tried
        assert_finished(finished[0], most_repeats=1)
