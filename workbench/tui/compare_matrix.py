"""Confusion matrices as lines of text: shades told by a character as well as by a colour; of many classes a list."""

import math
from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from workbench.base.text import clean
from workbench.runs.evaluations import Evaluation
from workbench.tui.comparing import Seen

MOST_CLASSES = 20
"""With more, or where a matrix is too wide, the worst confusions are listed."""
NAME = 24
"""Cells of the name of a class at most."""
SHADES = "░▒▓█"
"""One for each quarter of the images of a row."""
WRONG, RIGHT = ("", "", "bold", "bold reverse"), ("", "", "", "bold")
"""How the quarters look off and on the diagonal."""
GAP = 3
"""Cells between two matrices."""


def names_of(runs: Sequence[Seen]) -> list[str]:
    """What was evaluated of these runs (`digits-test-best`): what most of them have comes first."""
    names = [found.name for one in runs for found in one.evaluations.found]
    return sorted(dict.fromkeys(names), key=lambda name: -names.count(name))


def pane(run: Seen, name: str, width: int) -> list[Text]:
    """The evaluation of that name of one run, or that there is none, in `width` cells."""
    head = _cut(f"{run.letter} {run.label}", width)
    found = run.evaluations.named(name)
    lines = [Text(head, style="bold", no_wrap=True)]
    lines += [Text(_cut(problem, width)) for problem in run.evaluations.problems]
    if found is None:
        return [*lines, Text(_cut(f"has no evaluation {name}", width))]
    epoch = f", weights of epoch {found.epoch}" if found.epoch is not None else ""
    top1 = f"top-1 {found.top1:.2%} of " if math.isfinite(found.top1) else ""
    lines.append(Text(_cut(f"{found.name}: {top1}{found.images:,} images{epoch}", width)))
    return [*lines, Text(""), *(matrix(found, width) or worst(found, width))]


def matrix(found: Evaluation, width: int) -> list[Text] | None:
    """A row a true class: percent of its images, and a darker shade a quarter. None where it does not fit."""
    count = len(found.classes)
    if count > MOST_CLASSES:
        return None
    labels = [name if name == str(place) else f"{place} {name}" for place, name in enumerate(found.classes)]
    longest = max(map(cell_len, labels))
    room = 4 if 4 * count + min(longest, 8) + 1 <= width else 3
    left = min(longest, NAME, width - room * count - 1)
    if left < min(longest, 8):
        return None
    lines = [Text("true class (rows) taken for (columns), % of the row"[:width], style="dim")]
    lines.append(Text(" " * (left + 1) + "".join(f"{place:>{room - 1}} " for place in range(count))))
    for place, (name, row) in enumerate(zip(labels, found.counts, strict=True)):
        line = Text(set_cell_size(_cut(name, left), left) + " ", no_wrap=True)
        total = sum(row)
        for said, images in enumerate(row):
            line.append(*_cell(images, total, room, right=place == said))
        lines.append(line)
    return lines


def worst(found: Evaluation, width: int) -> list[Text]:
    """The most frequent confusions, one a line."""
    if not found.confusions:
        return [Text("no image was taken for another class")]
    lines = [Text(f"the worst confusions of {len(found.classes):,} classes"[:width], style="dim")]
    figures = [f"{one.count:,} of {one.of:,}" for one in found.confusions]
    room = max(map(len, figures))
    side = max((width - room - 6) // 2, 3)
    for one, words in zip(found.confusions, figures, strict=True):
        true, said = (set_cell_size(_cut(name, side), side) for name in (one.true, one.predicted))
        lines.append(Text(f"{words:>{room}}  {true} ▸ {said}"[:width], no_wrap=True))
    return lines


def beside(panes: Sequence[Sequence[Text]], width: int) -> list[Text]:
    """Panes side by side, each in `width` cells."""
    rows = max(map(len, panes), default=0)
    lines = []
    for y in range(rows):
        line = Text(no_wrap=True)
        for number, one in enumerate(panes):
            part = one[y].copy() if y < len(one) else Text("")
            part.truncate(width, pad=True)
            line.append(" " * GAP if number else "").append_text(part)
        lines.append(line)
    return lines


def missing(runs: Sequence[Seen], where: str, width: int) -> list[Text]:
    """What makes the evaluations of the runs that have none. `where`: what the command says of their folder."""
    without = [one for one in runs if not one.evaluations.found and not one.gone]
    if not without:
        return []
    every = len(without) == len(runs)
    letters = ", ".join(one.letter for one in without)
    first = "None of these runs has an evaluation." if every else f"{letters} without an evaluation."
    lines = [f"{first} In another terminal:", "", *(f"cnn-workbench evaluate {one.id}{where}" for one in without)]
    problems = [f"{one.letter}: {problem}" for one in without for problem in one.evaluations.problems]
    lines += ["", "It shows here by itself.", *problems]
    return [Text(part, no_wrap=True) for line in lines for part in _wrapped(line, width)]


def _wrapped(line: str, width: int) -> list[str]:
    """A line as several, broken between words: a command can be read and copied whole."""
    return wrap(line, max(width, 20), subsequent_indent="    ", break_on_hyphens=False) or [""]


def _cell(count: int, total: int, room: int, *, right: bool) -> tuple[str, str]:
    """A cell and its style."""
    if not count or not total:
        return f"{'·':>{room - 1}} ", "dim"
    share = count / total
    shade = min(int(share * 4), 3)
    whole = min(round(share * 100), 100 if count == total else 99)
    text = f"{whole}" if whole else "<1"
    style = (RIGHT if right else WRONG)[shade]
    return (text, style) if len(text) == room else (f"{text:>{room - 1}}{SHADES[shade]}", style)


def _cut(text: str, width: int) -> str:
    text = clean(text, 200)
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)) + "…"
