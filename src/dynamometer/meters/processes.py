"""Process groups as /proc shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def members(pgid: int, proc: Path = PROC) -> tuple[int, ...]:
    """Ids of the living processes of a process group."""
    return tuple(pid for pid, _, group in _living(proc) if group == pgid)


def children(parent: int, proc: Path = PROC) -> tuple[int, ...]:
    """Ids of the living processes that a process started itself."""
    return tuple(pid for pid, of, _ in _living(proc) if of == parent)


def peak_rss_bytes(pid: int, proc: Path = PROC) -> int | None:
    """VmHWM: the largest resident set of a process since its start, or since the peak was reset; None when gone."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def reset_peak_rss(pid: int, proc: Path = PROC) -> bool:
    """Let VmHWM begin anew from the present resident set; False where the kernel does not allow it."""
    try:
        (proc / str(pid) / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def cpu_ticks(pid: int, proc: Path = PROC) -> int:
    """Processor time of a process and of its children that have ended, in clock ticks; 0 when it is gone."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[11:15]))


def _living(proc: Path) -> Iterator[tuple[int, int, int]]:
    """Id, parent and process group of each process that is neither gone nor a zombie; ascending ids."""
    for pid in sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()):
        try:
            stat = (proc / str(pid) / "stat").read_text()
        except OSError:
            continue  # gone since we looked
        # The command's name stands in parentheses and may itself hold spaces and parentheses.
        state, parent, group, *_ = stat.rpartition(")")[2].split()
        if state not in {"Z", "X"}:
            yield pid, int(parent), int(group)
