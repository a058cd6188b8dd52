"""What users write: campaign files, engines' options, suites; from the models that read them."""

from __future__ import annotations

from importlib import resources
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from source_text import attribute_docs, first_paragraph, one_line, page, table

from dynamometer.domain.campaign import Campaign, ExperimentEntry
from dynamometer.domain.engine import EngineTraits
from dynamometer.domain.experiment import NAME_PATTERN, Workload, load_label
from dynamometer.domain.plan import Benchmark, Suite
from dynamometer.domain.units import format_duration
from dynamometer.engines import BUILT_IN
from dynamometer.spec import dialects
from dynamometer.spec.suites import parse_suite

DURATION_HINT = "(ms|s|m|h|d)"
"""What the pattern of every duration has in it."""
SECTIONS = {
    "Campaign": "The file",
    "Model": "models[]",
    "EngineEntry": "engines[]",
    "Quants": "quants",
    "Grid": "grid",
    "DecoderAxes": "grid.decoder, workload.decoder",
    "ExperimentEntry": "experiments[]",
    "WorkloadAxes": "workload",
    "LoadAxes": "workload.load, experiments[].load",
    "Ramp": "workload.load.ramp",
    "Lengths": "max_input_tokens, max_output_tokens",
    "Slo": "workload.slo, experiments[].slo",
    "Warmup": "workload.warmup, experiments[].warmup",
    "Decoder": "experiments[].decoder",
    "Execution": "execution",
    "Container": "execution.container",
    "Retry": "execution.retry",
    "FailureThreshold": "execution.failure_threshold",
    "HealthCheck": "execution.health_check",
    "ColdStart": "execution.cold_start",
    "Thermal": "execution.thermal",
    "Energy": "energy",
    "ModelsFrom": "models_from",
    "Disk": "disk",
    "Limits": "limits",
    "Schedule": "schedule",
    "Notifications": "notifications",
    "Io": "io",
}
"""Part of the file -> where it stands, in the order of the page."""
SPECIAL = {
    ("WorkloadAxes", "dataset"): " Built in are `builtin` (questions and passages) and `synthetic` (common words).",
}
FROM_CAMPAIGN = ("benchmark", "seed")
"""Keys of a workload that the campaign sets, whatever a suite says."""
CAMPAIGN_INTRO = """\
The canonical form: what `dyno campaign show --canonical` prints, and what `dyno config schema` describes as a JSON
Schema. A key that this page does not name is an error. A scalar fixes a value; where a type says *or a list*, a list
varies it. A duration is a text with its unit: `500ms`, `60s`, `30m`, `1h 30m`; only `0` needs none.

Not everything that a file may say can be run by this version. `dyno campaign validate` lists such keys, `run`
refuses them, and [features](features.md) has them all."""


def campaign_file_page() -> str:
    """docs/reference/campaign-file.md."""
    schema = Campaign.model_json_schema()
    kinds: dict[str, type[BaseModel]] = {"Campaign": Campaign, **_nested(Campaign)}
    assert kinds.keys() == SECTIONS.keys(), kinds.keys() ^ SECTIONS.keys()
    sections = []
    for name, where in SECTIONS.items():
        properties = schema if name == "Campaign" else schema["$defs"][name]
        head = "" if name == "Campaign" else first_paragraph(kinds[name].__doc__) + "\n\n"
        extra = (
            "Beside these keys stands one section per engine, named after it, with the options of that engine; "
            "a list varies an option. See [engines](engines.md).\n\n"
            if name == "Grid"
            else ""
        )
        sections.append(f"## {where}\n\n{head}{extra}{_keys(kinds[name], properties['properties'], name)}")
    return page("Campaign file", CAMPAIGN_INTRO, *sections, _experiment_file(), _dialects())


def _nested(kind: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Models that a model's fields hold, at any depth."""
    found: dict[str, type[BaseModel]] = {}
    for field in kind.model_fields.values():
        for part in _parts(field.annotation):
            if part.__name__ not in found:
                found |= {part.__name__: part, **_nested(part)}
    return found


def _parts(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for argument in getattr(annotation, "__args__", ()) for part in _parts(argument)]


def _keys(kind: type[BaseModel], properties: dict[str, Any], name: str = "") -> str:
    docs = attribute_docs(kind)
    rows = []
    for key, schema in properties.items():
        field = kind.model_fields[key]
        duration = DURATION_HINT in str(schema)
        default = field.get_default(call_default_factory=True)
        shown = "required" if field.is_required() else _default(default, duration=duration)
        meaning = one_line(docs.get(key)) + SPECIAL.get((name, key), "")
        rows.append([f"`{key}`", kind_of(schema), shown, meaning])
    return table(["key", "type", "default", "meaning"], rows)


def _default(value: Any, *, duration: bool) -> str:
    if value is PydanticUndefined or value is None:
        return ""
    if duration and isinstance(value, float):
        return f"`{format_duration(value)}`" if value else "`0s`"
    if isinstance(value, BaseModel):
        said = value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return "`{" + ", ".join(f"{key}: {inner}" for key, inner in said.items()) + "}`" if said else ""
    if value in ((), {}, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def kind_of(schema: dict[str, Any]) -> str:
    """The type of a key in words, from its JSON Schema."""
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return _one_of([option for option in options if option.get("type") != "null"])
    if "allOf" in schema:
        return kind_of(schema["allOf"][0])
    if "$ref" in schema:
        where = SECTIONS.get(schema["$ref"].rsplit("/", 1)[-1])
        return f"mapping: [`{where}`](#{_anchor(where)})" if where else "mapping"
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return ", ".join(f"`{value}`" for value in choices)
    return _plain(schema)


def _one_of(options: list[dict[str, Any]]) -> str:
    if any(DURATION_HINT in option.get("pattern", "") for option in options):
        return "duration"
    lists = [option for option in options if option.get("type") == "array"]
    plain = [kind_of(option) for option in options if option not in lists]
    if lists and plain:
        return f"{' or '.join(dict.fromkeys(plain))}, or a list"
    return " or ".join(dict.fromkeys(kind_of(option) for option in options))


def _plain(schema: dict[str, Any]) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {_plural(kind_of(schema.get('items', {})))}"
        case "integer" | "number" as number:
            return f"{number}{_range(schema)}"
        case "string":
            pattern = schema.get("pattern", NAME_PATTERN)
            return "text" if pattern == NAME_PATTERN else f"text like `{pattern}`"
        case "boolean":
            return "`true`, `false`"
    return "mapping" if schema.get("type") == "object" else "any"


def _plural(words: str) -> str:
    return {"text": "texts", "mapping": "mappings", "any": "anything"}.get(words, words)


def _range(schema: dict[str, Any]) -> str:
    words = [
        f"{word} {schema[key]:,}"
        for key, word in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return f" {', '.join(words)}" if words else ""


def _anchor(title: str) -> str:
    return "".join(char for char in title.lower() if char.isalnum() or char in " -_").replace(" ", "-")


def _experiment_file() -> str:
    beside = ", ".join(f"`{key}`" for key in dialects.BESIDE_EXPERIMENT)
    own = ", ".join(f"`{key}`" for key in ExperimentEntry.model_fields if key not in ("config", "overrides"))
    return (
        "## A file with one experiment\n\n"
        "What `dyno experiment` runs, and what `experiments[].config` names. It holds the keys of one entry of "
        f"`experiments` at the top: {own}. Beside them may stand {beside}."
    )


def _dialects() -> str:
    rows = [
        *([f"`{old}`", f"`{'.'.join(map(str, new))}`", "flat"] for old, new in dialects.FLAT.items()),
        *([f"`{old}`", f"`{'.'.join(map(str, new))}`", "nested"] for old, new in dialects.NESTED.items()),
        ["`campaign: {…}`", "its keys, at the top", "nested"],
        ["an engine's name at the top", "that section inside `grid`", "nested"],
        ["`notification.webhook_url`", "`notifications.urls`, as its one entry", "nested"],
        ["`notification.on: [complete, failure]`", "`notifications.on_complete`, `.on_failure`", "nested"],
        ["`engines: [llama_cpp]`", "`engines: [{name: llama_cpp}]`", "short form"],
        ["`grid.models: gpt2`", "`grid.models: [gpt2]`", "short form"],
        ["`decoder.temperature: 0`", "`decoder: {temperature: 0}`", "short form"],
    ]
    return (
        "## Dialects\n\nTwo older forms of the file load as they are. *Flat* has everything at the top; *nested* has "
        "everything under `campaign:`. They may be mixed with canonical keys, but nothing may be said twice. Engines "
        "also go by the other names in [engines](engines.md).\n\n" + table(["written", "read as", "dialect"], rows)
    )


def engines_page() -> str:
    """docs/reference/engines.md."""
    intro = (
        "Options go under `engines[].options`, `experiments[].options`, or the engine's section of `grid`. They have "
        "the engine's own names: there are no aliases between options of two engines. Other packages can add engines "
        "by an entry point of the group `dynamometer.engines`; `dyno doctor` lists those that cannot be loaded."
    )
    return page("Engines", intro, _overview(), *(_engine(engine.traits) for engine in BUILT_IN.values()))


def _overview() -> str:
    rows = [
        [
            f"[`{traits.name}`](#{_anchor(traits.name)})",
            ", ".join(f"`{alias}`" for alias in traits.aliases),
            ", ".join(traits.formats),
            "simulated" if traits.simulated else "options only" if traits.unavailable else "yes",
        ]
        for traits in (engine.traits for engine in BUILT_IN.values())
    ]
    return table(["engine", "also spelled", "weights", "runs in this version"], rows)


def _engine(traits: EngineTraits) -> str:
    facts = [
        f"{traits.title}.",
        f"Precisions: {', '.join(f'`{precision}`' for precision in traits.precisions)}.",
    ]
    if traits.parallel_option:
        facts.append(f"`{traits.parallel_option}` bounds how many requests it computes at once.")
    if traits.simulated:
        facts.append("Its results are marked as simulated for ever.")
    if traits.unavailable:
        facts.append(
            f"**{traits.unavailable[0].upper()}{traits.unavailable[1:]}.** Files that name it are checked, and `run` "
            "refuses them."
        )
    schema = traits.options.model_json_schema()
    return f"## {traits.name}\n\n{' '.join(facts)}\n\n{_keys(traits.options, schema['properties'])}"


def suites_page() -> str:
    """docs/reference/suites.md."""
    intro = (
        "A suite is a named list of benchmarks. `workload.suite` chooses one for the campaign, `engines[].suite` and "
        "`experiments[].suite` for a part of it; without any it is `quick`. What the campaign says under `workload` "
        "goes over the values here. How to write one stands in [your own suite](../guides/own-suite.md)."
    )
    files = sorted(resources.files("dynamometer").joinpath("suites").iterdir(), key=lambda item: item.name)
    sections = [
        _suite(parse_suite(file.read_text("utf-8"), file=file.name)) for file in files if file.name.endswith(".yaml")
    ]
    return page("Suites", intro, *sections, _suite_file())


def _suite(suite: Suite) -> str:
    rows = []
    for benchmark in suite.benchmarks:
        load = benchmark.workload
        warmup = load.warmup
        many = f"up to {warmup.max_requests}, until steady" if warmup.until == "steady" else str(warmup.max_requests)
        rows.append(
            [
                f"`{benchmark.name}`",
                benchmark.kind if benchmark.kind == "load" else f"{benchmark.kind} (not available yet)",
                f"`{load_label(load.load)}`",
                str(load.requests) if load.requests else f"{load.duration_s:g} s",
                f"{load.max_input_tokens} → {load.max_output_tokens}",
                many if warmup.max_requests else "none",
            ]
        )
    header = ["benchmark", "kind", "load", "requests", "tokens in → out", "warm-up requests"]
    return f"## {suite.name}\n\n{suite.description}\n\n{table(header, rows)}"


def _suite_file() -> str:
    schema = Suite.model_json_schema()
    definitions = schema["$defs"]
    load = {key: each for key, each in definitions["Workload"]["properties"].items() if key not in FROM_CAMPAIGN}
    closed = (
        "`load` holds one of `concurrency`, `rate`, `trace` and `ramp`, and no lists. Unlike in a campaign, a trace or "
        "a ramp ends after `requests`, 32 when left out, unless `duration_s` is given. The other mappings have the "
        "keys of the [campaign file](campaign-file.md#workload)."
    )
    return "\n\n".join(
        [
            "## Keys of a suite file",
            _keys(Suite, schema["properties"]).strip(),
            "### benchmarks[]",
            _keys(Benchmark, definitions["Benchmark"]["properties"]).strip(),
            "### benchmarks[].workload",
            closed,
            _keys(Workload, load).replace("](#", "](campaign-file.md#"),
        ]
    )
