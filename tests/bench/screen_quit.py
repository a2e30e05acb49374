"""How long a person waits for the prompt: from the last key until the process is gone, a part of `tests.bench.screen`.

    browsing    `q` where nothing is trained; torch is loaded
    hand_over   `h` in the dialog of a run in a thread: it saves, and a process of its own is started for the rest
    stop        `s`: it saves, and its plots are drawn
    lost        no key, the terminal goes away: as hand_over

The network is small, its steps a few milliseconds: what is measured is the program's own part, and saving; whoever
quits beside a larger network waits for its step besides.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.bench.common import spread
from tests.support.small_run import PROFILE
from tests.support.terminal import CHECKOUT, Terminal

BAR = 1.0
"""Seconds."""
WAYS = {"browsing": b"q", "hand_over": b"h", "stop": b"s", "lost": b""}
TRAINED_SECONDS = 2.0
TORCH_SECONDS = 120.0
MARK = "CNNWB_BENCH_QUIT"


def quitting(blocks: int) -> dict[str, Any]:
    """Seconds of each way, in turns; the slowest way's median is held against the bar."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(blocks):
        for way in WAYS:
            with tempfile.TemporaryDirectory() as folder:
                taken[way].append(left(way, Path(folder)))
    ways = {way: spread(seconds) for way, seconds in taken.items()}
    slowest = max(figures["median"] for figures in ways.values())
    return {"quit": {**ways, "median": slowest, "bar": BAR, "unit": "s", "holds": slowest <= BAR}}


def left(way: str, folder: Path) -> float:
    """One program that is quit."""
    terminal = opened(way, folder)
    try:
        if way == "browsing":
            terminal.wait_for("alexnet")
            until_torch(terminal)
        else:
            terminal.wait_for("● running", TORCH_SECONDS)
            terminal.listen(TRAINED_SECONDS)
        if way in ("hand_over", "stop"):
            os.write(terminal.controller, b"q")
            terminal.wait_for("hand it over")
        began = time.perf_counter()
        if way == "lost":
            terminal.close()
        else:
            os.write(terminal.controller, WAYS[way])
            while terminal.read():
                pass
        terminal.process.wait()
        return time.perf_counter() - began
    finally:
        end_all(str(folder))
        terminal.process.wait()
        if way != "lost":
            terminal.close()


def opened(way: str, folder: Path) -> Terminal:
    """The program itself, or one that launches a run first."""
    command = ["-m", "workbench", "--runs", "runs"]
    if way != "browsing":
        (folder / "mine.toml").write_text(PROFILE.replace("epochs = 2", "epochs = 20000"))
        command = ["-m", "launching_app", "mine.toml", "runs"]
    places = {f"XDG_{kind}_HOME": str(folder / "home") for kind in ("CONFIG", "CACHE", "STATE")}
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "tests" / "support")])
    return Terminal([sys.executable, *command], folder, 80, 24, {**places, "PYTHONPATH": path, MARK: str(folder)})


def until_torch(terminal: Terminal) -> None:
    """Wait until torch is in memory, and a little longer."""
    end = time.monotonic() + TORCH_SECONDS
    while "libtorch_python" not in Path(f"/proc/{terminal.process.pid}/maps").read_text():
        if time.monotonic() > end:
            raise SystemExit("the screen never loaded torch")
        terminal.listen(0.2)
    terminal.listen(5.0)


def end_all(folder: str) -> None:
    """Whatever was started for this folder, the handed-over run with it."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={folder}\0".encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
    shutil.rmtree(Path(folder) / "runs", ignore_errors=True)
