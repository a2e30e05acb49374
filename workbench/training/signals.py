"""Signals of a headless run.

SIGINT, SIGTERM, SIGUSR2 and SIGHUP ask the loop to finish its step, save and end; a second SIGINT ends it at once.
Before there is a run there is nothing to save, and any of them ends the program. After a run that was asked to end
nothing changes the exit code any more: schedulers send one signal after the other.
"""

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from workbench.base import exits
from workbench.base.ranks import several
from workbench.training.observer import StopRequest

AGAIN_SECONDS = 0.5
"""Whoever presses Ctrl-C faster than this asks once: what is raised needs a moment to get where it is heard."""

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP)


class EndedBeforeStart(BaseException):
    """A signal came before there was a run; `exit_code` is what the program ends with."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = exits.exit_code(number)


class SignalStop(StopRequest):
    """A stop request that signals set. Until `arm` is called, a signal raises EndedBeforeStart instead."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = False
        self.early: int | None = None
        """The first signal that came before there was a run."""
        self.interrupts = 0
        self._raised = -math.inf
        self._settled = False

    def arm(self) -> None:
        """From here on there is a run. EndedBeforeStart if a signal came whose exception never got here.

        Python drops an exception that a handler raises inside a weak reference's callback or a finalizer, and a
        library may catch it; importing torch has plenty of both.
        """
        self.armed = True
        if self.early is not None:
            raise EndedBeforeStart(self.early)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if not self.armed:
            self.early = self.early or number
            raise EndedBeforeStart(number)
        self.interrupts += number == signal.SIGINT
        self.set(signal.Signals(number).name)
        if number == signal.SIGINT and self.interrupts > 1 and not self._settled:
            now = time.monotonic()
            if now - self._raised > AGAIN_SECONDS:  # one that got lost, as above, is not the last
                self._raised = now
                raise KeyboardInterrupt

    def settle(self) -> None:
        self._settled = True


@contextmanager
def listening() -> Iterator[SignalStop]:
    """Handle the signals inside the block (main thread only) and put the old handlers back after it."""
    stop = SignalStop()
    # Under nohup SIGHUP is ignored, and stays so: that is what nohup is for.
    wanted = [n for n in HANDLED if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop.handle) for number in wanted}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, _after(stop, number, handler))


def _after(stop: SignalStop, number: int, before: Any) -> Any:
    """The handler of a signal for what comes after the run: pictures, words, notifications."""
    if several():  # torchrun ends what is left as soon as one process has ended, and this one has yet to tell
        return signal.SIG_IGN
    if not stop.armed or not stop.requested():
        return before
    return _leave if number == signal.SIGINT else signal.SIG_IGN


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(exits.INTERRUPTED)


def hear_no_more() -> None:
    """For the last moment of a program that was interrupted: Python puts the system's own handler back, which kills."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
