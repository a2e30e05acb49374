"""Starts the screen and leaves the terminal as it was."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.tui.app import Workbench
from workbench.tui.settings import load_settings, settings_path

LOG_LIMIT = 1_000_000
"""Bytes after which the log begins anew."""


def run(root: Path) -> int:
    """Show the screen until somebody quits; returns the exit code. `root`: the folder of the runs."""
    place = settings_path()
    app = Workbench(root, load_settings(place), settings_path=place)
    with stderr_aside(log_path()):
        app.run()
    code = app.return_code or 0
    if app.torch.loading:  # waiting for torch would take seconds, and ending Python below its import can crash
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


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
