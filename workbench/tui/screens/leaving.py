"""Leaving while a run is trained in this program: what becomes of it, and waiting until it is saved."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.tui.screens.runs_dialogs import FRAME

if TYPE_CHECKING:
    from workbench.tui.launching import Launcher

POLL_SECONDS = 0.1
AT_ITS_END_SECONDS = 2.0
"""Whose run ends so soon after the key that quits is asked nothing."""
Ending = Literal["hand over", "stop"]


class LeaveDialog(ModalScreen[Ending | None]):
    """Asks what becomes of the run, then waits for it; returns what was done, None for staying."""

    DEFAULT_CSS = FRAME.format(name="LeaveDialog", width="76") + "LeaveDialog > Vertical { border: round $warning; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "end('hand over')", "hand over", show=False),
        Binding("s", "end('stop')", "stop", show=False),
        Binding("escape,n,enter", "stay", "stay", show=False),
        Binding("q", "at_once", "at once", show=False),
    ]

    def __init__(self, launcher: "Launcher", label: str, chosen: Callable[[Ending], object]) -> None:
        """`chosen` is called when there is no way back, before the run has ended."""
        super().__init__()
        self._chosen = chosen
        self._launcher, self._label = launcher, clean(label, 100)
        self._ending: Ending | None = None
        self._run = launcher.live
        self._asked = time.monotonic()

    def on_mount(self) -> None:
        """The run may end while the person thinks."""
        self.set_interval(POLL_SECONDS, self._look)

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical():
            yield Static(Text(f"{self._label} is trained in this program.", style="bold"))
            yield Static(
                Text(
                    "\nh    hand it over to a process of its own, and quit: it goes on"
                    "\ns    stop and save, and quit: it can be resumed"
                    "\nesc  stay" + _behind(self._launcher)
                ),
                id="leave-text",
            )

    def action_end(self, ending: Ending) -> None:
        """Ask the run to end at its next step."""
        if self._ending is not None or self._is_over:
            return
        self._ending = ending
        self._chosen(ending)
        self._launcher.stop(hand_over=ending == "hand over")
        self.query_one("#leave-text", Static).update(
            Text("\nIt finishes its step and is saved …\n\nq  leave at once: it goes back to its last checkpoint")
        )

    def action_stay(self) -> None:
        """Nothing happens; once the run was asked to end there is no way back."""
        if self._ending is None:
            self.dismiss(None)

    def leave(self) -> None:
        """The key that quits from wherever one is."""
        self.action_at_once()

    def action_at_once(self) -> None:
        """Do not wait for the step."""
        if self._ending is None:
            self.dismiss(None)
            if self._is_over:
                self._leave_again()
        else:
            self._launcher.patient = False
            self.dismiss(self._ending)

    def _look(self) -> None:
        if self._ending is not None:
            if self._launcher.settled:
                self.dismiss(self._ending)
        elif self._is_over and time.monotonic() - self._asked < AT_ITS_END_SECONDS:
            self.dismiss(None)
            self._leave_again()
        elif self._is_over:
            self.query_one("#leave-text", Static).update(Text("\nIt is over.\n\nq    quit\nesc  stay"))

    @property
    def _is_over(self) -> bool:
        return self._run is None or self._run.is_over

    def _leave_again(self) -> None:
        """There is nothing to ask any more, unless another run has begun."""
        self.app.call_later(self.app.act_leave)


def _behind(launcher: "Launcher") -> str:
    """What becomes of the runs that wait for a thread of this program; empty where none does."""
    try:
        waiting = [entry for entry in launcher.queue.waiting() if entry.here and entry.order.way == "thread"]
    except UserError:  # a folder that cannot be read; it is told where the queue is looked at
        return ""
    count = sum(not entry.orphaned for entry in waiting)
    them, runs = ("it", "1 run waits") if count == 1 else ("them", f"{count} runs wait")
    return f"\n\n{runs} behind it: h takes {them} along, s leaves {them} in the queue" if count else ""
