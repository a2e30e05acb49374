"""From one session to the next: where one was, which runs lived, what was not saved."""

import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from workbench.base.text import clean
from workbench.tui.last_place import place_beside, read_last, write_last
from workbench.tui.settings import remember

SECONDS = 15.0
"""How long it stays on the screen what happened meanwhile."""


@runtime_checkable
class Placed(Protocol):
    """A screen that says on leaving where it was; others say so whenever it changes."""

    def keep_place(self) -> None: ...


class Sessions:
    """Mixin, named before App, which has `settings`, `root`, `ends`, `launches` and `drafts`.

    `last` is where each screen was; what they leave there is written when the app ends.
    """

    last: dict[str, dict[str, Any]]

    def read_the_last(self, settings_path: Path | None) -> None:
        """`settings_path`: beside it the last session has left its file; None for a session that leaves nothing."""
        self._settings_path, self._left = settings_path, False
        self.last = read_last(place_beside(settings_path) if settings_path else None)

    def tell_of_the_last(self) -> None:
        """Say what was not saved, and what became of the runs that lived."""
        app: Any = self
        if rescued := self.last.pop("rescued", None):
            words = f"a profile that was not saved when the terminal went away: {rescued.get('path')}"
            app.notify(clean(words, 300), markup=False, timeout=SECONDS)
        if before := self.last.pop("away", None):
            threading.Thread(target=self._tell_of_absence, args=(before,), name="away", daemon=True).start()

    def _tell_of_absence(self, before: dict[str, Any]) -> None:
        """In a thread."""
        from workbench.tui.away import news_of

        app: Any = self
        with suppress(RuntimeError):  # the app has ended meanwhile
            for line in news_of(before, app.root):
                app.call_from_thread(app.notify, line, markup=False, timeout=SECONDS)

    def leave(self) -> None:
        """End, and remember where. Asked again, nothing more."""
        if self._left:
            return
        self._left = True
        app: Any = self
        try:
            self._keep_place(app)
        finally:
            app.exit()

    def _keep_place(self, app: Any) -> None:
        if isinstance(here := app.screen_stack[0], Placed):
            here.keep_place()
        if self._settings_path:
            if app.current_mode != app.settings.screen:
                remember(self._settings_path, "screen", app.current_mode)
            runs, goes_on = app.ends.runs, app.launches.handed_over
            if runs or goes_on:
                from workbench.tui.away import remembered

                self.last["away"] = remembered(runs, time.time(), goes_on)
            write_last(place_beside(self._settings_path), self.last)

    def leave_unasked(self) -> None:
        """End without a question: a draft is kept among the person's own profiles, and the next session says where."""
        app: Any = self
        if self._left:  # signals come in twos and threes
            return
        try:
            if app.drafts is not None and (path := app.drafts.rescue(datetime.now().astimezone())):
                self.last["rescued"] = {"path": str(path)}
        finally:
            self.leave()
