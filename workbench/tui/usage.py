"""What a run takes of its machine: asked of this one, or as its trainer has written it down on another."""

import socket
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.base.gpu import Gpu, GpuReader
from workbench.runs.curves import number
from workbench.runs.lock import boot_id, read_holder, start_ticks
from workbench.runs.run import Run

STALE_SECONDS = 60.0
"""A trainer writes every ten seconds; a line that is so much older is of an earlier attempt, or its writer is stuck."""


@dataclass(frozen=True)
class Usage:
    """Of the process and those it started. None for what is not known."""

    cpu: float | None = None
    """Cores that are busy with it, since the last look."""
    memory: float | None = None
    """Bytes that are in memory."""
    gpu: Gpu | None = None


class Meter:
    """Looks at what a live run takes. For one thread at a time; once a second is as often as there is something new."""

    def __init__(self, run: Run) -> None:
        self._run = run
        uuid = run.facts.get("gpu")
        self._gpu = GpuReader(uuid if isinstance(uuid, str) else "")

    def look(self) -> Usage | None:
        """Of its process and GPU where they are on this machine, else as its trainer says; None where neither is."""
        own = usage_of(self._run.path)
        return replace(own, gpu=self._gpu.read()) if own is not None else sampled(self._run)


def sampled(run: Run) -> Usage | None:
    """What the trainer has written in system.jsonl last, if that is recent by its own account."""
    line = run.system.last_step or {}
    if not number(run.status.get("seconds")) - number(line.get("seconds")) < STALE_SECONDS:
        return None
    names = {"use": "gpu_use", "memory": "gpu_memory", "memory_total": "gpu_memory_total",
             "temperature": "gpu_temperature", "power": "gpu_power"}  # fmt: skip
    gpu: dict[str, Any] = {field: _figure(line, name) for field, name in names.items()}
    return Usage(_figure(line, "cpu"), _figure(line, "memory"), Gpu(**gpu) if Gpu(**gpu).known else None)


def _figure(line: dict[str, Any], name: str) -> float | None:
    """A figure that is one; whoever writes into a run's folder may have written anything."""
    value = number(line.get(name))
    return value if 0 <= value < 1e15 else None


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
