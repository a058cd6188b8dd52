"""Run a simulated campaign and die, or meet a bad disk, at its n-th storage call; then finish it. For every n.

``python crash_points.py MODE FOLDER FILE``, MODE kill or fail (a full disk and a broken one in turn). One JSON line
for each n tells what happened. Each try is a fork of this process, which has imported everything already.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from dynamometer.campaign.stop import StopRequest
from dynamometer.errors import DynoError
from dynamometer.store.layout import CampaignFolder
from dynamometer.wiring import owning, planning
from dynamometer.wiring.owning import Hooks

NOT_REACHED = 99
CALLS = ("write", "fsync", "fdatasync", "replace", "mkdir")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process goes on")


def fail_at(nth: int, mode: str) -> Callable[[], bool]:
    """From now on, the n-th storage call dies or fails; a write has written half by then. Tells whether it came."""
    calls = count(1)

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(calls) != nth:
                return real(*arguments, **named)
            if name == "write":
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            if mode == "kill":
                die()
            number = (errno.ENOSPC, errno.EIO)[nth % 2]
            raise OSError(number, os.strerror(number))

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name, getattr(os, name)))
    return lambda: next(calls) > nth


def session(file: str) -> int:
    """What ``campaign run FILE --resume`` does, without words: 0 when all is done, 8 for an error that was told."""
    try:
        prepared = planning.prepare(file)
        found = owning.resumable(prepared)
        folder = CampaignFolder(found) if found else owning.new_campaign(prepared)
        stop = StopRequest()
        owning.run(prepared, folder, Hooks(stop=stop))
        stop.close()
    except DynoError as error:
        return error.exit_code
    return 0


def forked(work: Callable[[], int]) -> int:
    """Exit code of ``work`` in a child; negative: the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(mode: str, root: Path, file: str) -> None:
    """Try every n until a session comes to its end before its n-th call."""
    for nth in count(1):
        folder = root / f"{mode}-{nth}"
        folder.mkdir()
        os.chdir(folder)

        def broken(nth: int = nth) -> int:
            reached = fail_at(nth, mode)
            code = session(file)
            return code if reached() else NOT_REACHED

        first = forked(broken)
        if first == NOT_REACHED:
            return
        second = forked(lambda: session(file))
        print(json.dumps({"n": nth, "first": first, "second": second, "folder": str(folder)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
