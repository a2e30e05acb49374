"""A table as Markdown, CSV, JSON, LaTeX, HTML, plain text, or for a terminal.

CSV and JSON hold raw figures (fractions, seconds, bytes); all others hold what a screen shows. Texts may come from
anybody's run directory: each format makes its own special characters harmless.
"""

import csv
import html
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.text import Text

from workbench.base.text import csv_cell
from workbench.runs.units import MISSING, RIGHT, Kind

_GAP = 2
"""Columns of a terminal between two columns of a table."""
_LEAST: Mapping[Kind, int] = {"config": 16, "words": 16, "setting": 16, "text": 32}
"""Columns of words may shrink to this before another column goes."""
_STATES = {"running": "cyan", "paused": "yellow", "silent": "yellow", "lost": "red", "frozen": "yellow",
           "crashed": "red", "failed": "red", "finished": "green"}  # fmt: skip


@dataclass(frozen=True)
class Heading:
    """A column of a table: what programs call it, what people call it."""

    name: str
    title: str
    kind: Kind
    rank: int = 10
    """A narrow terminal lets the lowest go first."""

    @property
    def right(self) -> bool:
        return self.kind in RIGHT


@dataclass(frozen=True)
class Cell:
    value: Any
    """Raw; None where there is none."""
    text: str


@dataclass(frozen=True)
class Table:
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    """Lines below: how many were left out, what was compared."""


def markdown(table: Table) -> str:
    """A GitHub table; the notes below it as paragraphs."""
    lines = [_bars(escape_markdown(heading.title) for heading in table.headings)]
    lines.append(_bars("---:" if heading.right else "---" for heading in table.headings))
    lines += [_bars(escape_markdown(cell.text) for cell in row) for row in table.rows]
    for note in table.notes:
        lines += ["", escape_markdown(note)]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """Text that a Markdown renderer shows as it is, in a cell of a table too: no markup, no HTML, one line."""
    flat = re.sub(r"[\r\n]+", " ", text)
    flat = re.sub(r"([\\`*\[\]<>|~&])", r"\\\1", flat)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", flat)  # inside a word an underscore is no markup


def _bars(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def comma_separated(table: Table) -> str:
    """RFC 4180, lines ended by CR LF, names of the columns first; an empty cell where there is no figure."""
    file = io.StringIO()
    writer = csv.writer(file, dialect="excel")
    writer.writerow([csv_cell(heading.name) for heading in table.headings])
    for row in table.rows:
        writer.writerow([csv_cell(_flat(cell)) for cell in row])
    return file.getvalue()


def _flat(cell: Cell) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return cell.text if value else ""
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def json_list(table: Table) -> str:
    """A list of objects, one a row; what is not finite is a string, as in run directories."""
    names = [heading.name for heading in table.headings]
    rows = [dict(zip(names, (_plain(cell.value) for cell in row), strict=True)) for row in table.rows]
    return json.dumps(rows, indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def latex(table: Table) -> str:
    """A tabular of the booktabs package; the notes as comments."""
    align = "".join("r" if heading.right else "l" for heading in table.headings)
    lines = ["% \\usepackage{booktabs}", f"\\begin{{tabular}}{{{align}}}", "\\toprule"]
    lines += [_ampersands(heading.title for heading in table.headings), "\\midrule"]
    lines += [_ampersands(cell.text for cell in row) for row in table.rows]
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += ["% " + re.sub(r"\s+", " ", note) for note in table.notes]
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}", "*": "{*}",
    "–": "--", "×": r"$\times$", "Δ": r"$\Delta$", "…": r"\ldots{}", "\r": " ", "\n": " ",
}  # fmt: skip
r"""A star or a bracket right after the \\ of the line before would be its argument."""


def escape_latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\"


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .25rem .75rem; border-bottom: 1px solid #8886; text-align: left; white-space: nowrap; }}
.right {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style>
</head>
<body>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
{notes}</body>
</html>
"""


def html_page(table: Table, title: str = "Runs") -> str:
    """One small page that loads nothing and runs nothing."""
    rows = [
        "<tr>" + "".join(map(_html_cell, table.headings, [cell.text for cell in row])) + "</tr>" for row in table.rows
    ]
    heads = [f'<th scope="col"{_html_class(heading)}>{html.escape(heading.title)}</th>' for heading in table.headings]
    notes = "".join(f"<p>{html.escape(note)}</p>\n" for note in table.notes)
    return _PAGE.format(title=html.escape(title), head="".join(heads), body="\n".join(rows), notes=notes)


def _html_cell(heading: Heading, text: str) -> str:
    return f"<td{_html_class(heading)}>{html.escape(text)}</td>"


def _html_class(heading: Heading) -> str:
    return ' class="right"' if heading.right else ""


def terminal(table: Table, width: int) -> RenderableType:
    """For a terminal of `width` columns: what matters least is left out until the rest fits, and that is said."""
    fitting, gone = fit(table, width)
    notes = list(table.notes)
    if gone:
        notes.append(f"too narrow for {', '.join(heading.name for heading in gone)}; --columns chooses")
    widths = allotted(fitting, width)
    # Lines of text and not rich's table, which takes a second for a thousand rows.
    lines = [_head(fitting, widths), Text(_rule(widths))]
    lines += [_line(fitting, row, widths) for row in fitting.rows]
    return Group(*lines, *([Text("")] if notes else []), *(Text(note, style="dim") for note in notes))


def plain(table: Table) -> str:
    """The same without colour, as wide as it needs to be: for pipes."""
    widths = _widths(table)
    lines = [_head(table, widths).plain, _rule(widths), *(_line(table, row, widths).plain for row in table.rows)]
    lines += ["", *table.notes] if table.notes else []
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _head(table: Table, widths: Sequence[int]) -> Text:
    titles = [placed(heading.title, heading, width) for heading, width in zip(table.headings, widths, strict=True)]
    return Text((" " * _GAP).join(titles), style="bold", no_wrap=True)


def _rule(widths: Sequence[int]) -> str:
    return "─" * (sum(widths) + _GAP * (len(widths) - 1))


def _line(table: Table, row: Sequence[Cell], widths: Sequence[int]) -> Text:
    line = Text(no_wrap=True)
    for heading, cell, width in zip(table.headings, row, widths, strict=True):
        line.append(" " * _GAP if line else "")
        line.append(placed(cell.text, heading, width), style=_style(heading, cell))
    return line


def placed(text: str, heading: Heading, width: int) -> str:
    """Filled up with blanks, or cut off with `…`, to be `width` columns of a terminal wide."""
    room = width - cell_len(text)
    if room < 0:
        return set_cell_size(text, width - 1) + "…"
    return " " * room + text if heading.right else text + " " * room


def _style(heading: Heading, cell: Cell) -> str:
    if cell.text == MISSING:
        return "dim"
    if heading.name == "state":
        return _STATES.get(cell.text, "")
    return "bold" if heading.name == "arch" else ""


FORMATS: Mapping[str, Callable[[Table], str]] = {
    "md": markdown,
    "csv": comma_separated,
    "json": json_list,
    "latex": latex,
    "html": html_page,
}
"""What `--format` can be besides `table`."""


def fit(table: Table, width: int) -> tuple[Table, list[Heading]]:
    """The columns that have room, and those that have not; the one of highest rank always stays."""
    kept = list(range(len(table.headings)))
    least = [_least(heading, full) for heading, full in zip(table.headings, _widths(table), strict=True)]
    gone = []
    while len(kept) > 1 and sum(least[place] for place in kept) + _GAP * (len(kept) - 1) > width:
        lowest = min(kept, key=lambda place: (table.headings[place].rank, -place))
        kept.remove(lowest)
        gone.append(table.headings[lowest])
    headings = tuple(table.headings[place] for place in kept)
    return replace(
        table, headings=headings, rows=tuple(tuple(row[place] for place in kept) for row in table.rows)
    ), gone


def _least(heading: Heading, full: int) -> int:
    return min(full, max(_LEAST.get(heading.kind, full), cell_len(heading.title)))


def _widths(table: Table) -> list[int]:
    titles = [cell_len(heading.title) for heading in table.headings]
    return [max([title, *(cell_len(row[place].text) for row in table.rows)]) for place, title in enumerate(titles)]


def allotted(table: Table, width: int) -> list[int]:
    """How wide each column is on a terminal: what is too much goes from those that can shrink the most."""
    widths = _widths(table)
    spare = [full - _least(heading, full) for heading, full in zip(table.headings, widths, strict=True)]
    excess = sum(widths) + _GAP * (len(widths) - 1) - width
    while excess > 0 and any(spare):
        most = max(range(len(spare)), key=spare.__getitem__)
        # Down to the second most, so that equals share what is missing.
        taken = min(excess, max(1, spare[most] - sorted(spare)[-2] if len(spare) > 1 else spare[most]))
        widths[most] -= taken
        spare[most] -= taken
        excess -= taken
    if len(widths) == 1:  # nothing else can give way
        widths[0] = max(1, min(widths[0], width))
    return widths
