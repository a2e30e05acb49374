"""Starts the screen and leaves the terminal as it was."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.notify import settings_path
from workbench.tui.app import Workbench
from workbench.tui.settings import load_settings
from workbench.tui.terminal import forgive_bytes

PREEMPTED = 75
"""Exit code that schedulers requeue on."""

LOG_LIMIT = 1_000_000
"""Bytes after which the log begins anew."""


def run(root: Path, *, attach: str | None = None) -> int:
    """Show the screen until somebody quits; returns the exit code. `root`: the folder of the runs.

    `attach`: begin with this run, or, where it is empty, with the one that the Train screen would choose.
    """
    place = settings_path()
    app = Workbench(root, load_settings(place), settings_path=place, attach=attach)
    app.once_drawn(prepare_for_workers)
    forgive_bytes()
    with stderr_aside(log_path()), ending_on_signals(app) as signals:
        app.run()
        if signals.number in (signal.SIGHUP, None):
            app.launches.ending = app.launches.ending or "hand over"  # the terminal has gone, or the screen has failed
        words = _finish(app, signals)
    code = PREEMPTED if signals.number in (signal.SIGTERM, signal.SIGUSR2) else app.return_code or 0
    if words:
        _say(words)
    if app.torch.loading or ((live := app.launches.live) is not None and live.is_alive()):
        # Waiting for torch would take seconds, and ending Python below its import, or below a step, can crash.
        _flush()
        os._exit(code)
    return code


def _finish(app: Workbench, signals: "Signals") -> str:
    """What becomes of a run in this process; a line for the person."""
    try:
        if signals.number is None:
            return app.launches.finish()
        return app.launches.finish(signal.Signals(signals.number).name)
    except UserError as error:
        return str(error)


def _say(words: str) -> None:
    """On a terminal that may be gone."""
    with suppress(OSError, ValueError):
        print(clean(words, 1000), file=sys.stderr)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def prepare_for_workers() -> None:
    """What Python starts for its child processes, before a run's own thread could need it.

    It is handed `sys.stderr`'s descriptor, and the one that Textual puts there has none: so for as long as that takes
    it is descriptor 2, the log. Not before the first picture, which would come 30 ms later.
    """
    import multiprocessing
    from multiprocessing import resource_tracker

    shown = sys.stderr
    with open(2, "w", encoding="utf-8", closefd=False) as log, suppress(OSError):
        sys.stderr = log
        try:
            resource_tracker.ensure_running()
            if multiprocessing.get_start_method() == "forkserver":
                from multiprocessing import forkserver

                forkserver.ensure_running()
        finally:
            sys.stderr = shown


@dataclass
class Signals:
    """Which signal ended the screen; None where a person did."""

    number: int | None = None


@contextmanager
def ending_on_signals(app: Workbench) -> Iterator[Signals]:
    """Within it SIGHUP, SIGTERM and SIGUSR2 end the screen and not the process, which sees to its run first."""
    signals = Signals()

    def handle(number: int, frame: FrameType | None) -> None:
        signals.number = signals.number or number
        app.end_soon()

    wanted = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2)
    before = {number: signal.signal(number, handle) for number in wanted}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_path() -> Path:
    """Where native libraries' messages go while the screen is shown."""
    import platformdirs

    return Path(platformdirs.user_log_dir("cnn-workbench", appauthor=False)) / "screen.log"


@contextmanager
def stderr_aside(log: Path) -> Iterator[None]:
    """Within it, descriptor 2 is a log file, and Textual, which draws on Python's stderr, has the terminal.

    A warning of a C++ library on descriptor 2 would scroll the screen.
    """
    python, native = sys.stderr, sys.__stderr__
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace") as terminal:
        target = _open(log)
        try:
            sys.stderr = sys.__stderr__ = terminal  # type: ignore[misc]
            os.dup2(target, 2)
            yield
        finally:
            with suppress(OSError, ValueError):
                terminal.flush()
            os.dup2(terminal.fileno(), 2)
            os.close(target)
            sys.stderr, sys.__stderr__ = python, native  # type: ignore[misc]


def _open(log: Path) -> int:
    """For appending; nowhere, where it cannot be opened."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        again = log.exists() and log.stat().st_size > LOG_LIMIT
        return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if again else 0), 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
