"""What goes on the line: of all that is drawn, the cells that are different, with no more escape sequences than needed.

Textual repaints whole regions, each piece with its whole style: a dialog that opens at 80x24 is 30 KB, 4 seconds of a
line of 64 kbit/s. What the terminal shows is known, since all that it was sent came by here. So each text is laid over
that, and what is not different is not sent.

Nothing is known where the terminal has been another's meanwhile: at the start, after a change of its size, and when
`forget` is called. Then everything is sent. What is not understood here is passed on as it is.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from rich.cells import get_character_cell_size

_TOKEN = re.compile(
    "\x1b\\[(?P<style>[0-9;]*)m|\x1b\\[(?P<row>[0-9]+);(?P<column>[0-9]+)H|(?P<line>\r?\n)|(?P<text>[^\x00-\x1f\x7f]+)"
    "|(?P<alien>\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b\\[[0-?]*[ -/]*[@-~]|.)",
    re.DOTALL,
)
_OTHER_SCREEN = re.compile("\x1b(\\[\\?(1049|1047|47)[hl]|\\[[0-3]?J|c)")
"""After which nothing is known of what is shown."""
_SEEN_ON_BLANKS = frozenset(("4", "7", "9", "21", "53"))
"""Underline, reverse, strike, double underline, overline: styles that a space shows."""
GAP = 4
"""Cells that are written once more rather than jumped over: jumping takes as many bytes."""


class Look(NamedTuple):
    """How a cell is drawn. `attributes` is None for a blank, of which only the background is seen."""

    attributes: frozenset[str] | None = frozenset()
    front: str = ""
    back: str = ""


Cell = tuple[str, Look]
"""A character, or nothing for the second half of a wide one."""
PLAIN = Look()


class Thrift:
    """What a terminal shows, and what it needs to be sent to show something else."""

    def __init__(self) -> None:
        self._shown: dict[int, dict[int, Cell]] = {}
        self._wanted: dict[int, dict[int, Cell]] = {}
        self._row = self._column = 0
        self._left_at = -1, -1
        self._style = ""

    def forget(self) -> None:
        """What the terminal shows is not known any more."""
        self._shown.clear()

    def thin(self, data: str) -> str:
        """What to send in place of `data`, so that the terminal shows the same."""
        sent: list[str] = []
        kind = None
        for token in _TOKEN.finditer(data):
            kind = token.lastgroup
            match kind:
                case "text":
                    self._write(token[0])
                case "style":
                    self._style = _after(self._style, token["style"])
                case "column":
                    self._row, self._column = int(token["row"]) - 1, int(token["column"]) - 1
                case "line":
                    self._row, self._column = self._row + 1, 0  # Textual says next where it goes on
                case _:
                    sent.append(self._changes())
                    sent.append(token[0])
                    if _OTHER_SCREEN.fullmatch(token[0]):
                        self.forget()
        sent.append(self._changes())
        thin = "".join(sent)
        if kind == "column" and (thin or (self._row, self._column) != self._left_at):
            # Where the cursor is left, which nobody sees: an input method opens its window there.
            self._left_at = self._row, self._column
            thin += f"\x1b[{self._row + 1};{self._column + 1}H"
        return thin

    def _write(self, text: str) -> None:
        row = self._wanted.setdefault(self._row, {})
        look = _look(self._style)
        blank = _blank(look)
        column = self._column
        for character in text:
            width = 1 if character < "\u0300" else get_character_cell_size(character)
            if width == 0:  # goes with what is before it
                at = column - 2 if row.get(column - 1, " ")[0] == "" else column - 1
                before, style = row.get(at, (" ", look))
                row[at] = (before + character, look if style.attributes is None else style)
                continue
            row[column] = (character, blank if character == " " else look)
            if width == 2:
                row[column + 1] = ("", look)
            column += width
        self._column = column

    def _changes(self) -> str:
        """Escape sequences and text that show what is wanted; it is taken for shown."""
        pen = _Pen()
        for number in sorted(self._wanted):
            shown, wanted = self._shown.setdefault(number, {}), self._wanted[number]
            for column in sorted(wanted):
                cell = wanted[column]
                if shown.get(column) == cell:
                    continue
                if not cell[0]:
                    shown[column] = cell  # drawn with its first half
                    continue
                pen.go(number, column, shown)
                pen.draw(cell)
                self._lay(shown, column, cell)
        self._wanted.clear()
        return pen.ended()

    @staticmethod
    def _lay(shown: dict[int, Cell], column: int, cell: Cell) -> None:
        """A half of a wide character that is left is nothing that is known."""
        if shown.get(column, cell)[0] == "":
            shown.pop(column - 1, None)
        if shown.get(column + 1, cell)[0] == "":
            shown.pop(column + 1)
        shown[column] = cell


class _Pen:
    """Where the terminal's cursor is, and how it draws; begins and ends with the plain look."""

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._row = self._column = -1
        self._look = PLAIN

    def go(self, row: int, column: int, shown: dict[int, Cell]) -> None:
        """To a cell, over cells that show what they should."""
        if row == self._row and column == self._column:
            return
        gap = column - self._column
        if row == self._row and gap > 0:
            between = [shown.get(at) for at in range(self._column, column)]
            if gap <= GAP and all(cell and cell[0] and not _change(self._look, cell[1])[0] for cell in between):
                self._sent.extend(cell[0] for cell in between if cell)
            else:
                self._sent.append(f"\x1b[{gap}C")
        else:
            self._sent.append(f"\x1b[{row + 1};{column + 1}H")
        self._row, self._column = row, column

    def draw(self, cell: Cell) -> None:
        """A cell, and on to the next one."""
        change, self._look = _change(self._look, cell[1])
        self._sent.append(change + cell[0])
        self._column += sum(map(get_character_cell_size, cell[0])) if cell[0] > "\u02ff" else 1

    def ended(self) -> str:
        """All of it."""
        return "".join(self._sent) + ("" if self._look == PLAIN else "\x1b[m")


def _after(style: str, codes: str) -> str:
    """Codes since the last reset."""
    return "" if codes in ("", "0") else f"{style};{codes}".strip(";")


@lru_cache(4096)
def _look(style: str) -> Look:
    """Of codes such as `1;38;2;94;94;94;48;5;17`."""
    codes = iter(style.split(";") if style else ())
    attributes, front, back = set[str](), "", ""
    for code in codes:
        if code in ("38", "48"):
            kind = next(codes, "5")
            color = ";".join([code, kind, *(next(codes, "0") for _ in range(3 if kind == "2" else 1))])
            front, back = (color, back) if code == "38" else (front, color)
        elif code in ("0", ""):
            attributes, front, back = set(), "", ""
        elif code.isdigit() and (30 <= int(code) <= 39 or 90 <= int(code) <= 97):
            front = "" if code == "39" else code
        elif code.isdigit() and (40 <= int(code) <= 49 or 100 <= int(code) <= 107):
            back = "" if code == "49" else code
        else:
            attributes.add(code)
    return Look(frozenset(attributes), front, back)


@lru_cache(4096)
def _blank(look: Look) -> Look:
    """How a space is drawn with it."""
    return look if look.attributes is None or look.attributes & _SEEN_ON_BLANKS else Look(None, "", look.back)


@lru_cache(16384)
def _change(now: Look, wanted: Look) -> tuple[str, Look]:
    """The sequence that makes a pen with one look draw with another, and the look that it then has."""
    attributes = now.attributes or frozenset()
    if wanted.attributes is None:
        if not attributes & _SEEN_ON_BLANKS:
            wanted = Look(attributes, now.front, wanted.back)  # what nobody sees stays as it is
        else:
            wanted = Look(frozenset(), "", wanted.back)
    if now == wanted:
        return "", wanted
    codes = []
    if attributes - (wanted.attributes or frozenset()):
        codes, now, attributes = ["0"], PLAIN, frozenset()
    codes += sorted((wanted.attributes or frozenset()) - attributes)
    if wanted.front != now.front:
        codes.append(wanted.front or "39")
    if wanted.back != now.back:
        codes.append(wanted.back or "49")
    return f"\x1b[{';'.join(codes)}m", wanted
