"""What programs that a test has started leave in its folder: their runs, and trainers that are still at work."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from small_run import PROFILE

from workbench.runs import journal
from workbench.runs.reading import last_ending, read_json

SECONDS = 120.0
"""That anything may take on a busy machine."""
LONG = PROFILE.replace("epochs = 2", "epochs = 20000")
"""A profile of a run that does not end by itself."""


def runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "runs").glob("*/run.json"))


def events(run: Path) -> list[dict[str, object]]:
    return [dict(line) for line in journal.read(run / "events.jsonl").records]


def eventually(true: Callable[[], object]) -> None:
    """Wait for what another process does; fails where it never does."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def end_trainers(folder: Path) -> None:
    """Kill whatever still trains there, such as a run that was handed over."""
    for run in runs(folder):
        pid = read_json(run / "lock").get("pid")
        if last_ending(run) is None and isinstance(pid, int):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
