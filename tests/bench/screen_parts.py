"""What the screen itself costs: parts of `tests.bench.screen` besides the run beside it. Each figure has its bar.

    first   seconds from the command to the first byte that shows a network's name, on a real pseudo-terminal
    attach  seconds from `cnn-workbench attach` to the figures of a run under way, with 200 epochs behind it
    bytes   bytes a second on the line with a live run shown, and with nothing new on any screen; the screen's own
            share of a core meanwhile
    chart   what new lines of eight runs of a million points cost until their chart is drawn again
    table   what a page down in ten thousand runs costs the screen's thread
    quit    seconds from the last key until the process is gone: see tests/bench/screen_quit.py

The programs that are measured have settings and caches of their own; nothing is read from this person's.
"""

import asyncio
import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import runs as made
from tests.bench import screen_quit
from tests.bench.common import spread
from workbench.runs import journal
from workbench.runs.history import History
from workbench.runs.writer import RunWriter
from workbench.tui.app import Workbench
from workbench.tui.compare_draw import RunLine, draw_runs
from workbench.tui.screens.runs_view import RunsView
from workbench.tui.settings import Settings
from workbench.tui.widgets.chart import strip_of
from workbench.tui.widgets.table import VirtualTable

BARS = {"first": 0.5, "attach": 1.0, "80x24": 6000, "160x45": 12_000, "idle": 0, "chart": 0.010, "table": 0.050}
"""Seconds, and bytes a second."""

FIRST_NAME = b"alexnet"
SETTLE = 4.0
"""Seconds after which a screen has read and drawn what there is; torch is loaded after them, and draws nothing."""
STEPS = 4.0
"""Lines a second that a live run writes; a trainer gathers those of faster steps."""
RUNS = 8
CHART = (160, 24)
"""Columns and rows of Compare's chart on a terminal of 160 x 45."""


# Programs in a terminal of their own


class Program:
    """The workbench in a pseudo-terminal that somebody reads, with `home` for its settings and caches."""

    def __init__(
        self, root: Path, home: Path, columns: int, rows: int, command: Sequence[str] = (), **environ: str
    ) -> None:
        self.controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        places = {f"XDG_{kind}_HOME": str(home) for kind in ("CONFIG", "CACHE", "STATE")}
        given = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "NO_COLOR")
        }
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workbench", *command, "--runs", str(root)],
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            env={**given, **places, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **environ},
        )  # fmt: skip
        os.close(terminal)

    def read(self, seconds: float) -> bytes:
        """What it writes within a time; nothing more once it is gone."""
        found, end = b"", time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.controller], [], [], left)[0]:
                with contextlib.suppress(OSError):
                    if content := os.read(self.controller, 65536):
                        found += content
                        continue
                break
        return found

    def until(self, words: bytes, seconds: float = 60.0) -> float:
        """Seconds from the start until it has written the words."""
        found = b""
        while words not in found:
            content = os.read(self.controller, 65536)
            found += content
            if time.perf_counter() - self.began > seconds:
                raise SystemExit(f"the screen never showed {words!r}: {found[-500:]!r}")
        return time.perf_counter() - self.began

    def busy(self) -> float:
        """Seconds of computing time of its first thread, which is the screen's."""
        fields = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def press(self, keys: bytes) -> None:
        os.write(self.controller, keys)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.controller)


@contextlib.contextmanager
def program(
    root: Path, columns: int, rows: int, screen: str = "models", command: Sequence[str] = (), **environ: str
) -> Iterator[Program]:
    with tempfile.TemporaryDirectory() as home:
        place = Path(home, "cnn-workbench", "settings.toml")
        place.parent.mkdir()
        place.write_text(f'screen = "{screen}"\n')
        started = Program(root, Path(home), columns, rows, command, **environ)
        try:
            yield started
        finally:
            started.end()


def first(blocks: int) -> dict[str, Any]:
    """Time to first content: with what Python has compiled before, and, in `compiled_anew`, the very first time."""
    warm, cold = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        root.mkdir()
        for block in range(blocks + 1):
            with program(root, 80, 24) as shown:
                seconds = shown.until(FIRST_NAME)
            warm += [seconds] if block else []  # the first one fills the system's caches
        for number in range(min(blocks, 3)):
            with program(root, 80, 24, PYTHONPYCACHEPREFIX=str(Path(folder) / f"fresh{number}")) as shown:
                cold.append(shown.until(FIRST_NAME))
    figures = spread(warm)
    return {"first": {**figures, "compiled_anew": spread(cold), "bar": BARS["first"], "unit": "s",
                      "holds": figures["median"] <= BARS["first"]}}  # fmt: skip


class Growing(threading.Thread):
    """A run that writes as a trainer does, without a network to train."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        profile = "seed = 0\n[model]\narch = 'resnet18'\n[data]\ndataset = 'cifar10'\n"
        self.run_ = RunWriter.create(root, "bench", profile, made.facts("bench", 0, {}), lambda line: None)
        self.run_.event("started")
        self.over = threading.Event()
        self.step = 0

    def run(self) -> None:
        while not self.over.wait(1 / STEPS):
            self.write()

    def write(self, steps: int = 1) -> None:
        """So many lines of steps, with the epochs that they end, and then the status."""
        for _ in range(steps):
            self.step += 1
            line = made.step_line(self.step * 10) | {"epoch": self.step / 40}
            self.run_.metrics(line)
            if self.step % 40 == 0:
                figures = {"train_loss": line["train_loss"], "test_loss": 2 / self.step, "test_top1": 1 - 2 / self.step}
                epoch = self.step // 40
                place = {"epoch": epoch, "step": self.step * 10, "seconds": float(self.step)}
                self.run_.metrics({"kind": "epoch", **place, **figures})
                self.run_.event("epoch", epoch=epoch, step=self.step * 10)
        self.run_.status(
            force=True, state="running", epoch=self.step // 40, epochs=300, step=self.step * 10, steps=120_000,
            images_per_second=1800.0 + self.step % 50, eta=36_000.0 - self.step, seconds=self.step / STEPS,
        )  # fmt: skip

    def end(self) -> None:
        self.over.set()
        self.join()
        self.run_.event("finished")
        self.run_.status(force=True, state="finished")
        self.run_.close()


def attach(blocks: int) -> dict[str, Any]:
    """Time from the command to the figures of a run under way, which has been at it for 200 epochs."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        live = Growing(Path(folder))
        live.write(200 * 40)
        live.start()
        try:
            for block in range(blocks + 1):
                with program(Path(folder), 80, 24, command=["attach"]) as shown:
                    seconds = shown.until(b"images/s")
                taken += [seconds] if block else []  # the first one fills the system's caches
        finally:
            live.end()
    figures = spread(taken)
    return {"attach": {**figures, "epochs": 200, "lines": 8000, "bar": BARS["attach"], "unit": "s",
                       "holds": figures["median"] <= BARS["attach"]}}  # fmt: skip


def line_bytes(seconds: float) -> dict[str, Any]:
    """Bytes on the line, by size with a live run and by screen with nothing new."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        root.mkdir()
        for name in ("80x24", "160x45"):
            columns, rows = map(int, name.split("x"))
            live = Growing(root)
            live.start()
            try:
                with program(root, columns, rows, "train") as shown:
                    shown.read(SETTLE)
                    busy, began = shown.busy(), time.perf_counter()
                    drawn = len(shown.read(seconds))
                    span = time.perf_counter() - began
                    share = (shown.busy() - busy) / span
            finally:
                live.end()
            found[f"bytes_{name}"] = {"bytes_per_second": round(drawn / span), "share": round(share, 4),
                                      "bar": BARS[name], "unit": "bytes/s",
                                      "holds": drawn / span <= BARS[name]}  # fmt: skip
        idle = {}
        for screen in ("models", "train", "runs"):
            with program(root, 160, 45, screen) as shown:
                shown.read(SETTLE * 2)  # torch is loaded meanwhile
                busy = shown.busy()
                idle[screen] = len(shown.read(seconds))
                idle[f"{screen}_share"] = round((shown.busy() - busy) / seconds, 4)
        drawn = sum(idle[screen] for screen in ("models", "train", "runs"))
        found["idle"] = {**idle, "bar": BARS["idle"], "unit": "bytes", "holds": drawn <= BARS["idle"]}
    return found


# The pipeline of charts, and the table, in this process


def chart(points: int, blocks: int) -> dict[str, Any]:
    """A tick of eight long runs on Compare's chart: new lines are read, thinned, drawn. The first look is before it.

    `ui` is what the screen's own thread has of it; reading and drawing are done in a thread beside it.
    """
    times: dict[str, list[float]] = {"read": [], "draw": [], "ui": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = [made.make_long_run(Path(folder, str(number)), points) for number in range(RUNS)]
        histories = [History(path) for path in paths]
        for history in histories:
            history.refresh()
            history.curve("train_loss", x="epoch", points=2 * CHART[0])
        for tick in range(5 * blocks):
            for path in paths:
                with open(path / "metrics.jsonl", "ab", buffering=0) as file:
                    file.write(journal.encode(made.step_line(points + 1 + tick)))
            marks = [time.perf_counter()]
            lines = curves(histories)
            marks.append(time.perf_counter())
            picture = draw_runs(lines, ends=(0.0, points / 900), axis="epoch", width=CHART[0], height=CHART[1])
            marks.append(time.perf_counter())
            strips = [strip_of(row) for row in picture.rows]
            marks.append(time.perf_counter())
            assert len(strips) == CHART[1]
            for name, (began, ended) in zip(times, pairwise(marks), strict=True):
                times[name].append(ended - began)
    whole = spread([sum(parts) for parts in zip(*times.values(), strict=True)])
    return {"chart": {**whole, **{name: spread(found)["median"] for name, found in times.items()}, "runs": RUNS,
                      "points": points, "size": "x".join(map(str, CHART)), "bar": BARS["chart"], "unit": "s",
                      "holds": whole["median"] <= BARS["chart"]}}  # fmt: skip


def curves(histories: Sequence[History]) -> list[RunLine]:
    """The curves as they are now, one a run, each a little above the one before: eight lines on one chart."""
    found = []
    for number, history in enumerate(histories):
        history.refresh()
        curve = history.curve("train_loss", x="epoch", points=2 * CHART[0])
        found.append(RunLine("ABCDEFGH"[number], number, curve.x, np.asarray(curve.y) + number * 0.1))
    return found


def table(count: int, blocks: int) -> dict[str, Any]:
    """Pages of the leaderboard, by the computing time of the thread that the screen is in."""
    pages: list[float] = []

    async def scroll(root: Path) -> None:
        app = Workbench(root, Settings(screen="runs"), preload=False)
        async with app.run_test(size=(160, 45)) as pilot:
            screen = app.screen
            assert isinstance(screen, RunsView)
            while not screen.board.rows:
                await pilot.pause(0.05)
            listed = screen.query_one(VirtualTable)
            assert len(screen.board.rows) == count
            for _ in range(10 * blocks):
                await pilot.pause()
                began = time.thread_time()
                listed.act_page_down()
                await pilot.pause()
                pages.append(time.thread_time() - began)
            assert listed.cursor >= min(count - 1, 10 * blocks * 20)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        made.make_runs(root, count)
        asyncio.run(scroll(root))
    figures = spread(pages)
    return {"table": {**figures, "runs": count, "bar": BARS["table"], "unit": "s",
                      "holds": figures["median"] <= BARS["table"]}}  # fmt: skip


def measure(wanted: Sequence[str], options: Any) -> dict[str, Any]:
    """The parts that are wanted, each with its figures, its bar and whether it holds."""
    parts: dict[str, Any] = {}
    if "first" in wanted:
        parts |= first(options.blocks)
    if "attach" in wanted:
        parts |= attach(options.blocks)
    if "bytes" in wanted:
        parts |= line_bytes(options.seconds)
    if "chart" in wanted:
        parts |= chart(options.points, options.blocks)
    if "table" in wanted:
        parts |= table(options.runs, options.blocks)
    if "quit" in wanted:
        parts |= screen_quit.quitting(options.blocks)
    return parts


def describe(name: str, part: dict[str, Any]) -> str:
    """A line for a person."""
    value = part.get("median", part.get("bytes_per_second", sum(part.get(s, 0) for s in ("models", "train", "runs"))))
    share = f", {part['share']:.1%} of a core" if "share" in part else ""
    verdict = "holds" if part["holds"] else "MISSED"
    return f"{name}: {value:g} {part['unit']} (bar {part['bar']:g}: {verdict}){share}"
