"""Trains what waits in the queue for processes of their own, one after the other, each in a headless child.

The worker and its children have sessions of their own: they outlive the screen, the terminal and the line. A worker
that is killed leaves its child at work, which keeps the turn until it ends. SIGTERM and SIGUSR2 have the child save and
end, and then the worker, with 75; what waits goes on waiting, and before it the rest of that run. After SIGINT, 130,
that run has been stopped and does not wait.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

from workbench.base import exits
from workbench.base.errors import UserError
from workbench.launch.orders import environment
from workbench.launch.queue import FOLDER, Entry, Queue, Turn, last_words, run_in

POLL_SECONDS = 0.3


def main() -> int:
    """`python -m workbench.launch --runs DIR [--now NAME]`: until nothing waits any more, or a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m workbench.launch", description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--now", default="", metavar="NAME", help="only this one, and beside whatever else is trained")
    options = parser.parse_args()
    worker = Worker(Queue(options.runs))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # for its children too
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, worker.handle)
    if options.now:
        entry = worker.queue.take("detached", options.now)
        if entry is not None:
            worker.train(entry, None)
    else:
        worker.work()
    return worker.exit_code


class Worker:
    """Trains what waits in a queue."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.asked: int | None = None
        """The first signal that came."""
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def exit_code(self) -> int:
        """0, or as a signal wants it."""
        return 0 if self.asked is None else exits.exit_code(self.asked)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take no other order, and pass it on to the child, which knows what to do, also with a second one."""
        self.asked = self.asked or number
        if self._child is not None:
            self._child.send_signal(number)

    def work(self) -> None:
        """One after the other."""
        while self.asked is None and self._is_wanted():
            turn = self.queue.turn()
            entry = self.queue.take("detached") if turn else None
            if turn and entry:
                self.train(entry, turn)
            if turn:
                turn.release()
            if entry is None:
                time.sleep(POLL_SECONDS)

    def train(self, entry: Entry, turn: Turn | None) -> None:
        """Train one order in a child, and say in the queue what became of it."""
        with open(entry.output, "wb") as output:
            child = subprocess.Popen(
                entry.order.command(self.queue.root, entry.profile),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env=environment(os.environ), pass_fds=(turn.descriptor,) if turn else (),
            )  # fmt: skip
        self.queue.trained_by(entry, child.pid)
        self._child = child
        if self.asked is not None:  # while it was started
            child.send_signal(self.asked)
        code = child.wait()
        self._child = None
        self._settle(entry, code)

    def _settle(self, entry: Entry, code: int) -> None:
        run = run_in(entry.output)
        if self.asked is not None and not run:
            self.queue.put_back(entry)
            return
        if self.exit_code == code == exits.PREEMPTED:  # whoever starts a worker again wants the rest of it first
            self.queue.add(replace(entry.order, profile="", run=run), first=True)
        self.queue.done(entry, "" if run else last_words(entry.output) or f"ended with exit code {code}")

    def _is_wanted(self) -> bool:
        return any(entry.here and entry.order.way == "detached" for entry in self.queue.waiting())


def start_worker(root: Path, *, now: str = "") -> None:
    """Start a worker in a session of its own; it ends by itself when nothing waits. UserError where it cannot start."""
    words = [sys.executable, "-m", "workbench.launch", "--runs", str(root.absolute())]
    _started[:] = [worker for worker in _started if worker.poll() is None]
    try:
        with open(root.absolute() / FOLDER / "worker.log", "ab") as log:
            worker = subprocess.Popen(
                [*words, *(["--now", now] if now else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise UserError(f"cannot start a process for the queue: {error.strerror or error}") from None
    _started.append(worker)


_started: list[subprocess.Popen[bytes]] = []
"""Kept so that those that have ended are waited for."""
