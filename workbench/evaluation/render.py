"""An evaluation, and predictions, as pages for a terminal. They are drawn from the report alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workbench.base.text import clean

MOST_CLASSES = 20
"""With more, only the worst are drawn, and confusions are listed instead of charted."""

BAR, NAME = 30, 24
"""Columns of a full bar, and of a class name at most."""

SHADES = "░▒▓█"
SHADE_STYLES = ("", "cyan", "bold cyan", "bold bright_cyan")
"""One for each quarter of a row's images."""


def pages(report: Mapping[str, Any], width: int) -> list[RenderableType]:
    """All of an evaluation within `width` columns."""
    classes = report["classes"]
    few = len(classes) <= MOST_CLASSES
    parts: list[RenderableType] = [heading(report), "", figures(report), "", class_bars(classes)]
    chart = matrix(report, width) if few else None
    if chart is not None:
        parts += ["", *chart]
    elif report["confusions"]:
        parts += ["", frequent(report["confusions"])]
    return parts


def heading(report: Mapping[str, Any]) -> Text:
    """What was evaluated on what."""
    weights = report["weights"]
    epoch = f" of epoch {weights['epoch']}" if weights["epoch"] is not None else ""
    own = "" if report["own_data"] else " (not the run's own images)"
    return _text(
        f"{report['run']} ({report['arch']}), {weights['kind']} weights{epoch}\n"
        f"{report['dataset']}, {report['split']}: {report['images']:,} images, {len(report['classes'])} classes{own}; "
        f"{report['device']}, {report['precision']}"
    )


def figures(report: Mapping[str, Any]) -> Table:
    """The figures of the whole split."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row("top-1", Text(percent(report["top1"]), style="bold"))
    if len(report["classes"]) > 5:  # of five classes, one is always among the first five
        grid.add_row("top-5", percent(report["top5"]))
    grid.add_row("loss", number(report["loss"]))
    grid.add_row("ECE", f"{percent(report['ece'])}{_tendency(report)}")
    if report["not_finite"]:
        grid.add_row("not finite", f"{report['not_finite']:,} images")
    return grid


def class_bars(classes: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The accuracy of each class; with many classes, of the worst, the worst first."""
    known = [row for row in classes if row["accuracy"] is not None]
    many = len(classes) > MOST_CLASSES
    shown = sorted(known, key=lambda row: float(row["accuracy"]))[:MOST_CLASSES] if many else list(classes)
    title = f"the {len(shown)} worst of {len(classes)} classes" if many else "accuracy by class"
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "right", "right"):
        grid.add_column(justify=justify, no_wrap=True)
    for row in shown:
        name, accuracy = _text(row["class"], NAME), row["accuracy"]
        if accuracy is None:
            grid.add_row(name, "", "-", "no images")
        else:
            grid.add_row(name, bar(accuracy), percent(accuracy), f"{row['correct']:,} of {row['images']:,}")
    return Group(Text(title), grid)


def matrix(report: Mapping[str, Any], width: int) -> list[RenderableType] | None:
    """The confusion matrix: a row for each true class, percent of its images and a shade; None where it is too wide."""
    table: Sequence[Sequence[int]] = report["confusion"]
    labels = [_numbered(i, clean(row["class"], 200)) for i, row in enumerate(report["classes"])]
    room = 4 if 4 * len(table) + 9 <= width else 3
    longest = max(map(cell_len, labels))
    left = min(longest, NAME, width - room * len(table) - 1)
    if left < min(longest, 8):
        return None
    lines = Text(" " * (left + 1) + "".join(f"{i:>{room - 1}} " for i in range(len(table))), no_wrap=True)
    for label, row in zip(labels, table, strict=True):
        lines.append(f"\n{set_cell_size(_cut(label, left), left)} ")
        total = sum(row)
        for count in row:
            lines.append(*_shaded(count, total, room))
    title = Text("true class (rows) taken for (columns), percent of the row")
    return [title, lines]


def frequent(confusions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The most frequent wrong answers."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for row in confusions[:MOST_CLASSES]:
        share = percent(row["count"] / row["of"])
        grid.add_row(
            _text(row["true"], NAME), "taken for", _text(row["predicted"], NAME), f"{row['count']:,}", f"{share} of it"
        )
    return Group(Text("most frequent confusions"), grid)


def prediction(file: str, guesses: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What the network says of one image, as bars."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for guess in guesses:
        grid.add_row(_text(guess["class"], NAME), bar(guess["probability"]), percent(guess["probability"]))
    return Group(Text(clean(file)), grid)


def bar(share: float | str) -> Text:
    """0 to 1 as blocks, with eighths; nothing for what is no number."""
    eighths = round(share * BAR * 8) if isinstance(share, int | float) else 0
    blocks = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
    return Text(blocks.rstrip().ljust(BAR), style="cyan")


def percent(share: float | str) -> str:
    """`98.33%`; what is not finite as its word."""
    return f"{share:.2%}" if isinstance(share, int | float) else str(share)


def number(value: float | str) -> str:
    """Four decimals; what is not finite as its word."""
    return f"{value:.4f}" if isinstance(value, int | float) else str(value)


def _tendency(report: Mapping[str, Any]) -> str:
    """Whether the network is surer than it is right, where the error is not small."""
    bins = [one for one in report["calibration"] if one["count"]]
    total = sum(one["count"] for one in bins)
    if not total:
        return ""
    surplus = sum(one["count"] * (one["confidence"] - one["accuracy"]) for one in bins) / total
    if abs(surplus) < 0.01:
        return ""
    return f"  ({abs(surplus):.1%} {'too sure' if surplus > 0 else 'not sure enough'} on average)"


def _shaded(count: int, total: int, room: int) -> tuple[str, str]:
    """A cell of the matrix and its style: percent of the row, and from a quarter to a quarter a darker shade."""
    if not count:
        return f"{'·':>{room - 1}} ", "dim"
    share = count / total
    shade = min(int(share * 4), 3)
    whole = min(round(share * 100), 100 if count == total else 99)
    text = f"{whole}" if whole else "<1"
    if len(text) == room:
        return text, SHADE_STYLES[shade]
    return f"{text:>{room - 1}}{SHADES[shade]}", SHADE_STYLES[shade]


def _numbered(i: int, name: str) -> str:
    return name if name == str(i) else f"{i} {name}"


def _cut(text: str, width: int) -> str:
    text = clean(text, 200)
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)) + "…"


def _text(text: str, width: int = 1000) -> Text:
    """Safe for a terminal, and never markup. Lines of ours stay lines."""
    return Text("\n".join(_cut(line, width) for line in text.split("\n")))
