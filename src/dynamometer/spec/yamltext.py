"""YAML text -> plain data, with the line and column of everything in it.

A safe subset of YAML, built from the parser's events in one pass: libyaml's own composer ends the process on deeply
nested text, and aliases can make a small file huge. Plain scalars mean what YAML 1.2 says (``no``, ``on`` and ``yes``
are texts); ``012``, which is 10 in YAML 1.1 and 12 in YAML 1.2, is a text too, so that no number is guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import yaml

from dynamometer.errors import CampaignError, Problem

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 50
MAX_NODES = 500_000
"""Scalars, lists and mappings a file may have once every alias is replaced by what it stands for."""
MAX_MISTAKES = 50
"""Mistakes of spelling (duplicate keys, tags) after which reading stops."""

Path: TypeAlias = tuple[str | int, ...]
"""Place of a value: keys and list indices from the top."""


class Mark(NamedTuple):
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file holds."""

    text: str
    """The file, decoded, without byte order mark."""
    data: dict[str, Any]
    """The mapping at its top. Values that aliases share are one object: never change them in place."""
    keys: Mapping[Path, Mark]
    """Where the key of a mapping's entry stands."""
    values: Mapping[Path, Mark]
    """Where a value stands. Below an alias only the alias itself has a place."""
    problems: tuple[Problem, ...] = ()
    """Mistakes that did not stop the reading: duplicate keys, tags, infinite numbers."""


LOOKS_LIKE = "a file is a mapping of keys to values, such as 'name: my-campaign'"
LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_CLEARER = {
    "mapping values are not allowed in this context": "a key and its ':' cannot stand here; is the indentation right, "
    "or does a text with ': ' in it need quotes?",
    "could not find expected ':'": "a key without its ':'",
    "did not find expected key": "a key was expected here; is the indentation that of the lines around it?",
    "did not find expected '-' indicator": "an item of a list ('- ') was expected here; is the indentation right?",
    "did not find expected ',' or ']'": "a list '[…]' that does not end, or lacks a comma",
    "did not find expected ',' or '}'": "a mapping '{…}' that does not end, or lacks a comma",
    "found unexpected end of stream": "the file ends inside a quoted text",
    "found character that cannot start any token": "a text that starts with this character needs quotes",
    "found undefined tag handle": "tags such as !name! are not allowed",
}


def scalar(text: str) -> object:
    """The value of an unquoted scalar by YAML 1.2's core schema, except that ``012`` stays a text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > 40:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def read(source: str | bytes, *, file: str) -> Document:
    """The one mapping in ``source``.

    Raises CampaignError for anything that is no such mapping: other encodings than UTF-8, control characters, broken
    syntax, more than one document, lists or scalars at the top, and text that is too large, too deep or too repetitive.
    """
    text = _decoded(source, file)
    _check_characters(text, file)
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise CampaignError([_syntax_problem(error, text, file)]) from error
    except yaml.YAMLError as error:
        raise CampaignError([Problem(f"not valid YAML: {error}", file=file)]) from error
    return builder.document(text)


def _decoded(source: str | bytes, file: str) -> str:
    size = len(source) if isinstance(source, bytes) else len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        problem = f"the file has {size / 1e6:.1f} MB; more than {MAX_BYTES / 1e6:.1f} MB is no campaign file"
        raise CampaignError([Problem(problem, file=file)])
    if isinstance(source, str):
        return source.removeprefix("\ufeff")
    if source.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CampaignError([Problem("the file is UTF-16 or UTF-32; save it as UTF-8", file=file)])
    try:
        return source.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise CampaignError([Problem("not UTF-8; save the file as UTF-8", file=file, line=line)]) from error


def _check_characters(text: str, file: str) -> None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return
    before = text[: found.start()]
    code = ord(found.group())
    message = (
        "a NUL character; the file is binary, or not saved as UTF-8"
        if code == 0
        else f"the character U+{code:04X} cannot stand in a file"
    )
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    raise CampaignError([Problem(message, file=file, line=line, column=column)])


def _events(text: str) -> Iterator[yaml.Event]:
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=LOADER)
    return events


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem(f"not valid YAML: {error.problem}", file=file)
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    message = _CLEARER.get(error.problem or "", error.problem or "cannot be read")
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column : mark.column + 1] == "\t":
        message = "a tab is used for indentation; YAML wants spaces"
    return Problem(f"not valid YAML: {message}", file=file, line=mark.line + 1, column=mark.column + 1)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    size: int
    """Nodes read when it began."""
    key: str | None = None
    """Key whose value comes next; None in a list, and where a key comes next."""
    key_mark: Mark | None = None
    merged: list[tuple[Mark, object]] = field(default_factory=list)
    """Values of ``<<`` keys."""


@dataclass(slots=True)
class _Anchored:
    value: object
    size: int


@dataclass(slots=True)
class _Builder:
    """Takes events one at a time and grows the data."""

    file: str
    root: object = None
    root_mark: Mark | None = None
    size: int = 0
    documents: int = 0
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._begin(event, {})
            case yaml.SequenceStartEvent():
                self._begin(event, [])
            case yaml.CollectionEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise self._fatal("a second document begins; one file holds one", _mark(event))
            case _:
                pass  # begin and end of stream and document carry nothing

    def document(self, text: str) -> Document:
        """The finished document, if it is a mapping."""
        if self.root is None:
            raise CampaignError([Problem(f"the file is empty; {LOOKS_LIKE}", file=self.file)])
        if not isinstance(self.root, dict):
            kind = "a list" if isinstance(self.root, list) else "a single value"
            raise self._fatal(f"{kind} stands at the top; {LOOKS_LIKE}", self.root_mark)
        return Document(text, self.root, self.keys, self.values, tuple(self.problems))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        mark, tag = _mark(event), event.tag
        parent = self.open[-1] if self.open else None
        if parent is not None and parent.key is None and isinstance(parent.value, dict):
            self._grow(1, mark)
            self._key(parent, event, mark)
            return
        if tag in (None, "!", "tag:yaml.org,2002:str"):
            value = scalar(event.value) if event.implicit[0] else event.value
        else:
            self._mistake(f"the tag {_short_tag(tag)} is not allowed: write plain values", mark)
            value = event.value
        if isinstance(value, str) and _FORBIDDEN.search(value):
            self._mistake("a control character stands in this text", mark)
            value = _FORBIDDEN.sub("?", value)
        elif isinstance(value, float) and not math.isfinite(value):
            self._mistake(f"{event.value} is not a finite number", mark)
            value = 0.0
        self._grow(1, mark)
        self._place(value, mark)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(value, 1)

    def _key(self, parent: _Open, event: yaml.ScalarEvent, mark: Mark) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self._mistake(f"the tag {_short_tag(event.tag)} is not allowed: write plain keys", mark)
        if _FORBIDDEN.search(event.value):
            self._mistake("a control character stands in this key", mark)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(event.value, 1)
        parent.key, parent.key_mark = event.value, mark

    def _begin(
        self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, value: dict[str, Any] | list[Any]
    ) -> None:
        mark = _mark(event)
        if event.tag not in (None, "!"):
            self._mistake(f"the tag {_short_tag(event.tag)} is not allowed: write plain values", mark)
        if len(self.open) >= MAX_DEPTH:
            raise self._fatal(f"nested more than {MAX_DEPTH} deep", mark)
        before = self.size
        self._grow(1, mark)
        if event.anchor:
            self.anchors.pop(event.anchor, None)
        path = self._place(value, mark)
        self.open.append(_Open(value, path, event.anchor, before))

    def _end(self) -> None:
        ended = self.open.pop()
        for mark, value in ended.merged:
            self._merge(ended, value, mark)
        if ended.anchor:
            self.anchors[ended.anchor] = _Anchored(ended.value, self.size - ended.size)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark, name = _mark(event), event.anchor
        if any(outer.anchor == name for outer in self.open):
            raise self._fatal(f"*{name} stands inside the value it refers to", mark)
        if name not in self.anchors:
            raise self._fatal(f"*{name} refers to an anchor &{name} that is not there", mark)
        anchored = self.anchors[name]
        self._grow(anchored.size, mark)
        self._place(anchored.value, mark)

    def _place(self, value: object, mark: Mark) -> Path:
        """Put a value where it belongs, and note where it stands."""
        if not self.open:
            self.root, self.root_mark = value, mark
            self.values[()] = mark
            return ()
        parent = self.open[-1]
        if isinstance(parent.value, list):
            path = (*parent.path, len(parent.value))
            parent.value.append(value)
            self.values[path] = mark
            return path
        key, key_mark = parent.key, parent.key_mark
        if key is None or key_mark is None:
            raise self._fatal("a key must be a text, not a list, a mapping or an alias", mark)
        parent.key = parent.key_mark = None
        path = (*parent.path, key)
        if key == "<<":
            parent.merged.append((key_mark, value))
            return path
        if path in self.keys:
            first = self.keys[path].line
            self._mistake(f"{key!r} is given twice: here and in line {first}", key_mark, path)
            return path
        parent.value[key] = value
        self.keys[path], self.values[path] = key_mark, mark
        return path

    def _merge(self, target: _Open, value: object, mark: Mark) -> None:
        """``<<``: keys of other mappings, where the mapping has no such key itself."""
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict) or not isinstance(target.value, dict):
                self._mistake("'<<' wants a mapping, or a list of mappings", mark, (*target.path, "<<"))
                return
            for key, inherited in source.items():
                if key not in target.value:
                    target.value[key] = inherited
                    self.keys[*target.path, key] = self.values[*target.path, key] = mark

    def _grow(self, by: int, mark: Mark) -> None:
        self.size += by
        if self.size > MAX_NODES:
            raise self._fatal(f"more than {MAX_NODES:,} values, aliases counted by what they stand for", mark)

    def _mistake(self, message: str, mark: Mark, path: Path = ()) -> None:
        self.problems.append(self._problem(message, mark, path))
        if len(self.problems) >= MAX_MISTAKES:
            raise CampaignError(self.problems)

    def _fatal(self, message: str, mark: Mark | None) -> CampaignError:
        return CampaignError([*self.problems, self._problem(message, mark)])

    def _problem(self, message: str, mark: Mark | None, path: Path = ()) -> Problem:
        line, column = mark or (None, None)
        return Problem(message, where=dotted(path), file=self.file, line=line, column=column)


def dotted(path: Path) -> str:
    """``engines.1.formats`` for a path; list indices count from 0."""
    return ".".join(str(part) for part in path)


def _mark(event: yaml.Event) -> Mark:
    start = event.start_mark
    assert start is not None, "every event of a text has a mark"
    return Mark(start.line + 1, start.column + 1)


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!", 1)[:60]
