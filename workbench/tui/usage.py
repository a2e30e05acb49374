"""What a run's process takes of this machine."""

import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.runs.lock import boot_id, read_holder, start_ticks


@dataclass(frozen=True)
class Usage:
    """Of the process and those it started."""

    cpu: float
    """Cores that are busy with it, since the last look."""
    memory: int
    """Bytes that are in memory."""


def usage_of(run: Path) -> Usage | None:
    """Of the run's trainer; None where it is gone, of another machine, or cannot be asked."""
    import psutil  # type: ignore[import-untyped]  # takes a while, and most runs that are looked at are over

    holder = read_holder(run / "lock")
    pid = holder.get("pid")
    if not isinstance(pid, int) or (holder.get("host"), holder.get("boot_id")) != (socket.gethostname(), boot_id()):
        return None
    if not 0 < pid < 2**31 or start_ticks(pid) != holder.get("start_ticks"):
        return None
    try:
        family = _family(pid, str(holder.get("start_ticks")))
        shares = [process.cpu_percent() for process in family if process.is_running()]
        return Usage(sum(shares) / 100, sum(process.memory_info().rss for process in family if process.is_running()))
    except psutil.Error:
        return None


@lru_cache(maxsize=1)
def _family(pid: int, start: str) -> list[Any]:
    """The process and its children, kept: the share of a core is measured between two looks at the same object.

    Workers that it starts later are not counted until another run is watched.
    """
    import psutil

    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
