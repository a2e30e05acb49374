"""The thread beside the Train screen: the screen asks, the thread answers each question once, the newest first.

A thread of its own and not one of Textual's workers: it is a daemon, so a read on a slow disk never keeps a person
who wants to quit.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from workbench.tui.watching import Job, Look, Nothing, Watch

Answer = Look | Nothing | Exception


class Looker(threading.Thread):
    """Hands what `Watch.look` finds to `tell`, in this thread. `tell` must not wait for the screen."""

    def __init__(self, root: Path, tell: Callable[[Answer], object]) -> None:
        super().__init__(name="train-looker", daemon=True)
        self._root, self._tell = root, tell
        self._changed = threading.Condition()
        self._job: Job | None = None
        self._over = False
        self.busy = 0.0
        """Seconds of a core that it has taken so far."""

    def ask(self, job: Job) -> None:
        """Look soon. A job that nobody began yet gives way to this one, but not what it asked for besides."""
        with self._changed:
            before = self._job
            if before is not None and not job.run:
                job = replace(job, run=before.run, by=before.by + job.by)
            if before is not None:
                job = replace(job, again=job.again or before.again)
            self._job = job
            self._changed.notify()

    def end(self) -> None:
        """Answer nothing any more."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def run(self) -> None:
        watch = Watch(self._root)
        while (job := self._next()) is not None:
            try:
                found: Answer | None = watch.look(job)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with a run, the screen shows it and lives on
                found, watch = error, Watch(self._root)
            self.busy = time.thread_time()
            if found is not None and not self._over:
                self._tell(found)

    def _next(self) -> Job | None:
        with self._changed:
            while self._job is None and not self._over:
                self._changed.wait()
            job, self._job = self._job, None
            return None if self._over else job
