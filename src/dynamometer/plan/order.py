"""In which order experiments meet cycles."""

from __future__ import annotations

from random import Random

from dynamometer.domain.campaign import Order
from dynamometer.domain.plan import RunRef


def order(count: int, cycles: int, how: Order, seed: int) -> tuple[RunRef, ...]:
    """Runs of ``count`` experiments over ``cycles`` cycles (cycles count from 1), each exactly once.

    interleaved: cycle by cycle, in file order. shuffled: cycle by cycle, in an order drawn for each cycle from the
    seed. grouped: experiment by experiment. balanced: cycle by cycle, in the order of ``balanced_row``.
    """
    places = range(count)
    if how == "grouped":
        return tuple(RunRef(place, cycle) for place in places for cycle in range(1, cycles + 1))
    if not count:
        return ()
    return tuple(RunRef(place, cycle) for cycle in range(1, cycles + 1) for place in _row(count, cycle, how, seed))


def _row(count: int, cycle: int, how: Order, seed: int) -> list[int]:
    if how == "shuffled":
        row = list(range(count))
        Random(f"{seed}:{cycle}").shuffle(row)
        return row
    return balanced_row(count, cycle - 1) if how == "balanced" else list(range(count))


def balanced_row(count: int, index: int) -> list[int]:
    """Row ``index`` of a Latin square balanced for first-order carry-over.

    E. J. Williams, "Experimental designs balanced for the estimation of residual effects of treatments", 1949: the
    first row is 0, 1, k-1, 2, k-2, …; each next row adds one modulo k. Over ``balanced_rows(k)`` rows each
    experiment stands equally often at each place, and follows each other one equally often. An odd k needs the
    mirrored rows too: 2k of them.
    """
    first = [0, *((step + 1) // 2 if step % 2 else count - step // 2 for step in range(1, count))]
    turn, mirrored = index % count, count % 2 == 1 and (index // count) % 2 == 1
    row = [(place + turn) % count for place in first]
    return row[::-1] if mirrored else row


def balanced_rows(count: int) -> int:
    """Cycles after which the balanced order is truly balanced."""
    return count if count % 2 == 0 else 2 * count
