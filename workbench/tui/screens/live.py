"""A screen over run directories that change: a thread looks at them, now and then, as long as somebody sees the screen.

The screen asks the thread nothing but what it is about to show, and touches no file itself.
"""

from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from rich.text import Text
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from workbench.base.text import clean
from workbench.tui.actions import WithActions
from workbench.tui.asker import Answer, Asker, Question
from workbench.tui.pace import Beat, moment_of

if TYPE_CHECKING:
    from textual.timer import Timer

HZ = 2.0
"""How often a second to look, where no setting says."""


class LiveScreen(WithActions, Screen[None], Generic[Question, Answer]):
    """Whoever inherits calls `begin_to_look` when mounted. Its answers come to `show_found`."""

    LOOKED_AT: ClassVar[str] = "the runs"
    """What a mistake says that could not be read."""

    class Found(Message):
        """What the thread has seen, or what went wrong."""

        def __init__(self, answer: Any) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, root: Path | None = None, hz: float | None = None) -> None:
        """`root`: the folder of the runs. `hz`: how often a second to look at most. The app's if none is given."""
        super().__init__()
        self._root_given, self._hz_given = root, hz
        self._asker: Asker[Question, Answer] | None = None
        self._timer: Timer | None = None
        self._beat = Beat(HZ)
        self._hidden = False
        self._problem = ""

    # What the screen adds

    @abstractmethod
    def ask(self, *, again: bool = False) -> None:
        """Have the thread look, unless nobody sees it; `again`: show what it sees even if nothing is new."""

    @abstractmethod
    def show_found(self, found: Answer) -> None:
        """Show what the thread has seen."""

    @abstractmethod
    def keep_place(self) -> None:
        """Note where one is, for the next session."""

    # Looking

    @property
    def root(self) -> Path:
        """The folder of the runs."""
        if self._root_given is None:
            self._root_given = Path(getattr(self.app, "root", "runs"))
        return self._root_given

    def begin_to_look(self, asker: Asker[Question, Answer]) -> None:
        """Have this thread look from now on; it is to tell `tell` what it sees."""
        self._asker = asker
        asker.start()
        hz: float = self._hz_given or getattr(getattr(self.app, "settings", None), "hz", HZ) or HZ
        self._beat = Beat(hz)
        self._timer = self.set_interval(1 / hz, self._tick)
        self.watch(self.app, "app_focus", self._focus_is_back, init=False)
        self.call_after_refresh(self.ask, again=True)

    def on_unmount(self) -> None:
        """No more looking."""
        if self._asker:
            self._asker.end()

    def _tick(self) -> None:
        """What the clock asks for: a look, unless looking costs a run of this process too much, or nobody looks."""
        if self._beat.due(moment_of(self.app, self._asker.busy if self._asker else 0.0)):
            self.ask()

    def _focus_is_back(self, focus: bool) -> None:
        """Back at this terminal: what is there now, at once."""
        if focus:
            self.ask()

    def on_screen_suspend(self) -> None:
        """A screen that nobody sees costs nothing."""
        self.keep_place()
        self._hidden = True
        if self._timer:
            self._timer.pause()

    def on_screen_resume(self) -> None:
        """Back on the terminal: once at once, then as before."""
        self._hidden = False
        if self._timer:
            self.ask(again=True)
            self._timer.resume()

    def on_resize(self) -> None:
        """Other room, once it has been shared out."""
        self.call_after_refresh(self.ask, again=True)

    def tell(self, answer: Answer | Exception) -> None:
        """In the thread. A screen that is being taken down hears nothing."""
        with suppress(RuntimeError):
            self.post_message(self.Found(answer))

    def on_live_screen_found(self, message: Found) -> None:
        """Show it; a mistake is said once, until something could be read again."""
        answer = message.answer
        if not isinstance(answer, Exception):
            self._problem = ""
            self.show_found(answer)
            return
        problem = clean(f"cannot read {self.LOOKED_AT}: {type(answer).__name__}: {answer}", 300)
        if problem != self._problem:
            self._problem = problem
            self.notify(problem, severity="error", markup=False)

    def put(self, name: str, text: Text, *, layout: bool = False) -> None:
        """Only what is different goes to the terminal."""
        line = self.query_one(f"#{name}", Static)
        if line.content != text:
            line.update(text, layout=layout)
