"""Leaving while a run is trained in this program: what becomes of it, and waiting until it is saved."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.base.text import clean
from workbench.tui.screens.runs_dialogs import FRAME

if TYPE_CHECKING:
    from workbench.tui.launching import Launcher

POLL_SECONDS = 0.1
Ending = Literal["hand over", "stop"]


class LeaveDialog(ModalScreen[Ending | None]):
    """Asks what becomes of the run, then waits for it; returns what was done, None for staying."""

    DEFAULT_CSS = FRAME.format(name="LeaveDialog", width="76") + "LeaveDialog > Vertical { border: round $warning; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "end('hand over')", "hand over", show=False),
        Binding("s", "end('stop')", "stop", show=False),
        Binding("escape,n,enter", "stay", "stay", show=False),
        Binding("q,ctrl+q", "at_once", "at once", show=False),
    ]

    def __init__(self, launcher: "Launcher", label: str, chosen: Callable[[Ending], object]) -> None:
        """`chosen` is called when there is no way back, before the run has ended."""
        super().__init__()
        self._chosen = chosen
        self._launcher, self._label = launcher, clean(label, 100)
        self._ending: Ending | None = None

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical():
            yield Static(Text(f"{self._label} is trained in this program.", style="bold"))
            yield Static(
                Text(
                    "\nh    hand it over, and quit: another process goes on"
                    "\ns    stop and save, and quit: it can be resumed"
                    "\nesc  stay"
                ),
                id="leave-text",
            )

    def action_end(self, ending: Ending) -> None:
        """Ask the run to end at its next step."""
        if self._ending is not None:
            return
        self._ending = ending
        self._chosen(ending)
        self._launcher.stop(hand_over=ending == "hand over")
        self.query_one("#leave-text", Static).update(
            Text("\nIt finishes its step and is saved …\n\nq  leave at once: it goes back to its last checkpoint")
        )
        self.set_interval(POLL_SECONDS, self._look)

    def action_stay(self) -> None:
        """Nothing happens; once the run was asked to end there is no way back."""
        if self._ending is None:
            self.dismiss(None)

    def action_at_once(self) -> None:
        """Do not wait for the step."""
        if self._ending is None:
            self.dismiss(None)
        else:
            self._launcher.patient = False
            self.dismiss(self._ending)

    def _look(self) -> None:
        if self._launcher.settled and self._ending is not None:
            self.dismiss(self._ending)
