"""What is known of one network, three ways: the paper's card, the shape walk, the source."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

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
        self._note = ""
        """Why there is no walk, while there is none."""

    def compose(self) -> ComposeResult:
        """One child a view."""
        with VerticalScroll(id="card"):
            yield Static(id="card-text")
        with Vertical(id="layers"):
            field = Line(placeholder="image size", id="size", type="integer", compact=True, max_length=5)
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
        self.close_size()
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
        self.screen.set_focus(self._keys_of())

    def _keys_of(self) -> Widget:
        """Where the keys of the view go; while there is no walk, to its place, so that they are not lost."""
        walk = self.query_one(LayerTree)
        return walk if self.view == "layers" and walk.display else self.query_one(f"#{self.view}")

    def show_walk(self, layer: Layer, image_size: int) -> None:
        """The walk is there."""
        tree = self.query_one(LayerTree)
        self._show_tree(True)
        tree.walk(layer)
        self._say_below(f"3×{image_size}×{image_size}, + - i other sizes")
        self.call_after_refresh(self._draw_heading)  # a tree that was hidden has no width yet

    def show_note(self, text: str) -> None:
        """Why there is no walk."""
        self._note = text
        self._show_tree(False)
        self._draw_heading()
        self._say_below("")

    def _show_tree(self, there: bool) -> None:
        """The tree or the note; the keys stay in the view."""
        tree, around = self.query_one(LayerTree), self.query_one("#layers")
        around.can_focus = not there
        keys = self.screen.focused in (tree, around)
        tree.display = there
        if keys:
            self.screen.set_focus(tree if there else around)

    # The line for the image size

    def ask_size(self, image_size: int) -> None:
        """Open it."""
        field = self.query_one("#size", Input)
        field.value = str(image_size)
        field.display = True
        self._draw_heading()
        self.screen.set_focus(field)  # at once: the next key may be there already

    def refuse_size(self, why: str) -> None:
        """Say what is wrong with it; it stays open."""
        self.query_one("#layers-note", Static).update(Text(f"! {why}", "bold"))

    def close_size(self) -> bool:
        """Put it away; False if it was not open."""
        field = self.query_one("#size", Input)
        there = bool(field.display)
        field.display = False
        self._draw_heading()
        return there

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
        """Below the line for the size: what it is for, or the columns of the tree, or why there is none."""
        if self.view != "layers":
            return
        tree, note = self.query_one(LayerTree), self.query_one("#layers-note", Static)
        if self.query_one("#size", Input).display:
            note.update(Text("image size in pixels: enter takes it, esc does not", "dim"))
        elif tree.display:
            note.update(heading(tree.scrollable_content_region.width))
        else:
            note.update(Text(self._note))

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
