"""A table of which only the lines that can be seen are made, so that ten thousand rows scroll as ten do.

    table.fill(columns, rows, keys)     # columns: workbench.runs.columns.Column; keys: what tells the rows apart

The cursor is on a row and on a column. When rows move, it stays on its row and, where it can, on its line of the
screen. Columns that do not fit are left out as `cnn-workbench runs` does, the least important first: `gone` has them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from workbench.base.text import clean
from workbench.runs.columns import Column
from workbench.runs.tables import Cell, Heading, Table, allotted, fit, placed
from workbench.runs.units import MISSING
from workbench.tui.actions import Action
from workbench.tui.widgets.drawn import DrawnLines

GAP = 2
"""Cells between two columns; `tables.fit` counts on as many."""
BAR = 1
"""Cells at the right for the scroll bar, kept free whether it is there or not."""
LEAD = 4
"""Cells before the first column: where the cursor is, what is marked, what is pinned."""
SAMPLE = 60
"""Rows that are measured before any is shown: columns then rarely grow while one scrolls."""

Tone = Callable[[Column[Any], Any, str], str]
"""The component class (`table--good`) of a cell of a column and a row that shows a text; empty for none."""


@dataclass(frozen=True)
class Marks:
    """What stands before a row."""

    marked: Collection[str] = ()
    """Keys of the rows with a `*`."""
    pinned: Collection[str] = ()
    """Keys of the rows with a `^`."""
    baseline: str = ""
    """Key of the row with a `Δ`."""


class VirtualTable(DrawnLines):
    """See the module."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head", "table--head-cursor", "table--cursor", "table--faint", "table--strong", "table--good",
        "table--bad", "table--live", "table--waiting",
    }  # fmt: skip
    DEFAULT_CSS = """
    VirtualTable {
        height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1;
        & > .table--head { text-style: bold; color: $foreground; background: $panel; }
        & > .table--head-cursor { text-style: bold underline; color: $foreground; background: $panel; }
        & > .table--cursor { background: $surface-lighten-1; text-style: bold; }
        &:focus > .table--cursor { background: $primary; color: $background; text-style: bold; }
        & > .table--faint { color: $text-muted; }
        & > .table--strong { text-style: bold; }
        & > .table--good { color: $text-success; }
        & > .table--bad { color: $text-error; }
        & > .table--live { color: $text-accent; }
        & > .table--waiting { color: $text-warning; }
    }
    """
    ACTIONS = (
        Action("table.up", ("up", "k"), "up", "Move up a row.", "Table", shown=False),
        Action("table.down", ("down", "j"), "down", "Move down a row.", "Table", shown=False),
        Action("table.left", ("left", "h"), "left", "Move to the column at the left.", "Table", shown=False),
        Action("table.right", ("right", "l"), "right", "Move to the column at the right.", "Table", shown=False),
        Action("table.page-up", ("pageup",), "page up", "Move up a page.", "Table", shown=False),
        Action("table.page-down", ("pagedown",), "page down", "Move down a page.", "Table", shown=False),
        Action("table.first", ("home",), "first", "Move to the first row.", "Table", shown=False),
        Action("table.last", ("end", "G"), "last", "Move to the last row.", "Table", shown=False),
    )

    class Moved(Message):
        """The cursor is on another row, or its row is another."""

    class Opened(Message):
        """A second click on a row."""

    class HeadClicked(Message):
        """A click on the head of a column."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    class Fitted(Message):
        """Other columns are left out for want of room."""

    def __init__(self, tone: Tone | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.cursor = 0
        self.gone: tuple[str, ...] = ()
        """Names of the columns that have no room."""
        self._tone = tone or (lambda column, row, text: "")
        self._columns: Sequence[Column[Any]] = ()
        self._rows: Sequence[Any] = ()
        self._keys: Sequence[str] = ()
        self._arrows: Mapping[str, str] = {}
        self._marks = Marks()
        self._place = 0
        """The cursor's column, among those that are shown."""
        self._wide: list[int] = []
        """The widest text of each column so far."""
        self._shown: list[tuple[int, Heading, int]] = []
        """The columns that fit: place in `_columns`, heading, width."""
        self._texts: dict[str, tuple[str, ...]] = {}

    # What it shows

    def fill(
        self,
        columns: Sequence[Column[Any]],
        rows: Sequence[Any],
        keys: Sequence[str],
        *,
        arrows: Mapping[str, str] | None = None,
        marks: Marks | None = None,
    ) -> None:
        """Show these rows. The cursor stays on the row of its key; only lines that differ are drawn again."""
        name, key, line = self.column, self.key, self.cursor - self.scroll_offset.y
        same = [column.name for column in columns] == [column.name for column in self._columns]
        moved = len(rows) != len(self._rows)
        self._columns, self._rows, self._keys = columns, rows, keys
        self._arrows, self._marks = arrows or {}, marks or self._marks
        self._texts.clear()
        if not same:
            self._wide = [0] * len(columns)
        self.cursor = self._place_of(key)
        if moved:
            self.virtual_size = Size(self.size.width, len(rows) + 1)
        self._keep_line(line)
        self._measure(range(min(SAMPLE, len(rows))))
        self._fit(name)
        self.redraw()
        self.post_message(self.Moved())

    def mark(self, marks: Marks) -> None:
        """Other marks before the same rows."""
        self._marks = marks
        self.redraw()

    @property
    def key(self) -> str:
        """The key of the row under the cursor; empty where there is none."""
        return self._keys[self.cursor] if self._keys else ""

    @property
    def row(self) -> Any:
        """The row under the cursor, or None."""
        return self._rows[self.cursor] if self._rows else None

    @property
    def column(self) -> str:
        """The name of the column under the cursor; empty where there is none."""
        return self._shown[self._place][1].name if self._shown else ""

    def go_to(self, place: int) -> None:
        """Put the cursor on a row, counted from 0; beyond the ends, on the last."""
        place = min(max(place, 0), max(0, len(self._rows) - 1))
        if place == self.cursor:
            return
        before, self.cursor = self.cursor, place
        self._into_view()
        for number in (before, place):
            self.refresh_lines(number + 1)
        self.post_message(self.Moved())

    def select(self, key: str) -> None:
        """Put the cursor on the row of this key, if there is one."""
        if key in self._keys:
            self.go_to(self._keys.index(key))

    # Keys and mouse

    def act_up(self) -> None:
        self.go_to(self.cursor - 1)

    def act_down(self) -> None:
        self.go_to(self.cursor + 1)

    def act_page_up(self) -> None:
        self.go_to(self.cursor - self._page)

    def act_page_down(self) -> None:
        self.go_to(self.cursor + self._page)

    def act_first(self) -> None:
        self.go_to(0)

    def act_last(self) -> None:
        self.go_to(len(self._rows) - 1)

    def act_left(self) -> None:
        self._go_to_column(self._place - 1)

    def act_right(self) -> None:
        self._go_to_column(self._place + 1)

    def on_click(self, event: events.Click) -> None:
        """On the head, its column is chosen and told of; on a row, one goes there, and a double click opens it."""
        place = self._column_at(event.x)
        if event.y == 0:
            if place is not None:
                self._go_to_column(place)
                self.post_message(self.HeadClicked(self.column))
            return
        row = event.y - 1 + self.scroll_offset.y
        if row < len(self._rows):
            if place is not None:
                self._go_to_column(place)
            self.go_to(row)
            if event.chain == 2:
                self.post_message(self.Opened())

    # Drawing

    def on_resize(self) -> None:
        self._fit(self.column)
        self._into_view()
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Rows that come into view may need wider columns."""
        if self._measure(self._visible()):
            self._fit(self.column)
        super().watch_scroll_y(old_value, new_value)

    def make_line(self, y: int) -> Strip:
        """The head on the first line, rows below it."""
        base, width = self.rich_style, self.size.width
        if y == 0:
            return self._head(base, width)
        place = y - 1 + self.scroll_offset.y
        if place >= len(self._rows) or not self._shown:
            return Strip.blank(width, base)
        under = place == self.cursor
        style = base + self._component("table--cursor") if under else base
        key, row = self._keys[place], self._rows[place]
        lead = "▸" if under else " "
        lead += "Δ" if key == self._marks.baseline else " "
        lead += "*" if key in self._marks.marked else " "
        lead += "^" if key in self._marks.pinned else " "
        segments = [Segment(lead, style)]
        texts = self._texts_of(place)
        for number, (at, heading, room) in enumerate(self._shown):
            tone = "table--faint" if texts[at] == MISSING else self._tone(self._columns[at], row, texts[at])
            tone = "" if under else tone  # on the cursor's ground no colour but its own can be read
            segments.append(Segment(" " * GAP if number else "", style))
            segments.append(Segment(placed(texts[at], heading, room), style + self._component(tone) if tone else style))
        return Strip(segments).adjust_cell_length(width, style)

    def _head(self, base: Style, width: int) -> Strip:
        style = base + self._component("table--head")
        under = base + self._component("table--head-cursor")
        segments = [Segment(" " * LEAD, style)]
        for number, (_, heading, room) in enumerate(self._shown):
            segments.append(Segment(" " * GAP if number else "", style))
            segments.append(Segment(placed(heading.title, heading, room), under if number == self._place else style))
        return Strip(segments).adjust_cell_length(width, style)

    def _component(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    # Where things are

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _visible(self) -> range:
        first = self.scroll_offset.y
        return range(first, min(first + self._page, len(self._rows)))

    def _place_of(self, key: str) -> int:
        """Where the row of a key is now; one that is gone leaves the cursor at its place."""
        if key and self.cursor < len(self._keys) and self._keys[self.cursor] == key:
            return self.cursor
        try:
            return self._keys.index(key)
        except ValueError:
            return max(0, min(self.cursor, len(self._rows) - 1))

    def _keep_line(self, line: int) -> None:
        """Scroll so that the cursor is on this line of the screen; at the top it stays the top, to show what is new."""
        at_top = self.scroll_offset.y == 0 and self.cursor < self._page
        if self._rows and not at_top and 0 <= line < self._page:
            self.scroll_to(y=max(0, self.cursor - line), animate=False)
        self._into_view()

    def _into_view(self) -> None:
        first, page = self.scroll_offset.y, self._page
        if self.cursor < first:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= first + page:
            self.scroll_to(y=self.cursor - page + 1, animate=False)

    def _go_to_column(self, place: int) -> None:
        self._place = min(max(place, 0), max(0, len(self._shown) - 1))
        self.refresh(Region(0, 0, self.size.width, 1))

    def _column_at(self, x: int) -> int | None:
        left = LEAD
        for number, (_, _, width) in enumerate(self._shown):
            if left <= x < left + width + GAP:
                return number
            left += width + GAP
        return None

    # What fits

    def _texts_of(self, place: int) -> tuple[str, ...]:
        """The texts of a row. They have come from disk through `clean`; that is made sure of here once more."""
        key = self._keys[place]
        if key not in self._texts:
            self._texts[key] = tuple(clean(column.text(self._rows[place]), 200) for column in self._columns)
        return self._texts[key]

    def _measure(self, places: range) -> bool:
        """Take rows into account for the columns' widths. True if one is wider than all before."""
        before = list(self._wide)
        for place in places:
            self._wide = list(map(max, self._wide, map(cell_len, self._texts_of(place))))
        return self._wide != before

    def _fit(self, under_cursor: str) -> None:
        """Choose the columns for the width, and keep the cursor on its own."""
        self._measure(self._visible())
        headings = tuple(self._heading(column) for column in self._columns)
        widest = tuple(Cell(None, " " * width) for width in self._wide)
        room = max(1, self.size.width - LEAD - BAR)
        gone: list[Heading] = []
        self._shown = []
        if headings:
            fitting, gone = fit(Table(headings, (widest,)), room)
            places = {heading.name: place for place, heading in enumerate(headings)}
            widths = allotted(fitting, room)
            self._shown = [(places[h.name], h, width) for h, width in zip(fitting.headings, widths, strict=True)]
        names = [heading.name for _, heading, _ in self._shown]
        self._place = names.index(under_cursor) if under_cursor in names else min(self._place, max(0, len(names) - 1))
        if tuple(heading.name for heading in gone) != self.gone:
            self.gone = tuple(heading.name for heading in gone)
            self.post_message(self.Fitted())

    def _heading(self, column: Column[Any]) -> Heading:
        arrow = self._arrows.get(column.name, "")
        title = clean(f"{column.title} {arrow}" if arrow else column.title, 80)
        return Heading(column.name, title, column.kind, column.rank)
