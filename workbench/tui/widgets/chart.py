"""A chart of a run as a widget: a line that says what it shows, and below it the drawing.

It draws nothing itself: pictures are made beside the screen. What has changed since the last one is refreshed and
nothing else, since a chart over a slow line costs twenty times what its changed lines cost.
"""

import re
from functools import lru_cache
from typing import ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from workbench.tui.widgets.chart_view import LABELS, SMALLEST, Picture

_PIECE = re.compile("\x1b\\[([0-9;]*)m")
_COLOR = re.compile("38;5;([0-9]{1,3})")
_CURSOR = Style(reverse=True)
_LINE = Style(dim=True)


class Chart(Widget, can_focus=True):
    """One chart. `metric` is what it shows; whoever owns it asks for the picture and hands it over with `show`."""

    DEFAULT_CSS = """
    Chart { height: 1fr; width: 1fr; background: $background; color: $foreground; }
    Chart:focus { background: $surface; }
    """
    HELP: ClassVar[str] = "Curves of the run: train as a line, the rest as dashes with a mark an epoch."

    def __init__(self, metric: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.metric = metric
        self.log_y = False
        self.picture = Picture()
        self._title = Text()
        self._note = ""
        self._cursor: int | None = None
        self._lines: list[Strip] = []

    @property
    def room(self) -> tuple[int, int]:
        """Columns and rows for the drawing."""
        return self.size.width, max(self.size.height - 1, 0)

    def show(
        self, title: Text, picture: Picture, cursor: float | None = None, note: str = "nothing to draw yet"
    ) -> None:
        """Show a picture; `note` stands in its place if it is empty."""
        self.picture, self._title, self._note = picture, title, note
        self._cursor = picture.column(cursor) if cursor is not None else None
        self._show_changes()

    def on_resize(self) -> None:
        """Lines of another width fit nowhere until the next picture; what can be shown of them is."""
        self._show_changes(everything=True)

    def _show_changes(self, *, everything: bool = False) -> None:
        width, height = self.size
        lines = self._compose_lines(width, height)
        before, self._lines = self._lines, lines
        if everything or len(before) != len(lines):
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, lines, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _compose_lines(self, width: int, height: int) -> list[Strip]:
        if width < 1 or height < 1:
            return []
        title = self._title.copy()
        title.truncate(width, overflow="ellipsis", pad=True)
        lines = [Strip(title.render(self.app.console)).adjust_cell_length(width)]
        if self.picture.rows:
            last = len(self.picture.rows) - 2  # the axis and its labels have no cursor
            rows = [strip_of(row) for row in self.picture.rows]
            if self._cursor is not None:
                rows = [self._with_cursor(row) if y < last else row for y, row in enumerate(rows)]
            lines += rows
        else:
            note = self._note if width >= SMALLEST[0] else ""
            lines += [Strip.blank(width)] * ((height - 2) // 2)
            lines.append(Strip([Segment(note.center(width)[:width], _LINE)]))
        lines += [Strip.blank(width)] * (height - len(lines))
        return [line.adjust_cell_length(width) for line in lines[:height]]

    def _with_cursor(self, row: Strip) -> Strip:
        at = LABELS + 1 + (self._cursor or 0)
        cell = row.crop(at, at + 1).text or " "
        shown = Segment("┊", _LINE) if not cell.strip(" ⠀") else Segment(cell, _CURSOR)
        return Strip.join([row.crop(0, at), Strip([shown]), row.crop(at + 1)])

    def render_line(self, y: int) -> Strip:
        """From what was composed; nothing is computed here."""
        line = self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)
        return line.apply_style(self.rich_style)


def strip_of(row: str) -> Strip:
    """A line of `chart_view.draw`, whose escape sequences name a colour of the 256 or none."""
    segments: list[Segment] = []
    style: Style | None = None
    for number, part in enumerate(_PIECE.split(row)):
        if number % 2:
            style = _style(part)
        elif part:
            segments.append(Segment(part, style))
    return Strip(segments)


@lru_cache(maxsize=256)
def _style(sequence: str) -> Style | None:
    found = _COLOR.fullmatch(sequence)
    return Style(color=Color.from_ansi(int(found[1]))) if found else None
