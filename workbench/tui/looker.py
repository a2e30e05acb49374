"""The thread beside the Train screen, see `asker`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from workbench.tui.asker import Asker
from workbench.tui.watching import Job, Look, Nothing, Watch

Answer = Look | Nothing | Exception


class Looker(Asker[Job, Look | Nothing]):
    """Hands what `Watch.look` finds to `tell`, in its thread. `tell` must not wait for the screen."""

    def __init__(self, root: Path, tell: Callable[[Answer], object]) -> None:
        super().__init__("train-looker", lambda: Watch(root).look, tell, _joined)


def _joined(older: Job, newer: Job) -> Job:
    """The newer one, with what was asked for besides."""
    job = newer if newer.run else replace(newer, run=older.run, by=older.by + newer.by)
    return replace(job, again=newer.again or older.again)
