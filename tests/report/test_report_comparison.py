"""Every form of a comparison: what must stand in it, what must not, and that it harms no reader."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest
from tests.compare.compare_samples import campaign, variant

from dynamometer.analysis.compare import Terms, compare
from dynamometer.analysis.gate import parse_gate
from dynamometer.analysis.match import Matched
from dynamometer.analysis.metrics import METRICS
from dynamometer.domain.comparison import Comparison, Difference, SideDoubt
from dynamometer.report import FORMAT_NAMES
from dynamometer.report.charts import effect_charts
from dynamometer.report.comparison.effects import by_how_much, change
from dynamometer.report.comparison.formats import FORMATS
from dynamometer.report.comparison.labels import couple, labels
from dynamometer.report.comparison.text import terminal
from dynamometer.report.comparison.words import counts, in_words

EVIL = "<script>alert('x')</script>|`*"
SLOW, FAST = variant(), variant(options={"n_threads": 2})
KEYS = [metric.info.key for metric in METRICS]


def small(model: str = "M", **terms: object) -> Comparison:
    """One pair of a faster and a slower row."""
    slow, fast = variant(model=model), variant(model=model, options={"n_threads": 2})
    one = campaign([(slow, (10.0, 10.3, 10.2)), (fast, (5.0, 5.2, 5.1))], model)
    limits = (parse_gate("ttft_ms<-5%", KEYS),)
    return compare(one, one, Matched(((0, 1),)), Terms(gates=limits, at_least=0.02), version="1")


def several(count: int = 3) -> Comparison:
    """As many pairs."""
    rows = [(variant(options={"n": n}), (10.0 + n, 10.6 + n, 10.2 + n)) for n in range(count + 1)]
    one = campaign(rows)
    return compare(one, one, Matched(tuple((0, n) for n in range(1, count + 1))), Terms(), version="1")


def unlike() -> Comparison:
    """Nothing but a refusal."""
    one, two = campaign([(SLOW, (1, 2, 3))]), campaign([(FAST, (1, 2, 3))], "two", prompts_sha256="else")
    return compare(one, two, Matched(((0, 0),)), Terms(), version="1")


def test_the_forms_are_those_of_the_report() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


@pytest.mark.parametrize("form", FORMAT_NAMES)
def test_every_form_has_effect_verdict_and_refusals_the_same_each_time(form: str) -> None:
    text = FORMATS[form](small()).replace("\\", "")
    assert FORMATS[form](small()) == FORMATS[form](small())
    assert "better" in text
    assert "paired-t-log" in text
    if form != "csv":
        assert "sha256 of 3 of 3 cycles differ" in FORMATS[form](unlike())
        assert "ttft_ms" in text
        assert "broken" in text


@pytest.mark.parametrize("form", FORMAT_NAMES)
def test_names_cannot_harm_a_reader(form: str) -> None:
    text = FORMATS[form](small(EVIL))
    assert "alert" in text
    assert "<script>" not in text or form in ("text", "csv", "json")


def test_text_shows_ratio_interval_n_and_words() -> None:
    text = terminal(small(), width=120, colour=False)
    line = next(line for line in text.splitlines() if line.startswith("TTFT p50 (ms)"))
    assert re.search(r"0\.50\d \[0\.\d+, 0\.\d+\] +3  better \(-4\d\.\d %\)", line), line
    assert "differs in options.n_threads: default → 2" in text
    assert "in pairs of cycles; 3 cycles of A, 3 of B" in text
    assert "broken: ttft_ms<-5%" in text
    assert "ITL" in text


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("made", [small(), several(), unlike()])
def test_text_fits_the_terminal(width: int, made: Comparison) -> None:
    lines = terminal(made, width=max(width, 60), colour=False).splitlines()
    assert max(map(len, lines)) <= max(width, 66)


def test_colour_is_only_on_a_terminal_that_wants_it() -> None:
    assert "\x1b[32m" in terminal(small(), width=120, colour=True)
    assert "\x1b" not in terminal(small(), width=120, colour=False)


def test_a_refusal_says_how_to_allow_it() -> None:
    for form in ("text", "markdown", "html"):
        assert "--allow prompts" in FORMATS[form](unlike())


def test_csv_reads_back_with_a_row_for_each_metric() -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](several()), newline="")))
    assert len(rows) == 3 * len(METRICS)
    ttft = next(row for row in rows if row["metric"] == "ttft_ms")
    assert 1 < float(ttft["effect_low"]) < float(ttft["effect"]) < float(ttft["effect_high"])
    goodput = next(row for row in rows if row["metric"] == "goodput")
    assert (goodput["effect"], goodput["verdict"]) == ("", "cannot_tell")
    assert "service level" in goodput["why_not"]


def test_json_is_the_comparison() -> None:
    document = json.loads(FORMATS["json"](small()))
    assert Comparison.model_validate(document) == small()
    assert document["schema_version"] == 1


class Tags(HTMLParser):
    """Elements of a page, each closed."""

    VOID = frozenset({"meta", "br", "wbr", "link", "path", "line", "circle", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not [
            value for key, value in attrs if key in ("src", "onload") or (key == "href" and "#" not in str(value))
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("made", [small(), several(), unlike()])
def test_the_page_is_whole_and_loads_nothing(made: Comparison) -> None:
    page = Tags()
    page.feed(FORMATS["html"](made))
    assert not page.open
    assert "script" not in page.seen
    assert page.seen.count("svg") == (0 if made.refused else 1 if len(made.pairs) == 1 else 3)


def test_one_pair_has_one_chart_and_several_have_one_for_each_metric() -> None:
    only = small()
    assert [chart.title for chart in effect_charts(only, only.metrics, ["one"])] == ["All metrics"]
    charts = effect_charts(several(40), several(1).metrics, [f"n={n}" for n in range(40)])
    assert "Only the first 30 of 40 are drawn" in charts[0].caption
    assert not effect_charts(unlike(), (), ())


def test_effects_are_written_for_people() -> None:
    effect = small().pairs[0].effects[0]
    ratio = effect.model_copy(update={"kind": "ratio", "value": 1.1934, "low": 1.15, "high": 1.238})
    assert change(ratio) == "1.193 [1.150, 1.238]"
    assert by_how_much(ratio) == "+19.3 %"
    close = ratio.model_copy(update={"value": 1.001, "low": 1.00004, "high": 1.0019})
    assert change(close) == "1.00100 [1.00004, 1.00190]"
    assert by_how_much(ratio.model_copy(update={"value": 12.4})) == "×12.4"
    share = effect.model_copy(update={"kind": "difference", "value": 0.021, "low": 0.01, "high": 0.032})
    assert change(share) == "+0.0210 [+0.0100, +0.0320]"
    assert by_how_much(share) == "+2.1 points"
    assert change(effect.model_copy(update={"value": None})) == "n/a"


def test_pairs_are_named_by_what_tells_them_apart() -> None:
    assert couple("e/m/Q4/c8", "e/m/Q8/c8").title == "e/m/c8 (Q4 → Q8)"
    assert couple("a", "b").title == "a → b"
    assert couple("e/m/c8", "e/m/c8").title == "e/m/c8"
    threads = (Difference(key="options.n_threads", a="4", b="2"),)
    assert couple("e/m/c8", "e/m/n_threads=2/c8", threads).title == "e/m/c8 (n_threads=4 → 2)"
    assert couple("e/m/c8", "e/m/n_threads=2/c8").title == "e/m/c8 (default → n_threads=2)"
    engines = (Difference(key="engine", a="e", b="f"), Difference(key="options.x", a="none", b="1"))
    assert couple("e/m/c8", "f/m/x=1/c8", engines).title == "m/c8 (e → f/x=1)"

    same = labels([couple(f"e/m/Q4/{load}", f"e/m/Q8/{load}") for load in ("c1", "c8")])
    assert (same.common, same.each) == ("e/m", ("c1", "c8"))
    unlike = labels([couple("e/m/Q4/c1", f"e/m/{quant}/c1") for quant in ("Q8", "F16")])
    assert (unlike.common, unlike.each) == ("e/m/c1", ("Q4 → Q8", "Q4 → F16"))
    assert labels([couple("e/m/Q4/c1", "e/m/Q8/c1")]).each == ("e/m/c1 (Q4 → Q8)",)


def test_what_holds_for_all_pairs_is_said_once() -> None:
    made = several()
    text = terminal(made, width=120, colour=False)
    assert text.count("in pairs of cycles; 3 cycles of A, 3 of B") == 1
    assert text.count("llama_cpp") == 1
    assert "3 pairs, " in text
    assert "too few values in a run for" in text
    assert text.count("A and B, all 3 pairs") >= 1


def test_counts_tell_of_intervals_and_of_those_without() -> None:
    one = small()
    effects = one.pairs[0].effects
    (ttft,) = [effect for effect in effects if effect.metric == "ttft_ms"]
    only = one.model_copy(update={"pairs": (one.pairs[0].model_copy(update={"effects": (ttft,)}),)})
    assert counts(only) == "1 pair, 1 comparison: 1 better"
    valued = [effect for effect in effects if effect.value is not None]
    without = sum(effect.low is None for effect in valued)
    assert without
    assert counts(one).startswith(f"1 pair, {len(valued) - without} comparisons: ")
    assert counts(one).endswith(f"; {without} more without an interval")


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_the_smallest_effect_that_matters_is_said(form: str) -> None:
    assert "smallest effect that matters: 2 %" in FORMATS[form](small()).lower()
    assert "none given" in FORMATS[form](several())


def test_the_same_doubt_of_other_pairs_names_them_and_its_help_is_said_once() -> None:
    def doubt(message: str, side: str) -> SideDoubt:
        return SideDoubt.model_validate(
            {"side": side, "doubt": {"code": "host_busy", "message": message, "hint": "stop"}}
        )

    made = several()
    doubts = ((doubt("busy", "a"),), (doubt("busy", "both"), doubt("worse", "b")), ())
    pairs = tuple(pair.model_copy(update={"doubts": own}) for pair, own in zip(made.pairs, doubts, strict=True))
    (found,) = in_words(made.model_copy(update={"pairs": pairs, "doubts": ()})).doubts
    assert found.hint == "stop"
    assert found.messages == (
        "busy (A: n=0 → 1, n=0 → 2; B: n=0 → 2)",
        "worse (B: n=0 → 2)",
    )


def test_a_side_without_a_finished_run_is_told_instead_of_a_table() -> None:
    one = small()
    empty = one.pairs[0].model_copy(update={"b": one.pairs[0].b.model_copy(update={"cycles": 0})})
    text = terminal(one.model_copy(update={"pairs": (empty,)}), width=120, colour=False)
    assert "no finished run in B: nothing to compare" in text
    assert "metric  " not in text
