"""A list of lines below headings, with a cursor: only the lines that can be seen are made, and only those that changed
are drawn again, since over a slow line each costs time.

    rows = RowList(draw)            # draw(item, width): the line of an item, as Text of that many cells at most
    rows.fill(items, keys)          # keys: what tells the items apart; a heading's is empty, and the cursor passes it
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from workbench.tui.actions import Action
from workbench.tui.widgets.drawn import DrawnLines

LEAD = 2
"""Cells before a line: where the cursor is."""
BAR = 1
"""Cells at the right for the scroll bar, kept free whether it is there or not."""


class RowList(DrawnLines):
    """See the module."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor", "rows--heading"}
    DEFAULT_CSS = """
    RowList {
        height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1;
        & > .rows--heading { color: $text-secondary; text-style: bold; }
        & > .rows--cursor { background: $surface-lighten-1; text-style: bold; }
        &:focus > .rows--cursor { background: $primary; color: $background; text-style: bold; }
    }
    """
    ACTIONS = (
        Action("rows.up", ("up", "k"), "up", "Move up a line.", "List", shown=False),
        Action("rows.down", ("down", "j"), "down", "Move down a line.", "List", shown=False),
        Action("rows.page-up", ("pageup",), "page up", "Move up a page.", "List", shown=False),
        Action("rows.page-down", ("pagedown",), "page down", "Move down a page.", "List", shown=False),
        Action("rows.first", ("home", "g"), "first", "Move to the first line.", "List", shown=False),
        Action("rows.last", ("end",), "last", "Move to the last line.", "List", shown=False),
    )

    class Moved(Message):
        """The cursor is on another line, or its line is another."""

        def __init__(self, rows: "RowList") -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> "RowList":
            return self.rows

    class Opened(Message):
        """Enter, or a second click."""

    def __init__(self, draw: Callable[[Any, int], Text], **options: Any) -> None:
        super().__init__(**options)
        self.cursor = 0
        self._draw_item = draw
        self._items: Sequence[Any] = ()
        self._keys: Sequence[str] = ()

    # What it shows

    def fill(self, items: Sequence[Any], keys: Sequence[str], select: str = "") -> None:
        """Show these. The cursor goes to the line of `select`, else stays on its own, else on the next one there is."""
        wanted, before = (select, self.key), self.cursor
        moved = len(items) != len(self._items)
        self._items, self._keys = items, keys
        places = [keys.index(key) for key in wanted if key and key in keys]
        self.cursor = places[0] if places else self._nearest(before)
        if moved:
            self.virtual_size = Size(self.size.width, len(items))
            self.call_after_refresh(self._into_view)  # how far it can scroll is known then
        self._into_view()
        self.redraw()
        self.post_message(self.Moved(self))

    @property
    def key(self) -> str:
        """The key of the line under the cursor; empty where there is none."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else ""

    @property
    def item(self) -> Any:
        """What is under the cursor, or None."""
        return self._items[self.cursor] if self.key else None

    def select(self, key: str) -> bool:
        """Put the cursor on the line of this key; False if there is none."""
        if key not in self._keys:
            return False
        self._go_to(self._keys.index(key))
        return True

    # Keys and mouse

    def act_up(self) -> None:
        self._move(-1)

    def act_down(self) -> None:
        self._move(1)

    def act_page_up(self) -> None:
        self._move(-max(1, self.size.height - 1))

    def act_page_down(self) -> None:
        self._move(max(1, self.size.height - 1))

    def act_first(self) -> None:
        self._move(-len(self._keys))

    def act_last(self) -> None:
        self._move(len(self._keys))

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y
        if place < len(self._keys) and self._keys[place]:
            self._go_to(place)
            if event.chain == 2:
                self.post_message(self.Opened())

    # Drawing

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._items))
        self._into_view()
        self.refresh()

    def make_line(self, y: int) -> Strip:
        """An item or a heading, or blanks below them."""
        width, base = self.size.width, self.rich_style
        place = y + self.scroll_offset.y
        if place >= len(self._items):
            return Strip.blank(width, base)
        under = place == self.cursor and bool(self._keys[place])
        style = base
        if under:
            style = base + self.get_component_rich_style("rows--cursor", partial=True)
        elif not self._keys[place]:
            style = base + self.get_component_rich_style("rows--heading", partial=True)
        text = self._draw_item(self._items[place], max(1, width - LEAD - BAR))
        lead = Segment(("▸" if under else " ").ljust(LEAD), style)
        segments = [Segment(s.text, style + (s.style or Style.null())) for s in _segments(text, self)]
        return Strip([lead, *segments]).adjust_cell_length(width, style)

    # Where things are

    def _move(self, by: int) -> None:
        """By so many lines, then on in the same direction past a heading; at an end back to the last line."""
        place = min(max(self.cursor + by, 0), len(self._keys) - 1)
        onward = 1 if by > 0 else -1
        while 0 <= place < len(self._keys) and not self._keys[place]:
            place += onward
        if not 0 <= place < len(self._keys):
            place = self._nearest(0 if by < 0 else len(self._keys) - 1)
        self._go_to(place)

    def _go_to(self, place: int) -> None:
        if place == self.cursor or not 0 <= place < len(self._keys):
            self._into_view()
            return
        before, self.cursor = self.cursor, place
        self._into_view()
        for number in (before, place):
            self.refresh_line(number)
        self.post_message(self.Moved(self))

    def _nearest(self, place: int) -> int:
        """The place of the next line with a key, else of the one before it, else 0."""
        place = max(place, 0)
        after = range(place, len(self._keys))
        before = range(min(place, len(self._keys)) - 1, -1, -1)
        return next((number for number in (*after, *before) if self._keys[number]), 0)

    def _into_view(self) -> None:
        first, page = self.scroll_offset.y, max(1, self.size.height)
        top = self.cursor
        while top > 0 and not self._keys[top - 1]:  # its heading too
            top -= 1
        if top < first:
            self.scroll_to(y=top, animate=False, immediate=True)
        elif self.cursor >= first + page:
            self.scroll_to(y=self.cursor - page + 1, animate=False, immediate=True)


def _segments(text: Text, widget: RowList) -> list[Segment]:
    return [segment for segment in text.render(widget.app.console) if segment.text != "\n"]
