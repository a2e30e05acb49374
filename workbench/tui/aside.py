"""Work that may wait for a disk, done in a thread of its own; what comes of it is handled on the screen's thread."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from textual.message import Message

T = TypeVar("T")


class Done(Message, bubble=False):
    """The work is over; `result` is what it gave or the exception that it ended with."""

    def __init__(self, then: Callable[[Any], object], result: Any) -> None:
        super().__init__()
        self.then, self.result = then, result


class Aside:
    """Mixin for a screen or a widget, named before it."""

    def aside(self, work: Callable[[], T], then: Callable[[T | Exception], object]) -> None:
        """Do `work` in a thread that never keeps the program from ending, then `then` with its result here."""

        def run() -> None:
            try:
                result: T | Exception = work()
            except Exception as error:  # noqa: BLE001  # `then` shows it; the program goes on
                result = error
            self.post_message(Done(then, result))  # type: ignore[attr-defined]  # of the widget that this is mixed into

        threading.Thread(target=run, name="aside", daemon=True).start()

    def on_done(self, event: Done) -> None:
        event.then(event.result)
