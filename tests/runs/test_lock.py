"""Who holds a run: told truthfully for the living, the dead, the reused pid, another boot and another host."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.base.errors import UserError
from workbench.runs import lock
from workbench.runs.lock import RunLock

HOLD = "import sys, time; from pathlib import Path; from workbench.runs.lock import RunLock\n"


def hold_in_another_process(path: Path, first: str = "", then: str = "time.sleep(60)") -> subprocess.Popen[str]:
    code = f"{HOLD}held = RunLock.acquire(Path({str(path)!r}))\n{first}\nprint('held', flush=True); {then}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_live_holder_is_named_and_a_killed_one_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = hold_in_another_process(path)
    try:
        with pytest.raises(UserError, match=rf"is still running \(pid {holder.pid} on "):
            RunLock.acquire(path)
        holder.send_signal(signal.SIGSTOP)  # suspended is not dead
        with pytest.raises(UserError, match="is still running"):
            RunLock.acquire(path)
    finally:
        holder.kill()
    # Not waited for yet: a zombie holds nothing, whatever its pid says.
    RunLock.acquire(path).release()
    holder.wait()


def test_the_orphaned_child_of_a_dead_trainer_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    fork = "import os\nif os.fork() == 0: time.sleep(1.5); os._exit(0)"
    holder = hold_in_another_process(path, fork)
    holder.kill()
    holder.wait()
    started = time.monotonic()
    RunLock.acquire(path).release()
    assert time.monotonic() - started > 0.1  # the child had inherited the lock


def test_liveness_is_told_by_pid_and_start_and_boot(tmp_path: Path) -> None:
    me = lock.own_identity()
    assert lock.is_alive(me)
    assert not lock.is_alive({**me, "start_ticks": int(me["start_ticks"]) + 1})  # the pid was reused
    assert not lock.is_alive({**me, "boot_id": "another boot"})
    assert lock.is_alive({**me, "host": "another-host", "pid": 1})  # cannot be known
    assert lock.is_alive({})
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not lock.is_alive({**me, "pid": gone.pid})


def test_the_lock_file_says_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("something much longer than an identity " * 20)
    held = RunLock.acquire(path)
    assert json.loads(path.read_text())["pid"] == os.getpid()
    held.release()
    RunLock.acquire(path).release()
