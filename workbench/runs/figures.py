"""The figures of a run that comparisons and pages show, and how two of them differ."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from workbench.base.text import clean
from workbench.runs.units import Kind, show


@dataclass(frozen=True)
class Figure:
    """One figure of a run: the field of `Summary`, and how it is read."""

    key: str
    label: str
    kind: Kind
    better: Literal["high", "low", ""] = ""
    """Which of two values a person would rather have; empty where that is no question."""


FIGURES = (
    Figure("state", "state", "text"),
    Figure("epoch", "epochs done", "number"),
    Figure("test_top1", "test top-1, %", "accuracy", "high"),
    Figure("test_top5", "test top-5, %", "accuracy", "high"),
    Figure("val_top1", "val top-1, %", "accuracy", "high"),
    Figure("train_top1", "train top-1, %", "accuracy", "high"),
    Figure("best_top1", "best top-1, %", "accuracy", "high"),
    Figure("best_epoch", "best in epoch", "number"),
    Figure("test_loss", "test loss", "loss", "low"),
    Figure("val_loss", "val loss", "loss", "low"),
    Figure("train_loss", "train loss", "loss", "low"),
    Figure("parameters", "parameters", "count"),
    Figure("macs", "MACs an image", "count"),
    Figure("images_per_second", "images/s", "rate", "high"),
    Figure("seconds", "time", "seconds", "low"),
    Figure("peak_memory", "peak memory", "memory", "low"),
)


def in_words(value: Any, kind: Kind) -> str:
    """A value as a person reads it."""
    return clean(show(kind, value), 60)


def difference(value: Any, first: Any) -> float | None:
    """`value` less `first`; None where one of them is no finite number."""
    if not (is_number(value) and is_number(first)):
        return None
    return value - first if math.isfinite(value) and math.isfinite(first) else None


def difference_in_words(value: Any, first: Any, kind: Kind) -> str:
    """How `value` differs from `first`: in points, as it is (losses, epochs), else as a ratio; empty where alike."""
    apart = difference(value, first)
    if not apart or kind == "text":
        return ""
    if kind == "accuracy":
        return show("points", apart)
    if kind == "loss":
        return show("change", apart)
    if kind == "number":
        return f"{apart:+g}"
    return show("factor", value / first) if first and value / first >= 0 else ""


def is_number(value: Any) -> bool:
    """Whether it is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
