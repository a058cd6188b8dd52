"""What a disk may hold after a power cut, from a trace of storage calls.

The rules are those that POSIX gives and no more: bytes of a file are safe when that file was synced after they were
written, a name is safe when its folder was synced after it was made, moved or removed. What is not safe may be there,
or not, or in part; each without regard to the rest.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

NEVER = 1 << 60
BLOCK = 512


@dataclass(slots=True)
class Bytes:
    """Bytes written at a place in a file; ``data`` None cuts the file off there."""

    at: int
    """Number of the call."""
    offset: int
    data: bytes | None
    safe_at: int = NEVER
    """From which call on they are safe."""


@dataclass(slots=True)
class Names:
    """Names of one folder that change in one step: each comes to mean a file or folder, or nothing."""

    at: int
    meaning: dict[str, Node | None]
    safe_at: int = NEVER


@dataclass(slots=True)
class Node:
    """A file or a folder, with all that was ever done to it, in order."""

    is_folder: bool
    changes: list[Bytes | Names] = field(default_factory=list)
    size: int = 0

    def sync(self, now: int) -> None:
        """Everything so far is safe."""
        for change in self.changes:
            change.safe_at = min(change.safe_at, now)


class Disk:
    """The calls of a trace that concern what lies under ``top``, where ``folders`` were before it began."""

    def __init__(self, trace: Iterable[str], top: Path, folders: Iterable[str]) -> None:
        self.root = Node(is_folder=True)
        self.calls = 0
        self.journal: list[Bytes] = []
        """What was written to the journal."""
        self._live = {str(top): self.root}
        self._open: dict[tuple[int, int], tuple[Node, str]] = {}
        for name in folders:
            self._name(str(top / name), Node(is_folder=True))
        self.root.sync(self.calls)
        self.before = self.calls
        """Calls that made what was there before."""
        for line in trace:
            self._take(json.loads(line))

    def _take(self, call: dict[str, Any]) -> None:
        handle = (call["pid"], call.get("fd", -1))
        path, name = call.get("path", ""), call["call"]
        if name == "open":
            self._opened(handle, path, call["flags"])
        elif name == "close":
            self._open.pop(handle, None)
        elif name == "mkdir":
            self._name(path, Node(is_folder=True))
        elif name == "unlink":
            self._name(path, None)
        elif name == "replace":
            self._moved(path, call["to"])
        elif handle in self._open:
            self._written(*self._open[handle], call)

    def _written(self, node: Node, path: str, call: dict[str, Any]) -> None:
        self.calls += 1
        if call["call"] in ("fsync", "fdatasync"):
            node.sync(self.calls)
        elif call["call"] == "ftruncate":
            node.changes.append(Bytes(self.calls, call["size"], None))
            node.size = call["size"]
        else:
            data = base64.b64decode(call["data"])
            written = Bytes(self.calls, node.size, data)
            node.changes.append(written)
            node.size += len(data)
            if path.endswith("/journal.jsonl"):
                self.journal.append(written)

    def _opened(self, handle: tuple[int, int], path: str, flags: int) -> None:
        if flags & os.O_CREAT and path not in self._live and not self._name(path, Node(is_folder=False)):
            return
        if path in self._live:
            self._open[handle] = self._live[path], path

    def _moved(self, old: str, new: str) -> None:
        if old not in self._live:
            return
        node = self._live.pop(old)
        before, after = Path(old), Path(new)
        assert before.parent == after.parent, "no file moves between folders"
        self._live[new] = node
        self._change(str(after.parent), {before.name: None, after.name: node})

    def _name(self, path: str, node: Node | None) -> bool:
        folder, name = os.path.split(path)
        if folder not in self._live:
            return False
        if node is None:
            self._live.pop(path, None)
        else:
            self._live[path] = node
        self._change(folder, {name: node})
        return True

    def _change(self, folder: str, meaning: dict[str, Node | None]) -> None:
        self.calls += 1
        self._live[folder].changes.append(Names(self.calls, meaning))

    def write(self, to: Path, cut: int, chance: Random | None) -> None:
        """The state after a power cut behind call ``cut``. Without ``chance``, nothing is there that is not safe."""
        _write_folder(self.root, to, cut, chance)


def _write_folder(node: Node, to: Path, cut: int, chance: Random | None) -> None:
    to.mkdir()
    meaning: dict[str, Node | None] = {}
    for change in node.changes:
        if isinstance(change, Names) and _survives(change, cut, chance):
            meaning |= change.meaning
    for name, child in meaning.items():
        if child is None:
            continue
        if child.is_folder:
            _write_folder(child, to / name, cut, chance)
        else:
            (to / name).write_bytes(_content(child, cut, chance))


def _survives(change: Bytes | Names, cut: int, chance: Random | None) -> bool:
    if change.at > cut or change.safe_at <= cut:
        return change.at <= cut
    return chance is not None and chance.random() < 0.5


def _content(node: Node, cut: int, chance: Random | None) -> bytes:
    content = bytearray()
    for change in node.changes:
        if not isinstance(change, Bytes) or not _survives(change, cut, chance):
            continue
        if change.data is None:
            del content[change.offset :]
            continue
        data = change.data if change.safe_at <= cut or chance is None else _torn(change.data, chance)
        content.extend(b"\0" * (change.offset - len(content)))
        content[change.offset : change.offset + len(data)] = data
    return bytes(content)


def _torn(data: bytes, chance: Random) -> bytes:
    """All of it, a beginning, or all its length with zeros for some of its blocks."""
    kind = chance.randrange(3)
    if kind == 0:
        return data
    if kind == 1:
        return data[: chance.randrange(len(data) + 1)]
    blocks = (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
    return b"".join(block if chance.random() < 0.5 else b"\0" * len(block) for block in blocks)
