"""A run in a thread of this process: the trainer beside the screen.

A thread of its own and not one of Textual's workers: a child forked from a pool's thread ends with exit code 1. Nothing
in it calls the screen: where the run is, whoever wants to know reads here, or in the run directory.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.base.text import clean
from workbench.launch.orders import Order
from workbench.training.observer import HAND_OVER, StopRequest

__all__ = ["HAND_OVER", "Narrator", "ThreadedRun"]

if TYPE_CHECKING:
    from workbench.training.observer import Snapshot
    from workbench.training.session import Outcome


class Narrator:
    """What the run says, kept for whoever looks. Called after every step: it must cost nothing."""

    def __init__(self, said: Path | None = None) -> None:
        """`said`: a file that is told of the run directory as soon as there is one, as by a headless process."""
        self._said = said
        self.last = ""
        """The last line of narration."""
        self.run: Path | None = None
        """The run directory, once there is one."""
        self.step: Snapshot | None = None

    def note(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith("run /"):
                if self._said is not None:
                    with suppress(OSError):
                        self._said.write_text(f"{line}\n", encoding="utf-8", errors="surrogateescape")
                self.run = Path(line.removeprefix("run "))
            self.last = clean(line, 300)

    def progress(self, snapshot: "Snapshot") -> None:
        self.step = snapshot

    def epoch_done(self, record: dict[str, float | int | str]) -> None:
        pass


class ThreadedRun(threading.Thread):
    """Trains an order; `profile` is the file that holds its profile. `ended` is called in this thread, last.

    `said`: a file that will tell whether there is a run, when this process can tell nobody any more.
    """

    def __init__(
        self,
        order: Order,
        root: Path,
        profile: Path,
        ended: Callable[["ThreadedRun"], object] = lambda run: None,
        said: Path | None = None,
    ) -> None:
        super().__init__(name=f"train {order.label}", daemon=True)  # whoever quits asks it to stop and waits for it
        self.order, self.profile = order, profile
        self.root = root.absolute()  # what it says of its run is then a whole path
        self.narrator = Narrator(said)
        self.outcome: Outcome | None = None
        """How it ended; None while it goes on, and where there came to be no run."""
        self.error = ""
        """Why there is no run, in whole lines."""
        self._ended = ended
        self._request = _Stop()

    @property
    def run_id(self) -> str:
        """Of the run; empty until there is one."""
        if self.order.run:
            return self.order.run
        return self.narrator.run.name if self.narrator.run else ""

    @property
    def begun(self) -> bool:
        """Whether there is a run, or will be in a moment, whoever asks to stop. Once asked to, it does not begin."""
        return self._request.armed

    @property
    def is_over(self) -> bool:
        """Whether nothing is trained any more, though the thread may have something left to do."""
        return self.outcome is not None or self.error != ""

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._request.requested()

    def stop(self, cause: str) -> None:
        """Ask the run to finish its step, save and end; `cause`, the last that is given, is recorded in its events.

        A run that a person has asked to stop, by its control folder, stays so. Safe in a handler of signals.
        """
        if self._request.cause != "request":
            self._request.cause = cause

    def run(self) -> None:
        """Whatever goes wrong in a run is recorded in it; what goes wrong before there is one is kept here."""
        try:
            self.outcome = self._train()  # from here on it is over; what is left is to draw
            self._draw(self.outcome)
        except _NotBegunError:
            pass
        except Exception as error:  # noqa: BLE001  # the screen lives on and says it
            kind = "" if hasattr(error, "exit_code") else f"{type(error).__name__}: "
            self.error = kind + (str(error).strip() or type(error).__name__)
        finally:
            self._ended(self)

    def _train(self) -> "Outcome":
        from workbench.training.session import resume_run, start_run  # torch takes seconds

        stop = self._request
        if stop.requested():
            raise _NotBegunError
        if self.order.run:
            outcome = resume_run(self.order.run, self.root, self.narrator, stop, options=self.order.more_epochs())
        else:
            from workbench.profile import load_exact

            outcome = start_run(
                load_exact(self.profile), self.root, self.narrator, stop, parent=self.order.parent or None
            )
        return outcome

    def _draw(self, outcome: "Outcome") -> None:
        """Leave plots/ in the run directory, as a headless run does."""
        from workbench.runs.plots import write_plots

        if outcome.state == "preempted":  # somebody waits for that, and whoever goes on with it draws at its end
            return
        try:
            write_plots(outcome.run)
        except Exception as error:  # noqa: BLE001  # the run is over and saved
            self.narrator.note(f"could not draw the plots: {error}")


class _NotBegunError(Exception):
    """It was asked to stop before there was a run."""


class _Stop(StopRequest):
    """Between `cause` and `armed` there is no lock: each side writes its own and then reads the other's, so that one of
    the two sees both."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = False

    def arm(self) -> None:
        """Raises where it was asked to stop: whoever asked need not wait for a run that would only now be made."""
        self.armed = True
        if self.requested():
            self.armed = False
            raise _NotBegunError
