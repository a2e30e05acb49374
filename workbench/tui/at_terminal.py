"""What the app knows of the terminal and of the line to it: whether that is slow, that all must be drawn anew, and how
many toasts it has room for."""

import time

from textual import events
from textual.app import App
from textual.driver import Driver
from textual.reactive import reactive
from textual.screen import ModalScreen

from workbench.tui.slow_line import SlowLine

LOOK_SECONDS = 1.0
"""Between two looks at the line."""
TOASTS, TOASTS_OVER_A_DIALOG = 4, 2
"""At once, at most. A dialog wants to be read itself."""


class AtTerminal(App[None], inherit_bindings=False):
    """An app whose screens draw less over a slow line. Its driver asks `line` what there is to ask."""

    slow_line: reactive[bool] = reactive(False, init=False)
    """Whether the terminal drains slowly: screens are drawn more rarely, and show less."""

    def __init__(self, driver: type[Driver] | None, line: str) -> None:
        """`driver`: what draws, where it is not Textual's. `line`: as in the settings."""
        super().__init__(driver_class=driver)
        self.line = SlowLine(line)
        self.set_reactive(AtTerminal.slow_line, self.line.slow)
        self._told_of_line = False

    def watch_line(self) -> None:
        """Begin to look at it."""
        self.set_interval(LOOK_SECONDS, self._look_at_line)

    def _look_at_line(self) -> None:
        if self.line.look(time.monotonic()) and self.line.ask is not None:
            self.line.ask()
        self.slow_line = self.line.slow

    def watch_slow_line(self, slow: bool) -> None:
        """Say it, once; what is different then, each screen sees to."""
        if slow and not self._told_of_line:
            self._told_of_line = True
            self.notify("slow line: one chart, drawn every 2 s", markup=False)

    def _refresh_notifications(self) -> None:
        """The newest: of more toasts than there is room for Textual would show the oldest."""
        most = TOASTS_OVER_A_DIALOG if isinstance(self.screen, ModalScreen) else TOASTS
        for toast in list(self._notifications)[:-most]:
            self._unnotify(toast, refresh=False)
        super()._refresh_notifications()

    async def on_event(self, event: events.Event) -> None:
        """What another size makes of what is shown, every terminal has its own mind about."""
        if isinstance(event, events.Resize):
            self._forget_terminal()
        await super().on_event(event)

    def act_redraw(self) -> None:
        """All of it, whatever the terminal has made of it."""
        self._forget_terminal()
        self.screen.refresh(layout=True)

    def _forget_terminal(self) -> None:
        forget = getattr(self._driver, "forget_terminal", None)
        if forget is not None:
            forget()
