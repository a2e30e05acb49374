"""From the lines of metrics.jsonl to curves: which figures there are, over epochs, steps or time.

A curve is one figure of one run. A value that is not a number, or not finite, is a gap in it; a line that does not say
where it belongs is left out. Accuracies are fractions in a curve and percent in a chart.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.base.plot import Line

Axis = Literal["epoch", "step", "time"]

AXES: tuple[Axis, ...] = ("epoch", "step", "time")

_FIELDS = {"epoch": "epoch", "step": "step", "time": "seconds"}

_PLACES = ("kind", "epoch", "step", "seconds")
"""Members of a line that say where it belongs."""

FINE = ("lr", "images_per_second")
"""Figures that change within an epoch: taken from the step lines if there are any."""

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Curve:
    """One figure of a run: `x` and `y` of equal length. Time is in seconds."""

    metric: str
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()


@dataclass(frozen=True)
class Chart:
    """What a chart shows, whether as text or as SVG."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]


def curve(records: Sequence[dict[str, Any]], metric: str, axis: Axis = "epoch") -> Curve:
    """The curve of a metric: from the epoch lines where they have it, else from the step lines.

    The learning rate and the speed are taken from the step lines first. Without any value the curve is empty.
    """
    for kind in ("step", "epoch") if metric in FINE else ("epoch", "step"):
        points = [
            (x, number(record[metric]))
            for record in records
            if metric in record and record.get("kind") == kind and math.isfinite(x := number(record.get(_FIELDS[axis])))
        ]
        if points:
            xs, ys = zip(*points, strict=True)
            return Curve(metric, xs, ys)
    return Curve(metric)


def metrics_of(records: Iterable[dict[str, Any]]) -> list[str]:
    """Names of the figures in these lines, in the order of their first appearance."""
    names = dict.fromkeys(key for record in records for key in record)
    return [name for name in names if name not in _PLACES and name not in ("to_step", "to_epochs")]


def number(value: Any) -> float:
    """A value of a line as a number; NaN for what is none."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value, math.nan)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # JSON has whole numbers of any length
        return math.nan


def is_accuracy(metric: str) -> bool:
    return metric.endswith(("top1", "top5"))


def label(metric: str) -> str:
    """`test_top1` as a person says it: test top-1."""
    return metric.replace("top1", "top-1").replace("top5", "top-5").replace("_", " ")


def chart(title: str, y_label: str, curves: Sequence[tuple[str, Curve]], axis: Axis = "epoch") -> Chart:
    """A chart of named curves. Time is in seconds, minutes or hours, whichever the longest curve suits."""
    per_unit, x_label = _time_unit(curves) if axis == "time" else (1.0, axis)
    lines = []
    for name, one in curves:
        scale = 100.0 if is_accuracy(one.metric) else 1.0
        lines.append(Line(name, [x / per_unit for x in one.x], [scale * y for y in one.y]))
    return Chart(title, x_label, y_label, tuple(lines))


def _time_unit(curves: Sequence[tuple[str, Curve]]) -> tuple[float, str]:
    longest = max((x for _, one in curves for x in one.x), default=0.0)
    if longest > 3 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if longest > 300 else (1.0, "seconds")
