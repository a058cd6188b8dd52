"""JSON Schema of the canonical campaign file, with the options of every engine."""

from __future__ import annotations

from typing import Any

from dynamometer.domain.campaign import Campaign
from dynamometer.domain.engine import Catalogue, EngineTraits

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(catalogue: Catalogue) -> dict[str, Any]:
    """The schema of the canonical form, draft 2020-12. Descriptions are the docstrings of the nouns.

    In ``engines[].options`` and in the sections of ``grid`` each option may also be a list; in explicit experiments
    it is one value.
    """
    schema = Campaign.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    grid = definitions["Grid"]
    grid["additionalProperties"] = False
    for traits in catalogue.engines.values():
        own = traits.options.model_json_schema(ref_template=f"#/$defs/{traits.name}.{{model}}")
        definitions |= {f"{traits.name}.{name}": inner for name, inner in own.pop("$defs", {}).items()}
        definitions[f"{traits.name}.options"] = own | {"title": f"Options of {traits.title}", "required": []}
        definitions[f"{traits.name}.axes"] = _axes(own, traits)
        grid["properties"][traits.name] = {"$ref": f"#/$defs/{traits.name}.axes"}
    _choose(definitions["EngineEntry"], "name", "axes", catalogue)
    _choose(definitions["ExperimentEntry"], "engine", "options", catalogue)
    names = sorted(catalogue.engines)
    grid["properties"]["engines"]["items"] = {"enum": names}
    return {"$schema": DRAFT, **schema, "title": "Dynamometer campaign"}


def _axes(options: dict[str, Any], traits: EngineTraits) -> dict[str, Any]:
    properties = {
        key: {
            **({"description": each["description"]} if "description" in each else {}),
            "anyOf": [each, {"type": "array", "items": each, "minItems": 1}],
        }
        for key, each in options.get("properties", {}).items()
    }
    return {
        "title": f"Options of {traits.title}; a list varies an option",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _choose(entry: dict[str, Any], key: str, kind: str, catalogue: Catalogue) -> None:
    """The options of an entry are those of the engine it names."""
    if key == "name":
        entry["properties"][key] |= {"enum": sorted(catalogue.engines)}
    entry["allOf"] = [
        {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": {"properties": {"options": {"$ref": f"#/$defs/{name}.{kind}"}}},
        }
        for name in catalogue.engines
    ]
