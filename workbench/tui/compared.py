"""Runs side by side, the arithmetic: values at one place of the axis, the best, differences, seeds as one band.

No file and no widget in here. All numbers came from disk: NaN and infinities are values that no mean counts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.runs.curves import is_accuracy
from workbench.runs.figures import difference, in_words
from workbench.runs.leaderboard import deviation, mean
from workbench.runs.units import MISSING, Kind, show
from workbench.tui.widgets.chart_view import Axis, Floats, Range

Better = Literal["high", "low", ""]

SEED_KEYS = ("seed", "name")
"""Keys of a profile in which runs may differ that are repeated over seeds; the name often tells the seed."""

PLAIN: Kind = "change"
"""Stands for figures that are neither accuracy nor loss nor speed; see `value_words`."""

ROUNDING = 1e-9
"""Part of a place by which two are still the same."""


@dataclass(frozen=True, eq=False)
class Points:
    """One figure of one run: arrays of equal length in the order of the training. Accuracies are fractions."""

    epoch: Floats
    step: Floats
    seconds: Floats
    y: Floats
    thinned: bool = False
    """Of many steps only the lowest and the highest of each few are in it: a value read off it is near, not exact."""

    def on(self, axis: Axis) -> Floats:
        """The places on an axis."""
        return {"epoch": self.epoch, "step": self.step, "seconds": self.seconds}[axis]

    @property
    def empty(self) -> bool:
        return not self.y.size


NO_POINTS = Points(np.empty(0), np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Reading:
    """What a run had reached at a place of the axis."""

    value: float
    """NaN where it was no number."""
    epoch: float
    seconds: float
    reached: bool
    """False: the run has not got to the place, and this is its last value."""


def read_at(points: Points, axis: Axis, place: float) -> Reading | None:
    """The last value at or before the place; None where the run had none yet."""
    x = points.on(axis)
    if not math.isfinite(place):
        return None
    room = ROUNDING * max(1.0, abs(place))
    before = np.flatnonzero(x <= place + room)  # a place that is no number is before nothing
    if not before.size:
        return None
    at = int(before[-1])
    reached = bool(np.any(x >= place - room))
    return Reading(float(points.y[at]), float(points.epoch[at]), float(points.seconds[at]), reached)


def last_place(points: Points, axis: Axis) -> float | None:
    """The farthest place that the run has got to; None where it has no point."""
    x = points.on(axis)
    known = x[np.isfinite(x)]
    return float(known.max()) if known.size else None


def common_place(all_points: Sequence[Points], axis: Axis) -> float | None:
    """The farthest place that all runs with any point have got to: where comparing is fair. None where none has one."""
    lasts = [last for points in all_points if (last := last_place(points, axis)) is not None]
    return min(lasts, default=None)


def best_of(points: Points, better: Better) -> tuple[float, float] | None:
    """The best value and its epoch, the first of equal ones; None where there is none, or best is no question."""
    known = np.flatnonzero(np.isfinite(points.y))
    if not better or not known.size:
        return None
    values = points.y[known]
    at = known[int(np.argmax(values) if better == "high" else np.argmin(values))]
    return float(points.y[at]), float(points.epoch[at])


def better_of(metric: str) -> Better:
    """Which of two values of a metric a person would rather have."""
    if is_accuracy(metric) or metric == "images_per_second":
        return "high"
    return "low" if metric.endswith("loss") else ""


def kind_of(metric: str) -> Kind:
    """How values of a metric are read."""
    if is_accuracy(metric):
        return "accuracy"
    if metric == "images_per_second":
        return "rate"
    return "loss" if metric.endswith("loss") else PLAIN


def value_words(value: float | None, kind: Kind) -> str:
    """A value as a person reads it; `MISSING` for none."""
    if value is None:
        return MISSING
    return f"{value:.4g}" if kind == PLAIN else in_words(value, kind)


def change_words(value: float | None, base: float | None, kind: Kind) -> str:
    """How a value differs from the baseline's: points, as it is, or a factor; `=` for alike, else empty."""
    apart = difference(value, base)
    if value is None or base is None or apart is None or not math.isfinite(apart):
        return ""
    if not apart:
        return "="
    if kind == "accuracy":
        return show("points", apart)
    if kind == PLAIN:
        return f"{apart:+.3g}"
    if kind in ("loss", "number"):
        return show("change", apart) if kind == "loss" else f"{apart:+g}"
    ratio = value / base if base else math.inf
    return show("factor", ratio) if 0 <= ratio < math.inf else ""


def spread(values: Sequence[float | None]) -> tuple[int, float | None, float | None]:
    """How many values are finite numbers, their mean, and their sample deviation (of two or more)."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    try:
        return len(known), mean(known), deviation(known)
    except OverflowError:  # the sum of numbers near the largest one
        return len(known), None, None


def spread_words(values: Sequence[float | None], kind: Kind) -> str:
    """`91.25 ±0.40`; of one value, that value."""
    count, middle, apart = spread(values)
    if not count:
        bad = [value for value in values if value is not None]
        return value_words(bad[0], kind) if bad else MISSING
    words = value_words(middle, kind)
    return f"{words} ±{value_words(apart, kind)}" if apart is not None else words


def seed_groups(settings: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, ...], ...]:
    """Numbers of the runs that differ by seed alone, together; each run in one group, in the order of the runs.

    A run whose profile is not known is like no other.
    """
    groups: list[tuple[Mapping[str, Any], list[int]]] = []
    for number, one in enumerate(settings):
        rest = {key: value for key, value in one.items() if key not in SEED_KEYS}
        for other, members in groups:
            if rest and _alike(rest, other):
                members.append(number)
                break
        else:
            groups.append((rest, [number]))
    return tuple(tuple(members) for _, members in groups)


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal, and of the same kinds: 1, 1.0 and True are equal to Python, and are not the same setting."""
    return one.keys() == other.keys() and all(
        value == other[key] and type(value) is type(other[key]) for key, value in one.items()
    )


@dataclass(frozen=True, eq=False)
class Band:
    """Several curves as one: at each place the mean, the lowest and the highest of those that have got there."""

    x: Floats
    low: Floats
    mean: Floats
    high: Floats
    count: Floats
    """How many curves have a value there; where none has, the others are NaN."""


def band(curves: Sequence[tuple[Floats, Floats]]) -> Band:
    """The band of curves (x, y), each taken as straight between its points and nowhere beyond its ends."""
    cleaned = [_in_order(x, y) for x, y in curves]
    places = np.unique(np.concatenate([x for x, _ in cleaned] or [np.empty(0)]))
    values = np.array([between(places, x, y) for x, y in cleaned]).reshape(len(cleaned), places.size)
    known = np.isfinite(values)
    count = known.sum(axis=0).astype(float)
    some = count > 0
    with np.errstate(over="ignore", invalid="ignore"):
        middle = np.where(known, values / np.maximum(count, 1.0), 0.0).sum(axis=0)  # divided first: no overflow
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    return Band(
        places, np.where(some, low, np.nan), np.where(some, np.clip(middle, low, high), np.nan),
        np.where(some, high, np.nan), count,
    )  # fmt: skip


def between(places: Floats, x: Floats, y: Floats) -> Floats:
    """A polyline's values at places; NaN beyond its ends and beside points that are no number. x does not fall."""
    if not x.size:
        return np.full(places.shape, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.interp(places, x, y, left=np.nan, right=np.nan)  # a point beside a gap is still a point


def _in_order(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Points that lie somewhere, by their places; of several at one place the last. Infinite values are gaps."""
    there = np.isfinite(x)
    x, y = x[there], np.where(np.isfinite(y[there]), y[there], np.nan)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    last = np.append(x[1:] != x[:-1], True)[: x.size]
    return x[last], y[last]


def moved(place: float, by: int, axis: Axis, ends: Range, columns: int) -> float:
    """A place `by` columns of the chart on, in whole epochs or steps, at least one; not below 0."""
    column = max(ends[1] - ends[0], 0.0) / max(columns - 1, 1)
    if axis == "seconds":
        return max(place + by * column, 0.0)
    whole = max(1.0, round(column)) * by
    return max(float(round(place)) + whole if abs(place - round(place)) < 1e-6 else _next(place, whole), 0.0)


def _next(place: float, by: float) -> float:
    """From between two whole numbers, to the one ahead and on."""
    return math.floor(place) + by if by > 0 else math.ceil(place) + by
