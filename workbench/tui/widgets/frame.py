"""The first and the last line of every screen: where one is, and which keys there are."""

from collections.abc import Iterator, Sequence

from rich.style import Style
from rich.text import Text
from textual import events
from textual.dom import DOMNode
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from workbench.tui.actions import Action, is_typing, prints, sign

Breakpoints = list[tuple[int, str]]

SMALLEST = (60, 16)
"""Columns and rows that the screens are made for; below, one line says so."""


class TopLine(Widget):
    """The screens with their digits, the present one in brackets, and one thing that the screen says of itself."""

    DEFAULT_CSS = "TopLine { height: 1; dock: top; background: $panel; color: $foreground; }"

    status: reactive[str] = reactive("")

    def __init__(self, here: str, places: Sequence[tuple[str, str]]) -> None:
        """`places`: digit and name of each screen; `here`: the name of this one."""
        super().__init__()
        self.here, self.places = here, places

    def render(self) -> Text:
        """One line, the status at the right as far as there is room."""
        line = Text(no_wrap=True, overflow="ellipsis")
        for digit, name in self.places:
            here = name == self.here
            line.append(f"[{digit} {name}]" if here else f" {digit} {name} ", _BOLD if here else "")
        room = self.size.width - line.cell_len - 2
        says = getattr(self.app, "busy", "") or self.status
        if says and room >= 8:
            status = Text(says, no_wrap=True)
            status.truncate(room, overflow="ellipsis")
            line.append(" " * (room - status.cell_len + 1)).append_text(status)
        return line

    def on_click(self, event: events.Click) -> None:
        """A click on a place goes there."""
        column = 0
        for digit, name in self.places:
            column += len(f" {digit} {name} ")
            if event.x < column:
                self.app.simulate_key(digit)
                return


class Hints(Widget):
    """The keys of the moment, as many whole hints as fit; in too small a terminal the line that says so."""

    DEFAULT_CSS = """
    Hints { height: 1; dock: bottom; background: $panel; color: $foreground; }
    .-tiny > *, .-flat > * { display: none; }
    .-tiny > Hints, .-flat > Hints { display: block; height: 1fr; }
    """

    def on_mount(self) -> None:
        """Follow the focus: other keys, other hints."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> Text:
        """One line."""
        columns, rows = self.app.size
        if columns < SMALLEST[0] or rows < SMALLEST[1]:
            return Text(f"needs {SMALLEST[0]}x{SMALLEST[1]}, has {columns}x{rows} (q quits)")
        line = Text(no_wrap=True, overflow="crop")
        for key, action, enabled in self._fitting():
            line.append(f" {key}", _BOLD if enabled else _DIM).append(f" {action.label} ", "" if enabled else _DIM)
        return line

    def on_click(self, event: events.Click) -> None:
        """A click on a hint is its key."""
        column = 0
        for key, action, enabled in self._fitting():
            column += len(key) + len(action.label) + 3
            if event.x < column:
                if enabled:
                    self.app.simulate_key(action.keys[0])
                return

    def _fitting(self) -> list[tuple[str, Action, bool]]:
        """The hints that fit, the last one (help) always among them."""
        hints = [(*hint, len(hint[0]) + len(hint[1].label) + 3) for hint in self._hints()]
        room = self.size.width - (hints[-1][3] if hints else 0)
        chosen = []
        for key, action, enabled, width in hints[:-1]:
            if width > room:
                break
            room -= width
            chosen.append((key, action, enabled))
        return [*chosen, *(hint[:3] for hint in hints[-1:])]

    def _hints(self) -> Iterator[tuple[str, Action, bool]]:
        focused = self.app.focused
        if focused is not None and focused.screen is not self.screen:  # a dialog, which has its own line of keys
            return
        owners = focused.ancestors_with_self if focused is not None else ()
        first = [action for owner in owners for action in getattr(owner, "HINTS", ())]
        yield from ((sign(action.keys[0]), action, True) for action in first)
        typing = is_typing(self)
        active: dict[str | None, tuple[str, bool]] = {}
        for key, bound in self.screen.active_bindings.items():
            if not (typing and prints(key)):
                active.setdefault(bound.binding.id, (sign(key), bound.enabled))
        hinted = getattr(self.screen, "hinted", lambda _: True)
        for action in actions_at(self.screen.focused or self.screen):
            if action.shown and action.id in active and hinted(action.id):
                key, enabled = active[action.id]
                if all(key != sign(other.keys[0]) for other in first):
                    yield key, action, enabled


def actions_at(node: DOMNode) -> list[Action]:
    """The actions of a widget, what it is in, its screen and the app, nearest first."""
    tables = [getattr(owner, "ACTIONS", ()) for owner in node.ancestors_with_self]
    return list(dict.fromkeys(action for table in tables for action in table))


def classes_for(size: Size, columns: Breakpoints, rows: Breakpoints) -> list[str]:
    """The classes that Textual gives a screen of this size."""
    return [
        next((name for least, name in sorted(breakpoints, reverse=True) if length >= least), "")
        for length, breakpoints in zip(size, (columns, rows), strict=True)
    ]


_BOLD = Style(bold=True)
_DIM = Style(dim=True)
