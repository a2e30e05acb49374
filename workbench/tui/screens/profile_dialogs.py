"""What the Profiles screen asks: one of many, found by typing."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from workbench.base.text import clean
from workbench.tui.widgets.line import Line


class Pick(ModalScreen[str | None]):
    """One of many, found by typing; None where none is taken."""

    DEFAULT_CSS = """
    Pick { align: center middle; }
    Pick > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%; border: round $primary; padding: 0 1;
        background: $surface;
    }
    Pick Input, Pick Input:focus { height: 1; border: none; padding: 0; background: $panel; }
    Pick OptionList {
        border: none; padding: 0; background: $surface; text-wrap: nowrap; text-overflow: ellipsis;
    }
    Pick .hint { color: $text-muted; }
    Pick #pick-mistake { display: none; height: auto; color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "out", show=False, priority=True),
        Binding("down", "move('cursor_down')", show=False, priority=True),
        Binding("up", "move('cursor_up')", show=False, priority=True),
        Binding("pagedown", "move('page_down')", show=False, priority=True),
        Binding("pageup", "move('page_up')", show=False, priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[tuple[str, str]],
        current: str = "",
        free: str = "",
        refuse: Callable[[str], str] = lambda _: "",
    ) -> None:
        """`choices`: what is returned, and what is shown beside it. `free`: what else may be typed, in words; `refuse`
        tells what is wrong with such a thing, "" for nothing."""
        super().__init__()
        self._title, self._choices, self._current = title, choices, current
        self._free, self._refuse = free, refuse
        self.shown: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._title, style="bold", no_wrap=True, overflow="ellipsis"))
            yield Line(placeholder="type to filter", select_on_focus=False)
            yield OptionList(markup=False, compact=True)
            yield Static(id="pick-mistake")
            free = f"   or type {self._free}" if self._free else ""
            yield Static(Text(f"enter takes it   esc out{free}"), classes="hint")

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False  # the letters go to the line, the arrows here
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._fill(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: the one under the cursor, else what was typed where that may be."""
        event.stop()
        place = self.query_one(OptionList).highlighted
        if self.shown and place is not None:
            self.dismiss(self.shown[place])
        elif why := self._refuse(event.value.strip()) if self._free and event.value.strip() else "nothing fits":
            self._say(why)
        else:
            self.dismiss(event.value.strip())

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click."""
        event.stop()
        self.dismiss(self.shown[event.option_index])

    def action_move(self, how: str) -> None:
        getattr(self.query_one(OptionList), f"action_{how}")()

    def action_out(self) -> None:
        self.dismiss(None)

    def _say(self, mistake: str) -> None:
        line = self.query_one("#pick-mistake", Static)
        line.update(Text(clean(f"! {mistake}", 300)))
        line.display = bool(mistake)

    def on_resize(self) -> None:
        """As many lines as there are and have room, with the frame and what is always in sight: an `auto` height counts
        the lines beyond its greatest height for those of the frame."""
        self.query_one(OptionList).styles.height = min(len(self.shown), max(3, self.app.size.height - 6))

    def _fill(self, words: str) -> None:
        self._say("")
        fitting = [(value, more) for value, more in self._choices if _fits(words, f"{value} {more}")]
        self.shown = [value for value, _ in fitting]
        listed = self.query_one(OptionList)
        listed.clear_options()
        wide = min(30, max((len(value) for value, _ in self._choices), default=0))
        listed.add_options([Option(self._line(value, more, wide)) for value, more in fitting])
        exact = [value for value in self.shown if value == words.strip()]
        at = exact[0] if exact else self._current if not words else ""
        self.on_resize()
        listed.highlighted = self.shown.index(at) if at in self.shown else 0 if self.shown else None

    def _line(self, value: str, more: str, wide: int) -> Text:
        mark = "●" if value == self._current else " "
        line = Text(f"{mark} {clean(value, 80).ljust(wide)}  ", no_wrap=True, overflow="ellipsis")
        return line.append(clean(more, 200))


def _fits(words: str, text: str) -> bool:
    return all(word in text.lower() for word in words.lower().split())
