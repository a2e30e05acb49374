"""A scrolled widget of lines of which only those that changed are drawn again: over a slow line each costs time."""

from abc import abstractmethod
from typing import Any

from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.tui.actions import WithActions


class DrawnLines(WithActions, ScrollView, can_focus=True):
    """Whoever inherits makes the lines, and calls `redraw` when some of them may be others."""

    ALLOW_SELECT = False  # a drag over lines that are drawn here would copy blanks

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._drawn: dict[int, Strip] = {}

    @abstractmethod
    def make_line(self, y: int) -> Strip:
        """Line `y` of the widget, of its whole width, whatever it is scrolled to."""

    def line(self, y: int) -> str:
        """What a line of it shows, as text."""
        return self.make_line(y).text

    def render_line(self, y: int) -> Strip:
        """The line, which is kept to be compared with."""
        strip = self._drawn[y] = self.make_line(y)
        return strip

    def redraw(self) -> None:
        """Have the lines drawn again that are not as they were drawn last."""
        width = self.size.width
        for y in range(self.size.height):
            if self._drawn.get(y) != self.make_line(y):
                self.refresh(Region(0, y, width, 1))

    def notify_style_update(self) -> None:
        """Other colours: nothing is as it was drawn."""
        self._drawn.clear()
        super().notify_style_update()
