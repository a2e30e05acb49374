"""Signals of a headless run.

SIGINT, SIGTERM, SIGUSR2 and SIGHUP ask the loop to finish its step, save and end; a second SIGINT ends it at once.
Before there is a run there is nothing to save, and any of them ends the program.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from workbench.base import exits
from workbench.base.ranks import several
from workbench.training.observer import StopRequest

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
        if number == signal.SIGINT and self.cause == "SIGINT":
            raise KeyboardInterrupt
        self.set(signal.Signals(number).name)


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
            # torchrun ends what is left as soon as one process has ended, and this one has yet to say how it went.
            signal.signal(number, signal.SIG_IGN if several() else handler)
