"""A run for other programs: its metrics as CSV, its charts as SVG, its history as TensorBoard event files.

What is made appears complete or not at all: it is written under a temporary name beside its place and renamed. Nothing
is written over without `force`, and with it only a file, or a folder that holds nothing but what such an export writes.
"""

import contextlib
import csv
import io
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.base.errors import UserError
from workbench.base.text import clean, csv_cell
from workbench.runs.curves import metrics_of
from workbench.runs.files import write_atomically
from workbench.runs.plots import as_svg, epoch_charts, lr_chart, name_of
from workbench.runs.run import Run

KINDS = ("csv", "svg", "tensorboard")

CHARTS = ("accuracy.svg", "loss.svg", "lr.svg")

MISSING_TENSORBOARD = 'TensorBoard event files need: pip install "cnn-workbench[tensorboard]"'

_EVENT_FILE = re.compile(r"events\.out\.tfevents\.\d+\..*")

_PLACES = ("kind", "epoch", "step", "seconds")
"""The first columns."""

Record = dict[str, Any]


def export(run: Run, kind: str, out: Path | None = None, *, force: bool = False) -> list[Path]:
    """Write a run as one of `KINDS`; returns the files. `out` is a file for csv, a folder for the others.

    By default `exports/metrics.csv`, `exports/charts/` or `exports/tensorboard/` in the run. UserError where there is
    nothing to write, where `out` is taken, where the disk refuses, and for tensorboard where that package is missing.
    """
    records = run.metrics().records
    if not records:
        raise UserError(f"{run.id} has no metrics yet; there is nothing to export")
    target = out or _own_place(run, kind)
    try:
        if kind == "csv":
            _refuse_taken(target, force=force, folder=False)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, to_csv(records).encode("utf-8", "replace"))
            return [target]
        if kind == "svg":
            return _folder(target, lambda folder: _write_charts(run, records, folder), CHARTS.__contains__, force)
        return _folder(target, lambda folder: write_events(run, records, folder), _is_event_file, force)
    except OSError as error:
        raise UserError(f"cannot export to {target}: {error.strerror or error}") from None


def _own_place(run: Run, kind: str) -> Path:
    """Where an export goes inside the run. UserError where that is a link that leads out of it."""
    folder = run.path / "exports"
    if folder.is_symlink():
        raise UserError(f"{folder} is a link and is not followed; choose another place with --out")
    return folder / {"csv": "metrics.csv", "svg": "charts", "tensorboard": "tensorboard"}[kind]


def to_csv(records: list[Record]) -> str:
    """Every line a row, every figure that any line has a column; cells are empty where a line lacks it.

    NaN and infinities are nan, inf and -inf. Text that a spreadsheet would take for a formula has an apostrophe first.
    """
    keys = [*_PLACES, *metrics_of(records)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(key) for key in keys])
    writer.writerows([csv_cell(record.get(key)) for key in keys] for record in records)
    return out.getvalue()


def write_events(run: Run, records: list[Record], folder: Path) -> None:
    """TensorBoard's event file of a run: a scalar a figure, the settings as hyperparameters, the profile as text.

    Scalars are tagged `epoch/<figure>` and `step/<figure>` after the kind of their line; their step is the optimiser's,
    their time the run's creation plus its seconds of training. Values are 32-bit floats, as TensorBoard has them.
    """
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(MISSING_TENSORBOARD) from None
    from workbench.runs import tensorboard

    started = _created(run)
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventFileWriter(str(folder), max_queue_size=1000)
    try:
        for event in tensorboard.opening(run, started):
            writer.add_event(event)
        for record in records:
            for event in tensorboard.scalars(record, started):
                writer.add_event(event)
        writer.add_event(tensorboard.ending(run, started))
    finally:
        writer.close()


def _created(run: Run) -> float:
    """When the run was created, in unix seconds; 0 where it does not say."""
    try:
        return datetime.fromisoformat(run.summary.created).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _write_charts(run: Run, records: list[Record], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = name_of(run)
    charts = epoch_charts(records, name)
    if (rate := lr_chart(records, name)) is not None:
        charts["lr"] = rate
    if not charts:
        raise UserError(f"{run.id} has no accuracy, loss or learning rate yet; there is nothing to draw")
    for kind, drawn in charts.items():
        (folder / f"{kind}.svg").write_bytes(as_svg(drawn).encode("utf-8", "replace"))


def _folder(target: Path, fill: Callable[[Path], None], ours: Callable[[str], bool], force: bool) -> list[Path]:
    """Let `fill` make a folder, and give it its name when it is whole; returns the files in it."""
    _refuse_taken(target, force=force, folder=True)
    if target.is_dir():
        strange = next((name for name in sorted(os.listdir(target)) if not ours(name)), None)
        if strange is not None:
            raise UserError(
                f'{target} also holds "{clean(strange, 60)}", which no export writes; give another folder with --out'
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(target) as folder:
        fill(folder)
        with _out_of_the_way(target):
            os.rename(folder, target)
    return sorted(target.iterdir())


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A name beside `target` for a folder that is not whole yet; gone afterwards."""
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _out_of_the_way(target: Path) -> Iterator[None]:
    """Move the folder that is there aside and remove it once the new one has its place; else put it back."""
    if not target.is_dir():
        yield
        return
    old = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    os.rename(target, old)
    try:
        yield
    except BaseException:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _refuse_taken(target: Path, *, force: bool, folder: bool) -> None:
    """UserError where something is there already that must not be replaced."""
    if not target.name:
        raise UserError(f"{target} is no name for what is exported; give another with --out")
    if not os.path.lexists(target):
        return
    if target.is_symlink() or target.is_dir() != folder:
        what = "a folder" if target.is_dir() else "a file"
        raise UserError(f"{target} is {what}{' or a link' if target.is_symlink() else ''}; give another with --out")
    if not force and not (folder and not os.listdir(target)):
        raise UserError(f"{target} is there already; --force replaces it, --out PATH writes elsewhere")


def _is_event_file(name: str) -> bool:
    return _EVENT_FILE.fullmatch(name) is not None
