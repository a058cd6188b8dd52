"""Where every value of the canonical form stands in the user's file, and how the user spelled its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamometer.errors import Problem
from dynamometer.spec.yamltext import Mark, Path, dotted


@dataclass(frozen=True, slots=True)
class Places:
    """Canonical path -> the user's path -> line and column."""

    file: str
    """Name of the file, for messages."""
    keys: Mapping[Path, Mark] = field(default_factory=dict)
    """The user's path -> where its key stands."""
    values: Mapping[Path, Mark] = field(default_factory=dict)
    """The user's path -> where its value stands."""
    spelled: Mapping[Path, Path] = field(default_factory=dict)
    """Canonical path -> the user's, where a dialect differs; what stands below follows."""

    def spelling(self, path: Path) -> Path:
        """The user's path of a canonical one."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.spelled:
                return self.spelled[path[:end]] + path[end:]
        return path

    def mark(self, path: Path, *, at_key: bool = False) -> Mark | None:
        """Where the value (or its key) stands; that of the nearest value around it when it has no place of its own."""
        spelling = self.spelling(path)
        if at_key and spelling in self.keys:
            return self.keys[spelling]
        for end in range(len(spelling), -1, -1):
            if spelling[:end] in self.values:
                return self.values[spelling[:end]]
        return None

    def problem(self, message: str, path: Path, *, at_key: bool = False, suggestion: str | None = None) -> Problem:
        """A problem with the value at a canonical path."""
        line, column = self.mark(path, at_key=at_key) or (None, None)
        return Problem(message, dotted(self.spelling(path)), self.file, line, column, suggestion)
