"""Readers of our output that go away: ``| head``, a closed terminal window. That is their right, and no error."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def may_leave() -> Iterator[None]:
    """Drop the output of the block, and what comes after it, when nobody reads it any more."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        drop_output(error)


def takes_more(stream: TextIO | None) -> bool:
    """Whether a short line can be written there without waiting for whoever reads it."""
    if stream is None:
        return True
    try:
        descriptor = stream.fileno()
    except OSError:  # it is in memory
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


def drop_stuck(*, output: bool) -> None:
    """Send nowhere what is still to be written to standard error if that takes no more, and to standard output.

    The latter only with ``output``. Python would wait for ever at exit, when it flushes.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if output:
        os.dup2(nowhere, 1)
    if not takes_more(sys.stderr):
        os.dup2(nowhere, 2)
    os.close(nowhere)


def drop_output(error: OSError) -> None:
    """Send what is still to be written nowhere, or Python would complain at exit, when it flushes.

    A closed terminal took standard error with it; a closed pipe did not.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    if error.errno == errno.EIO:
        os.dup2(nowhere, 2)
    os.close(nowhere)
