"""``dyno campaign compare`` at the command line."""

from __future__ import annotations

import pytest
from tests.lab import Lab

pytestmark = pytest.mark.timeout(600)  # a dozen campaigns


def made(lab: Lab, name: str, **keys: object) -> str:
    """Run a small campaign of three cycles to its end; returns its id."""
    said = lab.dyno("campaign", "run", lab.file(name, cycles=3, **keys), "-q")
    assert said.code == 0, said.err
    return next(folder.root.name for folder in lab.folders if folder.root.name.startswith(f"{name}-2"))


def test_two_campaigns(lab: Lab) -> None:
    slow = {"ttft_ms": 30, "itl_ms": 4, "jitter_ms": 1}
    fast = {"ttft_ms": 10, "itl_ms": 1, "jitter_ms": 1}
    a, b = made(lab, "slow", options=slow), made(lab, "fast", options=fast)
    said = lab.dyno("campaign", "compare", a, b)
    assert said.code == 0, said.err
    assert "SIMULATED" in said.out
    assert "better (" in said.out
    document = lab.dyno("campaign", "compare", a, b, "--metrics", "ttft_ms", "--json").json()
    assert [pair["effects"][0]["verdict"] for pair in document["pairs"]] == ["better", "better"]
    assert document["doubts"][0]["doubt"]["code"] == "two_campaigns"

    broken = lab.dyno("campaign", "compare", b, a, "--fail-on", "ttft_ms>+5%")
    assert broken.code == 5
    assert "ttft_ms>+5% is broken" in broken.err
    assert "broken: ttft_ms>+5%" in broken.out
    assert lab.dyno("campaign", "compare", a, b, "--fail-on", "ttft_ms>+5%").code == 0
    unjudged = ("campaign", "compare", a, b, "--fail-on", "goodput<-1%")
    assert (lab.dyno(*unjudged).code, lab.dyno(*unjudged, "--strict").code) == (0, 5)

    page = lab.cwd / "compare.html"
    assert lab.dyno("campaign", "compare", a, b, "-f", "html", "-o", page).code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert lab.dyno("campaign", "compare", a, b, "-f", "html", "-o", page).code == 2

    other = made(lab, "other", options=fast, seed=7)
    refused = lab.dyno("campaign", "compare", b, other)
    assert refused.code == 8
    assert "2 pairs of rows were not compared" in refused.err
    assert "prompts: seed 42 in A, 7 in B" in refused.err
    assert "--allow prompts" in refused.err
    assert lab.dyno("campaign", "compare", b, other, "--allow", "prompts").code == 0


def test_rows_of_one_campaign(lab: Lab) -> None:
    name = made(lab, "rows", loads=[1, 2], options={"ttft_ms": 5, "itl_ms": 1, "jitter_ms": 1})
    by = lab.dyno("campaign", "compare", name, "--by", "load", "--json")
    (pair,) = by.json()["pairs"]
    assert pair["paired"]
    assert pair["differs"] == [{"key": "workload.load.concurrency", "a": "1", "b": "2"}]
    assert lab.dyno("campaign", "compare", name, "--json").json()["pairs"][0]["differs"] == pair["differs"]
    swapped = lab.dyno("campaign", "compare", f"{name}:*c2", f"{name}:*c1", "--json").json()
    assert swapped["pairs"][0]["differs"][0] == {"key": "workload.load.concurrency", "a": "2", "b": "1"}


def test_a_side_that_failed_whole_is_not_comparable(lab: Lab) -> None:
    name = made(lab, "good", loads=[1])
    broken = lab.dyno("campaign", "run", lab.file("bad", cycles=3, loads=[1], options={"fault": "start_failure"}), "-q")
    assert broken.code == 4
    bad = next(folder.root.name for folder in lab.folders if folder.root.name.startswith("bad-"))
    said = lab.dyno("campaign", "compare", name, bad, "--fail-on", "ttft_ms>+5%")
    assert said.code == 8
    assert "no finished run in B" in said.out
    assert "no finished run on one side" in said.err
    assert "options.ttft_ms" not in said.out
    assert "options.fault: default → start_failure" in said.out


def test_an_option_at_its_default_has_a_value(lab: Lab) -> None:
    name = made(lab, "defaults", loads=[1], options={"ttft_ms": 5, "itl_ms": [1, 5], "jitter_ms": 1})
    assert "(itl_ms=1.0 → 5.0)" in lab.dyno("campaign", "compare", name, "--by", "itl_ms").out
    swapped = lab.dyno("campaign", "compare", name, "--by", "itl_ms=5")
    assert "differs in options.itl_ms: 5.0 → 1.0" in swapped.out


def test_wrong_words(lab: Lab) -> None:
    name = made(lab, "one", loads=[1])
    for words, code, message in (
        ((name,), 2, "has one row, and nothing to compare it with"),
        ((name, name), 2, "would be compared with itself"),
        ((name, "nowhere"), 7, "no campaign 'nowhere'"),
        ((f"{name}:zzz", name), 7, "no row 'zzz'"),
        ((name, "--by", "engine"), 2, "differ in engine alone"),
        ((name, name, "--by", "engine"), 2, "--by compares rows of one campaign"),
        ((name, name, "--at-least", "5"), 2, "a share above 0"),
        ((name, name, "--allow", "everything"), 2, "one of host"),
        ((name, name, "--strict"), 2, "there is none"),
        ((name, name, "--metrics", "ttft"), 2, "unknown metric"),
    ):
        said = lab.dyno("campaign", "compare", *words)
        assert (said.code, said.out) == (code, ""), words
        assert message in said.err, said.err
