"""Curves of up to eight runs in one chart. Each has its own dashes, colour and letter; none needs the colour.

The letter stands on the curve every few columns, each run's at other columns than the others', and at its last point.
A band of seeds is its mean as such a curve, on ground that is shaded from the lowest to the highest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.base.plot import COLORS, Stroke, canvas
from workbench.tui.compared import Band, between
from workbench.tui.terminal import in_ascii
from workbench.tui.widgets.chart_view import (
    LABELS,
    RAW_COLOR,
    SMALLEST,
    Axis,
    Floats,
    Markers,
    Picture,
    Range,
    Series,
    bounded,
    in_markers,
    linear_scale,
    log_scale,
    on_scale,
    smoothed,
    thinned,
    within,
    x_scale,
)

RUN_COLORS = (*COLORS, 137)
"""Of the 256, for a dark ground; the eighth is a brown. `themes.OnLight` has them for a light one."""
PATTERNS = ((1, 0), (4, 2), (1, 1), (2, 2), (3, 1, 1, 1), (1, 3), (2, 1), (5, 3))
"""Columns drawn and left out in turn; the first six of each differ from those of all others."""
SHADES = "░:',"
"""Of the first band, the second, ...: of eight runs there are four at most. In ASCII they differ too."""
LETTER_COLUMNS = 16
"""From a letter of a curve to its next."""
MOST_RAW = 3
"""With more curves than that, nothing is drawn below smoothed ones: nobody could tell what belongs to which."""


@dataclass(frozen=True)
class RunLine:
    """One curve to draw: `number` chooses dashes and colour, `letter` is what it is called."""

    letter: str
    number: int
    x: Floats
    y: Floats
    band: Band | None = None
    """Of several runs: then x and y are its mean."""


def color_of(number: int) -> int:
    """One of the 256."""
    return RUN_COLORS[number % len(RUN_COLORS)]


def sample(number: int, width: int = 6) -> str:
    """The dashes of a run, for a legend."""
    return "".join("━" if drawn else " " for drawn in _is_drawn(np.arange(width), PATTERNS[number % len(PATTERNS)]))


def draw_runs(
    lines: Sequence[RunLine], *, ends: Range, axis: Axis, smoothing: float = 0.0, log: bool = False, width: int,
    height: int, markers: Markers = "braille",
) -> Picture:  # fmt: skip
    """The curves between `ends` of the x axis; nothing where there is no room or no finite value."""
    if width < SMALLEST[0] or height < SMALLEST[1] or not ends[0] < ends[1]:
        return Picture()
    columns = width - LABELS - 1
    whole = [_curve(line, line.y, log) for line in lines]
    curves = [few(one, ends, columns) for one in whole]
    bands = [(line, *_edges(line, log)) for line in lines if line.band is not None]
    inside = [within(one, ends).y for one in (*curves, *(edge for _, low, high in bands for edge in (low, high)))]
    values = np.concatenate(inside or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not values.size:
        return Picture()
    y = (log_scale if log else linear_scale)(float(values.min()), float(values.max()), max(2, (height - 2) // 2))

    def eased(one: Series) -> Series:
        return smoothed(within(one, ends), smoothing, ends, columns) if smoothing else one

    strokes = [
        _shading(line, eased(low), eased(high), ends, columns, SHADES[number % len(SHADES)])
        for number, (line, low, high) in enumerate(bands)
    ]
    if smoothing and len(lines) <= MOST_RAW:
        raw = [within(one, ends) for one in curves]
        strokes += [Stroke(one.x, one.y, "·", RAW_COLOR) for one in raw]
    shown = [eased(one) for one in (whole if smoothing else curves)]  # a mean is of all points
    strokes += [_dashes(one, line.number, ends, columns) for line, one in zip(lines, shown, strict=True)]
    for place, (line, one) in enumerate(zip(lines, shown, strict=True)):
        strokes.append(_letters(one, line, ends, columns, first=place * LETTER_COLUMNS // max(len(lines), 1)))
    x, signs = x_scale(ends, axis, max(2, columns // 12)), [in_markers(stroke, markers) for stroke in strokes]
    rows = canvas(signs, width=width, height=height, x=x, y=y)
    return Picture(tuple(map(in_ascii, rows)) if markers == "ascii" else tuple(rows), ends, columns)


def few(one: Series, ends: Range, columns: int) -> Series:
    """Of a bounded series with far more points than columns those that can be seen."""
    if one.x.size <= 4 * columns:
        return one
    return thinned(within(Series(one.label, *_sorted(one)), ends), ends, columns)


def _curve(line: RunLine, y: Floats, log: bool) -> Series:
    return on_scale(bounded(Series(line.letter, line.x, y)), log)


def _edges(line: RunLine, log: bool) -> tuple[Series, Series]:
    assert line.band is not None  # the caller has looked
    at = replace(line, x=line.band.x)
    return _curve(at, line.band.low, log), _curve(at, line.band.high, log)


def _shading(line: RunLine, low: Series, high: Series, ends: Range, columns: int, shade: str) -> Stroke:
    """Up and down and up through the columns between the edges: as one stroke it fills the cells on its way."""
    at = np.linspace(ends[0], ends[1], columns)
    lows, highs = between(at, low.x, low.y), between(at, high.x, high.y)
    up = np.arange(columns) % 2 == 0
    y = np.stack([np.where(up, lows, highs), np.where(up, highs, lows)], axis=1).ravel()
    return Stroke(np.repeat(at, 2), y, shade, color_of(line.number))


def _dashes(one: Series, number: int, ends: Range, columns: int) -> Stroke:
    """The curve, two points a column, with the gaps of its pattern; gaps of the curve stay gaps."""
    pattern = PATTERNS[number % len(PATTERNS)]
    if not pattern[1]:
        inside = within(one, ends)
        return Stroke(inside.x, inside.y, "braille", color_of(number))
    at = np.linspace(ends[0], ends[1], columns * 2)
    y = between(at, *_sorted(one))
    y[~_is_drawn(np.arange(at.size) // 2, pattern)] = np.nan
    return Stroke(at, y, "braille", color_of(number))


def _letters(one: Series, line: RunLine, ends: Range, columns: int, first: int) -> Stroke:
    """The letter every few columns, at the last point that can be seen, and at points that no line leads to."""
    at = np.linspace(ends[0], ends[1], columns)[first::LETTER_COLUMNS]
    y = between(at, *_sorted(one))
    marks = within(one, ends, edges=False)
    known = np.isfinite(marks.y)
    alone = known & ~np.append(False, known[:-1]) & ~np.append(known[1:], False)
    alone[np.flatnonzero(known)[-1:]] = True
    xs, ys = np.append(at, marks.x[alone]), np.append(y, marks.y[alone])
    seen = np.isfinite(ys)
    return Stroke(xs[seen], ys[seen], line.letter, color_of(line.number), joined=False)


def _sorted(one: Series) -> tuple[Floats, Floats]:
    order = np.argsort(one.x, kind="stable")
    return one.x[order], one.y[order]


def _is_drawn(columns: NDArray[np.int64], pattern: Sequence[int]) -> NDArray[np.bool_]:
    """Which columns a pattern draws."""
    cycle = np.repeat(np.arange(len(pattern)) % 2 == 0, pattern)
    drawn: NDArray[np.bool_] = cycle[columns % cycle.size]
    return drawn
