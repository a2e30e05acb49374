"""The shape walk as lines for a terminal, and how pages get to it."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from workbench.inspect.catalogue import short

if TYPE_CHECKING:
    from workbench.inspect.walk import Layer

PIPE_COLUMNS = 100
"""Where paragraphs break when there is no terminal."""


def tree(root: "Layer") -> RenderableType:
    """A row a module, the inner ones indented; equal neighbours are one row with their number."""
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("module", overflow="fold")
    grid.add_column("type", overflow="fold", style="cyan")
    for heading in ("output", "params", "MACs"):
        grid.add_column(heading, justify="right", no_wrap=True)
    _add(grid, root, root.name, "", "")
    return grid


def _add(grid: Table, layer: "Layer", name: str, lead: str, below: str) -> None:
    """The row of `layer` and those inside; `lead` and `below` are the branches drawn before its name and theirs."""
    kind = layer.kind if name != layer.kind else ""
    shape = _shape(layer.shape) if layer.shape else ("-" if layer.used else "not used")
    _row(grid, lead + name, kind, shape, layer.parameters, layer.macs, dim=not layer.used)
    if not layer.children:
        return
    rows: list[tuple[str, Any]] = [("parameter", own) for own in layer.own_parameters]
    if layer.own_macs:
        rows.append(("work", layer.own_macs))
    rows += [("layers", group) for group in layer.runs()]
    for i, (what, row) in enumerate(rows):
        last = i == len(rows) - 1
        branch, inner = (below + "└ ", below + "  ") if last else (below + "├ ", below + "│ ")
        if what == "parameter":
            count = 1
            for length in row[1]:
                count *= length
            _row(grid, branch + row[0], "Parameter", _shape(row[1], batch=False), count, 0)
        elif what == "work":
            _row(grid, branch + "(forward)", "", "", 0, row)
        else:
            names = row[0].name if len(row) == 1 else f"{row[0].name} … {row[-1].name}  ×{len(row)}"
            _add(grid, row[0], names, branch, inner)


def _row(grid: Table, name: str, kind: str, shape: str, parameters: int, macs: int, dim: bool = False) -> None:
    counts = [Text(short(count)) if count else Text("-") for count in (parameters, macs)]
    grid.add_row(Text(name), Text(kind), Text(shape), *counts, style="dim" if dim else "")


def _shape(shape: tuple[int, ...], batch: bool = True) -> str:
    """`64×112×112`: without the batch of one image."""
    inner = shape[1:] if batch and len(shape) > 1 and shape[0] == 1 else shape
    return "×".join(map(str, inner)) or "scalar"


def as_json(layer: "Layer") -> dict[str, Any]:
    """The tree as nested objects."""
    return asdict(layer)


def show(*pages: RenderableType, wide: bool = False) -> None:
    """Print on stdout: in colour on a terminal, else plain and, if `wide`, on lines as long as they need to be.

    BrokenPipeError when the reader has gone; rich would end the program itself.
    """
    console = console_of_stdout(wide)
    with console.capture() as capture:
        for part in pages:
            console.print(part, highlight=False, markup=False)
    text = capture.get()
    if not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    write(text)


def console_of_stdout(wide: bool = False) -> Console:
    """The terminal; without one, `PIPE_COLUMNS` wide or as wide as need be."""
    console = Console(file=sys.stdout)
    return console if console.is_terminal else Console(file=sys.stdout, width=1000 if wide else PIPE_COLUMNS)


def write(text: str) -> None:
    """To stdout, with `?` for what its encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
