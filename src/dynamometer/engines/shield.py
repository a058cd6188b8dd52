"""Start a program that cannot outlive its parent: ``shield.py PARENT_PID PROGRAM ARGS…``.

Asks the kernel to kill this process when its parent dies (PR_SET_PDEATHSIG survives exec), makes sure that the parent
did not die before that, and becomes the program. Standard library only, run with ``-I -S``, so it costs some
milliseconds. A preexec_fn would do the same, but must not be used where threads may run.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Have the kernel send us ``number`` when our parent dies; exit when it is not ``parent`` any more.

    Linux only; elsewhere nothing of the kind exists, and the sweep for left-over processes has to do.
    """
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(f"the parent process {parent} is gone")


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.SIGKILL)
    os.execvp(sys.argv[2], sys.argv[2:])
