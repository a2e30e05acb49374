"""What ends the screen from outside: signals, and a terminal that goes away.

    SIGHUP, or no terminal any more    the run of this process goes on in one of its own; exit code 75
    SIGTERM, SIGUSR2                   it finishes its step and is saved; 75, on which schedulers start a job again
    SIGINT, by `kill`                  the same, and 130; a second one waits for no step. Ctrl-C here is a key

No handler raises: an exception between any two steps of Python may land in a finalizer, which prints it and goes on.
The run is asked in the handler itself, and not by the screen: one whose terminal takes nothing any more hears nothing.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from workbench.base import exits

if TYPE_CHECKING:
    from workbench.tui.app import Workbench

HEARD = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
LOOK_SECONDS = 1.0
"""How often somebody looks whether there is a terminal: where it is not the process's own, nothing tells."""
PATIENCE = 10.0
"""Seconds that the screen may take to end, and the last words. What waits for its terminal does not end."""


class Signals:
    """Which signal ended the screen, and seeing to it that it ends."""

    def __init__(self, app: "Workbench", at_last: Callable[["Signals"], object]) -> None:
        """`at_last`: what is done, from a thread, where the screen does not end by itself."""
        self.number: int | None = None
        """The first that came; None where a person ended the screen."""
        self._app, self._at_last = app, at_last
        self._over = threading.Event()
        self._interrupted = False
        self._settled = False

    @property
    def exit_code(self) -> int | None:
        """As the signal wants it; None without one."""
        return None if self.number is None else exits.exit_code(self.number)

    @property
    def name(self) -> str:
        """The cause of what became of the run."""
        return signal.Signals(self.number).name if self.number else "the screen was left"

    def screen_is_over(self) -> None:
        """Nobody need see to it that it ends; from here on the run is waited for."""
        self._over.set()

    def run_is_settled(self) -> None:
        """All that is left are words; where those do not get out, the process ends without them."""
        self._settled = True
        if self.exit_code is not None:
            end = threading.Timer(PATIENCE, os._exit, [self.exit_code])
            end.daemon = True
            end.start()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, between any two steps of Python."""
        launches = self._app.launches
        if number == signal.SIGHUP and not os.isatty(0):
            read_nothing()
        if self.number is None:
            self.number = number
            threading.Thread(target=self._see_to_it, name="signals", daemon=True).start()
        if number == signal.SIGINT:
            if self._interrupted:
                launches.hurry()
            if self._interrupted and self._settled:
                os._exit(self.exit_code or 0)
            self._interrupted = True
        launches.stop_for(self.name, lost=self.number == signal.SIGHUP)
        self._app.end_soon()

    def _see_to_it(self) -> None:
        if not self._over.wait(PATIENCE):
            self._at_last(self)


@contextmanager
def ending_on_signals(app: "Workbench", at_last: Callable[[Signals], object]) -> Iterator[Signals]:
    """Within it the signals, and the loss of the terminal, end the screen and not the process, which sees to its run.

    `at_last` is for a screen that does not end; it must end the process.
    """
    signals, left = Signals(app, at_last), threading.Event()
    before = {number: signal.signal(number, signals.handle) for number in HEARD}
    if os.isatty(0):
        threading.Thread(target=_watch_terminal, args=(left,), name="terminal", daemon=True).start()
    try:
        yield signals
    finally:
        left.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_terminal(left: threading.Event) -> None:
    while not left.wait(LOOK_SECONDS):
        if not os.isatty(0):  # a hung-up terminal is none
            os.kill(os.getpid(), signal.SIGHUP)
            return


def read_nothing() -> None:
    """What was a terminal is at its end for ever, and Textual's reader would turn round and round on that.

    A pipe that nobody writes into has it wait. Its other end stays open as long as the process, and one byte is in it
    already: the reader may have been told of the terminal, and reads what it finds by then, which must not hold it.
    """
    read, write = os.pipe()
    os.write(write, b"\0")
    os.dup2(read, 0)
    os.close(read)
