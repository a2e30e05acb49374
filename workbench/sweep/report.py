"""A sweep as a table for people and as JSON for programs: the plan before, the results after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

import architectures
from workbench.base.text import clean
from workbench.inspect.catalogue import short
from workbench.profile.sizes import TRAIN_IMAGES
from workbench.runs.units import clock
from workbench.sweep.estimate import Estimate, total
from workbench.sweep.past import Figures, figures
from workbench.sweep.worker import reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from workbench.sweep.folder import SweepFolder
    from workbench.sweep.plan import Job

STATES = {"queue": "waiting", "claimed": "running", "done": "finished", "failed": "failed", "": "new"}
"""Place of a job -> how it is called."""


@dataclass(frozen=True)
class Row:
    """One job and how it stands."""

    job: Job
    state: str
    """new, waiting, begun, running, finished, failed."""
    run: Path | None
    figures: Figures
    why: str = ""
    """Of a failed job."""


def rows(jobs: Sequence[Job], folder: SweepFolder | None, answered: dict[str, Path] | None = None) -> list[Row]:
    """Every job as it stands; `folder` is None where there is none yet, `answered` what earlier runs answer."""
    places = folder.places() if folder else {}
    return [_row(job, places.get(job.id, ""), folder, (answered or {}).get(job.id)) for job in jobs]


def _row(job: Job, place: str, folder: SweepFolder | None, answer: Path | None) -> Row:
    if answer is not None and place not in ("claimed", "done"):
        return Row(job, "finished", answer, figures(answer))
    run = folder.run_of(job.id) if folder else None
    state = "begun" if place == "queue" and run else "gone" if folder and not place else STATES[place]
    why = reason(folder, job.id, run) if folder and place == "failed" else ""
    return Row(job, state, run, figures(run) if run else Figures(), why)


def plan_table(listed: Sequence[Row], estimates: Sequence[Estimate], slots: int) -> RenderableType:
    """What is to be done and how long it may take; `estimates` go with the rows."""
    grid = _grid("job", "network", "recipe")
    for heading in ("seed", "epochs", "px", "params"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    grid.add_column("time", justify="right", no_wrap=True)
    grid.add_column("judged")
    for row, guess in zip(listed, estimates, strict=True):
        job = row.job
        finished = row.state == "finished"
        time = "-" if finished or guess.seconds is None else clock(guess.seconds)
        grid.add_row(
            Text(job.id),
            Text(clean(job.network)),
            Text(clean(job.recipe)),
            Text(str(job.seed)),
            Text(str(job.profile.train.epochs)),
            Text(str(job.profile.data.image_size)),
            Text(parameters(job)),
            Text(row.state),
            Text(time),
            Text("" if finished else guess.source, style="dim"),
        )
    notes = dict.fromkeys(note for row in listed for note in row.job.notes)
    return Group(grid, Text(""), Text("\n".join([*map(clean, notes), _sum(listed, estimates, slots)])))


def _sum(listed: Sequence[Row], estimates: Sequence[Estimate], slots: int) -> str:
    left = [guess.seconds for row, guess in zip(listed, estimates, strict=True) if row.state != "finished"]
    known = [seconds for seconds in left if seconds is not None]
    head = f"{len(listed)} job{'s' * (len(listed) != 1)}, {len(left)} left, {slots} at a time"
    if not left:
        return head
    if not known:
        return f"{head}: time not known"
    unknown = f", and {len(left) - len(known)} of which it is not known" if len(known) < len(left) else ""
    return f"{head}: about {clock(total(known, slots))}{unknown}"


def result_table(listed: Sequence[Row]) -> RenderableType:
    """What came of it."""
    grid = _grid("job", "network", "recipe")
    grid.add_column("seed", justify="right", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    for heading in ("test top-1", "best", "time"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("run")
    for row in listed:
        figure = row.figures
        grid.add_row(
            Text(row.job.id),
            Text(clean(row.job.network)),
            Text(clean(row.job.recipe)),
            Text(str(row.job.seed)),
            Text(row.state, style="" if row.state == "finished" else "bold"),
            Text(_percent(figure.test_top1)),
            Text(_percent(figure.best_top1)),
            Text("-" if figure.seconds is None else clock(figure.seconds)),
            Text(row.why or (row.run.name if row.run else "-")),
        )
    counts: dict[str, int] = {}
    for row in listed:
        counts[row.state] = counts.get(row.state, 0) + 1
    return Group(grid, Text(""), Text(", ".join(f"{count} {state}" for state, count in counts.items())))


def as_json(row: Row, guess: Estimate | None = None) -> dict[str, Any]:
    """One job as an object. Accuracies are fractions, times seconds."""
    job, figure = row.job, row.figures
    facts: dict[str, Any] = {
        "job": job.id,
        **job.facts,
        "state": row.state,
        "run": row.run.name if row.run else None,
        "test_top1": figure.test_top1,
        "best_top1": figure.best_top1,
        "seconds": figure.seconds,
    }
    if row.why:
        facts["error"] = row.why
    if guess is not None:
        facts["estimate"] = {"seconds": guess.seconds, "source": guess.source}
    return facts


def parameters(job: Job) -> str:
    """The card's count for ten classes at 224 px; `-` for a network or a number of classes that the card has not."""
    arch = job.profile.model.arch
    ten_classes = len(TRAIN_IMAGES.get(job.profile.data.dataset, ())) == 10
    return short(architectures.card(arch).params[10]) if ten_classes and arch in architectures.names() else "-"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _grid(*headings: str) -> Table:
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        grid.add_column(heading, no_wrap=True)
    return grid
