"""Who is training in a run directory: an flock that the trainer holds, and who it is in the file's text.

The kernel frees the lock the moment the trainer dies, however it dies. A forked loader worker inherits the
lock and may outlive its parent by seconds; hence the text, which tells a live trainer from a dead one: host, boot
id, pid and the process's start time in clock ticks (a pid alone is reused).
"""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from workbench.base.errors import UserError
from workbench.runs.files import read_regular

ORPHAN_PATIENCE = 10.0
"""Seconds to wait for the orphaned workers of a dead trainer (they look for their parent every 5 s)."""

LIVE_PATIENCE = 1.0
"""Seconds to wait for one that looks alive: a process that was just killed needs a moment to be gone."""


class RunLock:
    """Held from `acquire` until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> "RunLock":
        """Take the lock. UserError where a live trainer holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        started = time.monotonic()
        while not _try_flock(descriptor):
            holder = read_holder(path)
            if time.monotonic() - started > (LIVE_PATIENCE if is_alive(holder) else ORPHAN_PATIENCE):
                os.close(descriptor)
                raise UserError(f"{path.parent.name} is still running ({describe(holder)}); stop it first")
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(own_identity()).encode() + b"\n", 0)
        return cls(descriptor)

    def release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def own_identity() -> dict[str, str | int]:
    """This process, unmistakably."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> dict[str, str | int]:
    """A process of this machine, unmistakably."""
    return {"host": socket.gethostname(), "boot_id": boot_id(), "pid": pid, "start_ticks": start_ticks(pid)}


def read_holder(path: Path) -> dict[str, str | int]:
    """The identity written in a lock file; empty where there is none to read."""
    try:
        holder = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def is_alive(holder: dict[str, str | int]) -> bool:
    """Whether the holder may still be training. What cannot be known (another host) counts as alive."""
    if not holder or holder.get("host") != socket.gethostname():
        return True
    if holder.get("boot_id") != boot_id():
        return False
    pid = holder.get("pid")
    return isinstance(pid, int) and start_ticks(pid) == holder.get("start_ticks") and start_ticks(pid) != 0


def describe(holder: dict[str, str | int]) -> str:
    if not holder:
        return "by an unknown process"
    return f"pid {holder.get('pid')} on {holder.get('host')}"


def boot_id() -> str:
    """Changes with every boot; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 for one that is gone or a zombie.

    Where there is no /proc (macOS), 1 for any process that exists.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0 if Path("/proc/self").exists() or not _exists(pid) else 1
    state, *fields = stat.rpartition(")")[2].split()  # the command's name may hold spaces and brackets
    return 0 if state in "ZX" else int(fields[18])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _try_flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
