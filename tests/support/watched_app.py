"""`python -m watched_app PROFILE ROOT WAY MARK`: the program's own screen, that launches a profile by itself.

It writes where its run is into the file MARK, so that a test can harm it at a moment of its choice. What is not of a
run in its own thread it does not know.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from workbench.launch.orders import begin
from workbench.launch.thread import Narrator, ThreadedRun
from workbench.profile import load
from workbench.training.observer import Snapshot
from workbench.tui import main
from workbench.tui.app import Workbench

WRITE_SECONDS = 0.05
"""What a checkpoint takes longer here, so that it can be met half written."""


class Watched(Workbench):
    """Launches as soon as it is there."""

    def on_mount(self) -> None:
        """As the program, and launch."""
        super().on_mount()
        way: Any = sys.argv[3]
        self.launches.launcher.submit(begin(load(sys.argv[1], environ={}), way=way))


class Marks:
    """The file: process, phase, epoch and step of it, in one write."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._last = ("start", 0, 0)

    def put(self, phase: str, epoch: int = 0, done: int = 0) -> None:
        self._last = (phase, epoch, done)
        os.pwrite(self._descriptor, f"{os.getpid():>9} {phase:>12} {epoch:>6} {done:>6}\n".encode(), 0)

    def progress(self, narrator: Narrator, snapshot: Snapshot) -> None:
        narrator.step = snapshot
        self.put("evaluate" if snapshot.phase != "train" else "train", snapshot.epoch, snapshot.done)

    def written_slowly(self, content: Any, file: BinaryIO) -> None:
        from workbench.training import saver

        before = self._last
        self.put("checkpoint", *before[1:])
        file.write(b"")
        time.sleep(WRITE_SECONDS)
        saver.torch.save(content, file)
        self.put(*before)


def watch(marks: Marks) -> None:
    """From here on a run in this process is told of."""
    train = ThreadedRun._train

    def begun(run: ThreadedRun) -> Any:
        marks.put("prepare")
        from workbench.training import saver

        saver.write_checkpoint = marks.written_slowly
        return train(run)

    ThreadedRun._train = begun  # type: ignore[method-assign]
    Narrator.progress = lambda self, snapshot: marks.progress(self, snapshot)  # type: ignore[method-assign]


if __name__ == "__main__":
    marks = Marks(sys.argv[4])
    marks.put("start")
    watch(marks)
    main.Workbench = Watched  # type: ignore[misc]
    sys.exit(main.run(Path(sys.argv[2])))
