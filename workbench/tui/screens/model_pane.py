"""What is known of one network, three ways: the paper's card, the shape walk, the source."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from workbench.base.errors import UserError
from workbench.inspect.catalogue import page
from workbench.inspect.layer import Layer
from workbench.tui.model_rows import Own, Row
from workbench.tui.widgets.layer_tree import LayerTree, heading
from workbench.tui.widgets.line import Line

VIEWS = ("card", "layers", "source")


class ModelPane(Vertical):
    """The three views of a row, one of them shown."""

    def __init__(self) -> None:
        super().__init__(id="pane")
        self.view = VIEWS[0]
        self.row: Row | None = None
        self._own: Sequence[Own] = ()
        self._source_of = ""
        self._has_diagram = True

    def compose(self) -> ComposeResult:
        """One child a view."""
        with VerticalScroll(id="card"):
            yield Static(id="card-text")
        with Vertical(id="layers"):
            field = Line(placeholder="image size, pixels", id="size", type="integer", compact=True, max_length=5)
            field.display = False
            yield field
            yield Static(id="layers-note")
            yield LayerTree()
        with VerticalScroll(id="source"):
            yield Static(id="source-text")

    def on_mount(self) -> None:
        """Begin with the card."""
        self.look(self.view)

    def on_resize(self, _: events.Resize) -> None:
        """The diagram may fit now, or no more."""
        if self._has_diagram != self._fits():
            self._draw_card()
        self._draw_heading()

    def look(self, view: str) -> None:
        """Show one of `VIEWS`."""
        self.view = view
        self.border_title = view  # not the network's name: each change of a title has the whole pane drawn anew
        self._say_below("")
        for name in VIEWS:
            self.query_one(f"#{name}").display = name == view
        self._draw()

    def take(self, row: Row | None, own: Sequence[Own]) -> None:
        """Another network, or new results of it."""
        moved = row is not self.row
        self.row, self._own = row, own
        self._draw()
        if moved:
            for scrolled in self.query(VerticalScroll):
                scrolled.scroll_home(animate=False)

    def enter(self) -> None:
        """Give the view the keys."""
        self.query_one(LayerTree if self.view == "layers" else f"#{self.view}").focus()

    def show_walk(self, layer: Layer, image_size: int) -> None:
        """The walk is there."""
        self.query_one(LayerTree).display = True
        self.query_one(LayerTree).walk(layer)
        self._say_below(f"3×{image_size}×{image_size}, + - i other sizes")
        self.call_after_refresh(self._draw_heading)  # a tree that was hidden has no width yet

    def show_note(self, text: str) -> None:
        """Why there is no walk."""
        self.query_one(LayerTree).display = False
        self.query_one("#layers-note", Static).update(Text(text))
        self._say_below("")

    def _draw(self) -> None:
        if self.view == "card":
            self._draw_card()
        elif self.view == "source":
            self._draw_source()

    def _draw_card(self) -> None:
        if self.view == "card":
            self._has_diagram = self._fits()
            shown = card(self.row, self._own, self._has_diagram) if self.row else ""
            self.query_one("#card-text", Static).update(shown)

    def _fits(self) -> bool:
        """Whether there is room for the diagram, beside the padding and the scroll bar."""
        lines = self.row.entry.card.diagram.splitlines() if self.row else []
        return max(map(len, lines), default=0) <= self.content_size.width - 3

    def _draw_heading(self) -> None:
        tree = self.query_one(LayerTree)
        if tree.display and self.view == "layers":
            self.query_one("#layers-note", Static).update(heading(tree.scrollable_content_region.width))

    def _draw_source(self) -> None:
        """Coloured once a module, not once a network."""
        from rich.syntax import Syntax  # the first look at the screen need not wait for it

        from workbench.inspect.source import find_source

        text = self.query_one("#source-text", Static)
        if self.row is None:
            text.update("")
            self._source_of = ""
            return
        try:
            path = find_source(self.row.entry.architecture)
            if str(path) != self._source_of:
                code = path.read_text(encoding="utf-8", errors="replace")
                text.update(Syntax(code, "python", theme=self._colours(), background_color="default", word_wrap=True))
                self._source_of = str(path)
            self._say_below(f"{path.parent.name}/{path.name}")
        except (UserError, OSError) as error:
            text.update(Text(str(error)))
            self._source_of = ""

    def _say_below(self, text: str) -> None:
        if str(self.border_subtitle or "") != text:
            self.border_subtitle = text

    def _colours(self) -> str:
        return "ansi_dark" if self.app.current_theme.dark else "ansi_light"


def card(row: Row, own: Sequence[Own], with_diagram: bool) -> RenderableType:
    """The paper's card and below it what one's own runs reached."""
    entry = row.entry
    if not with_diagram:
        entry = replace(entry, card=replace(entry.card, diagram=" (the diagram needs more room: z)"))
    parts: list[RenderableType] = [page(entry), "", Text("Your runs", style="bold")]
    if not own:
        return Group(*parts, Text(" none yet", style="dim"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for result in own:
        best = "no accuracy yet" if result.best is None else f"best {result.best * 100:.2f} %"
        epoch = f"in epoch {result.epoch}" if result.best is not None and result.epoch else ""
        count = f"{result.runs} run{'s' * (result.runs != 1)}"
        grid.add_row(Text(f" {result.dataset}", style="cyan"), Text(best), Text(epoch), Text(count, style="dim"))
    return Group(*parts, grid, Text(" r shows them", style="dim"))
