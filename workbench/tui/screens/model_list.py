"""The list of networks: groups, the columns that fit, and the line that filters as one types."""

from collections.abc import Mapping, Sequence

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from workbench.inspect.catalogue import short
from workbench.tui.model_rows import SORTS, Own, Row, arrange, best_of, rows
from workbench.tui.widgets.line import Line

_WIDTHS = {"year": 4, "params": 7, "MACs": 7, "best": 6}
_ORDER = ("best", "year", "params", "MACs")
"""Which columns are kept where there is little room, besides the one that the list is sorted by."""
_NAME = 18
"""Room for a name, at least."""


class _Names(OptionList, inherit_bindings=False):
    """Textual's, without the keys that would scroll to the side, where nothing is: they go to the view."""

    BINDINGS = OptionList.BINDINGS


class ModelList(Vertical):
    """All networks. Posts `Chosen` when the cursor is on another one, `Opened` for enter."""

    class Chosen(Message):
        """The cursor is on another row, or on none."""

        def __init__(self, row: Row | None) -> None:
            super().__init__()
            self.row = row

    class Opened(Message):
        """A row is to be looked at."""

    def __init__(self, start: str = "") -> None:
        """`start`: the network that the cursor is on at first, if there is one of that name."""
        super().__init__(id="list")
        self._start = start
        self.rows = rows()
        self.own: Mapping[str, Sequence[Own]] = {}
        self.sort = SORTS[0]
        self.backwards = False
        self.words = ""
        self.shown: list[Row] = []
        self._filled_for = -1

    def compose(self) -> ComposeResult:
        """The filter is not there until somebody asks for it."""
        field = Line(placeholder="name, paper, author, year", id="filter", compact=True)
        field.display = False
        yield field
        yield Static(id="heading")
        yield _Names(id="rows", markup=False, compact=True)

    @property
    def listed(self) -> OptionList:
        """The widget with the rows."""
        return self.query_one("#rows", OptionList)

    @property
    def row(self) -> Row | None:
        """The one below the cursor."""
        option = self.listed.highlighted_option
        return next((row for row in self.shown if option and row.name == option.id), None)

    def on_mount(self) -> None:
        """The first picture has the networks in it, so they do not wait for the layout to tell the width."""
        self.fill()

    def on_resize(self, _: events.Resize) -> None:
        """Other columns may fit. A list that comes back as wide as it was is as it was."""
        if self._room() != self._filled_for:
            self.fill()

    def fill(self) -> None:
        """Build the lines anew; the cursor stays on its network, or goes to the first one."""
        before = self.row.name if self.row else self._start
        groups = arrange(self.rows, self.words, self.sort, self.backwards, self.own)
        self.shown = [row for _, members in groups for row in members]
        # one column for the scroll bar, whether there is one or not: lines stay where they are while one filters
        self._filled_for = self._room()
        width = max(_NAME, self._filled_for - 1)
        columns = fitting(width, self.sort)
        options: list[Option] = []
        for group, members in groups:
            options.append(Option(Text(f"{group} · {len(members)}", style="bold"), disabled=True))
            options += [Option(self._line(row, width, columns), id=row.name) for row in members]
        with self.prevent(OptionList.OptionHighlighted):
            self.listed.clear_options()
            self.listed.add_options(options)
            names = [option.id for option in options]
            place = names.index(before) if before in names else 1 if self.shown else None
            self.listed.highlighted = place
        self._show_heading(width, columns)
        if not self.row or self.row.name != before or self._start:
            self._start = ""
            self.post_message(self.Chosen(self.row))

    def take_own(self, own: Mapping[str, Sequence[Own]]) -> None:
        """The results of one's own runs are known."""
        self.own = own
        self.fill()

    def next_sort(self) -> None:
        """By the next column."""
        self.sort, self.backwards = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)], False
        self.fill()

    def reverse(self) -> None:
        """The other way around."""
        self.backwards = not self.backwards
        self.fill()

    def ask(self) -> None:
        """Open the line of the filter."""
        field = self.query_one("#filter", Input)
        field.display = True
        self.screen.set_focus(field)  # at once: the next key may be there already

    @property
    def filtered(self) -> bool:
        """Whether the line of the filter is there."""
        return bool(self.query_one("#filter", Input).display)

    def clear(self) -> None:
        """Take the filter away and go back to the list."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.display = False
        self.screen.set_focus(self.listed)

    def on_key(self, event: events.Key) -> None:
        """The arrows move in the list while one types, too."""
        if event.key in ("up", "down", "pageup", "pagedown") and self.screen.focused is not self.listed:
            event.stop()
            move = event.key if event.key.startswith("page") else f"cursor_{event.key}"
            getattr(self.listed, f"action_{move.replace('page', 'page_')}")()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        event.stop()
        self.words = event.value
        self.fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the list; an empty line goes away."""
        event.stop()
        event.input.display = bool(event.value.strip())
        self.screen.set_focus(self.listed)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Tell who shows it."""
        event.stop()
        self.post_message(self.Chosen(self.row))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        event.stop()
        self.post_message(self.Opened())

    def _room(self) -> int:
        """Columns inside the frame; before the layout those that its style will give it."""
        if self.size.width:
            return self.content_size.width
        styles, whole = self.styles, self.app.size
        scalars = (styles.width, styles.min_width, styles.max_width)
        width, least, most = (float(scalar.resolve(whole, whole)) if scalar else None for scalar in scalars)
        width = min(max(width or 0.0, least or 0.0), most or width or 0.0)
        return max(0, int(width) - styles.gutter.width)

    def _line(self, row: Row, width: int, columns: Sequence[str]) -> Text:
        line = Text(f" {row.name}", no_wrap=True)
        line.truncate(width - sum(_WIDTHS[name] + 1 for name in columns), overflow="ellipsis", pad=True)
        for name in columns:
            line.append(" " + self._cell(row, name).rjust(_WIDTHS[name]), "bold" if name == self.sort else "")
        return line

    def _cell(self, row: Row, column: str) -> str:
        if column == "best":
            best = best_of(self.own.get(row.name, ()))
            return "" if best is None else f"{best * 100:.2f}"
        return str(row.year()) if column == "year" else short(row.count(column))

    def _show_heading(self, width: int, columns: Sequence[str]) -> None:
        self.border_title = f"{len(self.shown)} of {len(self.rows)}" if self.words else f"{len(self.rows)} networks"
        if not self.shown:
            self.query_one("#heading", Static).update(Text(" nothing fits; esc clears the filter"))
            return
        up = (self.sort == "best") == self.backwards
        line = Text("".ljust(width - sum(_WIDTHS[name] + 1 for name in columns)), no_wrap=True)
        for name in columns:
            title = f"{'▲' if up else '▼'}{name}" if name == self.sort else name
            line.append(title.rjust(_WIDTHS[name] + 1))
        self.query_one("#heading", Static).update(line)


def fitting(width: int, sort: str) -> list[str]:
    """The columns that fit beside the names, in the order in which they stand; that of the sorting always."""
    chosen = [sort]
    for name in _ORDER:
        if name not in chosen and width - sum(_WIDTHS[kept] + 1 for kept in [*chosen, name]) >= _NAME:
            chosen.append(name)
    return [name for name in SORTS if name in chosen]
