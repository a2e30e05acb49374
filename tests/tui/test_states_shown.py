"""Each state of a run, by shape and word, wherever runs are shown: the table, the head of Train, `ps`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Driver
from made_runs import LiveRun, make_run

from workbench.cli import main
from workbench.commands.ps import SIGNS
from workbench.runs.lock import own_identity
from workbench.runs.summary import LIVE, STATES
from workbench.tui.app import Workbench
from workbench.tui.board import SHAPES
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.train import TrainScreen
from workbench.tui.widgets.table import VirtualTable

HOLD = """
import sys, time
from pathlib import Path
from workbench.runs.lock import RunLock
lock = RunLock.acquire(Path(sys.argv[1]) / "lock")
print("held", flush=True)
time.sleep(100)
"""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[dict[str, str]]:
    """State -> a run in it."""
    found = {state: make_run(tmp_path, name=state, state=state, planned=9).name for state in ("preempted", "stopped")}
    running, paused = LiveRun(tmp_path, arch="running"), LiveRun(tmp_path, arch="paused")
    paused.status("paused")
    for name in ("crashed", "silent", "lost", "frozen"):
        found[name] = make_run(tmp_path, name=name, state="", planned=9).name
        if name in ("silent", "lost"):
            (tmp_path / found[name] / "lock").write_text(json.dumps(own_identity() | {"host": "gpu-box"}))
    week_ago = time.time() - 7 * 86_400
    os.utime(tmp_path / found["lost"] / "status.json", (week_ago, week_ago))
    command = [sys.executable, "-c", HOLD, str(tmp_path / found["frozen"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        yield found | {"running": running.path.name, "paused": paused.path.name}
        holder.kill()
    for run in (running, paused):
        run.end()


def test_every_state_has_a_shape() -> None:
    assert set(SHAPES) == set(STATES)
    assert {state: SHAPES[state] for state in LIVE} == SIGNS


def test_each_state_is_told_truthfully_everywhere(
    tmp_path: Path, runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ps", "--runs", str(tmp_path)]) == 0
    listed = capsys.readouterr().out.splitlines()
    for state, run in runs.items():
        lines = [line for line in listed if run in line]
        assert len(lines) == (state in LIVE), state
        assert all(f" {SHAPES[state]} {state} " in line for line in lines), lines
    assert any("its last word is 7 days old" in line for line in listed)

    async def look() -> None:
        app = Workbench(tmp_path, preload=False)
        async with app.run_test(size=(160, 40)) as pilot:
            see = Driver(app, pilot)
            app.go("runs")
            for state in runs:
                await see.see(f"{SHAPES[state]} {state} ")
            assert isinstance(app.screen, RunsScreen)
            assert app.screen.query_one(VirtualTable)
            for state, run in runs.items():
                app.open_run(run)
                await see.see(f" {SHAPES[state]} {state}", f"  {run}  ")
                assert isinstance(app.screen, TrainScreen)

    asyncio.run(look())
