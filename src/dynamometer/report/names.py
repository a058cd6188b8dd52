"""Names of rows: parts joined by slashes, of which tables and charts say once what all have in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def shared_parts(names: Sequence[str]) -> list[str]:
    """Parts that all names have beside their last one; of a single name none."""
    parts = [name.split("/")[:-1] for name in names]
    return [part for part in parts[0] if all(part in other for other in parts)] if len(parts) > 1 else []


def without(name: str, shared: Collection[str]) -> str:
    """The name without these parts; its last part always stays."""
    *parts, last = name.split("/")
    return "/".join([*(part for part in parts if part not in shared), last])


def shorter(names: Sequence[str]) -> tuple[str, list[str]]:
    """What all names share, and the names without it: nothing, and the names, where they would become alike."""
    shared = shared_parts(names)
    short = [without(name, shared) for name in names]
    return ("/".join(shared), short) if len(set(short)) == len(set(names)) else ("", list(names))


def listed(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
