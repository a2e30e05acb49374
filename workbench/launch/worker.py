"""Trains what waits in the queue for processes of their own, one after the other, each in a headless child.

The worker and its children have sessions of their own: they outlive the screen, the terminal and the line. A worker
that is killed leaves its child at work, which keeps the turn until it ends.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from workbench.base.errors import UserError
from workbench.launch.orders import environment
from workbench.launch.queue import FOLDER, Entry, Queue, Turn, last_words, run_in

POLL_SECONDS = 0.3


def main() -> int:
    """`python -m workbench.launch --runs DIR [--now NAME]`: until nothing waits any more."""
    parser = argparse.ArgumentParser(prog="python -m workbench.launch", description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--now", default="", metavar="NAME", help="only this one, and beside whatever else is trained")
    options = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    queue = Queue(options.runs)
    if options.now:
        entry = queue.take("detached", options.now)
        if entry is not None:
            train(queue, entry, None)
        return 0
    while any(entry.here and entry.order.way == "detached" for entry in queue.waiting()):
        turn = queue.turn()
        entry = queue.take("detached") if turn else None
        if turn and entry:
            train(queue, entry, turn)
        if turn:
            turn.release()
        if entry is None:
            time.sleep(POLL_SECONDS)
    return 0


def train(queue: Queue, entry: Entry, turn: Turn | None) -> None:
    """Train one order in a child, and say in the queue what became of it."""
    with open(entry.output, "wb") as output:
        child = subprocess.Popen(
            entry.order.command(queue.root, entry.profile),
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=environment(os.environ), pass_fds=(turn.descriptor,) if turn else (),
        )  # fmt: skip
    code = child.wait()
    why = "" if run_in(entry.output) else last_words(entry.output) or f"ended with exit code {code}"
    queue.done(entry, why)


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
