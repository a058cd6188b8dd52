"""Values checked against the nouns, and refusals said in words of the file instead of those of the library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dynamometer.domain.experiment import NAME_PATTERN
from dynamometer.spec.yamltext import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake at a canonical path; whoever knows the file turns it into a Problem."""

    path: Path
    message: str
    at_key: bool = False
    """Point at the key instead of the value."""
    suggestion: str | None = None


def nearest(word: object, words: Iterable[str]) -> str | None:
    """The word that was probably meant."""
    if not isinstance(word, str):
        return None
    by_lower = {each.lower(): each for each in words}
    found = get_close_matches(word.lower().replace("-", "_"), by_lower, n=1) or get_close_matches(word, by_lower, n=1)
    return by_lower[found[0]] if found else None


def shape(
    model: type[BaseModel], data: Mapping[str, Any], spellings: Mapping[type[BaseModel], Iterable[str]] | None = None
) -> Iterator[Finding]:
    """Every way in which ``data`` is no ``model``: unknown and missing keys, types, ranges.

    Types are strict: "12" is no number and 1 is no truth value; a whole number is also a number.
    ``spellings`` adds keys that may be suggested beside the fields of a model.
    """
    try:
        model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            finding = _finding(model, data, details, spellings or {})
            if finding is not None:
                yield finding


def shown(value: object) -> str:
    """A value as a message quotes it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = json.dumps(value) if isinstance(value, (bool, int, float)) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _finding(
    model: type[BaseModel],
    data: Mapping[str, Any],
    details: ErrorDetails,
    spellings: Mapping[type[BaseModel], Iterable[str]],
) -> Finding | None:
    path = _path(details["loc"], data)
    if path is None:
        return None
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return Finding(path, f"needs {details['loc'][-1]!r}", at_key=True)
    if kind == "extra_forbidden":
        return Finding(path, "unknown key", at_key=True, suggestion=_key_meant(model, path, spellings))
    if kind == "value_error":
        return Finding(path, details["msg"].removeprefix("Value error, "))
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return Finding(
            path, f"must be {_one_of(choices)}, not {shown(value)}", suggestion=nearest(value, choices) or None
        )
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME_PATTERN:
        return Finding(path, f"must not {'contain control characters' if str(value).strip() else 'be empty'}")
    if kind == "string_pattern_mismatch":
        return Finding(path, f"{shown(value)} does not fit: {_description(model, path) or context['pattern']}")
    if kind == "bool_type":
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower())
        return Finding(path, f"must be true or false, not {shown(value)}", suggestion=meant)
    say = SAYINGS.get(kind)
    return Finding(path, say(value, context) if say else details["msg"][:1].lower() + details["msg"][1:])


Saying = Callable[[object, Mapping[str, Any]], str]


def _must_be(what: str) -> Saying:
    return lambda value, context: f"must be {what.format(**_plain(context))}, not {shown(value)}"


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds as people write them: 5, not 5.0."""
    return {
        key: int(bound) if isinstance(bound, float) and bound.is_integer() else bound for key, bound in context.items()
    }


SAYINGS: dict[str, Saying] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _must_be("a whole number")),
    **dict.fromkeys(("float_type", "float_parsing"), _must_be("a number")),
    "finite_number": _must_be("a finite number"),
    "string_type": _must_be("a text"),
    **dict.fromkeys(("tuple_type", "list_type", "set_type"), _must_be("a list")),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _must_be("a mapping of keys to values")),
    "greater_than": _must_be("more than {gt}"),
    "greater_than_equal": _must_be("at least {ge}"),
    "less_than": _must_be("less than {lt}"),
    "less_than_equal": _must_be("at most {le}"),
    "string_too_short": lambda _value, _context: "must not be empty",
    "string_too_long": lambda _value, context: f"must have at most {context['max_length']} characters",
    "too_short": lambda _value, _context: "an empty list; give at least one value",
}


def _path(loc: tuple[int | str, ...], data: Any) -> Path | None:
    """The place in the data that an error is about; None for the branch of an axis that the data does not take.

    The library's location names the branches of a union between keys: ``tuple[int, ...]`` for the list of an axis.
    """
    path: Path = ()
    for part in loc:
        if part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int):
            data, path = data[part], (*path, part)
        elif isinstance(part, str) and part.startswith("tuple["):
            if not isinstance(data, list):
                return None
        elif isinstance(data, list):
            return None
    return path


def _key_meant(model: type[BaseModel], path: Path, spellings: Mapping[type[BaseModel], Iterable[str]]) -> str | None:
    """The key that was probably meant: a near one, or the same one where it belongs."""
    owner, key = model_at(model, path[:-1]), path[-1]
    if owner is None:
        return None
    near = nearest(key, (*owner.model_fields, *spellings.get(owner, ())))
    if near:
        return near
    for name, field in owner.model_fields.items():
        section = _model_in(field.annotation)
        if section is not None and key in section.model_fields and "tuple" not in str(field.annotation):
            return f"{name}.{key}"
    return None


def model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The class whose fields are the keys at a path; None where keys are free."""
    annotation: object = model
    for part in path:
        if isinstance(part, int):
            continue
        owner = _model_in(annotation)
        if owner is None or part not in owner.model_fields:
            return None
        annotation = owner.model_fields[part].annotation
    return _model_in(annotation)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _description(model: type[BaseModel], path: Path) -> str | None:
    owner = model_at(model, path[:-1])
    field = owner.model_fields.get(str(path[-1])) if owner else None
    return field.description if field else None


def _one_of(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
