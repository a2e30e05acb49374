"""Curves as characters: polylines to dots of braille or of quarter blocks, or to marks, a layer each.

plotext draws a line dot by dot in Python, 15 ms a curve of a wide chart, and gives the interpreter lock up at each;
here a curve is a few operations on arrays.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DOTS = {"braille": (2, 4), "hd": (2, 2)}
"""Markers whose cells have several dots: columns and rows of them."""
_BRAILLE = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]
"""The bit of each dot (Unicode, Braille Patterns), by row and column."""
_QUARTERS = [[1, 2], [4, 8]]
_BLOCKS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
_CHARACTERS = {
    "braille": np.array([ord(" "), *range(0x2801, 0x2900)], dtype=np.uint32),
    "hd": np.array([ord(block) for block in _BLOCKS], dtype=np.uint32),
}
_WEIGHTS = {
    marker: {(row, column): np.uint8(bit) for row, bits in enumerate(table) for column, bit in enumerate(bits)}
    for marker, table in (("braille", _BRAILLE), ("hd", _QUARTERS))
}


class Sheet:
    """Cells of a character and a colour each; what is drawn later lies on what was drawn before."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._characters = np.full((rows, columns), ord(" "), dtype=np.uint32)
        self._colors = np.full((rows, columns), -1, dtype=np.int16)

    def draw(self, x: Floats, y: Floats, marker: str, color: int, *, joined: bool = True) -> None:
        """A curve, or only its points. `x`, `y`: 0 at the low end of an axis and 1 at the high one, NaN for a gap.

        `marker`: `braille`, `hd`, or one character. What lies outside is not drawn; no value may be far outside.
        """
        wide, high = DOTS.get(marker, (1, 1))
        dots = _dots(x, y, self.columns * wide, self.rows * high, joined=joined)
        if marker in DOTS:
            bits = np.zeros((self.rows, self.columns), dtype=np.uint8)
            for (row, column), weight in _WEIGHTS[marker].items():
                bits |= dots[row::high, column::wide].view(np.uint8) * weight
            drawn = bits > 0
            self._characters[drawn] = _CHARACTERS[marker][bits[drawn]]
        else:
            drawn = dots
            self._characters[drawn] = ord(marker)
        self._colors[drawn] = color

    def lines(self) -> list[str]:
        """A string for each row, with an escape sequence before each colour and one after it."""
        return [
            self._line(characters, colors) for characters, colors in zip(self._characters, self._colors, strict=True)
        ]

    def _line(self, characters: NDArray[np.uint32], colors: NDArray[np.int16]) -> str:
        text = characters.tobytes().decode("utf-32-le")
        edges = [0, *(np.flatnonzero(np.diff(colors)) + 1).tolist(), self.columns]
        pieces = [(text[first:last], colors[first]) for first, last in pairwise(edges)]
        return "".join(piece if color < 0 else f"\x1b[38;5;{color}m{piece}\x1b[0m" for piece, color in pieces)


def _dots(x: Floats, y: Floats, columns: int, rows: int, *, joined: bool) -> NDArray[np.bool_]:
    """Which dots a polyline goes through, the highest row first."""
    found = np.zeros((rows, columns), dtype=bool)
    known = np.isfinite(x) & np.isfinite(y)
    across = np.where(known, x, 0.0) * (columns - 1)
    up = np.where(known, y, 0.0) * (rows - 1)
    _mark(found, across[known], up[known])
    if joined and x.size > 1:
        both = known[:-1] & known[1:]
        _mark(found, *_between(across[:-1][both], up[:-1][both], across[1:][both], up[1:][both]))
    return found


def _between(x: Floats, y: Floats, to_x: Floats, to_y: Floats) -> tuple[Floats, Floats]:
    """Places along lines, one for each dot that the longer side of a line has."""
    steps = np.maximum(np.ceil(np.maximum(np.abs(to_x - x), np.abs(to_y - y))), 1).astype(np.int64)
    which = np.repeat(np.arange(x.size), steps)
    share = (np.arange(which.size) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[which]
    return x[which] + share * (to_x - x)[which], y[which] + share * (to_y - y)[which]


def _mark(found: NDArray[np.bool_], across: Floats, up: Floats) -> None:
    rows, columns = found.shape
    column, row = np.rint(across).astype(np.int64), rows - 1 - np.rint(up).astype(np.int64)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    found[row[inside], column[inside]] = True
