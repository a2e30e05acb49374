"""From a run to the curves of its charts: which figures it has, and each as points in drawing order."""

import numpy as np

from workbench.base.text import clean
from workbench.runs.curves import is_accuracy, label, number
from workbench.runs.history import BUCKET, History
from workbench.runs.run import Run
from workbench.tui.widgets.chart_view import Axis, Floats, Range, Series

METRICS = {"loss": "loss", "top1": "accuracy, %", "top5": "top-5 accuracy, %", "lr": "learning rate",
           "images_per_second": "images/s", "gradient_norm": "gradient norm"}  # fmt: skip
"""Charts that every run may have, and their names; further figures of the step lines come after them."""
SPLIT = ("loss", "top1", "top5")
"""Figures of the training, validation and test images, each with its prefix."""
SYSTEM = {"gpu_use": ("GPU use, %", 100.0), "gpu_memory": ("GPU memory, GB", 1e-9),
          "gpu_temperature": ("GPU temperature, °C", 1.0), "gpu_power": ("GPU power, W", 1.0),
          "cpu": ("processor, cores", 1.0), "memory": ("memory, GB", 1e-9)}  # fmt: skip
"""Figures of system.jsonl: what their charts are called, and by what they are multiplied for people."""
_PLACES = ("step", "epoch", "seconds")

Kept = dict[tuple[str, str], tuple[int, Floats, Floats]]
"""Column and axis of a curve -> how many of its lines are in full buckets, and those lines: they change no more."""

WHOLE_LINES = 2048
"""Step lines up to which a chart is made from each of them; a longer run is thinned as `History` does."""


def metrics_of(run: Run) -> tuple[str, ...]:
    """What a chart of this run can show."""
    columns = [*run.history.columns, *(name for record in run.history.epochs[-1:] for name in record)]
    stems = {name.partition("_")[2] if name.startswith(("train_", "val_", "test_")) else name for name in columns}
    stems -= {*_PLACES, "kind", "crc"}
    own = (*(name for name in METRICS if name in stems or name in ("loss", "top1")), *sorted(stems - METRICS.keys()))
    return (*own, *(name for name in SYSTEM if name in run.system.columns and name not in stems))


def title_of(metric: str) -> str:
    """What a chart of it is called."""
    return METRICS.get(metric) or SYSTEM.get(metric, ("",))[0] or clean(label(metric), 40)


def series_of(run: Run, metric: str, axis: Axis, window: Range | None, points: int, kept: Kept) -> tuple[Series, ...]:
    """The curves of a metric, in the order in which they are drawn; accuracies in percent. `kept` is for the next."""
    scale = 100.0 if is_accuracy(metric) else 1.0
    found: list[Series] = []
    if metric in SYSTEM and metric not in run.history.columns:
        scale = SYSTEM[metric][1]
        found.append(_fine(run.system, metric, label(metric), axis, window, points, kept))
    elif metric not in SPLIT:
        found.append(_fine(run.history, metric, label(metric), axis, window, points, kept))
    else:
        train = _fine(run.history, f"train_{metric}", "train", axis, window, points, kept)
        found.append(train if train.x.size else _coarse(run, f"train_{metric}", "train", 0, axis))
        found += [_coarse(run, f"{split}_{metric}", split, style, axis) for split, style in (("test", 1), ("val", 2))]
    return tuple(
        Series(one.label, one.x, one.y * scale, one.style) for one in found if np.isfinite(one.y).any() or not one.style
    )


def _fine(
    history: History, column: str, name: str, axis: Axis, window: Range | None, points: int, kept: Kept
) -> Series:
    """From the step lines: of a short run all of them, and of a long one as many as columns can show."""
    if window is not None:
        margin = (window[1] - window[0]) / max(points, 1)
        curve = history.curve(column, x=axis, window=(window[0] - margin, window[1] + margin), points=points)
        return Series(name, curve.x, curve.y)
    curve = history.curve(column, x=axis, points=points)
    loose = curve.lines % BUCKET
    full = curve.lines - loose
    if not full or curve.lines > WHOLE_LINES:
        return Series(name, curve.x, curve.y)
    tail = slice(len(curve.x) - loose, None)
    if kept.get((column, axis), (0,))[0] != full:
        every = history.curve(column, x=axis, window=(-np.inf, np.inf), points=points)
        count = len(every.x) - int(np.isfinite(curve.x[tail]).sum())
        kept[column, axis] = full, every.x[:count], every.y[:count]
    _, x, y = kept[column, axis]
    return Series(name, np.concatenate([x, curve.x[tail]]), np.concatenate([y, curve.y[tail]]))


def _coarse(run: Run, column: str, name: str, style: int, axis: Axis) -> Series:
    """From the epoch lines."""
    places = [(number(record.get(axis)), number(record.get(column))) for record in run.history.epochs]
    pairs = np.array([pair for pair in places if np.isfinite(pair[0])], dtype=float).reshape(-1, 2)
    return Series(name, pairs[:, 0], pairs[:, 1], style)
