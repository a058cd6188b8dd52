"""Python imports this at its start where it is on the path: write every storage call of the process into a trace.

``STORAGE_TRACE`` names the trace; each line is one call that came to its end, as JSON. Files that are written otherwise
(logs, the database of the index) are not in it.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TRACE = os.open(os.environ["STORAGE_TRACE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
_put = os.write
_lock = threading.Lock()


def _note(call: str, **facts: Any) -> None:
    _put(_TRACE, json.dumps({"call": call, "pid": os.getpid(), **facts}).encode() + b"\n")


def _path(path: Any) -> str:
    return str(Path(os.fsdecode(path)).absolute())


def _wrap(name: str, facts: Callable[..., dict[str, Any]]) -> None:
    """Note the call once it came to its end, with what ``facts`` make of its answer and its arguments."""
    real = getattr(os, name)

    def call(*arguments: Any, **named: Any) -> Any:
        with _lock:
            answer = real(*arguments, **named)
            if not named.keys() & {"dir_fd", "src_dir_fd"}:  # names under a descriptor are none of the store's
                _note(name, **facts(answer, *arguments))
        return answer

    setattr(os, name, call)


_wrap("open", lambda fd, path, flags, *_: {"fd": fd, "path": _path(path), "flags": flags})
_wrap("write", lambda done, fd, data: {"fd": fd, "data": base64.b64encode(bytes(data)[:done]).decode()})
_wrap("ftruncate", lambda _, fd, size: {"fd": fd, "size": size})
_wrap("fsync", lambda _, fd: {"fd": fd})
_wrap("fdatasync", lambda _, fd: {"fd": fd})
_wrap("close", lambda _, fd: {"fd": fd})
_wrap("mkdir", lambda _, path, *__: {"path": _path(path)})
_wrap("unlink", lambda _, path: {"path": _path(path)})
_wrap("replace", lambda _, old, new: {"path": _path(old), "to": _path(new)})
