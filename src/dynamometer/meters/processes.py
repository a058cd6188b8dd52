"""Process groups as /proc shows them."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def members(pgid: int, proc: Path = PROC) -> tuple[int, ...]:
    """Ids of the living processes of a process group."""
    found = (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    return tuple(sorted(pid for pid in found if _group(pid, proc) == pgid))


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


def _group(pid: int, proc: Path) -> int | None:
    """Process group of a process; None when it is gone or a zombie."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command's name stands in parentheses and may itself hold spaces and parentheses.
    state, _parent, group, *_ = stat.rpartition(")")[2].split()
    return int(group) if state not in {"Z", "X"} else None
