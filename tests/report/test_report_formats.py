"""Every format says the same true things, and no text of a campaign can become markup, code or a formula."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamometer.domain.experiment import Lengths
from dynamometer.domain.summary import (
    Doubt,
    Estimate,
    ExperimentSummary,
    FailureSummary,
    MetricInfo,
    Provenance,
    Summary,
)
from dynamometer.report import FORMAT_NAMES
from dynamometer.report.charts import MOST_ROWS, MOST_TICKS, charts, log_ticks, short_labels
from dynamometer.report.figures import figure, number
from dynamometer.report.formats import FORMATS
from dynamometer.report.markdown import escape
from dynamometer.report.text import terminal

EVIL = "<script>alert('x')</script><a href=\"https://evil.example\">\\(x\\)|`*\x1b[31m"


def info(key: str = "output_tok_s", unit: str = "tok/s") -> MetricInfo:
    return MetricInfo(
        key=key, title=key.upper(), unit=unit, better="higher", statistic="mean", description="What it is."
    )


def estimate(key: str = "output_tok_s", value: float = 24.1) -> Estimate:
    return Estimate(
        metric=key,
        value=value,
        low=value - 1.1,
        high=value + 1.2,
        n=3,
        method="student-t-log",
        per_cycle=(value - 0.5, value, value + 0.5),
    )


def row(
    name: str = "llama_cpp/M/Q4_1/c1", *estimates: Estimate, engine: str = "llama_cpp", **changes: object
) -> ExperimentSummary:
    plain = ExperimentSummary(
        experiment_id="0" * 12,
        name=name,
        engine=engine,
        model="M",
        quant=None,
        load="c1",
        benchmark="custom",
        simulated=False,
        cycles_done=3,
        cycles_planned=3,
        failed=0,
        estimates=estimates or (estimate(),),
    )
    return plain.model_copy(update=changes)


def summary(*rows: ExperimentSummary, **changes: object) -> Summary:
    plain = Summary(
        campaign_id="demo-1",
        name="demo",
        description="",
        state="completed",
        simulated=False,
        runs={"completed": 3},
        cycles=3,
        metrics=(info(), info("ttft_ms", "ms")),
        experiments=rows or (row(),),
        version="0.1",
    )
    return plain.model_copy(update=changes)


MISSING = Estimate(metric="ttft_ms", value=None, missing="the workload does not stream")


def test_the_names_of_the_formats_are_those_of_the_table() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


def test_help_need_not_load_the_charting_library() -> None:
    code = "import sys, dynamometer.report, dynamometer.report.text; print({'lets_plot', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_people_see_interval_reason_doubt_and_failure(name: str) -> None:
    doubt = Doubt(code="few_samples", message="24 requests are too few", hint="send more")
    failure = FailureSummary(
        run_id="r",
        name="broken/row",
        cycle=2,
        attempts=3,
        kind="resource",
        message="no memory",
        log_tail=("last words",),
    )
    text = FORMATS[name](summary(row("a/b", estimate(), MISSING, doubts=(doubt,)), failures=(failure,)))
    plain = re.sub(r"<[^>]*>|\\", "", text)
    for words in (
        "24.1 [23.0, 25.3]",
        "n/a",
        "does not stream",
        "24 requests are too few",
        "send more",
        "no memory",
        "broken/row",
        "last words",
        "student-t-log",
    ):
        assert words in plain


@pytest.mark.parametrize(
    ("value", "text"),
    [(24.1, "24.1"), (0.00123, "0.00123"), (1234.5, "1234"), (0.0, "0"), (1e18, "1e+18"), (-3.456, "-3.46")],
)
def test_numbers_have_three_digits_that_say_something(value: float, text: str) -> None:
    assert number(value) == text


def test_a_narrow_interval_is_not_rounded_away() -> None:
    assert figure(Estimate(metric="m", value=98.432, low=98.41, high=98.45, n=3)) == "98.43 [98.41, 98.45]"


def test_an_estimate_without_interval_says_why() -> None:
    lonely = Estimate(metric="output_tok_s", value=5, n=1, no_interval="1 cycle, an interval takes 3")
    assert "5.00 (1)" in terminal(summary(row("a", lonely)), width=80, colour=False)
    assert "(1) no interval: 1 cycle" in terminal(summary(row("a", lonely)), width=80, colour=False)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_the_terminal_table_fits(width: int) -> None:
    keys = ("output_tok_s", "ttft_ms", "itl_ms", "peak_rss_mb", "energy_j_per_token")
    rows = [row(f"llama_cpp/SmolLM2-135M-Instruct/Q4_1/模型=型/c{n}", *map(estimate, keys)) for n in (1, 4)]
    text = terminal(summary(*rows, metrics=tuple(map(info, keys))), width=width, colour=False)
    assert max(len(line) for line in text.splitlines()) <= width
    assert text.count("24.1 [23.0, 25.3]") == 2 * len(keys)


def test_colour_only_when_asked_and_no_escape_from_names() -> None:
    failure = FailureSummary(run_id="r", name=EVIL, cycle=1, attempts=1, kind="config", message=EVIL, log_tail=(EVIL,))
    one = summary(row(EVIL), failures=(failure,))
    assert "\x1b" not in terminal(one, width=100, colour=False)
    assert "\x1b[31m" in terminal(summary(failures=(failure,)), width=100, colour=True)
    assert (
        terminal(one, width=100, colour=True).count("\x1b[31m")
        == terminal(one, width=100, colour=True).count("\x1b[31m" + EVIL[:7]) + 1
    )


def test_json_is_one_document_with_its_version_and_null_for_none() -> None:
    document = json.loads(FORMATS["json"](summary(row("a", MISSING))))
    assert document["schema_version"] == 1
    assert document["experiments"][0]["estimates"][0]["value"] is None
    assert Summary.model_validate(document) == summary(row("a", MISSING))


def test_csv_reads_back_and_is_no_formula() -> None:
    text = FORMATS["csv"](summary(row('=cmd("x"),1', estimate(), MISSING), row("plain")))
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(text.splitlines()))
    assert [(one["name"], one["metric"]) for one in rows] == [
        ('\'=cmd("x"),1', "output_tok_s"),
        ('\'=cmd("x"),1', "ttft_ms"),
        ("plain", "output_tok_s"),
        ("plain", "ttft_ms"),
    ]
    assert float(rows[0]["low"]) == pytest.approx(23.0)
    assert rows[0]["n"] == "3"
    assert (rows[1]["value"], rows[1]["n"], rows[1]["missing"]) == ("", "0", "the workload does not stream")
    assert rows[3]["missing"] == "not computed"


def test_csv_says_what_each_figure_is() -> None:
    median = info("ttft_ms", "ms").model_copy(update={"statistic": "median over requests", "better": "lower"})
    made = estimate("ttft_ms").model_copy(update={"over_cycles": "geometric mean", "samples": 60})
    lonely = Estimate(metric="ttft_ms", value=5.0, n=1, over_cycles="one cycle", no_interval="1 cycle")
    text = FORMATS["csv"](summary(row("a", made), row("b", lonely), metrics=(median,)))
    first, second = csv.DictReader(text.splitlines())
    assert (first["unit"], first["better"], first["statistic"]) == ("ms", "lower", "median over requests")
    assert (first["over_cycles"], first["method"], first["level"]) == ("geometric mean", "student-t-log", "0.95")
    assert (first["n"], first["samples"], first["no_interval"]) == ("3", "60", "")
    assert (second["over_cycles"], second["low"], second["level"], second["method"]) == ("one cycle", "", "", "")
    assert second["no_interval"] == "1 cycle"


def test_csv_numbers_below_zero_stay_numbers() -> None:
    text = FORMATS["csv"](summary(row("a", estimate(value=-3.0))))
    assert next(csv.DictReader(text.splitlines()))["value"] == "-3.0"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in ("href", "src", "xlink:href", "action", "data"):
                self.targets.append(value or "")
            assert not key.startswith("on")


def page(of: Summary) -> _Page:
    parser = _Page()
    parser.feed(FORMATS["html"](of))
    return parser


def test_html_has_no_script_nothing_from_elsewhere_and_unique_ids() -> None:
    text = FORMATS["html"](
        summary(row("a/b", estimate(), estimate("ttft_ms")), row("a/c", estimate(), estimate("ttft_ms")))
    )
    assert not re.search(r"https?://|<script|@import|url\((?!#)|src=", text)
    found = page(summary(row("a/b", estimate(), estimate("ttft_ms")), row("a/c", estimate(), estimate("ttft_ms"))))
    assert found.tags.count("svg") == 2
    assert len(found.ids) == len(set(found.ids))
    assert all(target.startswith("#") and target[1:] in found.ids for target in found.targets)


def test_dark_colours_are_for_dark_screens_and_not_for_paper() -> None:
    queries = re.findall(r"@media ([^{]*dark[^{]*)\{", FORMATS["html"](summary()))
    assert queries == ["screen and (prefers-color-scheme:dark)"] * 2


def test_html_is_the_same_each_time() -> None:
    assert FORMATS["html"](summary()) == FORMATS["html"](summary())


def test_metrics_that_no_row_has_are_named_beneath_the_table_and_take_no_column() -> None:
    text = FORMATS["html"](summary(row("a/b", estimate(), MISSING), row("a/c", estimate(), MISSING)))
    table, _, rest = text.partition("</table>")
    assert "TTFT_MS" not in table
    assert '<p class="dim">TTFT_MS: n/a, the workload does not stream</p>' in rest
    one_of_two = FORMATS["html"](summary(row("a/b", estimate(), MISSING), row("a/c", estimate(), estimate("ttft_ms"))))
    assert "TTFT_MS" in one_of_two.partition("</table>")[0]


def test_html_escapes_every_text() -> None:
    failure = FailureSummary(run_id=EVIL, name=EVIL, cycle=1, attempts=1, kind=EVIL, message=EVIL, log_tail=(EVIL,))
    doubt = Doubt(code="x", message=EVIL, hint=EVIL)
    evil = summary(
        row(EVIL, estimate(), MISSING.model_copy(update={"missing": EVIL}), engine=EVIL, doubts=(doubt,)),
        row("other", engine="two"),
        name=EVIL,
        description=EVIL,
        campaign_id=EVIL,
        version=EVIL,
        failures=(failure,),
        doubts=(doubt,),
        provenance=Provenance(hosts=(EVIL,), engines=(EVIL,)),
        metrics=(info().model_copy(update={"title": EVIL, "unit": EVIL, "description": EVIL}), info("ttft_ms")),
    )
    found = page(evil)
    assert "script" not in found.tags
    assert all(target.startswith("#") for target in found.targets)
    assert "\x1b" not in FORMATS["html"](evil)


def test_markdown_shows_text_as_text() -> None:
    shown = escape(EVIL)
    assert "<" not in shown
    assert "https://" not in shown
    assert not re.search(r"(?<!\\)[|`*]", shown)


def test_charts_draw_intervals_and_each_cycle() -> None:
    (chart,) = charts(summary(row("a/b"), row("a/c", estimate(value=40)), metrics=(info(),)))
    assert chart.svg.count("<circle") == 2 + 6
    assert "Small dots: each cycle" in chart.caption
    assert "<style" not in chart.svg


def test_figures_and_names_in_charts_are_not_rounded_with_the_coordinates() -> None:
    small = Estimate(metric="output_tok_s", value=0.055, low=0.051, high=0.059, n=3, per_cycle=(0.051, 0.055, 0.059))
    (chart,) = charts(summary(row("a/v1.234", small), row("a/v1.235", small), metrics=(info(),)))
    assert {"v1.234", "v1.235", "0.052", "0.054"} <= set(re.findall(r"<tspan>([^<]*)</tspan>", chart.svg))


def test_a_logarithmic_axis_leaves_room_for_its_dots_and_names_round_values() -> None:
    """Waits of an engine that keeps up, and of one that does not."""
    low = Estimate(metric="output_tok_s", value=20.8, low=20.4, high=21.2, n=3, per_cycle=(20.7, 20.8, 21.0))
    high = Estimate(metric="output_tok_s", value=609, low=161, high=2305, n=3, per_cycle=(355, 614, 1035))
    (chart,) = charts(summary(row("a/b", low), row("a/c", high), metrics=(info(),)))
    assert "Logarithmic axis" in chart.caption
    ticks = ["20", "50", "100", "200", "500", "1,000", "2,000"]
    assert [text for text in re.findall(r"<tspan>([^<]*)</tspan>", chart.svg) if text[0].isdigit()] == ticks
    dots = [tuple(map(float, found)) for found in re.findall(r'<circle[^>]*cx="([\d.]+)"[^>]*r="([\d.]+)"', chart.svg)]
    width = max(float(found) for found in re.findall(r'<rect[^>]*width="([\d.]+)"', chart.svg.split("clipPath")[1]))
    assert len(dots) == 8
    assert all(radius < centre < width - radius for centre, radius in dots)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (17, 2780, [20, 50, 100, 200, 500, 1000, 2000]),
        (0.13, 9.5, [0.2, 0.5, 1, 2, 5]),
        (0.9, 1.2, [0.9, 0.95, 1, 1.05, 1.1, 1.15]),
        (0.999, 1.001, [0.999, 0.9995, 1, 1.0005]),
        (1e-3, 1e4, [1e-3, 1e-2, 0.1, 1, 10, 100, 1000, 1e4]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == ticks


@given(st.floats(-290, 280), st.floats(0.001, 20))
def test_a_logarithmic_axis_has_some_ticks_and_never_too_many(start: float, span: float) -> None:
    low, high = 10**start, 10 ** (start + span)
    ticks = log_ticks(low, high)
    assert 3 <= len(ticks) <= MOST_TICKS
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_charts_of_many_rows_say_what_they_leave_out() -> None:
    rows = [row(f"a/b{n}", estimate(value=20.0 + n)) for n in range(MOST_ROWS + 10)]
    (chart,) = charts(summary(*rows, metrics=(info(),)))
    assert f"Only the {MOST_ROWS} best of {MOST_ROWS + 10}" in chart.caption
    assert "b39" in chart.svg
    assert ">b5<" not in chart.svg


def test_a_metric_without_any_value_has_no_chart() -> None:
    assert charts(summary(row("a", MISSING), metrics=(info("ttft_ms"),))) == []


def test_labels_leave_out_what_all_share_and_stay_different() -> None:
    assert short_labels(["e/m/q/c1", "e/m/q/c4"]) == ["c1", "c4"]
    assert short_labels(["e/m/c1", "e/n/c1"]) == ["m/c1", "n/c1"]
    assert short_labels(["only/one"]) == ["one"]
    assert "<" not in short_labels([EVIL])[0]


def test_a_simulated_row_says_so_everywhere() -> None:
    one = summary(row("a", simulated=True), simulated=True)
    assert all("simulated" in FORMATS[name](one).lower() for name in FORMATS)


def test_a_doubt_shared_by_rows_is_said_once() -> None:
    doubt = Doubt(code="host_busy", message="the host was busy")
    text = terminal(summary(row("a", doubts=(doubt,)), row("b", doubts=(doubt,))), width=100, colour=False)
    assert text.count("the host was busy") == 1
    assert "all 2 rows" in text


FLOATS = st.floats(-1e12, 1e12, allow_nan=False)
ESTIMATES = st.one_of(
    st.builds(Estimate, metric=st.just("output_tok_s"), value=st.none(), missing=st.text(max_size=20)),
    st.builds(
        lambda values: Estimate(
            metric="output_tok_s",
            value=sorted(values)[1],
            low=min(values),
            high=max(values),
            n=3,
            method="student-t",
            per_cycle=tuple(values),
        ),
        st.lists(FLOATS, min_size=3, max_size=3),
    ),
    st.builds(Estimate, metric=st.just("output_tok_s"), value=FLOATS, n=st.just(1), per_cycle=st.tuples(FLOATS)),
)
NAMES = st.text(min_size=1, max_size=80)
SUMMARIES = st.builds(
    lambda rows, name: summary(name=name, metrics=(info(),), experiments=tuple(row(text, one) for text, one in rows)),
    st.lists(st.tuples(NAMES, ESTIMATES), max_size=4),
    NAMES,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SUMMARIES)
def test_any_summary_can_be_written_in_every_format(one: Summary) -> None:
    for name, render in FORMATS.items():
        text = render(one)
        assert text, name
        assert text.encode(), name


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_people_see_how_long_prompts_were_beside_what_was_asked(name: str) -> None:
    short = [row(f"short{n}", estimates=(estimate("prompt_tokens", n),), input_tokens=32) for n in (62, 64)]
    long = row("long", estimates=(estimate("prompt_tokens", 286.4),), input_tokens=Lengths(min=200, max=300))
    own = row("own", estimates=(estimate("prompt_tokens", 50),))
    text = " ".join(FORMATS[name](summary(*short, long, own, row("unknown"))).replace("\\", "").split())
    assert (
        "count, chat template included: 62–64 (32 asked for), 286 (200–300 asked for), 50 (lengths of their own)"
        in text
    )
    assert "chat template" not in FORMATS[name](summary(row("unknown")))


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_what_all_names_share_is_said_once(name: str) -> None:
    text = FORMATS[name](
        summary(row("engine/model/quant/k=1/c1", estimate()), row("engine/model/quant/k=2/c1", estimate()))
    )
    plain = text.replace("<wbr>", "").replace("\\", "")
    assert "ll rows: " in plain
    assert plain.count("engine/model/quant") == 1
    assert "k=1/c1" in plain
    assert "k=2/c1" in plain
    one = FORMATS[name](summary(row("engine/model/quant/k=1/c1", estimate())))
    assert "all rows" not in one.lower()


def test_doubts_that_the_same_would_help_against_stand_together() -> None:
    rows = [
        row(f"a/{n}", doubts=(Doubt(code="host_busy", message=f"busy {n}", hint="stop other programs"),))
        for n in range(6)
    ]
    text = terminal(summary(*rows), width=100, colour=False)
    assert text.count("stop other programs") == 1
    assert " 1. busy 0 (0)\n    busy 1 (1)" in text
    assert "and 2 more, in the JSON report" in text
    page = FORMATS["html"](summary(*rows))
    assert "busy 0 (0)<br>busy 1 (1)" in page
    assert "busy 5 (5)" in page
    assert "busy 0 \\(0\\); busy 1 \\(1\\)" in FORMATS["markdown"](summary(*rows))


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_tables_say_which_statistic_they_show(name: str) -> None:
    median = info("ttft_ms", "ms").model_copy(update={"title": "TTFT p50"})
    shown = estimate("ttft_ms")
    text = FORMATS[name](summary(row("a", shown), metrics=(median,)))
    assert "TTFT p50" in text
    assert "p50: the median over the requests of a cycle" in text
    assert "geometric mean" in text
    single = shown.model_copy(update={"low": None, "high": None, "n": 1, "method": None, "no_interval": "1 cycle"})
    assert "each figure is that of the one cycle" in FORMATS[name](summary(row("a", single), metrics=(median,)))
    double = single.model_copy(update={"n": 2})
    assert "geometric mean over n cycles" in FORMATS[name](summary(row("a", double), metrics=(median,)))
