"""Two to eight runs side by side, as data: settings that differ, figures and their differences, curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.base.errors import UserError, did_you_mean
from workbench.base.text import clean
from workbench.runs.curves import FINE, Axis, Chart, Curve, chart, curve, is_accuracy, label, metrics_of
from workbench.runs.figures import FIGURES, Figure, difference
from workbench.runs.journal import finite
from workbench.runs.run import Run
from workbench.runs.summary import Summary

MOST = 8
"""More than this, and neither a table nor a chart can be read."""

DEFAULT_METRICS = ("test_top1", "test_loss")

UNSET = None
"""The value of a setting that a run does not have: another optimiser's, or a key of a newer version."""


@dataclass(frozen=True)
class FigureRow:
    """One figure of all runs. `differences` are to the first run's, None where one is no finite number."""

    figure: Figure
    values: tuple[Any, ...]
    differences: tuple[float | None, ...]

    @property
    def best(self) -> set[int]:
        """Numbers of the runs with the better value; none where it is no question or all are alike."""
        known = {i: value for i, value in enumerate(self.values) if difference(value, 0) is not None}
        if not self.figure.better or len(set(known.values())) < 2:
            return set()
        goal = (max if self.figure.better == "high" else min)(known.values())
        return {i for i, value in known.items() if value == goal}


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison shows. Runs stand in the order in which they were named."""

    runs: tuple[Summary, ...]
    damaged: tuple[int, ...]
    """Lines of each run's journals whose checksum does not fit."""
    settings: dict[str, tuple[Any, ...]]
    """Keys of the profiles that are not alike in all runs, and the values; `UNSET` where a run lacks the key."""
    alike: int
    """How many keys are alike."""
    figures: tuple[FigureRow, ...]
    curves: dict[str, tuple[Curve, ...]]
    """By metric, a curve of each run; empty where a run does not have it."""
    axis: Axis
    names: tuple[str, ...] = field(default=())
    """What each run is called in tables and charts: a letter and a word."""

    def charts(self) -> list[Chart]:
        """A chart a metric, with the runs that have it."""
        return [
            chart(
                label(metric),
                f"{label(metric)}, %" if is_accuracy(metric) else label(metric),
                [(name, one) for name, one in zip(self.names, curves, strict=True) if one.x],
                self.axis,
            )
            for metric, curves in self.curves.items()
        ]


def compare(runs: Sequence[Run], *, metrics: Sequence[str] = DEFAULT_METRICS, axis: Axis = "epoch") -> Comparison:
    """Compare runs. UserError for fewer than two, for more than `MOST`, for one named twice, for an unknown metric."""
    if not 2 <= len(runs) <= MOST:
        raise UserError(f"compare takes 2 to {MOST} runs (got {len(runs)})")
    twice = next((run.id for i, run in enumerate(runs) if run.path in [other.path for other in runs[:i]]), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice; compare it with another run")
    summaries = tuple(run.summary for run in runs)
    curves = {metric: tuple(_curve(run, metric, axis) for run in runs) for metric in dict.fromkeys(metrics)}
    _refuse_unknown(curves, runs)
    settings, alike = differing([summary.settings for summary in summaries])
    return Comparison(
        runs=summaries,
        damaged=tuple(run.damaged for run in runs),
        settings=settings,
        alike=alike,
        figures=tuple(_figure_rows(summaries)),
        curves=curves,
        axis=axis,
        names=tuple(f"{letter(i)} {word(summaries, i)}" for i in range(len(summaries))),
    )


def differing(settings: Sequence[Mapping[str, Any]]) -> tuple[dict[str, tuple[Any, ...]], int]:
    """The keys that are not alike in all, with their values, and how many are alike; in the order of the profiles."""
    keys = dict.fromkeys(key for one in settings for key in one)
    apart: dict[str, tuple[Any, ...]] = {}
    for key in keys:
        values = tuple(one.get(key, UNSET) for one in settings)
        # 1, 1.0 and True are equal to Python, and are not the same setting.
        if any((value, type(value)) != (values[0], type(values[0])) for value in values):
            apart[key] = values
    return apart, len(keys) - len(apart)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as one JSON object: accuracies are fractions, NaN and infinities are strings."""
    runs = [
        {"id": run.id, "name": run.name, "arch": run.arch, "dataset": run.dataset, "recipe": run.recipe,
         "seed": run.seed, "created": run.created, "tags": list(run.tags), "note": run.note, "damaged_lines": damaged}
        for run, damaged in zip(comparison.runs, comparison.damaged, strict=True)
    ]  # fmt: skip
    value: dict[str, Any] = finite(
        {
            "runs": runs,
            "settings": {key: list(values) for key, values in comparison.settings.items()},
            "settings_alike": comparison.alike,
            "figures": {
                row.figure.key: {"values": list(row.values), "differences": list(row.differences)}
                for row in comparison.figures
            },
            "axis": comparison.axis,
            "curves": {
                metric: [
                    {"run": run.id, "x": list(one.x), "y": list(one.y)}
                    for run, one in zip(comparison.runs, curves, strict=True)
                ]
                for metric, curves in comparison.curves.items()
            },
        }
    )
    return value


def letter(number: int) -> str:
    """What stands for a run where its id has no room: A, B, C."""
    return "ABCDEFGH"[number]


def word(summaries: Sequence[Summary], number: int) -> str:
    """What best tells a run from the others: its network, its name, its recipe, its seed; else the end of its id."""
    one = summaries[number]
    for texts in (
        [run.arch for run in summaries],
        [run.name for run in summaries],
        [f"{run.arch} {run.recipe}" for run in summaries],
        [f"{run.arch} seed {run.seed}" for run in summaries],
    ):
        if all(texts) and len(set(texts)) == len(texts):
            return clean(texts[number], 40)
    return clean(f"{one.arch or one.name} {one.id[-6:]}", 40)


def _figure_rows(summaries: Sequence[Summary]) -> list[FigureRow]:
    """The figures that at least one run has."""
    rows = []
    for figure in FIGURES:
        values = tuple(getattr(summary, figure.key) for summary in summaries)
        if any(value not in (None, "") for value in values):
            rows.append(FigureRow(figure, values, tuple(difference(value, values[0]) for value in values)))
    return rows


def _curve(run: Run, metric: str, axis: Axis) -> Curve:
    """The curve of a metric. The steps of a long run are read only where the epochs do not have it."""
    over_epochs = curve(run.metrics("epoch").records, metric, axis)
    return over_epochs if over_epochs.x and metric not in FINE else curve(run.metrics().records, metric, axis)


def _refuse_unknown(curves: dict[str, tuple[Curve, ...]], runs: Sequence[Run]) -> None:
    """UserError for a metric that no run has; the default ones may be missing from runs that have just begun."""
    for metric, found in curves.items():
        if metric in DEFAULT_METRICS or any(one.x for one in found):
            continue
        known = [clean(name, 40) for name in metrics_of(record for run in runs for record in run.metrics().records)]
        hint = did_you_mean(metric, known) or (f" (they have {', '.join(known[:12])})" if known else "")
        raise UserError(f'none of these runs has the metric "{clean(metric, 60)}"{hint}')
