"""Tells a person when a run is over that they have looked at or launched, on whatever screen they are by then.

A thread looks every two seconds at the runs that were alive when last seen, and at no others; without any it is not
there. An end is told once.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from workbench.base.text import clean
from workbench.runs.summary import LIVE

if TYPE_CHECKING:
    from workbench.runs.run import Run

SECONDS = 2.0
"""Between two looks; one at a run that is alive reads its status and the end of its events."""


@dataclass(frozen=True)
class End:
    """A run that was alive is not any more."""

    run: str
    state: str
    detail: str = ""

    @property
    def text(self) -> str:
        """One clean line."""
        return clean(f"the run is over: {self.state}{f', {self.detail}' if self.detail else ''}", 300)

    @property
    def bad(self) -> bool:
        return self.state in ("failed", "crashed", "unknown")


class Ends:
    """Hands each `End` to `tell`, in its thread. For any thread."""

    def __init__(self, tell: Callable[[End], object], seconds: float = SECONDS) -> None:
        self._tell, self._seconds = tell, seconds
        self._lock = threading.Lock()
        self._runs: dict[Path, Run] = {}
        self._told: dict[Path, int] = {}
        """Events that a run had when its end was told: a screen that looks a moment late has it watched once more."""
        self._thread: threading.Thread | None = None

    def watch(self, run: Path) -> None:
        """Tell when this run ends. One that is watched already, or is over, costs nothing more."""
        with self._lock:
            if run in self._runs:
                return
            from workbench.runs.run import Run  # the first picture needs no reader of runs

            self._runs[run] = Run(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="run-ends", daemon=True)
                self._thread.start()

    @property
    def runs(self) -> list[Path]:
        """Those that were alive when last seen."""
        with self._lock:
            return list(self._runs)

    def _look(self) -> None:
        while True:
            time.sleep(self._seconds)
            with self._lock:
                runs = list(self._runs.items())
            for path, run in runs:
                run.refresh()
                if run.state.name in LIVE:
                    continue
                with self._lock:
                    self._runs.pop(path, None)
                    known, self._told[path] = self._told.get(path), len(run.events)
                if path.is_dir() and known != len(run.events):  # one that was deleted is not over, it is gone
                    self._tell(End(run.id, run.state.name, run.state.detail))
            with self._lock:
                if not self._runs:
                    self._thread = None
                    return


class RunOver(Message):
    """A run that was watched has ended."""

    def __init__(self, end: End) -> None:
        super().__init__()
        self.end = end


class TellsEnds:
    """Mixin, named before App: `watch_run` once for each run that is seen alive; its end is a bell and a toast."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.ends = Ends(self._over)

    def watch_run(self, run: Path) -> None:
        """Tell when this run ends."""
        self.ends.watch(run)

    def _over(self, end: End) -> None:
        with suppress(RuntimeError):  # the app has ended
            self.post_message(RunOver(end))  # type: ignore[attr-defined]

    def on_run_over(self, event: RunOver) -> None:
        app: Any = self
        app.bell()
        severity = "error" if event.end.bad else "information"
        app.notify(event.end.text, title=event.end.run, severity=severity, markup=False)
        self._tell_outside(event.end)

    def _tell_outside(self, end: End) -> None:
        """As the person's settings say: the terminal's own notification, a command of theirs."""
        from workbench import notify

        app: Any = self
        wanted = getattr(getattr(app, "settings", None), "notify", notify.Notify())
        if not wanted.wanted:
            return
        told = notify.End(app.root.absolute() / end.run, end.state, end.text)
        if app._driver is not None:
            app._driver.write(notify.for_terminal(replace(wanted, bell=False), told))  # the bell has rung
        if tells_itself(told.path, end):
            return

        def run() -> None:
            if problem := notify.run_command(wanted, told):
                with suppress(RuntimeError):
                    app.call_from_thread(app.notify, problem, severity="warning", markup=False)

        threading.Thread(target=run, name="notify", daemon=True).start()


def tells_itself(run: Path, end: End) -> bool:
    """Whether a run of another process has run the command already, as the last thing it did; a killed one has not."""
    from workbench.runs.lock import read_holder

    return end.state != "crashed" and read_holder(run / "lock").get("pid") != os.getpid()
