"""The thread's side of the Compare screen: the chosen runs read, their curves taken out, the chart drawn.

The screen hands over a `Wish` and gets a `Sight` back; nothing else passes between the two. One wish at a time: neither
a `Run` nor a `RunStore` may be used by two threads at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.runs.compare import differing, letter, word
from workbench.runs.curves import FINE, is_accuracy, number
from workbench.runs.evaluations import EvaluationReader, Evaluations
from workbench.runs.run import Run
from workbench.runs.store import RunStore
from workbench.runs.summary import Summary
from workbench.tui.compare_draw import RunLine, draw_runs
from workbench.tui.compared import NO_POINTS, Points, band, seed_groups
from workbench.tui.watching import whole_axis
from workbench.tui.widgets.chart_view import Axis, Floats, Picture, Range, Series, View, any_positive

FIRST = (
    "test_top1", "test_loss", "train_top1", "train_loss", "val_top1", "val_loss", "test_top5", "val_top5", "train_top5",
    "lr", "images_per_second",
)  # fmt: skip
"""Figures in the order in which a person is offered them; those that a run has besides come after."""
_PLACES = ("step", "epoch", "seconds", "kind", "crc")
EXACT_LINES = 2048
"""Step lines up to which each is a point of a curve; of more, about as many as the chart has columns."""


@dataclass(frozen=True)
class Wish:
    """What the screen would like to see."""

    runs: tuple[str, ...] = ()
    metric: str = ""
    """Empty for the first of `FIRST` that any of them has."""
    view: View = field(default_factory=View)
    """Without its cursor, which lies on what is there."""
    log: bool = False
    band: bool = False
    """Runs that differ by seed alone are one."""
    hidden: frozenset[str] = frozenset()
    width: int = 0
    height: int = 0
    """Room for the chart; 0 where it is not shown."""
    evaluations: bool = False
    """Whether they are looked for."""
    again: bool = False
    """Whether to answer even if nothing is new."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One run as it was seen."""

    id: str
    letter: str
    label: str
    """What best tells it from the others."""
    summary: Summary
    points: Points
    """Of the metric that was wished for."""
    end: float
    """Where its axis ends: what is planned, of a run that goes on."""
    damaged: int
    gone: bool
    """Its directory is no longer there; all else is as it was seen last."""
    evaluations: Evaluations


@dataclass(frozen=True, eq=False)
class Sight:
    """The runs as they were seen."""

    wish: Wish
    runs: tuple[Seen, ...]
    groups: tuple[tuple[int, ...], ...]
    """Numbers of the runs of each row: one run, or those that differ by seed alone."""
    metrics: tuple[str, ...]
    whole: Range
    """Ends of the x axis without zoom."""
    picture: Picture
    positive: bool
    """Whether a logarithmic axis has anything to show."""
    settings: dict[str, tuple[Any, ...]]
    """Keys of the profiles in which the runs differ."""
    profiles: tuple[Mapping[str, Any], ...]

    @property
    def alike(self) -> int:
        """How many keys are alike."""
        return len({key for one in self.profiles for key in one}) - len(self.settings)


class Comparer:
    """Looks at some runs of a folder. For one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._store = RunStore(root)
        self._runs: dict[str, Run] = {}
        self._summaries: dict[str, Summary] = {}
        """Of each run as it was when it was last different."""
        self._gone: set[str] = set()
        self._reader = EvaluationReader()
        self._evaluations: dict[str, Evaluations] = {}
        self._points: dict[str, tuple[Any, Points]] = {}
        """Of each run what was asked for and what was found, until the run is different."""
        self._drawn_for: Any = None
        self._picture = Picture()

    def look(self, wish: Wish) -> Sight | None:
        """What there is to see; None where nothing is new since the last look and nothing else was asked for."""
        news = wish.again or list(self._runs) != list(wish.runs)
        self._runs = {run_id: self._runs.get(run_id) or self._store.run(run_id) for run_id in wish.runs}
        self._gone &= self._runs.keys()
        for kept in (self._summaries, self._points, self._evaluations):
            for run_id in kept.keys() - self._runs.keys():
                del kept[run_id]
        for run_id in self._runs:
            news = self._refresh(run_id) or news
        if wish.evaluations:
            news = self._evaluate() or news
        return self._sight(wish) if news else None

    def _refresh(self, run_id: str) -> bool:
        """Whether a run is different. One that was deleted keeps what was read of it."""
        run, was_gone = self._runs[run_id], run_id in self._gone
        if run.path.is_dir():
            self._gone.discard(run_id)
            news = run.refresh() or was_gone
            if news or run_id not in self._summaries:
                self._summaries[run_id] = run.summary
                self._points.pop(run_id, None)
            return news
        self._gone.add(run_id)
        if run_id not in self._summaries:
            self._summaries[run_id] = run.summary
        return not was_gone

    def _evaluate(self) -> bool:
        known = {run_id: self._evaluations.get(run_id, Evaluations()) for run_id in self._runs}
        found = {run_id: self._reader.read(self._runs[run_id].path) for run_id in self._runs.keys() - self._gone}
        found = known | found
        before, self._evaluations = self._evaluations, found
        return found != before

    def _sight(self, wish: Wish) -> Sight:
        runs = list(self._runs.values())
        metrics = metrics_of(runs)
        wish = replace(wish, metric=wish.metric or next(iter(metrics), FIRST[0]))
        summaries = [self._summaries[run_id] for run_id in self._runs]
        profiles = tuple(summary.settings for summary in summaries)
        axis = wish.view.axis
        seen = tuple(
            Seen(
                id=run.id, letter=letter(place), label=word(summaries, place), summary=summaries[place],
                points=self._points_of(run_id, wish),
                end=whole_axis(run, axis)[0][1], damaged=run.damaged, gone=run_id in self._gone,
                evaluations=self._evaluations.get(run_id, Evaluations()),
            )
            for place, (run_id, run) in enumerate(self._runs.items())
        )  # fmt: skip
        groups = seed_groups(profiles) if wish.band else tuple((place,) for place in range(len(seen)))
        shown = [one for one in seen if one.id not in wish.hidden]
        whole = (0.0, max((one.end for one in shown), default=1.0))
        lines = lines_of(seen, groups, wish)
        settings, _ = differing(profiles) if profiles else ({}, 0)
        return Sight(
            wish=replace(wish, again=False), runs=seen, groups=groups, metrics=metrics, whole=whole,
            picture=self._draw(lines, wish, whole),
            positive=any_positive(Series(line.letter, line.x, line.y) for line in lines),
            settings=settings, profiles=profiles,
        )  # fmt: skip

    def _points_of(self, run_id: str, wish: Wish) -> Points:
        asked = (wish.metric, max(wish.width, 80), wish.view.window, wish.view.axis)
        known = self._points.get(run_id)
        if known is None or known[0] != asked:
            known = self._points[run_id] = asked, points_of(self._runs[run_id], *asked)
        return known[1]

    def _draw(self, lines: Sequence[RunLine], wish: Wish, whole: Range) -> Picture:
        """The chart, drawn again only if its curves or what is asked of it are others."""
        view = replace(wish.view, cursor=None)
        made_of = (
            view, wish.log, wish.width, wish.height, whole,
            [(line.letter, line.number, line.band is None, line.x.tobytes(), line.y.tobytes()) for line in lines],
        )  # fmt: skip
        if made_of != self._drawn_for:
            self._picture = draw_runs(
                lines, ends=view.shown(whole), axis=view.axis, smoothing=view.smoothing, log=wish.log,
                width=wish.width, height=wish.height, markers=view.markers,
            )  # fmt: skip
            self._drawn_for = made_of
        return self._picture


def lines_of(seen: Sequence[Seen], groups: Sequence[Sequence[int]], wish: Wish) -> list[RunLine]:
    """The curves to draw, a group as its band; accuracies in percent."""
    scale = 100.0 if is_accuracy(wish.metric) else 1.0
    lines = []
    for group in groups:
        members = [seen[place] for place in group if seen[place].id not in wish.hidden]
        curves = [(one.points.on(wish.view.axis), one.points.y * scale) for one in members]
        if len(group) > 1 and members:
            made = band(curves)
            lines.append(RunLine(seen[group[0]].letter, group[0], made.x, made.mean, made))
        elif members:
            lines.append(RunLine(members[0].letter, group[0], *curves[0]))
    return lines


def points_of(run: Run, metric: str, columns: int, window: Range | None = None, axis: Axis = "epoch") -> Points:
    """The curve of a metric: of the epoch lines, which are means; of the step lines where those do not have it.

    The learning rate and the speed change within an epoch: they are taken from the step lines first.
    """
    by_epoch = _of_epochs(run, metric)
    if metric not in FINE and not by_epoch.empty:
        return by_epoch
    by_step = _of_steps(run, metric, columns, window, axis)
    return by_step if np.isfinite(by_step.y).any() else by_epoch


def _of_epochs(run: Run, metric: str) -> Points:
    records = [record for record in run.history.epochs if metric in record]
    if not records:
        return NO_POINTS
    epoch, step, seconds, y = (_column(records, name) for name in ("epoch", "step", "seconds", metric))
    return Points(epoch, step, seconds, y)


def _column(records: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([number(record.get(name)) for record in records], dtype=float)


def _of_steps(run: Run, metric: str, columns: int, window: Range | None, axis: Axis) -> Points:
    """Of a short run each line, of a long one about two points a column: within a window, of the window's."""
    history = run.history
    if metric not in history.columns:
        return NO_POINTS
    every = (-np.inf, np.inf)
    whole = history.curve(metric, x="step", points=2 * columns)
    if whole.lines > EXACT_LINES:
        if window is None:
            curves = [history.curve(metric, x=x, points=2 * columns) for x in ("epoch", "step", "seconds")]
            return _together(curves[0].x, curves[1].x, curves[2].x, curves[0].y, thinned=True)
        return _of_window(run, metric, columns, window, axis)
    curves = [history.curve(metric, x=x, window=every) for x in ("epoch", "step", "seconds")]
    return _together(curves[0].x, curves[1].x, curves[2].x, curves[0].y)


def _of_window(run: Run, metric: str, columns: int, window: Range, axis: Axis) -> Points:
    """The lines of a part of the axis. Their places on the other axes are near, not exact."""
    history = run.history
    margin = (window[1] - window[0]) / max(columns, 1)
    part = history.curve(metric, x=axis, window=(window[0] - margin, window[1] + margin), points=2 * columns)
    rough = {x: history.curve(metric, x=x, points=2 * columns).x for x in ("epoch", "step", "seconds")}
    on = {x: part.x if x == axis else _translated(part.x, rough[axis], rough[x]) for x in rough}
    return _together(on["epoch"], on["step"], on["seconds"], part.y, thinned=True)


def _translated(places: Floats, known: Floats, wanted: Floats) -> Floats:
    """Places of one axis on another, where both are known at some points."""
    there = np.isfinite(known) & np.isfinite(wanted)
    if not there.any():
        return np.full(places.shape, np.nan)
    order = np.argsort(known[there], kind="stable")
    return np.interp(places, known[there][order], wanted[there][order])


def _together(epoch: Floats, step: Floats, seconds: Floats, y: Floats, *, thinned: bool = False) -> Points:
    """As points; the axes are given by the same lines, but lines that lack one are left out of it."""
    epoch, step, seconds = (x if x.size == y.size else np.full(y.size, np.nan) for x in (epoch, step, seconds))
    return Points(epoch, step, seconds, y, thinned)


def metrics_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """What a chart of these runs can show: what at least one has. Names as they are on the disk."""
    names = {name for run in runs for name in run.history.columns}
    names |= {name for run in runs for record in run.history.epochs[-1:] for name in record}
    names -= set(_PLACES)
    return (*(name for name in FIRST if name in names), *sorted(names - set(FIRST)))
