"""Readers of our output that go away: ``| head``, a closed terminal window. That is their right, and no error."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def may_leave() -> Iterator[None]:
    """Drop the output of the block, and what comes after it, when nobody reads it any more."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        drop_output(error)


def drop_output(error: OSError) -> None:
    """Send what is still to be written nowhere, or Python would complain at exit, when it flushes.

    A closed terminal took standard error with it; a closed pipe did not.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    if error.errno == errno.EIO:
        os.dup2(nowhere, 2)
    os.close(nowhere)
