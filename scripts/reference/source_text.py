"""What only the source text tells: docstrings under attributes, and messages with the holes they are filled at."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

MADE_BY = "<!-- Written by scripts/reference from the code. Change the docstrings there, then run it again. -->"
HOLE = "…"


def attribute_docs(kind: type[Any]) -> dict[str, str]:
    """Attribute -> the docstring under it, those of base classes included."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("dynamometer."):
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
            assert isinstance(body, ast.ClassDef), base
            docs |= dict(_documented(body.body))
    return docs


def constant_docs(module: ModuleType) -> dict[str, str]:
    """Name of a module's constant -> the docstring under it."""
    return dict(_documented(ast.parse(inspect.getsource(module)).body))


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, after in pairwise(body):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if (
            isinstance(target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            yield target.id, one_line(after.value.value)


def tree_of(thing: Any) -> ast.AST:
    """The syntax tree of a function or a module."""
    return ast.parse(textwrap.dedent(inspect.getsource(thing)))


def template(node: ast.expr | None, scope: ast.AST, *, named: bool = False) -> str:
    """A text as its source spells it, with … where a value is put in, or with ``named`` the value's name in capitals.

    A name that is the whole text is looked up in ``scope``.
    """
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=value) if value is not None:
            return str(value)
        case ast.JoinedStr(values=parts):
            return "".join(
                template(part, scope) if isinstance(part, ast.Constant) else _hole(part, named) for part in parts
            )
        case ast.IfExp(body=yes, orelse=no):
            found = [text for text in (template(yes, scope), template(no, scope)) if text]
            return "; or: ".join(found)
        case ast.Name(id=name):
            return template(_assigned(name, scope), scope)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return template(left, scope) + template(right, scope)
    return ""


def _hole(part: ast.expr, named: bool) -> str:
    value = part.value if isinstance(part, ast.FormattedValue) and named else None
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.upper()
    return HOLE


def _assigned(name: str, scope: ast.AST) -> ast.expr | None:
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return node.value
    return None


def one_line(text: str | None) -> str:
    """A docstring on one line."""
    return " ".join((text or "").replace("``", "`").split())


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return one_line(inspect.cleandoc(text or "").split("\n\n")[0])


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(title: str, intro: str, *sections: str) -> str:
    """A page with its title, a note on where it comes from, and its sections."""
    return "\n\n".join([f"# {title}", MADE_BY, intro, *(section.strip() for section in sections if section)]) + "\n"
