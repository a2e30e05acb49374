"""Textual's drivers with our way of writing: what is not different is not sent, and the line is watched.

`TerminalDriver` is for terminals; `workbench.tui.in_browser` has the one for pages.
"""

import os
import threading
import time
from typing import TYPE_CHECKING, cast

from textual import events
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from workbench.tui.thrift import Thrift

if TYPE_CHECKING:
    from textual.app import App
    from textual.message import Message

    from workbench.tui.app import Workbench

QUESTION = "\x1b[6n"
"""Where the cursor is: of all questions the one that every terminal answers."""


class Sparing(Driver):
    """Before one of Textual's drivers in the order of classes."""

    def __init__(
        self, app: "App[object]", *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.thrift = Thrift()
        self._line = cast("Workbench", app).line
        self._line.ask = self.ask
        self._answered = threading.Event()
        self._answered.set()

    def write(self, data: str) -> None:
        """Send what is different."""
        if thin := self.thrift.thin(data):
            began = time.monotonic()
            super().write(thin)  # type: ignore[safe-super]
            self._line.wrote(time.monotonic() - began)

    def forget_terminal(self) -> None:
        """What it shows is not known any more: all that is drawn next is sent."""
        self.thrift.forget()

    def ask(self) -> None:
        """Have the terminal answer when it has shown all there is."""
        self._answered.clear()
        super().write(QUESTION)  # type: ignore[safe-super]
        self._line.asked(time.monotonic())

    def process_message(self, message: "Message") -> None:
        """In the thread that reads: an answer is nothing for the app."""
        if isinstance(message, events.CursorPosition):
            self._line.answered(time.monotonic())
            self._answered.set()
        else:
            super().process_message(message)


class TerminalDriver(Sparing, LinuxDriver):
    """For a terminal, as long as there is one."""

    def start_application_mode(self) -> None:
        """Not for a terminal that has gone: with the SIGHUP comes a SIGCONT, after which Textual would begin anew."""
        if os.isatty(self.fileno):
            super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual leaves it untyped

    def disable_input(self) -> None:
        """Once an answer that is on its way has come. Nobody waits for who reads from a terminal that has gone."""
        if not os.isatty(self.fileno):
            self.exit_event.set()
            return
        self._answered.wait(self._line.last_wait(time.monotonic()))
        self._answered.set()
        super().disable_input()
