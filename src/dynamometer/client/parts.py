"""How a load is parted among processes, and what these and their parent say to each other."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count

from dynamometer.client.exchange import Request
from dynamometer.client.share import Task
from dynamometer.load.arrivals import Pace

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals of a terminal or of a supervisor to all processes of a group: the parent hears them too, and decides."""


class Word(Enum):
    """What is said beside the part, the time at which the window begins, and the share."""

    READY = "ready"
    """To the parent: the connections stand."""
    CLOSED = "closed"
    """To the parent: the window is over."""
    INTERRUPT = "interrupt"
    """From the parent: end the window now."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """Every ``step``-th place from ``first`` on."""

    first: int
    step: int

    def places(self) -> Iterator[int]:
        """The places, ascending, without end."""
        return count(self.first, self.step)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The next place that no process has had yet, whenever one is needed.

    The counter is the offset of an open file, which processes that inherit it share: the kernel moves it under a lock,
    so no two get the same, and a process that dies leaves no lock behind.
    """

    file: int
    """Descriptor of a regular file that all of them inherit, at offset 0."""
    most: int | None
    """Places in all; None when there is no end to them."""

    def places(self) -> Iterator[int]:
        """The places this process gets, ascending."""
        while (place := os.lseek(self.file, 1, os.SEEK_CUR) - 1) < (self.most or place + 1):
            yield place


@dataclass(frozen=True, slots=True)
class Part:
    """One process's part."""

    task: Task
    requests: Iterable[Request]
    """Of all processes; each takes those at its places."""
    deal: Dealt | Drawn


def parts(number: int, task: Task, requests: Iterable[Request], counter: int) -> Sequence[Part]:
    """``number`` parts that are the whole together; no more than there are slots. ``counter``: see ``Drawn.file``."""

    def part(first: int) -> Part:
        begins_ns = task.pace.begins_ns[first::number]
        mine = replace(
            task,
            pace=Pace(begins_ns, task.pace.open_loop),
            slots=_cut(task.slots, first, number) if task.pace.open_loop else len(begins_ns),
            connect=_cut(task.connect, first, number),
        )
        deal = Dealt(first, number) if task.pace.open_loop else Drawn(counter, task.stop.most_requests)
        return Part(mine, requests, deal)

    return [part(first) for first in range(number)]


def _cut(whole: int, place: int, number: int) -> int:
    """The size of one of ``number`` pieces that are as even as can be."""
    return whole // number + (place < whole % number)
