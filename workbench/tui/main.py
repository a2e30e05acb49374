"""Starts the screen and leaves the terminal as it was."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.notify import settings_path
from workbench.tui.app import Workbench
from workbench.tui.settings import load_settings
from workbench.tui.signals import Signals, ending_on_signals
from workbench.tui.terminal import forgive_bytes

if TYPE_CHECKING:
    from textual.driver import Driver

LOG_LIMIT = 1_000_000
"""Bytes after which the log begins anew."""


def run(root: Path, *, attach: str | None = None, driver: "type[Driver] | None" = None) -> NoReturn:
    """Show the screen until somebody quits, then end the process with the exit code. `root`: the folder of the runs.

    `attach`: begin with this run, or, where it is empty, with the one that the Train screen would choose. `driver`:
    what draws, where it is a browser and no terminal.
    """
    place = settings_path()
    settings = load_settings(place)
    if driver is not None and settings.ascii == "auto":
        settings.ascii = False  # where the server was started says nothing of what a browser can show
    from workbench.tui.drivers import TerminalDriver

    app = Workbench(root, settings, settings_path=place, attach=attach, driver=driver or TerminalDriver)
    app.once_drawn(prepare_for_workers)
    forgive_bytes()

    def without_the_screen(signals: Signals) -> None:
        _finish(app, signals)
        os._exit(signals.exit_code or 0)

    with ending_on_signals(app, without_the_screen) as signals:  # to the end: a further signal then raises nothing
        with stderr_aside(log_path()) as terminal:
            terminal.lost = lambda: os.kill(os.getpid(), signal.SIGHUP)
            try:
                app.run()
            finally:
                signals.screen_is_over()
                words = _finish(app, signals)
                signals.run_is_settled()
                terminal.lost = None
        _say(words)
        # Everything is saved. To end Python itself takes a second or two once torch is loaded, can crash below an
        # import or a step, and waits for threads of anybody's: Textual's reader of a dead terminal once did for ever.
        _flush()
        os._exit(signals.exit_code or app.return_code or 0)


def _finish(app: Workbench, signals: Signals) -> str:
    """What becomes of a run in this process; a line for the person."""
    if signals.number in (signal.SIGHUP, None):
        app.launches.ending = app.launches.ending or "hand over"  # the terminal has gone, or the screen has failed
    try:
        return app.launches.finish(signals.name)
    except UserError as error:
        return str(error)


def _say(words: str) -> None:
    """On a terminal that may be gone."""
    if not words:
        return
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


def log_path() -> Path:
    """Where native libraries' messages go while the screen is shown."""
    import platformdirs

    return Path(platformdirs.user_log_dir("cnn-workbench", appauthor=False)) / "screen.log"


class Terminal(io.TextIOWrapper):
    """What the screen is drawn on. What is written when there is nobody to see it is lost, and that is no error.

    Textual's writer would die of one, and the screen wait for the writer for ever.
    """

    lost: Callable[[], object] | None = None
    """Called, in the thread that writes, when the terminal has gone."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self.lost is not None:
            self.lost()


@contextmanager
def stderr_aside(log: Path) -> Iterator[Terminal]:
    """Within it, descriptor 2 is a log file, and Textual, which draws on Python's stderr, has the terminal.

    A warning of a C++ library on descriptor 2 would scroll the screen.
    """
    python, native = sys.stderr, sys.__stderr__
    lines = os.isatty(2)
    with Terminal(os.fdopen(os.dup(2), "wb"), encoding="utf-8", errors="replace", line_buffering=lines) as terminal:
        target = _open(log)
        try:
            sys.stderr = sys.__stderr__ = terminal  # type: ignore[misc]
            os.dup2(target, 2)
            yield terminal
        finally:
            with suppress(ValueError):
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
