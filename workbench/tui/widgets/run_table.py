"""Tables of the Compare screen: the screen's keys move through their rows, and runs have colours of their own."""

from typing import Any, ClassVar

from workbench.runs.columns import Column
from workbench.tui.compare_draw import RUN_COLORS
from workbench.tui.widgets.table import VirtualTable


class StillTable(VirtualTable, can_focus=False):
    """A table that takes no keys: left and right mean something else where it stands."""


def _hex(number: int) -> str:
    """A colour of the 6x6x6 cube of the 256, as CSS writes it."""
    parts = [(number - 16) // size % 6 for size in (36, 6, 1)]
    return "#" + "".join(f"{0 if part == 0 else 55 + 40 * part:02x}" for part in parts)


class RunTable(StillTable):
    """A row a run or a band, named in the colour of its curve."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"run--{number}" for number in range(len(RUN_COLORS))}
    DEFAULT_CSS = (
        "RunTable { height: 3; max-height: 50%;\n"
        + "".join(f"& > .run--{number} {{ color: {_hex(color)}; }}\n" for number, color in enumerate(RUN_COLORS))
        + "}"
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(_tone, **options)


def _tone(column: Column[Any], row: Any, text: str) -> str:
    if row.hidden:
        return "table--faint"
    return f"run--{row.number}" if column.name == "run" else "table--strong" if column.name == "value" else ""
