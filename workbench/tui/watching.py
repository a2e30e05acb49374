"""The thread's side of the Train screen: what a run looks like at this moment, charts drawn, texts made.

The screen hands over a `Job` and gets a `Look` back; nothing else passes between the two. One job at a time: neither a
`Run` nor a `RunStore` may be used by two threads at once.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.runs.curves import number
from workbench.runs.lines import epoch_line, event_line
from workbench.runs.liveness import State
from workbench.runs.run import Run
from workbench.runs.store import RunStore
from workbench.runs.summary import LIVE, Summary
from workbench.tui.alerts import Alert, Seen, alerts
from workbench.tui.log_tail import LOG_LINES, LogTail
from workbench.tui.run_series import SYSTEM, Kept, metrics_of, series_of
from workbench.tui.usage import Meter, Usage
from workbench.tui.widgets.chart_view import Axis, Picture, Range, Series, View, any_positive, draw, rising

FRESH_SECONDS = 1.0
"""Between two looks for a run that has begun."""
COUNT_SECONDS = 5.0
"""The same where it would be counted, and not shown."""
USAGE_SECONDS = 1.0
"""Between two looks at what a process and its GPU take: a driver has nothing new sooner."""
NEWEST = 8
"""Training losses that the alerts look at."""


@dataclass(frozen=True)
class Wanted:
    """One chart: what it shows, in how much room."""

    metric: str
    log: bool
    width: int
    height: int


@dataclass(frozen=True)
class Job:
    """What the screen would like to see."""

    run: str = ""
    """Id of the run to go to; empty for the one before this look, or at first the one that is most likely meant."""
    by: tuple[int, ...] = ()
    """-1, 1: to the run before or after it, in the order in which they were begun; one after the other."""
    view: View = field(default_factory=View)
    charts: tuple[Wanted, ...] = ()
    refresh: bool = True
    """False while the display is paused: only what is already read is drawn."""
    again: bool = False
    """Whether to draw even if nothing is new."""


@dataclass(frozen=True)
class Drawn:
    """One chart of a look."""

    wanted: Wanted
    picture: Picture
    series: tuple[Series, ...]
    """As drawn: accuracies in percent."""


@dataclass(frozen=True)
class Look:
    """A run as it was seen."""

    path: Path
    run: str
    place: tuple[int, int]
    """The how manieth of how many runs, from 1."""
    state: State
    status: dict[str, Any]
    facts: dict[str, Any]
    settings: dict[str, Any]
    """The profile, nested."""
    view: View
    whole: Range
    """Ends of the x axis without zoom."""
    last: float
    """The newest place on it."""
    charts: tuple[Drawn, ...]
    metrics: tuple[str, ...]
    """What a chart can show."""
    events: tuple[str, ...]
    """New lines since the last look, all of them if `anew`."""
    log: tuple[str, ...]
    anew: bool
    """Another run than before, or its files were replaced."""
    alerts: tuple[Alert, ...]
    usage: Usage | None
    damaged: int
    lr: float
    """As it was in the newest line; NaN where none tells."""
    gone: str = ""
    """Id of the run that was watched or asked for, and is not there: this is another one."""

    @property
    def live(self) -> bool:
        return self.state.name in LIVE


class Nothing:
    """There is no run to look at."""


@dataclass
class _Watched:
    """The run under watch, and what has been seen of it."""

    run: Run
    log: LogTail
    events_shown: int = 0
    seq: Any = None
    moved: float = 0.0
    fresh: bool = True
    told: tuple[str, ...] = ()
    place: tuple[int, int] = (0, 0)
    usage: Usage | None = None
    usage_due: float = 0.0
    meter: Meter | None = None
    kept: Kept = field(default_factory=dict)
    rewinds: int = 0
    drawn_for: Any = None
    drawn: tuple["Drawn", ...] = ()


class Watch:
    """Looks at one run of a folder at a time. For one thread at a time."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = RunStore(root)
        self._clock = clock
        self._ids: list[str] = []
        self._watched: _Watched | None = None
        self._by_itself = True
        self._fresh_due = 0.0

    def look(self, job: Job) -> Look | Nothing | None:
        """What there is to see; None where nothing is new since the last look and nothing else was asked for."""
        gone = ""
        for _ in range(2):  # a second time where the run is gone by now
            chosen = self._choose(job)
            if not chosen:
                break
            gone = job.run if job.run and not job.by and chosen != job.run else gone
            if self._watched is None or self._watched.run.id != chosen:
                run = self._store.run(chosen)
                self._watched = _Watched(run, LogTail(run.path / "log.txt"), moved=self._clock())
            if self._watched.run.path.is_dir():
                found = self._look_at(self._watched, job)
                return replace(found, gone=gone) if found is not None and gone else found
            gone, self._watched, job = chosen, None, replace(job, run="", by=())
        self._watched = None
        return Nothing()

    def _choose(self, job: Job) -> str:
        self._by_itself = self._by_itself and not job.by and not job.run
        if self._watched is not None and not job.by and job.run in ("", self._watched.run.id):
            return self._fresh(job) or self._watched.run.id
        summaries = self._store.runs()
        self._ids = [summary.id for summary in summaries]
        here = job.run or (self._watched.run.id if self._watched else "")
        if here in self._ids and job.by:
            at = self._ids.index(here)
            for by in job.by:
                at = min(max(at + by, 0), len(self._ids) - 1)
            return self._ids[at]
        return here if here in self._ids else most_likely(summaries)

    def _fresh(self, job: Job) -> str:
        """A run that has begun since, where a person has chosen none and reads no values off the one shown."""
        now = self._clock()
        if self._watched is None or now < self._fresh_due:
            return ""
        may_go = self._by_itself and self._watched.run.state.name not in LIVE
        self._fresh_due = now + (FRESH_SECONDS if may_go else COUNT_SECONDS)
        changes = self._store.watch()
        self._ids = [run for run in self._ids if run not in changes.removed]
        self._ids += [summary.id for summary in changes.added]
        live = [summary.id for summary in changes.added if summary.live]
        reads = not job.refresh or job.view.cursor is not None or job.view.window is not None
        return live[-1] if live and may_go and not reads else ""

    def _look_at(self, watched: _Watched, job: Job) -> Look | None:
        run = watched.run
        anew = watched.fresh
        watched.fresh = False
        known = len(run.events)
        news = run.refresh() if job.refresh else False
        restarted = len(run.events) < known or watched.events_shown > len(run.events)
        if restarted:
            watched.kept = {}
        log = watched.log.look() if job.refresh else ()
        if job.refresh and (run.status.get("seq") != watched.seq or news):
            watched.seq, watched.moved = run.status.get("seq"), self._clock()
        measured = job.refresh and self._measure(watched)
        told = tuple(alerts(_seen(run, watched.moved, watched.usage), self._clock()))
        before, watched.told = watched.told, tuple(alert.text for alert in told)
        stood, watched.place = watched.place, self._place(run.id)
        other = watched.told != before or watched.place != stood
        if not (news or log or anew or restarted or job.again or measured or other):
            return None
        events = run.events if anew or restarted else run.events[watched.events_shown :]
        watched.events_shown = len(run.events)
        whole, last = whole_axis(run, job.view.axis)
        return Look(
            path=run.path, run=run.id, place=watched.place, state=run.state, status=run.status, facts=run.facts,
            settings=run.profile, view=job.view, whole=whole, last=last,
            charts=_charts(watched, job, whole), metrics=metrics_of(run),
            events=_told(run, events[-LOG_LINES:]), log=log, anew=anew or restarted,
            alerts=told, usage=watched.usage, damaged=run.damaged, lr=_newest(run, "lr"),
        )  # fmt: skip

    def _measure(self, watched: _Watched) -> bool:
        """Look now and then at what the process takes; whether that is different."""
        now = self._clock()
        if now < watched.usage_due:
            return False
        watched.usage_due = now + USAGE_SECONDS
        before = watched.usage
        watched.meter = watched.meter or Meter(watched.run)
        watched.usage = watched.meter.look() if watched.run.state.name in LIVE else None
        return watched.usage != before

    def _place(self, run: str) -> tuple[int, int]:
        return (self._ids.index(run) + 1 if run in self._ids else 0), len(self._ids)


def _told(run: Run, events: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Events as lines, those of epochs with the figures that the run has of them now."""
    figures = {_count(record.get("epoch")): record for record in run.history.epochs}
    return tuple(
        epoch_line(event, record)
        if event.get("event") == "epoch" and (record := figures.get(_count(event.get("epoch"))))
        else event_line(event)
        for event in events
    )


def most_likely(summaries: Sequence[Summary]) -> str:
    """The newest run that lives, else the newest; empty where there is none."""
    live = [summary for summary in summaries if summary.live and summary.state != "lost"]
    return (live or [*summaries])[-1].id if summaries else ""


def whole_axis(run: Run, axis: Axis) -> tuple[Range, float]:
    """Where the x axis begins and ends without zoom, and the newest place on it.

    Of a run that goes on the end jumps to the next round number when it is reached, at most to what is planned: so most
    lines of a chart stay as they are.
    """
    records = [*run.history.epochs[-1:], *([run.history.last_step] if run.history.last_step else [])]
    places = [place for record in records if np.isfinite(place := number(record.get(axis))) and place < 1e15]
    last = max(places, default=0.0)
    if run.state.name not in LIVE:
        return (0.0, last if last > 0 else 1.0), last
    planned = number(run.status.get({"epoch": "epochs", "step": "steps"}.get(axis, "")))
    end = rising(last) if last > 0 else 1.0
    return (0.0, planned if last < planned < end else end), last


def _charts(watched: _Watched, job: Job, whole: Range) -> tuple[Drawn, ...]:
    """The charts, drawn again only if their lines or what is asked of them are others."""
    run, view = watched.run, replace(job.view, cursor=None)
    last = run.history.last_step or {}
    sampled = any(wanted.metric in SYSTEM for wanted in job.charts)
    newest = (run.system.last_step or {}).get("time") if sampled else None
    made_of = (view, job.charts, whole, len(run.history.epochs), last.get("step"), len(run.events), newest)
    rewinds = run.history.rewinds + run.system.rewinds
    if rewinds != watched.rewinds:  # lines were taken back, so full buckets may be others
        watched.rewinds, watched.kept, watched.drawn_for = rewinds, {}, None
    if watched.drawn_for != made_of:
        watched.drawn_for = made_of
        watched.drawn = tuple(_drawn(run, wanted, view, whole, watched.kept) for wanted in job.charts)
    return watched.drawn


def _newest(run: Run, column: str) -> float:
    """A figure of the newest line that has it."""
    records = [run.history.last_step or {}, *run.history.epochs[-1:]]
    return next((number(record[column]) for record in records if column in record), float("nan"))


def _drawn(run: Run, wanted: Wanted, view: View, whole: Range, kept: Kept) -> Drawn:
    series = series_of(run, wanted.metric, view.axis, view.window, 2 * wanted.width, kept)
    picture = draw(
        series, ends=view.shown(whole), smoothing=view.smoothing, log=wanted.log and any_positive(series),
        axis=view.axis, width=wanted.width, height=wanted.height, markers=view.markers,
    )  # fmt: skip
    return Drawn(wanted, picture, series)


def _seen(run: Run, moved: float, usage: Usage | None) -> Seen:
    """What the alerts look at."""
    status = run.status
    steps, epochs = (_count(status.get(key)) for key in ("steps", "epochs"))
    epoch, step = _count(status.get("epoch")), _count(status.get("step"))
    data = run.facts.get("data")
    classes = data.get("classes") if isinstance(data, dict) else None
    last = run.history.epochs[-1] if run.history.epochs else {}
    newest = run.history.curve("train_loss", points=2).y[-NEWEST:].tolist()
    if isinstance(run.history.last_step, dict):
        newest[-1:] = [number(run.history.last_step.get("train_loss"))]
    seconds = number(last.get("seconds"))
    return Seen(
        state=run.state.name, detail=run.state.detail, epoch=epoch, step=step,
        steps_per_epoch=steps / epochs if epochs else 0.0,
        epoch_seconds=seconds / epoch if epoch and np.isfinite(seconds) else 0.0,
        moved=moved, losses=newest, classes=len(classes) if isinstance(classes, list) else 0,
        free=_free(run.path), checkpoint=_largest_checkpoint(run.path), events=run.events,
        gpu=usage.gpu if usage else None,
    )  # fmt: skip


def _count(value: Any) -> int:
    found = number(value)
    return int(found) if np.isfinite(found) and 0 <= found < 1e15 else 0


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _largest_checkpoint(path: Path) -> int:
    try:
        with os.scandir(path / "checkpoints") as entries:
            return max((entry.stat().st_size for entry in entries if entry.name.endswith(".pt")), default=0)
    except OSError:
        return 0
