"""Reading what the user names."""

from __future__ import annotations

import sys
from pathlib import Path

from dynamometer.errors import NotFoundError, PreconditionError, UsageError

STDIN = "-"


def read_source(source: str) -> tuple[bytes, Path]:
    """Bytes of a file, or of standard input for ``-``, and the folder that relative paths in it start from."""
    if source == STDIN:
        return sys.stdin.buffer.read(), Path.cwd()
    path = Path(source)
    try:
        return path.read_bytes(), path.resolve().parent
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no file {source}") from error
    except IsADirectoryError as error:
        raise UsageError(f"{source} is a folder", hint="give a file") from error
    except OSError as error:
        raise PreconditionError(f"cannot read {source}: {error.strerror}") from error
