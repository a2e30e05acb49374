"""What the Runs screen asks: a question, one of several, columns, a note, a line of text."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.user import note_of
from workbench.tui.actions import Action
from workbench.tui.widgets.line import Line

_OUT: list[BindingType] = [Binding("escape,q", "out", "out", show=False)]

FRAME = """
{name} {{ align: center middle; }}
{name} > Vertical {{
    width: {width}; max-width: 100%; height: auto; max-height: 100%; border: round $primary; padding: 0 1;
    background: $surface;
}}
{name} .hint {{ color: $text-muted; margin-top: 1; }}
"""
"""Style of a dialog of this name and width: a frame in the middle."""

LIST = """
{name} OptionList {{ height: auto; max-height: 70vh; border: none; padding: 0; background: $surface; }}
{name} OptionList:focus {{ border: none; }}
"""
"""Style of a list in a dialog of this name."""


class Ask(ModalScreen[bool]):
    """A question to which only `y` is a yes. What takes a while to find out is told when it is known."""

    DEFAULT_CSS = FRAME.format(name="Ask", width="72")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", show=False),
        Binding("n,escape,q,enter", "answer(False)", "no", show=False),
    ]

    def __init__(self, question: str, lines: Sequence[str], later: Callable[[], str] | None = None) -> None:
        """`later` is called in a thread and returns one more line."""
        super().__init__()
        self._question = question
        self._lines = lines
        self._later = later

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._question, style="bold"))
            yield Static(Text("\n".join(self._lines)))
            yield Static(Text(" "), id="ask-later")
            yield Static(Text("y yes   n no"), classes="hint")

    def on_mount(self) -> None:
        if self._later is not None:
            self._find_out(self._later)

    @work(thread=True, exit_on_error=False)
    def _find_out(self, later: Callable[[], str]) -> None:
        line = later()
        with suppress(RuntimeError):  # the app has ended meanwhile
            self.app.call_from_thread(self._tell, line)

    def _tell(self, line: str) -> None:
        if self.is_mounted:
            self.query_one("#ask-later", Static).update(Text(clean(line)), layout=False)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class Options(OptionList):
    """Textual's, with the letters beside the arrows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g", "first", show=False),
        Binding("G", "last", show=False),
    ]


class Choose(ModalScreen[str | None]):
    """One of several; None where none is chosen."""

    DEFAULT_CSS = FRAME.format(name="Choose", width="90") + LIST.format(name="Choose")
    BINDINGS = _OUT

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        """`choices`: what is returned, and what is shown for it."""
        super().__init__()
        self._title = title
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._title, style="bold"))
            yield Options(*(Option(Text(shown, no_wrap=True)) for _, shown in self._choices), markup=False)
            yield Static(Text("enter chooses   esc out"), classes="hint")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index][0])

    def action_out(self) -> None:
        self.dismiss(None)


class ChooseColumns(ModalScreen[tuple[str, ...] | None]):
    """A switch for each column; the names of those that are on, in their order. None where nothing is changed."""

    DEFAULT_CSS = FRAME.format(name="ChooseColumns", width="60") + LIST.format(name="ChooseColumns")
    BINDINGS: ClassVar[list[BindingType]] = [
        *_OUT,
        Binding("0", "usual", "usual", show=False),
        Binding("space", "switch", "on or off", show=False),
        Binding("v,w", "keep", "keep", show=False),
    ]

    def __init__(self, names: Sequence[tuple[str, str]], shown: Sequence[str], title: str = "Columns") -> None:
        """`names`: each column's name and title; `shown`: those that are on, in their order."""
        super().__init__()
        self._title = title
        first = [pair for name in shown for pair in names if pair[0] == name]
        self.names = [*first, *(pair for pair in names if pair not in first)]
        self.on = set(shown)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._title, style="bold"))
            yield Options(*(Option(self._line(place)) for place in range(len(self.names))), markup=False)
            yield Static(Text("space on or off   v keep   0 the usual ones   esc out"), classes="hint")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._switch(event.option_index)

    def action_switch(self) -> None:
        place = self.query_one(OptionList).highlighted
        if place is not None:
            self._switch(place)

    def action_keep(self) -> None:
        """Without any column on there is no table: then nothing is changed."""
        self.dismiss(tuple(name for name, _ in self.names if name in self.on) or None)

    def action_usual(self) -> None:
        self.dismiss(())

    def action_out(self) -> None:
        self.dismiss(None)

    def _switch(self, place: int) -> None:
        self.on ^= {self.names[place][0]}
        self.query_one(OptionList).replace_option_prompt_at_index(place, self._line(place))

    def _line(self, place: int) -> Text:
        name, title = self.names[place]
        return Text(f"[{'x' if name in self.on else ' '}] {name:<18} {title}", no_wrap=True, overflow="ellipsis")


class NoteEditor(ModalScreen[str | None]):
    """A note of several lines; None where it stays as it was."""

    DEFAULT_CSS = FRAME.format(name="NoteEditor", width="90") + "NoteEditor TextArea { height: 10; max-height: 60vh; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "out", "out", show=False, priority=True),
        Binding("ctrl+s,f2", "keep", "keep", show=False, priority=True),
    ]

    def __init__(self, run_id: str, note: str) -> None:
        super().__init__()
        self._run_id = run_id
        self._note = note

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(f"Note of {self._run_id}", style="bold"))
            yield TextArea(self._note)
            yield Static(Text("^s or F2 keep   esc leave as it was"), classes="hint")

    def leave(self) -> None:
        """The key that quits from wherever one is: not over what was written."""
        if self.query_one(TextArea).text == self._note:
            self.dismiss(None)
        else:
            self.notify("^s keeps the note, esc gives it up; then ^q quits", markup=False)

    def action_keep(self) -> None:
        try:
            self.dismiss(note_of(self.query_one(TextArea).text))
        except UserError as error:  # too long: said, and the text stays where it can be shortened
            self.notify(clean(str(error)), severity="error", markup=False)

    def action_out(self) -> None:
        self.dismiss(None)


class Prompt(Vertical):
    """A line to type in, with what is wrong with it below. Hidden until `ask`."""

    DEFAULT_CSS = """
    Prompt {
        height: auto;
        & > Input { height: 1; border: none; padding: 0; background: $panel; }
        & > Input:focus { border: none; }
        & > #prompt-mistake { height: auto; color: $text-error; display: none; }
        & > #prompt-mistake.-there { display: block; }
        & > #prompt-mistake.-lines { text-wrap: nowrap; }
    }
    """

    HINTS: ClassVar[tuple[Action, ...]] = (
        Action("line.take", ("enter",), "ok", "Take what is typed."),
        Action("line.leave", ("escape",), "leave it", "Close the line."),
    )
    """For the footer, while one types here."""

    class Given(Message):
        """What was typed, for `what` of `ask`."""

        def __init__(self, what: str, text: str) -> None:
            super().__init__()
            self.what = what
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self.what = ""
        """What is asked for; empty while nothing is."""
        self.display = False

    def compose(self) -> ComposeResult:
        yield Line(select_on_focus=False)
        yield Static(id="prompt-mistake")

    def ask(self, what: str, hint: str, text: str = "") -> None:
        """Open the line with `text` in it."""
        self.what = what
        self.display = True
        self.screen.add_class("-asking")  # toasts go up: they must not cover the line, nor what is wrong with it
        self.wrong("")
        line = self.query_one(Input)
        line.placeholder = hint
        line.value = text
        line.cursor_position = len(text)
        self.screen.set_focus(line)  # at once, unlike `focus`: what is typed ahead is for this line

    def wrong(self, message: str) -> None:
        """Say what is wrong. A single line may wrap; of several the last one points at a place in the one before."""
        mistake = self.query_one("#prompt-mistake", Static)
        lines = [clean(line) for line in message.split("\n")]
        mistake.update(Text("\n".join(lines)))
        mistake.set_class(len(lines) > 1, "-lines")
        mistake.set_class(bool(message), "-there")

    def close(self) -> None:
        self.what = ""
        self.display = False
        self.screen.remove_class("-asking")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Given(self.what, event.value))
