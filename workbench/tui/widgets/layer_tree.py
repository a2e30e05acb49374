"""The shape walk as a tree that unfolds: a line a module, with its output, parameters and multiply-accumulates."""

from dataclasses import dataclass
from math import prod

from rich.style import Style
from rich.text import Text
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from workbench.inspect.catalogue import short
from workbench.inspect.layer import Layer
from workbench.tui.actions import Action, WithActions

_COLUMNS: tuple[tuple[str, int], ...] = (("output", 13), ("params", 8), ("MACs", 8))
"""At the right of each line, and how wide; those that leave no room for the name are left out, the last ones first."""
_NAME = 20
"""The least room for a name."""


@dataclass(frozen=True)
class Line:
    """What a line of the tree says."""

    name: str
    kind: str
    figures: tuple[str, ...]
    layer: Layer | None
    """With modules inside, which are shown when the line unfolds."""
    used: bool = True


def line_of(layer: Layer, name: str) -> Line:
    """A module's own line."""
    shape = _shape(layer.shape, batch=True) if layer.shape else ("-" if layer.used else "not used")
    figures = (shape, _count(layer.parameters), _count(layer.macs))
    return Line(name, layer.kind if layer.kind != name else "", figures, layer if layer.children else None, layer.used)


def lines_inside(layer: Layer) -> list[Line]:
    """What unfolds below a module: its own weights and work, then those inside; equal neighbours are one line."""
    lines = [
        Line(name, "Parameter", (_shape(shape), _count(prod(shape)), "-"), None) for name, shape in layer.own_parameters
    ]
    if layer.own_macs:
        lines.append(Line("(forward)", "", ("", "-", _count(layer.own_macs)), None))
    for group in layer.runs():
        name = group[0].name if len(group) == 1 else f"{group[0].name} … {group[-1].name}  ×{len(group)}"
        lines.append(line_of(group[0], name))
    return lines


def heading(width: int) -> Text:
    """The columns' names, over lines of `width` columns."""
    kept = _kept(width)
    line = Text("module".ljust(width - sum(columns for _, columns in kept)))
    for name, columns in kept:
        line.append(name.rjust(columns))
    return line


class LayerTree(WithActions, Tree[Line]):
    """The tree. The first level is open; what is inside a line is built when it unfolds."""

    ACTIONS = (
        # > and < are what the arrows are drawn as where there is only ASCII
        Action("layers.unfold", ("right", "l", "greater_than_sign"), "unfold", "Unfold the line of a module.",
               "Layers"),
        Action("layers.fold", ("left", "h", "less_than_sign"), "fold", "Fold the line, or the one that it is in.",
               "Layers"),
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__("")
        self.guide_depth = 2
        self.auto_expand = True

    def walk(self, layer: Layer) -> None:
        """Show another network."""
        self.reset(Text(layer.name), line_of(layer, layer.name))
        self.root.allow_expand = True
        self.root.expand()

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Line]) -> None:
        """Build what is inside, the first time."""
        node = event.node
        if node.data is None or node.data.layer is None or node.children:
            return
        for line in lines_inside(node.data.layer):
            node.add(Text(line.name), line, allow_expand=line.layer is not None)

    def act_unfold(self) -> None:
        """Open the line of the cursor."""
        if self.cursor_node is not None:
            self.cursor_node.expand()

    def act_fold(self) -> None:
        """Close the line of the cursor; where it is closed, go to the one that it is in."""
        node = self.cursor_node
        if node is None:
            return
        if node.allow_expand and node.is_expanded:
            node.collapse()
        elif node.parent is not None:
            self.move_cursor(node.parent)

    def render_label(self, node: TreeNode[Line], base_style: Style, style: Style) -> Text:
        """The name as far as there is room, the figures at the right in columns."""
        line = node.data
        if line is None:
            return Text("")
        depth, owner = 0, node.parent
        while owner is not None:
            depth, owner = depth + 1, owner.parent
        width = self.scrollable_content_region.width - depth * self.guide_depth
        kept = _kept(self.scrollable_content_region.width)
        sign = ("▾ " if node.is_expanded else "▸ ") if node.allow_expand else "  "
        text = Text(f"{sign}{line.name} ", style=style, no_wrap=True)
        text.append(line.kind, "italic")
        text.truncate(max(4, width - sum(columns for _, columns in kept)), overflow="ellipsis", pad=True)
        for (_, columns), figure in zip(kept, line.figures, strict=False):
            text.append(f" {figure}".rjust(columns))
        if not line.used:
            text.stylize("dim")
        return text


def _kept(width: int) -> tuple[tuple[str, int], ...]:
    kept = _COLUMNS
    while kept and width - sum(columns for _, columns in kept) < _NAME:
        kept = kept[:-1]
    return kept


def _shape(shape: tuple[int, ...], batch: bool = False) -> str:
    inner = shape[1:] if batch and len(shape) > 1 and shape[0] == 1 else shape
    return "×".join(map(str, inner)) or "scalar"


def _count(count: int) -> str:
    return short(count) if count else "-"
