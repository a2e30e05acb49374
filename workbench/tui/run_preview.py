"""A run in a few lines, for beside a list: how it stands, its figures, what it was told, what people say of it."""

import math
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from workbench.base.text import clean
from workbench.runs.compare_text import headline, note_line, standing
from workbench.runs.from_base import Base
from workbench.runs.summary import Summary
from workbench.runs.units import Kind, show
from workbench.tui.board import SHAPES

BLOCKS = "▁▂▃▄▅▆▇█"
_LABEL = 9
"""Cells of the word at the beginning of a line."""

_FIGURES: tuple[tuple[str, Kind, str], ...] = (
    ("test_top1", "accuracy", "test {} %"), ("test_top5", "accuracy", "top-5 {} %"), ("test_loss", "loss", "loss {}"),
    ("train_top1", "accuracy", "train {} %"), ("val_top1", "accuracy", "val {} %"),
)  # fmt: skip
_COST: tuple[tuple[str, Kind, str], ...] = (
    ("seconds", "seconds", "{}"), ("images_per_second", "rate", "{} images/s"), ("peak_memory", "memory", "{}"),
    ("eta", "seconds", "{} to go"),
)  # fmt: skip


def sparkline(values: Sequence[float | None], width: int) -> str:
    """At most `width` blocks, of several values the last of each few; a value that is none is a gap.

    The lowest is the lowest block, the highest the full one; where all are alike they are in the middle.
    """
    if width < 1 or not values:
        return ""
    count = min(width, len(values))
    chosen = [values[(number + 1) * len(values) // count - 1] for number in range(count)]
    known = _figures(chosen)
    if not known:
        return " " * count
    low, span = min(known), max(known) - min(known)
    return "".join(" " if value is None or not math.isfinite(value) else _block(value, low, span) for value in chosen)


def _figures(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _block(value: float, low: float, span: float) -> str:
    if not span or not math.isfinite(span):
        return BLOCKS[len(BLOCKS) // 2]
    return BLOCKS[min(int((value - low) / span * len(BLOCKS)), len(BLOCKS) - 1)]


def preview(run: Summary, base: Base, curve: Sequence[float | None] | None, width: int, height: int) -> list[Text]:
    """`height` lines at most, the most telling first. `curve`: test accuracies of the epochs, None while unread."""
    lines = [
        ("", run.id, "bold"),
        ("state", f"{SHAPES.get(run.state, '?')} {standing(run)}", ""),
        ("figures", _words(run, _FIGURES[:1], _best(run), _words(run, _FIGURES[1:])), ""),
        ("test", _curve(run, curve, width - _LABEL), ""),
        ("settings", base.text(base.differences(run.settings)) or "as in base", ""),
        ("note", note_line(run, 1000), "italic"),
        ("what", headline(run), ""),
        ("tags", " ".join([*run.tags, *(["(pinned)"] * run.pinned), *(["(archived)"] * run.archived)]), ""),
        ("cost", _words(run, _COST), ""),
        ("network", _words(run, (("parameters", "count", "{} parameters"), ("macs", "count", "{} MACs"))), ""),
        ("on", ", ".join(word for word in (run.device, run.host) if word), ""),
        ("created", show("date", run.created), ""),
        ("parent", run.parent, ""),
    ]
    kept = [line for line in lines if line[1]][: max(0, height)]
    return [_line(label, words, style, width) for label, words, style in kept]


def _line(label: str, words: str, style: str, width: int) -> Text:
    room = max(1, width - _LABEL if label else width)
    safe = clean(words, 1000)
    if cell_len(safe) > room:
        safe = set_cell_size(safe, room - 1) + "…"
    return Text.assemble((f"{label:<{_LABEL}}" if label else "", "dim"), (safe, style), no_wrap=True)


def _words(run: Summary, figures: Sequence[tuple[str, Kind, str]], *more: str) -> str:
    """The figures that the run has, in words."""
    known = [(getattr(run, name), kind, form) for name, kind, form in figures]
    words = [form.format(show(kind, value)) for value, kind, form in known if value is not None]
    return ", ".join([*words, *filter(None, more)])


def _best(run: Summary) -> str:
    if run.best_top1 is None:
        return ""
    return f"best {show('accuracy', run.best_top1)} % in epoch {run.best_epoch}"


def _curve(run: Summary, curve: Sequence[float | None] | None, width: int) -> str:
    """The accuracies as blocks, with the first and the last in figures."""
    if curve is None:
        return "…"
    known = _figures(curve)
    if len(known) < 2:
        return ""
    ends = f"{show('accuracy', known[0])}", f"{show('accuracy', known[-1])} %"
    room = width - len(ends[0]) - len(ends[1]) - 2
    return f"{ends[0]} {sparkline(curve, room)} {ends[1]}"
