"""What state a run is in, by proof: how its last attempt ended, else whether its process lives.

What the run says of itself counts only where it is an ending. On the trainer's own machine the lock, the pid with the
process's start time and the boot id decide: a pid alone is reused, and a forked worker may hold the lock of a dead
trainer for seconds. A run of another machine lives while its `seq` moves, by the reader's own clock: machines disagree
about the time, and a clock may be set back.
"""

import fcntl
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.base.text import clean
from workbench.runs.lock import boot_id, read_holder, start_ticks

SILENT_SECONDS = 15.0
"""A run of another machine that has written nothing for so long is called silent; status.json is written once a second
while it trains, evaluates or is paused, but not while a step, a checkpoint or what comes before them lasts."""

LOST_SECONDS = 600.0
"""After so long without a word, by the reader's own clock, it is called lost."""

LOST_AT_SIGHT_SECONDS = 86_400.0
"""A reader that has only just come calls it lost if status.json is so old: more than clocks are usually wrong by, and
one that lives all the same is running as soon as it moves."""

WATCHING = "watching whether it moves"
"""The end of the detail of a silent run of which nothing is known yet."""


@dataclass(frozen=True)
class State:
    """`name` is one of `summary.STATES`; `detail` says in words what the word leaves open."""

    name: str
    detail: str = ""


@dataclass(frozen=True)
class Ending:
    """The terminal event of the last attempt."""

    state: str
    error: str = ""


class Heartbeats:
    """When each run's `seq` was last seen to move, by this process's monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float, bool]] = {}

    def quiet_for(self, run: str, seq: int) -> tuple[float, bool]:
        """Seconds since `seq` last changed, at most since the first look; and whether it was ever seen to change."""
        now = self._clock()
        before = self._seen.get(run)
        if before is None or before[0] != seq:
            self._seen[run] = (seq, now, before is not None)
        _, since, moved = self._seen[run]
        return now - since, moved


def state_of(run: Path, ending: Ending | None, status: dict[str, Any], heartbeats: Heartbeats) -> State:
    """The state of the run in `run`, whose last attempt ended with `ending` and whose status.json holds `status`."""
    if ending is not None:
        return ended(ending)
    holder = read_holder(run / "lock")
    if not holder:
        return State("crashed", "it wrote no ending, and nobody holds it")
    host = clean(str(holder.get("host")), 100)
    if holder.get("host") != socket.gethostname():
        return _elsewhere(run, host, status, heartbeats)
    if holder.get("boot_id") != boot_id():
        return State("crashed", "its machine was restarted")
    return _here(run, holder.get("pid"), holder.get("start_ticks"), status)


def ended(ending: Ending) -> State:
    """The state of a run that is over."""
    return State(ending.state, clean(ending.error))


def _here(run: Path, pid: Any, ticks: Any, status: dict[str, Any]) -> State:
    if _is_free(run / "lock"):
        return State("crashed", "its process is gone")
    if not isinstance(pid, int) or not (0 < pid < 2**31) or start_ticks(pid) != ticks or not ticks:
        return State("crashed", "its process is gone; one that it started still holds the lock")
    if _is_stopped(pid):
        return State("frozen", f"process {pid} is stopped (SIGSTOP, Ctrl-Z); kill -CONT {pid} lets it go on")
    return State("paused" if status.get("state") == "paused" else "running")


def _elsewhere(run: Path, host: str, status: dict[str, Any], heartbeats: Heartbeats) -> State:
    seq = status.get("seq")
    quiet, moved = heartbeats.quiet_for(run.name, seq if isinstance(seq, int) else 0)
    if moved and quiet < SILENT_SECONDS:
        return State("paused" if status.get("state") == "paused" else "running", f"on {host}")
    if not moved and (age := _age(run / "status.json")) >= LOST_AT_SIGHT_SECONDS:
        return State("lost", f"on {host}; its last word is {_duration(max(age, quiet))} old")
    if not moved and quiet < SILENT_SECONDS:
        return State("silent", f"on {host}; {WATCHING}")
    return State("lost" if quiet >= LOST_SECONDS else "silent", f"on {host}; nothing new for {_duration(quiet)}")


def _age(path: Path) -> float:
    """Seconds since a file was written, as far as two clocks agree; 0 where there is none."""
    try:
        return time.time() - os.stat(path).st_mtime
    except OSError:
        return 0.0


def _is_free(path: Path) -> bool:
    """Whether nobody holds the lock. Asked for as a shared one, so that readers are not in each other's way."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False  # the pid decides
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False  # held, or a file system without locks
    finally:
        os.close(descriptor)
    return True


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in "Tt"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{int(seconds)} s"
    if seconds < 7200:
        return f"{int(seconds // 60)} min"
    return f"{int(seconds // 3600)} h" if seconds < 2 * 86_400 else f"{int(seconds // 86_400)} days"
