"""A few lines of text of which only those that differ are drawn again: over a slow line each costs time."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class TextLines(Widget):
    """The first `height` of its lines, cut at its width. The texts have passed `clean`."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # as Textual calls it
        super().__init__(id=id)
        self.lines: Sequence[Text] = ()

    def show(self, lines: Sequence[Text]) -> None:
        """Show other lines."""
        before, self.lines = self.lines, lines
        for y, (old, new) in enumerate(zip_longest(before, lines)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def plain(self) -> str:
        """What it says."""
        return "\n".join(line.plain for line in self.lines)

    def render_line(self, y: int) -> Strip:
        """One line, filled up."""
        style, width = self.rich_style, self.content_size.width
        if y >= len(self.lines):
            return Strip.blank(width, style)
        segments = [segment for segment in self.lines[y].render(self.app.console) if segment.text != "\n"]
        return Strip(segments).apply_style(style).adjust_cell_length(width, style)
