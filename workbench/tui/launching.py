"""What the app has asked to be trained: the queue looked after, a run in a thread, and the news of both.

A thread of its own looks once a second, and at once when something was asked; it starts with the first order. The app
hears of it by `tell`, which must not wait for the screen.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.launch.orders import Order
from workbench.launch.queue import Entry, Queue, Turn, run_in
from workbench.launch.thread import HAND_OVER, ThreadedRun
from workbench.launch.worker import start_worker

LOOK_SECONDS = 1.0
JOIN_SECONDS = 0.1
"""How often whoever waits for the run to end looks whether it is still to be waited for."""
WORKER_SECONDS = 3.0
"""How long a worker of the queue may not be seen at work before another is started."""


@dataclass(frozen=True)
class News:
    """Something that became of an order. `text` is one or more clean lines."""

    kind: Literal["starting", "began", "ended", "failed"]
    text: str
    run: str = ""
    shown: bool = False
    """Whether the person waits to see this run."""


class Launcher:
    """The orders of one app. Its methods may be called from the app's thread; those that wait say so."""

    def __init__(self, root: Path, tell: Callable[[News], object]) -> None:
        self.queue = Queue(root)
        self.root = root
        self.live: ThreadedRun | None = None
        """The run in a thread of this process, from its order to its end."""
        self.patient = True
        """Whether the end waits for the run to be saved."""
        self._tell = tell
        self._entry: Entry | None = None
        self._turn: Turn | None = None
        self._awaited: dict[str, bool] = {}
        """Orders of this app of which there is no run yet, and whether it is to be shown when there is."""
        self._said = ""
        self._woken: float | None = None
        """Since when the first in the queue waits for a worker that is not there."""
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._over = False
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether there is something to look after."""
        return self.live is not None or bool(self._awaited)

    def submit(self, orders: Sequence[Order], *, now: bool = False) -> None:
        """Put orders into the queue; the first is shown when it has begun. UserError where that cannot be.

        `now`: beside whatever is trained already, which only processes of their own can be.
        """
        names = []
        for order in orders:
            names.append(self.queue.add(order))
            self._awaited[names[-1]] = len(names) == 1
        detached = any(order.way == "detached" for order in orders)
        if detached and now:
            for name in names:
                start_worker(self.root, now=name)
        elif detached:
            start_worker(self.root)
        self.look_now()

    def release(self, *, detached: bool) -> int:
        """Let go what waits for a thread of screens that are no more: here, or in processes of their own."""
        count = self.queue.adopt(way="detached" if detached else "thread", orphans=True)
        if any(entry.here and entry.order.way == "detached" for entry in self.queue.waiting()):
            start_worker(self.root)
        self._awaited |= {entry.name: False for entry in self.queue.waiting() if entry.order.way == "thread"}
        self.look_now()
        return count

    @property
    def training(self) -> bool:
        """Whether there is a run in a thread that is not over."""
        live = self.live
        return live is not None and not live.is_over

    def left(self) -> bool:
        """Whether something waits that nobody is going to train."""
        try:
            return bool(self.queue.left())
        except UserError:
            return False

    def look_now(self) -> None:
        """Look at the queue without waiting for the clock."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_after, name="launcher", daemon=True)
            self._thread.start()
        self._wake.set()

    # The end of the app

    def stop(self, *, hand_over: bool, cause: str = "the screen was left") -> None:
        """Ask the run in the thread to save and end; no other is begun. Does not wait. The last word counts."""
        self._over = True
        if self.live is not None:
            self.live.stop(HAND_OVER if hand_over else cause)

    @property
    def settled(self) -> bool:
        """Whether `finish` would wait for nothing: the run has ended, or there is none yet."""
        return self.live is None or not self.live.is_alive() or not self.live.begun

    def finish(self, *, hand_over: bool, cause: str = "the screen was left") -> str:
        """After `stop`: wait for the run to end; returns what goes on in a process of its own, in words.

        With `hand_over` the rest of the run is put in front of the queue, for such a process, and so is what waited for
        a thread of this app; else that waits for the next screen. UserError where no process can be started.
        """
        rest = None
        with self._lock:
            live, entry = self.live, self._entry
            if live is not None and entry is not None:
                self.stop(hand_over=hand_over, cause=cause)  # it may have begun after `stop`
                while live.begun and self.patient and live.is_alive():
                    live.join(JOIN_SECONDS)
                if hand_over:
                    rest = rest_of(live)
                elif live.narrator.run is None and not live.error:
                    rest = live.order  # nothing of it is saved but the order itself
                if rest is not None:
                    self.queue.add(rest, first=True)
                self.queue.done(entry)
                self._entry = None
            self._let_go()
        waiting = self.queue.adopt(way="detached", orphans=False) if hand_over else 0
        if hand_over and (rest is not None or waiting):
            start_worker(self.root)
        return _in_words(rest, waiting, hand_over)

    # In the launcher's thread

    def _look_after(self) -> None:
        while not self._over:
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            try:
                with self._lock:
                    self._look()
            except (UserError, OSError) as error:
                self._tell(News("failed", clean(str(error), 500)))
            if not self.busy and not any(entry.here for entry in self.queue.waiting()):
                self._wake.wait()  # until something is asked

    def _look(self) -> None:
        if self._over:
            return
        live = self.live
        if live is not None:
            self._watch(live)
        elif any(entry.order.way == "thread" for entry in self.queue.waiting()):
            self._start_next()
        self._watch_detached()

    def _start_next(self) -> None:
        turn = self.queue.turn()
        entry = self.queue.take("thread") if turn else None
        if turn is None or entry is None:
            if turn:
                turn.release()
                self._wake_a_worker()
            return
        self._turn, self._entry, self._said, self._woken = turn, entry, "", None
        self.live = ThreadedRun(entry.order, self.root, entry.profile, lambda run: self._wake.set(), entry.output)
        self._tell(News("starting", f"loading torch for {entry.order.label}"))
        self.live.start()

    def _wake_a_worker(self) -> None:
        """The first in the queue waits for a worker: one was killed, or looks again in a moment."""
        now = time.monotonic()
        if self._woken is not None and now - self._woken > WORKER_SECONDS and self.queue.left():
            start_worker(self.root)
            self._woken = None
        elif self._woken is None:
            self._woken = now

    def _watch(self, live: ThreadedRun) -> None:
        entry = self._entry
        assert entry is not None
        if live.narrator.run and entry.name in self._awaited:
            self._tell(News("began", entry.order.label, live.run_id, self._awaited.pop(entry.name)))
        elif not live.narrator.run and live.narrator.last != self._said:
            self._said = live.narrator.last
            self._tell(News("starting", f"{entry.order.label}: {self._said}"))
        if live.is_alive():
            return
        self._awaited.pop(entry.name, None)
        self.queue.done(entry, live.error)
        self.live = self._entry = None
        self._let_go()
        self._wake.set()  # for the next one
        if live.error:
            self._tell(News("failed", f"{entry.order.label}: {_clean_lines(live.error)}"))
        elif live.outcome is not None:
            error = f": {clean(live.outcome.error, 300)}" if live.outcome.error else ""
            self._tell(News("ended", f"{live.outcome.state}{error}", live.run_id))

    def _watch_detached(self) -> None:
        if not self._awaited:
            return
        taken = {entry.name: entry for entry in self.queue.taken() if entry.order.way == "detached"}
        failed = {entry.name: entry for entry in self.queue.failed()}
        waiting = {entry.name for entry in self.queue.waiting()}
        own = self._entry.name if self._entry else ""
        for name in list(self._awaited):
            if name in taken:
                if run := run_in(taken[name].output):
                    self._tell(News("began", taken[name].order.label, run, self._awaited.pop(name)))
            elif name in failed:
                del self._awaited[name]
                self._tell(News("failed", f"{failed[name].order.label}: {_clean_lines(failed[name].why())}"))
            elif name not in waiting and name != own:
                del self._awaited[name]  # cancelled, or over before anybody looked

    def _let_go(self) -> None:
        if self._turn is not None:
            with suppress(OSError):
                self._turn.release()
            self._turn = None


def rest_of(live: ThreadedRun) -> Order | None:
    """What is left to do of a run that was stopped, for a process of its own; None where nothing is."""
    if live.narrator.run is None:  # there is no run yet
        return None if live.error else replace(live.order, way="detached")
    if live.outcome is not None and live.outcome.state != "preempted":
        return None  # it has finished or failed meanwhile
    return Order(run=live.narrator.run.name, way="detached", label=live.order.label)


def _in_words(rest: Order | None, waiting: int, hand_over: bool) -> str:
    if rest is not None and not hand_over:
        return f"{clean(rest.label, 80)} had not begun yet; it waits in the queue"
    words = [f"{clean(rest.run or rest.label, 80)} goes on in a process of its own"] if rest else []
    words += [f"{waiting} more {'waits' if waiting == 1 else 'wait'} for it"] if waiting else []
    return "; ".join(words)


def _clean_lines(text: str) -> str:
    return "\n".join(clean(line, 500) for line in text.splitlines()[:8])
