"""One of several client processes: ``python -m dynamometer.client.process DESCRIPTOR``, started by ``processes``."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from dynamometer.client.parts import IGNORED, Part, Word
from dynamometer.client.share import run_share


def main(descriptor: int) -> None:
    """Hear our part from the parent, do it, give back our share. Ends within a moment when the parent is gone."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    with Connection(descriptor) as parent, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        part: Part = parent.recv()

        def opening() -> int:
            parent.send(Word.READY)
            begin_ns = int(parent.recv())
            time.sleep(max(0, begin_ns - time.monotonic_ns()) / 1e9)
            return begin_ns

        def interrupted() -> bool:
            return parent.poll() and parent.recv() is Word.INTERRUPT  # recv raises EOFError when the parent is gone

        share = run_share(
            part.task,
            part.requests,
            part.deal.places(),
            opening=opening,
            on_close=lambda: parent.send(Word.CLOSED),
            interrupted=interrupted,
        )
        parent.send(share)
        parent.recv()  # until it hangs up: our processor time is read at the end of the whole window


if __name__ == "__main__":
    main(int(sys.argv[1]))
