"""A comparison for a terminal, as Markdown and as CSV."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workbench.base.text import clean, csv_cell
from workbench.runs.compare import Comparison, FigureRow, letter
from workbench.runs.figures import difference_in_words, in_words
from workbench.runs.summary import Summary
from workbench.runs.tables import escape_markdown
from workbench.runs.units import MISSING

VALUE_COLUMNS = 40
"""Longest setting in a table on a terminal; md, csv and json have it whole, up to the limit of `clean`."""


def tables(comparison: Comparison) -> list[RenderableType]:
    """Who is who, the settings that differ, the figures: for a terminal."""
    parts: list[RenderableType] = [_who(comparison), "", _settings(comparison), "", _figures(comparison), ""]
    return parts


def headline(run: Summary) -> str:
    """What a run is, in a few words."""
    words = [run.name if run.name != run.arch else "", run.arch, run.dataset, run.recipe]
    known = list(dict.fromkeys(word for word in words if word))
    return clean(", ".join([*known, *([f"seed {run.seed}"] if run.seed is not None else [])]), 200)


def standing(run: Summary) -> str:
    """How a run stands: finished; running, epoch 3 of 10."""
    epochs = f", epoch {run.epoch} of {run.epochs}" if run.epochs and run.epoch != run.epochs else ""
    detail = f" ({run.detail})" if run.detail else ""
    return clean(f"{run.state}{epochs}{detail}", 200)


def note_line(run: Summary, limit: int = 200) -> str:
    """The note as one line."""
    return clean(" ".join(run.note.split()), limit)


def value_in_words(value: Any) -> str:
    """A setting as a profile has it."""
    if value is None:
        return MISSING
    if isinstance(value, str):
        return clean(value)
    return clean(json.dumps(value, ensure_ascii=False, default=str))


def alike_in_words(comparison: Comparison) -> str:
    """What is said of the settings that are not shown."""
    if not comparison.settings:
        return f"all {comparison.alike} settings are alike"
    count = len(comparison.settings)
    return f"{count} setting{' differs' if count == 1 else 's differ'}, {comparison.alike} are alike"


def cell(row: FigureRow, number: int) -> tuple[str, str]:
    """The value of a figure and its difference to the first run's, in words."""
    kind = row.figure.kind
    apart = difference_in_words(row.values[number], row.values[0], kind) if number else ""
    return in_words(row.values[number], kind), apart


def markdown(comparison: Comparison) -> str:
    """Three tables, with what Markdown and HTML would read as marks escaped."""
    columns = [letter(i) for i in range(len(comparison.runs))]
    who = [[letter(i), run.id, headline(run), standing(run), note_line(run)] for i, run in enumerate(comparison.runs)]
    settings = [[key, *map(value_in_words, values)] for key, values in comparison.settings.items()]
    figures = [
        [row.figure.label, *(" ".join(filter(None, cell(row, i))) for i in range(len(columns)))]
        for row in comparison.figures
    ]
    parts = [_markdown_table(["", "run", "what", "state", "note"], who)]
    if settings:
        parts.append(_markdown_table(["setting", *columns], settings))
    parts.append(f"{alike_in_words(comparison).capitalize()}.\n")
    parts.append(_markdown_table(["figure", *columns], figures))
    return "\n".join(parts)


def csv_text(comparison: Comparison) -> str:
    """Rows of settings and figures, a column a run; numbers as they are (accuracies are fractions), cells made safe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["what", "key", *(csv_cell(run.id) for run in comparison.runs)])
    for key, values in comparison.settings.items():
        writer.writerow(["setting", csv_cell(key), *map(csv_cell, values)])
    for row in comparison.figures:
        writer.writerow(["figure", row.figure.key, *map(csv_cell, row.values)])
        if row.figure.kind != "text":
            writer.writerow(["difference", row.figure.key, *map(csv_cell, row.differences)])
    return out.getvalue()


def markdown_cell(text: str) -> str:
    """Text that stays inside its cell and is read as it is."""
    return escape_markdown(clean(text)) or " "


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([markdown_cell(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _who(comparison: Comparison) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for i, (run, damaged) in enumerate(zip(comparison.runs, comparison.damaged, strict=True)):
        grid.add_row(Text(letter(i), "bold"), Text(clean(run.id)), Text(headline(run)), Text(standing(run)))
        if run.note:
            grid.add_row("", Text(note_line(run), "dim"))
        if damaged:
            grid.add_row("", Text(f"{damaged} damaged lines are left out", "yellow"))
    return grid


def _table(first: str, comparison: Comparison) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, overflow="fold")
    for i in range(len(comparison.runs)):
        table.add_column(letter(i), justify="right", overflow="fold")
    return table


def _settings(comparison: Comparison) -> RenderableType:
    said = Text(alike_in_words(comparison), "dim")
    if not comparison.settings:
        return said
    table = _table("setting", comparison)
    for key, values in comparison.settings.items():
        table.add_row(Text(clean(key, 60)), *(Text(clean(value_in_words(value), VALUE_COLUMNS)) for value in values))
    return Group(table, said)


def _figures(comparison: Comparison) -> RenderableType:
    """The better value of a row is bold; below a value that is not the first run's stands how it differs."""
    table = _table("figure", comparison)
    for row in comparison.figures:
        texts = []
        for i in range(len(comparison.runs)):
            value, apart = cell(row, i)
            text = Text(value, "bold" if i in row.best else "")
            texts.append(text.append(f" {apart}", "dim") if apart else text)
        table.add_row(Text(row.figure.label), *texts)
    return table
