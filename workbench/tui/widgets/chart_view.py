"""What a chart shows, apart from any screen: axes that stay, smoothing, the cursor, zoom, and the drawing as lines.

All of it works on numbers that came from disk: NaN and infinities are gaps, and no size is too small to survive.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.base.plot import COLORS, FARTHEST, Scale, Stroke, canvas
from workbench.base.text import clean
from workbench.runs.units import clock
from workbench.tui.terminal import in_ascii

Floats = NDArray[np.float64]
Axis = Literal["epoch", "step", "seconds"]
Markers = Literal["braille", "block", "ascii"]
Range = tuple[float, float]

AXES: tuple[Axis, ...] = ("epoch", "step", "seconds")
AXIS_NAMES = {"epoch": "epoch", "step": "step", "seconds": "time"}
MARKERS: tuple[Markers, ...] = ("braille", "block", "ascii")
"""What curves are drawn with: 8 dots a cell, 4 squares, or a `*`, for terminals and fonts that lack the finer ones."""
SMOOTHINGS = (0.0, 0.6, 0.9, 0.99)

LABELS = 6
"""Columns of the labels of y, always: charts above each other line up, and a new label moves no curve."""
SMALLEST = (LABELS + 6, 4)
"""Columns and rows below which nothing can be drawn."""
RAW_COLOR = 245
"""What a smoothed curve lies on: grey dots, on dark and light ground."""
MOST_POINTS = 4
"""Points a column from which a line is thinned: nobody could tell them apart."""
CLOSEST = 1e-4
"""The part of the whole axis below which zooming ends."""

SIGNS = "━┅┉╍"
"""How the series are told apart in a title; the curves are a line, and dashes of these lengths."""
DASHES = ((), (3, 2), (1, 2), (6, 2))
"""Columns drawn and left out; with a mark at each point."""
MARKS = ("", "•", "+", "×")


@dataclass(frozen=True)
class Series:
    """One curve: `x` and `y` of equal length, in drawing order; a value that is not finite is a gap."""

    label: str
    x: Floats
    y: Floats
    style: int = 0
    """0: a line, smoothed if asked for. From 1 on: dashes with a mark at each point, for a point an epoch."""


@dataclass(frozen=True)
class View:
    """How a person looks at the charts of a run; all of them share it, so that their columns mean the same."""

    axis: Axis = "epoch"
    smoothing: float = 0.0
    window: Range | None = None
    """Part of the x axis that is shown; None for all of it, and then it grows with the run."""
    cursor: float | None = None
    """Place on the x axis whose values are read off."""
    markers: Markers = "braille"

    def shown(self, whole: Range) -> Range:
        """The ends of the x axis, where `whole` is all that there is."""
        return self.window or whole

    def next_axis(self) -> "View":
        """Another x axis; places on the one before mean nothing on it."""
        axis = AXES[(AXES.index(self.axis) + 1) % len(AXES)]
        return replace(self, axis=axis, window=None, cursor=None)

    def next_smoothing(self) -> "View":
        """0, .6, .9, .99, 0 ..."""
        after = [value for value in SMOOTHINGS if value > self.smoothing]
        return replace(self, smoothing=after[0] if after else 0.0)

    def next_markers(self) -> "View":
        """From fine to coarse and back."""
        return replace(self, markers=MARKERS[(MARKERS.index(self.markers) + 1) % len(MARKERS)])

    def moved(self, by: int, whole: Range, last: float, columns: int) -> "View":
        """The cursor `by` columns on, first at the newest point `last`; past an end the window goes along."""
        low, high = self.shown(whole)
        if self.cursor is None:
            return self.to(last, whole)
        return self.to(self.cursor + by * (high - low) / max(columns - 1, 1), whole)

    def to(self, place: float, whole: Range) -> "View":
        """The cursor at `place`, kept on the axis; a window that does not hold it is moved."""
        place = min(max(place, whole[0]), whole[1])
        window = self.window
        if window is not None:
            aside = min(0.0, place - window[0]) + max(0.0, place - window[1])
            window = (window[0] + aside, window[1] + aside)
        return replace(self, cursor=place, window=window)

    def zoomed(self, factor: float, whole: Range, last: float) -> "View":
        """`factor` times as much of the axis, round the cursor, else with the newest point `last` still in it."""
        low, high = self.shown(whole)
        centre = self.cursor if self.cursor is not None else min(max(last, low), high)
        size = max((high - low) * factor, (whole[1] - whole[0]) * CLOSEST)
        if size >= whole[1] - whole[0]:
            return replace(self, window=None)
        share = (centre - low) / (high - low)
        first = min(max(centre - share * size, whole[0]), whole[1] - size)
        return replace(self, window=(first, first + size))


@dataclass(frozen=True)
class Picture:
    """A drawn chart."""

    rows: tuple[str, ...] = ()
    """With colours as escape sequences; all of one width. Empty where there was no room, or nothing to draw."""
    ends: Range = (0.0, 1.0)
    """What the first and the last column of the plot stand for."""
    columns: int = 0
    """Columns of the plot, which begin after `LABELS` and the axis."""

    def column(self, place: float) -> int | None:
        """The column of the plot, from 0, in which a place on the x axis lies; None outside."""
        low, high = self.ends
        if not self.columns or not low <= place <= high:
            return None
        return round((place - low) / (high - low) * (self.columns - 1))


def draw(
    series: Sequence[Series], *, ends: Range, smoothing: float = 0.0, log: bool = False, axis: Axis = "epoch",
    width: int, height: int, markers: Markers = "braille",
) -> Picture:  # fmt: skip
    """The series between `ends` of the x axis. Smoothed ones lie on what they were made from."""
    if width < SMALLEST[0] or height < SMALLEST[1] or not ends[0] < ends[1]:
        return Picture()
    columns = width - LABELS - 1
    known = [on_scale(bounded(one), log) for one in series]
    values = np.concatenate([within(one, ends).y for one in known] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not values.size:
        return Picture()
    y = (log_scale if log else linear_scale)(float(values.min()), float(values.max()), max(2, (height - 2) // 2))
    x = x_scale(ends, axis, max(2, columns // 12))
    strokes = [stroke for one in known for stroke in strokes_of(one, ends, smoothing, columns)]
    rows = canvas([in_markers(stroke, markers) for stroke in strokes], width=width, height=height, x=x, y=y)
    return Picture(tuple(map(in_ascii, rows)) if markers == "ascii" else tuple(rows), ends, columns)


def in_markers(stroke: Stroke, markers: Markers) -> Stroke:
    """A stroke of braille dots or a mark, as `canvas` draws it in other markers."""
    kinds = {"block": {"braille": "hd"}, "ascii": {"braille": "*", "hd": "*"}}.get(markers, {})
    marker = kinds.get(stroke.marker, stroke.marker)
    return replace(stroke, marker=in_ascii(marker) if markers == "ascii" else marker)


def strokes_of(one: Series, ends: Range, smoothing: float, columns: int) -> list[Stroke]:
    """How a bounded series is drawn: a line, or a grey one under a smoothed one, or dashes and marks."""
    color = COLORS[one.style % len(COLORS)]
    if one.style:
        x, y = dashed(one, ends, columns, DASHES[one.style % len(DASHES)])
        marks = within(one, ends, edges=False)
        mark = MARKS[one.style % len(MARKS)]
        points = [Stroke(marks.x, marks.y, mark, color, joined=False)]
        return [Stroke(x, y, "braille", color), *(points if marks.x.size <= columns // 4 else [])]
    inside = within(one, ends)
    look = ("·", RAW_COLOR) if smoothing else ("braille", color)  # told apart without colours too
    few = thinned(inside, ends, columns)
    raw = Stroke(few.x, few.y, *look)
    if not smoothing:
        return [raw, *_alone(inside, color)]
    smooth = smoothed(inside, smoothing, ends, columns)
    return [raw, Stroke(smooth.x, smooth.y, "braille", color), *_alone(inside, color)]


def _alone(one: Series, color: int) -> list[Stroke]:
    """A line of one point could hardly be seen."""
    known = np.isfinite(one.y)
    if known.sum() != 1:
        return []
    return [Stroke(one.x[known], one.y[known], "•", color, joined=False)]


def smoothed(one: Series, weight: float, ends: Range, columns: int) -> Series:
    """Exponential mean over the columns of the chart, each with the mean of its points.

    Over columns rather than points: old steps are thinned and new ones are not, and it should mean the same for both.
    Begun without a bias towards its first value (Kingma and Ba, Adam, 2015, section 3). A gap stays one column wide.
    """
    known = np.isfinite(one.x) & np.isfinite(one.y)
    x, y = one.x[known], one.y[known]
    if not x.size:
        return replace(one, x=x, y=y)
    places = np.clip(((x - ends[0]) / (ends[1] - ends[0]) * columns).astype(int), 0, columns - 1)
    used, first = np.unique(places, return_inverse=True)
    counts = np.bincount(first)
    xs, means = np.bincount(first, x) / counts, np.bincount(first, y) / counts
    held, mass = 0.0, 0.0
    out = np.empty(len(used))
    for number, value in enumerate(means.tolist()):
        held = weight * held + (1 - weight) * value
        mass = weight * mass + (1 - weight)
        out[number] = held / mass
    return replace(one, x=xs, y=out)


def thinned(one: Series, ends: Range, columns: int) -> Series:
    """Of a series inside the ends with far more points than columns the lowest and the highest of each column.

    A million points would be a million lines to draw. A column without any number is a gap. A series that turns back is
    left as it is.
    """
    if one.x.size <= MOST_POINTS * columns or np.any(np.diff(one.x) < 0):
        return one
    places = np.clip(((one.x - ends[0]) / (ends[1] - ends[0]) * columns).astype(int), 0, columns - 1)
    first = np.concatenate([[0], np.flatnonzero(np.diff(places)) + 1])
    last = np.append(first[1:], one.x.size) - 1
    low, high = np.fmin.reduceat(one.y, first), np.fmax.reduceat(one.y, first)
    falls = one.y[first] > one.y[last]
    x = np.stack([one.x[first], one.x[last]], axis=1).ravel()
    y = np.stack([np.where(falls, high, low), np.where(falls, low, high)], axis=1).ravel()
    return replace(one, x=x, y=y)


def dashed(one: Series, ends: Range, columns: int, dash: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Points along a polyline, two a column, with gaps so that it looks dashed. Gaps of the series stay gaps."""
    if one.x.size < 2:
        return np.empty(0), np.empty(0)
    at = np.linspace(ends[0], ends[1], columns * 2)
    order = np.argsort(one.x, kind="stable")  # a point that is not a number makes both of its sides one
    y = np.interp(at, one.x[order], one.y[order], left=np.nan, right=np.nan)
    on, off = dash
    y[(np.arange(at.size) // 2) % (on + off) >= on] = np.nan
    return at, y


def bounded(one: Series) -> Series:
    """Without the points that lie nowhere; values that are no finite number are gaps."""
    x = np.where(np.abs(one.x) <= FARTHEST, one.x, np.nan)
    y = np.where(np.abs(one.y) <= FARTHEST, one.y, np.nan)
    there = np.isfinite(x)
    return replace(one, x=x[there], y=y[there])


def within(one: Series, ends: Range, *, edges: bool = True) -> Series:
    """Of a bounded series the points between the ends, and where lines to those outside cross the `edges`.

    A far point itself is never drawn to: each dot on the way would be made, were it millions.
    """
    x, y = one.x, one.y
    is_inside = (x >= ends[0]) & (x <= ends[1])
    xs, ys = x[is_inside], y[is_inside]
    inside = np.flatnonzero(is_inside)
    if edges and x.size:
        after_edge = int(inside[0]) if inside.size else int(np.searchsorted(x, ends[0]))
        if 0 < after_edge < x.size and x[after_edge - 1] < ends[0] <= x[after_edge]:
            xs, ys = np.append(ends[0], xs), np.append(_crossing(x, y, after_edge, ends[0]), ys)
        after_edge = int(inside[-1]) + 1 if inside.size else after_edge
        if 0 < after_edge < x.size and x[after_edge - 1] <= ends[1] < x[after_edge]:
            xs, ys = np.append(xs, ends[1]), np.append(ys, _crossing(x, y, after_edge, ends[1]))
    return replace(one, x=xs, y=ys)


def _crossing(x: Floats, y: Floats, after: int, place: float) -> float:
    """The value at `place` of the line that ends in the point `after`."""
    share = (place - x[after - 1]) / (x[after] - x[after - 1])
    return float(y[after - 1] * (1 - share) + y[after] * share)


def on_scale(one: Series, log: bool) -> Series:
    """With the values as they are drawn; on a logarithmic axis what is not positive is a gap."""
    if not log:
        return one
    positive = one.y > 0
    return replace(one, y=np.log10(np.where(positive, one.y, 1.0)) + np.where(positive, 0.0, np.nan))


def any_positive(series: Iterable[Series]) -> bool:
    """Whether a logarithmic axis has anything to show."""
    return any(bool(np.any(np.isfinite(one.y) & (one.y > 0))) for one in series)


def linear_scale(low: float, high: float, most: int) -> Scale:
    """From a round number to a round number, so that the axis rarely moves; about `most` of them labelled."""
    low, high = _apart(low, high)
    step = _step((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = [number * step for number in range(first, last + 1)]
    return Scale(places[0], places[-1], [(place, y_label(place if abs(place) > step / 2 else 0.0)) for place in places])


def log_scale(low: float, high: float, most: int) -> Scale:
    """The same for decimal logarithms: ends at 1, 2 or 5 times a power of ten."""
    steps = [decade + digit for decade in range(math.floor(low) - 1, math.ceil(high) + 2) for digit in _DIGITS]
    first = max(step for step in steps if step <= low + 1e-9)
    last = min(step for step in steps if step >= high - 1e-9 and step > first)
    inside = [step for step in steps if first <= step <= last]
    powers = [step for step in inside if abs(step - round(step)) < 1e-9]
    chosen = inside if len(inside) <= most else powers if len(powers) >= 2 else [inside[0], inside[-1]]
    chosen = chosen[:: -(-len(chosen) // max(most, 2))]
    return Scale(first, last, [(place, y_label(10.0**place)) for place in chosen])


_DIGITS = (0.0, math.log10(2), math.log10(5))


def x_scale(ends: Range, axis: Axis, most: int) -> Scale:
    """The ends as they are, with round places between them labelled."""
    low, high = ends
    step = _step((high - low) / most, times=axis == "seconds")
    if axis == "step":
        step = max(step, 1.0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = [min(max(number * step, low), high) for number in range(first, last + 1)]
    return Scale(low, high, [(place, x_label(place, axis)) for place in places])


def x_label(place: float, axis: Axis) -> str:
    """A place on the x axis in words."""
    if axis == "seconds":
        return clock(place) if abs(place) < 1e9 else f"{place:.3g}"
    return f"{place:,.0f}" if axis == "step" else f"{place:.6g}"


def y_label(value: float) -> str:
    """A value in `LABELS` columns."""
    for digits in (5, 4, 3, 2, 1):
        for form in (f"{value:.{digits}g}", f"{value:.{digits - 1}e}"):
            text = form.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
            if len(text) <= LABELS:
                return text.rjust(LABELS)
    return text[:LABELS]


def rising(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... that is not below: ends of an axis that grows in jumps."""
    if not 0 < value <= FARTHEST:
        return 1.0
    return next(step for step in _round_from(value) if step >= value * (1 - 1e-9))


def readings(series: Sequence[Series], place: float) -> list[tuple[str, float, float]]:
    """Of each series its label and the point that is nearest to `place`, as x and y; none of an empty one."""
    found = []
    for one in series:
        known = np.flatnonzero(np.isfinite(one.x))
        if known.size:
            nearest = known[np.argmin(np.abs(one.x[known] - place))]
            found.append((one.label, float(one.x[nearest]), float(one.y[nearest])))
    return found


def sign(one: Series) -> str:
    """How a series is drawn and what it is, for a title: `━ train`."""
    return f"{SIGNS[one.style % len(SIGNS)]} {clean(one.label, 20)}"


def _apart(low: float, high: float) -> Range:
    """The two, or two round them where they are alike or too near for floating point."""
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-6, 1e-290):
        return low, high
    room = max(size / 2, 1e-280) if size else 1.0
    return low - room, high + room


def _step(size: float, *, times: bool = False) -> float:
    """The round number that is not below `size`; of times, one that clocks have."""
    if times:
        for step in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400):
            if step >= size:
                return float(step)
    return next(step for step in _round_from(size) if step >= size * (1 - 1e-9))


def _round_from(value: float) -> list[float]:
    power = math.floor(math.log10(value))
    return [float(f"{digit}e{power + more}") for more in (0, 1) for digit in (1, 2, 5)]
