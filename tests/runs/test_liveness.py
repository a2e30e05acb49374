"""A run's state is what can be proved: never a reused pid, a clock, or what the run says of itself."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.runs.liveness import LOST_SECONDS, SILENT_SECONDS, Ending, Heartbeats, State, state_of
from workbench.runs.lock import own_identity, start_ticks

TRAINER = """
import sys, time
from pathlib import Path
from workbench.runs.lock import RunLock
lock = RunLock.acquire(Path(sys.argv[1]) / "lock")
if len(sys.argv) > 2:  # a loader's worker, which inherits the lock and outlives the trainer
    import os
    if os.fork() == 0:
        time.sleep(60)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Any]:
    """Starts a process that holds the lock of the run in `tmp_path`, in a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TRAINER, str(tmp_path), *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
        process.wait()
        assert process.stdout
        process.stdout.close()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def look(run: Path, status: dict[str, Any] | None = None, heartbeats: Heartbeats | None = None) -> State:
    return state_of(run, None, status or {"seq": 1, "state": "running"}, heartbeats or Heartbeats())


def hold(run: Path, **changes: Any) -> None:
    """A lock file as a trainer leaves it, with something else in it."""
    (run / "lock").write_text(json.dumps(own_identity() | changes))


def test_an_ending_is_an_ending_whatever_lives(tmp_path: Path, trainer: Any) -> None:
    trainer()
    assert state_of(tmp_path, Ending("failed", "out of memory"), {}, Heartbeats()) == State("failed", "out of memory")


def test_a_trainer_that_lives_is_running_or_paused(tmp_path: Path, trainer: Any) -> None:
    trainer()
    assert look(tmp_path).name == "running"
    assert look(tmp_path, {"state": "paused"}).name == "paused"
    assert look(tmp_path, {"state": "finished"}).name == "running"  # only an event is an ending


def test_a_killed_trainer_is_crashed(tmp_path: Path, trainer: Any) -> None:
    process = trainer()
    process.kill()
    process.wait()
    assert look(tmp_path) == State("crashed", "its process is gone")


def test_a_worker_that_still_holds_the_lock_is_no_trainer(tmp_path: Path, trainer: Any) -> None:
    process = trainer("with a worker")
    process.kill()
    process.wait()
    with open(tmp_path / "lock") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert look(tmp_path).name == "crashed"


def test_a_stopped_process_is_frozen_and_not_crashed(tmp_path: Path, trainer: Any) -> None:
    process = trainer()
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while look(tmp_path).name != "frozen" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert look(tmp_path).name == "frozen"
    process.send_signal(signal.SIGCONT)
    while look(tmp_path).name != "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert look(tmp_path).name == "running"


def test_a_reused_pid_is_another_process(tmp_path: Path, trainer: Any) -> None:
    process = trainer()  # somebody else holds a lock on the file, and has the pid of the dead trainer
    hold(tmp_path, pid=process.pid, start_ticks=start_ticks(process.pid) - 1)
    assert look(tmp_path).name == "crashed"
    hold(tmp_path, pid=process.pid, start_ticks=start_ticks(process.pid))
    assert look(tmp_path).name == "running"


def test_a_run_from_before_the_restart_is_crashed(tmp_path: Path) -> None:
    hold(tmp_path, boot_id="another boot")
    assert look(tmp_path) == State("crashed", "its machine was restarted")


@pytest.mark.parametrize("holder", ["", "nonsense", "[]", "{}", '{"pid": true}'])
def test_a_lock_that_tells_nothing_is_no_proof_of_life(tmp_path: Path, holder: str) -> None:
    (tmp_path / "lock").write_text(holder)
    assert look(tmp_path).name in ("crashed", "silent")
    (tmp_path / "lock").unlink()
    assert look(tmp_path).name == "crashed"


@pytest.mark.parametrize("pid", [-1, 0, 2**40, "1", None, 1.5])
def test_an_odd_pid_is_nobody(tmp_path: Path, pid: Any) -> None:
    hold(tmp_path, pid=pid)
    assert look(tmp_path).name == "crashed"


def test_a_run_of_another_host_lives_while_its_counter_moves(tmp_path: Path) -> None:
    hold(tmp_path, host="gpu-box")
    clock = Clock()
    beats = Heartbeats(clock)
    assert look(tmp_path, {"seq": 7}, beats) == State("silent", "on gpu-box; watching whether it moves")
    clock.now += 1
    assert look(tmp_path, {"seq": 8}, beats) == State("running", "on gpu-box")
    clock.now += SILENT_SECONDS - 1
    assert look(tmp_path, {"seq": 8}, beats).name == "running"
    clock.now += 240
    state = look(tmp_path, {"seq": 8}, beats)
    assert (state.name, state.detail) == ("silent", "on gpu-box; nothing new for 4 min")
    assert look(tmp_path, {"seq": 9, "state": "paused"}, beats).name == "paused"


def test_a_run_of_a_host_that_is_gone_is_lost_and_found_when_that_comes_back(tmp_path: Path) -> None:
    hold(tmp_path, host="gpu-box")
    clock = Clock()
    beats = Heartbeats(clock)
    look(tmp_path, {"seq": 7}, beats)
    clock.now += LOST_SECONDS - 1
    assert look(tmp_path, {"seq": 7}, beats) == State("silent", "on gpu-box; nothing new for 9 min")
    clock.now += 7200
    assert look(tmp_path, {"seq": 7}, beats) == State("lost", "on gpu-box; nothing new for 2 h")
    clock.now += 1
    assert look(tmp_path, {"seq": 8}, beats) == State("running", "on gpu-box")


def test_whoever_has_only_just_come_finds_it_lost_by_the_age_of_its_last_word(tmp_path: Path) -> None:
    hold(tmp_path, host="gpu-box")
    status = tmp_path / "status.json"
    status.write_text("{}")
    for days, told in ((0.5, ("silent", "on gpu-box; watching whether it moves")),
                       (3, ("lost", "on gpu-box; its last word is 3 days old")),
                       (-400, ("silent", "on gpu-box; watching whether it moves"))):  # fmt: skip
        written = time.time() - days * 86_400 - 5
        os.utime(status, (written, written))
        state = look(tmp_path, {"seq": 7})
        assert (state.name, state.detail) == told
    long_ago = time.time() - 400 * 86_400
    beats = Heartbeats()
    for seq in (7, 8, 9):  # a writer whose clock is a year back
        os.utime(status, (long_ago, long_ago))
        state = look(tmp_path, {"seq": seq}, beats)
    assert state == State("running", "on gpu-box")


@pytest.mark.parametrize("back", [-86_400.0 * 400, 86_400.0 * 400])
def test_a_reader_whose_clock_is_wrong_takes_no_run_of_its_machine_for_another(
    tmp_path: Path, trainer: Any, monkeypatch: pytest.MonkeyPatch, back: float
) -> None:
    process = trainer()
    (tmp_path / "status.json").write_text("{}")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + back)
    assert look(tmp_path).name == "running"
    process.kill()
    process.wait()
    assert look(tmp_path).name == "crashed"


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(tmp_path, host="gpu-box")
    beats = Heartbeats()
    look(tmp_path, {"seq": 1, "updated": 1.0}, beats)
    for jump in (-3600.0, 3600.0, 86400.0 * 365, -86400.0 * 365):
        real = time.time()
        monkeypatch.setattr(time, "time", lambda moved=real + jump: moved)
        assert look(tmp_path, {"seq": int(jump), "updated": jump}, beats).name == "running"
