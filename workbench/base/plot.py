"""Line charts as lines of text. The only module that knows plotext, which is imported when the first chart is drawn.

plotext costs about 16 µs a point and keeps one figure for the whole process: so each line is thinned to what the
chart's columns can show before it sees it, and a lock and two clearings keep one chart out of another.
"""

import functools
import itertools
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.base.text import clean

if TYPE_CHECKING:
    from workbench.base.raster import Floats

Point = tuple[float, float]

SMALLEST = (24, 8)
"""Columns and rows below which a chart has no room beside its axes; a smaller request is widened to this."""

FARTHEST = 1e300
"""Values beyond it count as not finite: the difference of two must be a number."""

COLORS = (39, 208, 170, 35, 196, 142, 103)
"""Of the first line, the second, ..., then from the start: of the 256, readable on a dark and on a light ground."""

MARKERS = "•×+o*#%"
"""What tells the lines apart where there is no colour."""

_figure = threading.Lock()


@dataclass(frozen=True)
class _Pen:
    marker: str
    color: int | None

    @property
    def sample(self) -> str:
        """What the legend shows of it."""
        return self.marker if self.color is None else f"\x1b[38;5;{self.color}m──\x1b[0m"


@dataclass(frozen=True)
class Line:
    """One line of a chart: `x` and `y` of equal length, in drawing order. A value that is not finite is a gap."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


def line_chart(
    series: Sequence[Line],
    *,
    width: int,
    height: int,
    title: str,
    x_label: str,
    y_label: str,
    color: bool,
    y_low: float | None = None,
) -> str:
    """`height` lines of at most `width` columns (at least `SMALLEST`), without a newline at the end.

    With several lines a legend tells them apart. `y_low` is where the y axis begins if the data do not go lower.
    Without `color` there is no escape sequence in it; texts are made safe for a terminal either way.
    """
    width, height = max(width, SMALLEST[0]), max(height, SMALLEST[1])
    pens = [_pen(number, color, alone=len(series) == 1) for number in range(len(series))]
    legend = _legend(series, pens, width, most=height - SMALLEST[1]) if len(series) > 1 else []
    strokes = [(pen, stretch) for pen, line in zip(pens, series, strict=True) for stretch in _stretches(line)]
    points = [point for _, stretch in strokes for point in stretch]
    if not points:
        return _nothing(title, width, height)
    x_range = _padded([x for x, _ in points])
    y_range = _padded([y for _, y in points] + ([y_low] if y_low is not None else []))
    with _figure:
        import plotext

        plotext.clear_figure()
        try:
            plotext.theme("clear")
            plotext.limit_size(False, False)  # a chart for a file may be larger than the terminal
            plotext.plot_size(width, height - len(legend))
            plotext.title(clean(title, width * 3 // 4))  # one wider than the frame would be left out
            plotext.xlabel(clean(x_label, width // 2))
            plotext.ylabel(clean(y_label, width // 5))
            _axis(plotext.xlim, plotext.xticks, x_range, most=max(2, width // 12))
            _axis(plotext.ylim, plotext.yticks, y_range, most=max(2, height // 3))
            for pen, stretch in strokes:
                xs, ys = zip(*decimate(stretch, x_range, width), strict=True)
                plotext.plot(list(xs), list(ys), marker=pen.marker, color=pen.color)
            drawn: str = plotext.build()
            if not color:
                drawn = plotext.uncolorize(drawn)
        finally:
            plotext.clear_figure()
    return "\n".join([*(line.rstrip() for line in drawn.splitlines()), *legend])


@dataclass(frozen=True)
class Scale:
    """An axis that the caller chose: its ends, and where it is labelled."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Stroke:
    """What `canvas` draws: a curve, or only its points, with a marker that plotext knows, in a colour of the 256."""

    x: "Sequence[float] | Floats"
    y: "Sequence[float] | Floats"
    marker: str
    color: int
    joined: bool = True


def canvas(strokes: Sequence[Stroke], *, width: int, height: int, x: Scale, y: Scale) -> list[str]:
    """A chart on axes that stay where they are while its curves grow: `height` lines with colours, none trimmed.

    Its plot is `height` - 2 rows by `width` - 1 columns less the longest label of `y`: one line at least of each is
    left. Later strokes lie on earlier ones; what is outside the axes is not drawn. plotext draws the axes, once for as
    long as they stay as they are; the curves are laid into them.
    """
    from workbench.base.raster import Sheet  # numpy takes a while

    lines, left = _frame(width, height, _fixed(x), _fixed(y))
    sheet = Sheet(max(1, width - left), max(1, height - 2))
    for stroke in strokes:
        sheet.draw(_part(stroke.x, x), _part(stroke.y, y), stroke.marker, stroke.color, joined=stroke.joined)
    drawn = [line[:left] + row for line, row in zip(lines, sheet.lines(), strict=False)]
    return [*drawn, *lines[len(drawn) :]]


_Fixed = tuple[float, float, tuple[tuple[float, str], ...]]


def _fixed(scale: Scale) -> _Fixed:
    return scale.low, scale.high, tuple((place, label) for place, label in scale.ticks)


@functools.lru_cache(maxsize=32)
def _frame(width: int, height: int, x: _Fixed, y: _Fixed) -> tuple[tuple[str, ...], int]:
    """Axes without curves, and the columns before the plot."""
    with _figure:
        import plotext

        plotext.clear_figure()
        try:
            plotext.theme("clear")
            plotext.limit_size(False, False)
            plotext.plot_size(width, height)
            plotext.xaxes(True, False)
            plotext.yaxes(True, False)
            for set_limits, set_ticks, (low, high, marks) in (
                (plotext.xlim, plotext.xticks, x), (plotext.ylim, plotext.yticks, y)
            ):  # fmt: skip
                scale = Scale(low, high)
                set_limits(0.0, 1.0)
                set_ticks([float(_part([place], scale)[0]) for place, _ in marks], [label for _, label in marks])
            plotext.scatter([0.0], [0.0], marker=" ")  # without any point there would be no axes
            drawn: str = plotext.uncolorize(plotext.build())
        finally:
            plotext.clear_figure()
    return tuple(drawn.splitlines()), max((len(label) for _, _, marks in (y,) for _, label in marks), default=0) + 1


def _part(values: "Sequence[float] | Floats", scale: Scale) -> "Floats":
    """Where values lie on an axis: 0 at its low end, 1 at the high one; one that is no finite number is a gap.

    Never farther off than the axis is long: each dot on the way to a place is drawn, also where nobody sees it.
    """
    import numpy as np

    places = np.asarray(values, dtype=np.float64)
    length = scale.high / 2 - scale.low / 2
    if not length > 0:
        return np.where(np.isfinite(places), 0.5, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        parts = np.clip((places / 2 - scale.low / 2) / length, -1.0, 2.0)
    return np.where(np.abs(places) <= FARTHEST, parts, np.nan)


def decimate(points: Sequence[Point], x_range: tuple[float, float], columns: int) -> list[Point]:
    """The points that `columns` columns over `x_range` can show: in each the lowest and the highest, and both ends.

    In drawing order, and never more than two a column beside the ends as long as x does not turn back.
    """
    first, last = x_range
    scale = columns / (last - first)
    kept: list[Point] = [points[0]]
    for _, column in itertools.groupby(points, key=lambda point: int((point[0] - first) * scale)):
        inside = list(column)
        low = min(range(len(inside)), key=lambda i: inside[i][1])
        high = max(range(len(inside)), key=lambda i: inside[i][1])
        kept += [inside[i] for i in sorted({low, high})]
    kept.append(points[-1])
    return [point for point, before in zip(kept, [None, *kept], strict=False) if point != before]


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers within [low, high], 1, 2 or 5 times a power of ten apart: at least one, at most `most` (from 2)."""
    power = math.floor(math.log10((high - low) / most))
    for step in (digit * 10.0**exponent for exponent in itertools.count(power) for digit in (1, 2, 5)):
        # Rounding must not lose a tick that lies on an end.
        first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
        if last - first < most:
            return [min(max(number * step, low), high) for number in range(first, last + 1)]
    raise AssertionError  # the steps have no end


def _axis(
    set_limits: Callable[..., None], set_ticks: Callable[..., None], ends: tuple[float, float], most: int
) -> None:
    """Limits and ticks of an axis. All of them, each time: plotext keeps what a chart before has set."""
    places = ticks(*ends, most)
    set_limits(*ends)
    set_ticks(places, [f"{place:.8g}".replace("e-0", "e-").replace("e+0", "e+") for place in places])


def _stretches(line: Line) -> Iterator[list[Point]]:
    """The stretches of a line between points that are not numbers."""
    points = zip(line.x, line.y, strict=True)
    for drawable, group in itertools.groupby(points, key=lambda p: abs(p[0]) <= FARTHEST and abs(p[1]) <= FARTHEST):
        if drawable:
            yield list(group)


def _padded(values: Iterable[float]) -> tuple[float, float]:
    """Lowest and highest of the values, apart even where all are alike (or too near for floating point)."""
    found = list(values)
    low, high = min(found), max(found)
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-6, 1e-290):
        return low, high
    room = size / 2 or 1.0
    return low - max(room, 1e-280), high + max(room, 1e-280)


def _pen(number: int, color: bool, *, alone: bool) -> _Pen:
    if color:
        return _Pen("braille", COLORS[number % len(COLORS)])
    return _Pen("braille" if alone else MARKERS[number % len(MARKERS)], None)


def _legend(series: Sequence[Line], pens: Sequence[_Pen], width: int, most: int) -> list[str]:
    """Samples and labels on lines of their own, `most` of them: plotext's legend would lie on the curves' beginning."""
    rows: list[str] = []
    room = 0
    for line, pen in zip(series, pens, strict=True):
        label = clean(line.label, width - 4)
        size = len(label) + 3  # the sample, at most two wide, and a space
        if room < size + 3 and len(rows) == most:
            break
        if room < size + 3:
            rows.append("")
            room = width
        rows[-1] += f"{'   ' if rows[-1] else ''}{pen.sample} {label}"
        room -= size + 3
    return rows


def _nothing(title: str, width: int, height: int) -> str:
    lines = [""] * height
    lines[0] = clean(title, width).center(width).rstrip()
    lines[height // 2] = "nothing to draw yet".center(width).rstrip()
    return "\n".join(lines)
