"""The charts that a run leaves in `plots/`: accuracy and loss, of training against test, as SVG and as text."""

from pathlib import Path
from typing import Any

from workbench.base.plot import line_chart
from workbench.base.text import clean
from workbench.runs import svg
from workbench.runs.curves import Chart, Curve, chart, curve
from workbench.runs.files import write_atomically
from workbench.runs.run import Run

TEXT_SIZE = (100, 30)
"""Columns and rows of the charts in text."""

SPLITS = ("train", "test", "val")
"""Training and test have the same look whether or not there are validation images."""


def write_plots(path: Path) -> list[Path]:
    """Write `plots/accuracy.svg`, `.txt`, `plots/loss.svg` and `.txt` of a run; returns what was written.

    Each replaces what was there in one step. A run without a finished epoch gets none. OSError where the disk refuses.
    """
    run = Run(path)
    charts = epoch_charts(run.metrics("epoch").records, name_of(run))
    if not charts:
        return []
    folder = path / "plots"
    folder.mkdir(exist_ok=True)
    written = []
    for name, drawn in charts.items():
        for file, text in ((f"{name}.svg", as_svg(drawn)), (f"{name}.txt", as_text(drawn))):
            write_atomically(folder / file, text.encode("utf-8", "replace"), durable=False)
            written.append(folder / file)
    return written


def epoch_charts(records: list[dict[str, Any]], name: str) -> dict[str, Chart]:
    """`accuracy` and `loss` over the epochs, of the splits that the run has; those without a value are left out."""
    charts = {}
    for kind, metric, y_label in (("accuracy", "top1", "top-1, %"), ("loss", "loss", "loss")):
        curves = [(split, curve(records, f"{split}_{metric}")) for split in SPLITS]
        if there := [(split, one) for split, one in curves if one.x]:
            charts[kind] = chart(f"{kind} of {name}", y_label, there)
    return charts


def lr_chart(records: list[dict[str, Any]], name: str) -> Chart | None:
    """The learning rate over the epochs; None where no line has it."""
    rate: Curve = curve(records, "lr")
    return chart(f"learning rate of {name}", "lr", [("lr", rate)]) if rate.x else None


def as_svg(drawn: Chart) -> str:
    """As a file of its own. A loss that falls by powers of ten has a logarithmic axis."""
    return svg.draw(drawn, log_y=None if drawn.y_label == "loss" else False) + "\n"


def as_text(drawn: Chart, width: int = TEXT_SIZE[0], height: int = TEXT_SIZE[1], *, color: bool = False) -> str:
    """For a terminal, or for a file."""
    text = line_chart(
        drawn.lines, width=width, height=height, title=drawn.title,
        x_label=drawn.x_label, y_label=drawn.y_label, color=color,
    )  # fmt: skip
    return text + "\n"


def name_of(run: Run) -> str:
    """A run in a title: its name or network, and the data."""
    summary = run.summary
    what = summary.name if summary.name in ("", summary.arch) else f"{summary.name} ({summary.arch})"
    words = " on ".join(word for word in (what or summary.arch, summary.dataset) if word)
    return clean(words or summary.id, 70)
