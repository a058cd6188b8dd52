"""What users read: metrics, doubts, files of a campaign, and what is there; from the code that makes them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from source_text import attribute_docs, constant_docs, first_paragraph, one_line, page, table, template, tree_of

from dynamometer.analysis import advice, caveats, doubts, summarise
from dynamometer.analysis.metrics import METRICS
from dynamometer.analysis.metrics.base import NEEDED
from dynamometer.domain import event, record
from dynamometer.domain.calibration import CalibrationRef
from dynamometer.domain.event import Event
from dynamometer.domain.step import Step
from dynamometer.engines import BUILT_IN
from dynamometer.plan import unavailable
from dynamometer.store import layout
from dynamometer.store.layout import CampaignFolder

TYPES = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
THRESHOLDS = (
    "UNSTABLE",
    "CLIENT_CPU",
    "CLIENT_LAG",
    "CLIENT_LAG_MS",
    "OTHERS",
    "SEND_LATE_MS",
    "RATE_KEPT",
    "PROMPT_OFF",
    "TEMPLATE_TOKENS",
    "MERGED",
)


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    needed = ", ".join(f"p{q * 100:.0f} takes {count}" for q, count in NEEDED.items())
    intro = (
        "In the order of the table. The key is the name in JSON, CSV and `estimates[].metric`; it carries the unit. "
        "The function that computes a metric reads the raw samples of one run; estimates over cycles are made from "
        "these values (see [statistics](../concepts/statistics.md)); *statistic* is what the value of one run is. A "
        f"metric without a value says why and is never 0. A percentile needs samples in each run: "
        f"{needed}. How things are measured stands in [how it measures](../concepts/how-it-measures.md)."
    )
    rows = [
        [f"`{info.key}`", info.title, info.unit, info.better, info.statistic, info.description]
        for info in (metric.info for metric in METRICS)
    ]
    return page("Metrics", intro, table(["key", "title", "unit", "better", "statistic", "definition"], rows))


def doubts_page() -> str:
    """docs/reference/doubts.md."""
    intro = (
        "A doubt is a reason to trust a figure less. Reports print them with their numbers; JSON has them under "
        "`experiments[].doubts` and `doubts`, each with `code`, `message`, `hint` and `metric` (null: all metrics). "
        "Codes are stable."
    )
    docs = constant_docs(doubts)
    limits = table(
        ["limit", "value", "meaning"],
        [[f"`{name}`", f"{getattr(doubts, name):g}", docs[name]] for name in THRESHOLDS]
        + [
            [
                "`DRIFT_CHANCE`, `DRIFT_CHANGE`",
                f"{doubts.DRIFT_CHANCE:g}, {doubts.DRIFT_CHANGE:g}",
                docs["DRIFT_CHANGE"],
            ]
        ],
    )
    watched = ", ".join(f"`{key}`" for key in doubts.WATCHED)
    odd = [[f"`{kind}`", *said] for kind, said in doubts.ODD.items()]
    header = ["code", "meaning", "message", "what helps"]
    return page(
        "Doubts",
        intro,
        "## About one row\n\nThe gravest first.\n\n"
        + table(header, [row for rule in doubts.RULES for row in _rule(rule)]),
        "## About the campaign\n\n" + table(["code", "message", "what helps"], list(_campaign())),
        "## About a comparison\n\nBeside these, `dyno campaign compare` prints the doubts of both sides.\n\n"
        + table(["code", "message", "what helps"], list(_comparison())),
        "## Odd answers\n\nWhat `odd_answers` says of each kind of oddity, which samples keep in `odd`.\n\n"
        + table(["kind", "answers that …", "what it means"], odd),
        f"## Limits\n\n`unstable` and `drift` look at {watched}.\n\n{limits}",
    )


def _rule(rule: Any) -> Iterator[list[str]]:
    scope = tree_of(rule)
    for code, message, hint in _made(scope):
        yield [f"`{code}`", first_paragraph(rule.__doc__), message, hint]


def _campaign() -> Iterator[list[str]]:
    blocks = [node for node in ast.walk(tree_of(summarise)) if isinstance(node, ast.If)]
    for block in blocks:
        for code, message, hint in _made(block):
            yield [f"`{code}`", message, hint]


def _comparison() -> Iterator[list[str]]:
    for rule in (caveats.pair_caveats, caveats.caveats):
        blocks = [node for node in ast.walk(tree_of(rule)) if isinstance(node, ast.For | ast.If)]
        for block in blocks:
            for code, message, hint in _made(block):
                yield [f"`{code}`", message, hint]


def _made(scope: ast.AST) -> Iterator[tuple[str, str, str]]:
    for node in ast.walk(_Advised().visit(scope)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Doubt":
            said = {keyword.arg: keyword.value for keyword in node.keywords}
            yield template(said["code"], scope), template(said["message"], scope), template(said.get("hint"), scope)


class _Advised(ast.NodeTransformer):
    """Puts the words of an advice where its field is named, those of bench behind."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """``advice.FIELD`` and ``row.advice.FIELD``."""
        match node.value:
            case ast.Name(id="advice") | ast.Attribute(attr="advice"):
                campaign, bench = getattr(advice.CAMPAIGN, node.attr), getattr(advice.BENCH, node.attr)
                return ast.Constant(f"{campaign}; in bench: {bench}")
        return node


def record_page() -> str:
    """docs/reference/record.md."""
    intro = (
        "A campaign is a folder under `io.results_dir` (`results/`). It is complete in itself and may be moved. "
        "Times in samples are nanoseconds of the worker's monotonic clock; only `started_at` and the journal's `at` "
        "are wall-clock times. *None* in these tables is `null` in a file; in samples and in lines of `--save`, what "
        "has its default is left out, apart from `phase`."
    )
    return page(
        "Campaign folder and record",
        intro,
        "## Files\n\n" + table(["file", "what it is"], list(_files())),
        "## record.json\n\n" + one_line(record.__doc__) + "\n\n" + _fields(record.Record),
        *(f"### {title}\n\n{_fields(kind)}" for title, kind in _record_parts()),
        f"## samples.jsonl\n\n{first_paragraph(record.Sample.__doc__)}\n\n{_fields(record.Sample)}",
        f"### usage\n\n{_fields(record.Usage)}",
        "### Kinds of errors\n\n"
        + "\n".join(f"- `{kind}`" for kind in get_args(record.ErrorKind))
        + "\n\n"
        + constant_docs(record)["ErrorKind"],
        "### Kinds of odd answers\n\n"
        + "\n".join(f"- `{kind}`" for kind in get_args(record.Oddity))
        + "\n\n"
        + constant_docs(record)["Oddity"],
        "## step.json\n\n" + first_paragraph(Step.__doc__) + "\n\n" + _fields(Step),
        "## journal.jsonl\n\n" + _journal(),
    )


def _files() -> Iterator[list[str]]:
    folder = CampaignFolder
    for name, attribute in vars(folder).items():
        if isinstance(attribute, property) and name != "runs":
            path = attribute.fget(folder(Path())) if attribute.fget else ""
            yield [f"`{path}`", one_line(attribute.__doc__)]
    attempts = "runs/RUN_ID/attempt-N/"
    yield [f"`{attempts}`", "One attempt at a run. Attempts that failed or were cut off are kept."]
    for name, meaning in (
        (layout.STEP, "What the worker was asked to do."),
        (layout.RECORD, "What it measured. Only there when at least one request was answered whole."),
        (layout.SAMPLES, "Every request, raw: the cold one, the warm-up, the window."),
        (layout.FAILURE, "Why there is no record: kind, message, hint, last lines of the engine's log."),
        (layout.ENGINE_LOG, "What the engine wrote."),
        (layout.WORKER_LOG, "What the worker wrote; empty when all went well."),
        (layout.WORKER, "Process ids of worker and engine, so that left-over ones can be found."),
    ):
        yield [f"`{attempts}{name}`", meaning]


def _record_parts() -> list[tuple[str, type[BaseModel]]]:
    return [
        ("window", record.Window),
        ("engine", record.EngineFacts),
        ("model", record.ModelFacts),
        ("host", record.HostFacts),
        ("client", record.ClientHealth),
        ("calibration", CalibrationRef),
        ("readings[]", record.Reading),
    ]


def _fields(kind: type[BaseModel]) -> str:
    docs = attribute_docs(kind)
    rows = [[f"`{name}`", _type(field.annotation), docs.get(name, "")] for name, field in kind.model_fields.items()]
    return table(["field", "type", "meaning"], rows)


def _type(annotation: Any) -> str:
    if isinstance(annotation, type) and not get_args(annotation):
        return TYPES.get(annotation, annotation.__name__)
    arguments = [part for part in get_args(annotation) if part is not Ellipsis]
    if getattr(annotation, "__origin__", None) is tuple:
        return f"list of {_type(arguments[0])}"
    if getattr(annotation, "__origin__", None) is dict:
        return "mapping"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    if all(isinstance(part, str) for part in arguments):
        return ", ".join(f"`{part}`" for part in arguments)
    if len(arguments) > len(get_args(record.ErrorKind)):
        return "one of the events below"
    return " or ".join(_type(part) for part in arguments)


def _journal() -> str:
    head = (
        "One event per line, appended and flushed to disk before the next step begins. Each line carries a checksum "
        "of itself and of the line before, so damage is found and never read as truth. "
        f"{one_line(event.__doc__)}\n\n"
    )
    stamped = _fields(event.Stamped)
    rows = []
    for kind in get_args(get_args(Event)[0]):
        keys = ", ".join(f"`{name}`" for name in kind.model_fields if name != "event")
        rows.append([f"`{kind.model_fields['event'].default}`", one_line(kind.__doc__), keys])
    return head + stamped + "\n" + table(["event", "meaning", "keys of body"], rows)


def features_page() -> str:
    """docs/reference/features.md."""
    intro = (
        "What this version cannot do, although a campaign file may ask for it. Such a file loads and is checked; "
        "`dyno campaign validate` lists these keys under *not available yet*, and `dyno campaign run` refuses the "
        "file with exit code 8. Nothing is accepted and ignored."
    )
    engines = [
        [f"`{name}`", engine.traits.unavailable] for name, engine in BUILT_IN.items() if engine.traits.unavailable
    ]
    return page(
        "Not available yet",
        intro,
        "## Engines\n\n"
        + table(["engine", "why"], [[name, str(why).removeprefix("not available yet: ")] for name, why in engines]),
        "## Keys of the campaign file\n\n"
        + table(["where", "what is not there"], [[f"`{where}`", what] for where, what in _refused()]),
        "## Not in the file at all\n\n"
        "These have no command yet: exporting to Parquet or OpenMetrics, a wizard, "
        "schedules, a web interface, agents on other machines.",
    )


def _refused() -> Iterator[tuple[str, str]]:
    """Each key that ``plan.unavailable`` names, and what it says of it; capitals stand for a name or a place."""
    for node in ast.walk(tree_of(unavailable)):
        if isinstance(node, ast.FunctionDef):
            keys = [str(key) for loop in ast.walk(node) if isinstance(loop, ast.For) for key in _listed(loop)]
            for inner in ast.walk(node):
                match inner:
                    case ast.Yield(value=ast.Tuple(elts=[where, ast.Constant() | ast.JoinedStr() as what])):
                        place = template(where, node, named=True).replace("WHERE", "workload.load")
                        places = [place.replace("KEY", key) for key in keys] if "KEY" in place and keys else [place]
                        yield "`, `".join(places), template(what, node, named=True)


def _listed(loop: ast.For) -> list[Any]:
    """The texts that a loop over a literal goes through."""
    return [part.value for part in getattr(loop.iter, "elts", []) if isinstance(part, ast.Constant)]
