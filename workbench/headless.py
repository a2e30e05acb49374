"""A run without the screen: progress on stderr, the result on stdout when `--json` asks for it.

On a terminal rich draws two bars, elsewhere plain lines are timed. Nothing here may stop a run: a terminal that goes
away costs the progress display and no more.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from workbench.base import exits, ranks
from workbench.base.text import clean
from workbench.profile import Layer, Resolved
from workbench.runs.journal import finite
from workbench.runs.units import clock

if TYPE_CHECKING:
    from workbench.training.observer import Observer, Snapshot
    from workbench.training.session import Outcome

LINE_SECONDS = 10.0
"""Where there is no terminal, a line about the steps at most this often."""
REDRAW_SECONDS = 0.1


def train(resolved: Resolved, root: Path, *, as_json: bool, parent: str | None = None) -> int:
    """`cnn-workbench --headless --profile ...`; returns the exit code. `parent`: the run that the profile is from."""

    def run(observer: "Observer", stop: Any) -> "Outcome":
        from workbench.training.session import start_run  # torch takes seconds, and mistakes are told before

        return start_run(resolved, root, observer, stop, parent=parent)

    return _attend(run, as_json=as_json)


def resume(reference: str, root: Path, options: Layer, *, as_json: bool) -> int:
    """`cnn-workbench --headless --resume RUN`; returns the exit code."""

    def run(observer: "Observer", stop: Any) -> "Outcome":
        from workbench.training.session import resume_run

        return resume_run(reference, root, observer, stop, options=options)

    return _attend(run, as_json=as_json)


def fork(reference: str, root: Path, options: Layer, *, weights: str, as_json: bool) -> int:
    """`cnn-workbench --headless --fork RUN`; returns the exit code."""

    def run(observer: "Observer", stop: Any) -> "Outcome":
        from workbench.training.session import fork_run

        return fork_run(reference, root, observer, stop, options=options, weights=weights)

    return _attend(run, as_json=as_json)


def _attend(run: Callable[["Observer", Any], "Outcome"], *, as_json: bool) -> int:
    from workbench.training.signals import EndedBeforeStart, hear_no_more, listening

    console = _PatientConsole(stderr=True, soft_wrap=True, highlight=False)
    display = Bars(console) if console.is_terminal else Lines(console)
    try:
        with listening() as stop:
            outcome = run(display, stop)
            display.close()
    except EndedBeforeStart as ended:
        display.close()
        display.note(f"{ended}: ended before there was a run")
        return ended.exit_code
    except BaseException:
        display.close()
        raise
    draw_plots(outcome.run, display.note)
    display.note(_ending(outcome))
    _notify(outcome, console, display.note)
    if as_json:
        print(json.dumps(finite(outcome.as_json())), flush=True)
    hear_no_more()
    return {"finished": 0, "stopped": exits.INTERRUPTED, "preempted": exits.PREEMPTED}.get(outcome.state, 1)


def draw_plots(run: Path, note: Callable[[str], None]) -> None:
    """Leave plots/ in the run directory. What goes wrong with a picture is said and harms no run."""
    from workbench.runs.plots import write_plots

    if not ranks.leads():
        return
    try:
        write_plots(run)
    except Exception as error:  # noqa: BLE001  # the run is over and saved; its exit code must tell of the run alone
        note(f"could not draw the plots: {error}")


def _notify(outcome: "Outcome", console: Console, note: Callable[[str], None]) -> None:
    """As the person's settings say."""
    from workbench.notify import End, for_terminal, load_notify, run_command, settings_path

    notify = load_notify(settings_path())
    if not notify.wanted or not ranks.leads():
        return
    end = End(outcome.run.absolute(), outcome.state, _ending(outcome).splitlines()[0])
    if console.is_terminal:
        with suppress(OSError, ValueError):
            console.file.write(for_terminal(notify, end))
            console.file.flush()
    if problem := run_command(notify, end):
        note(problem)


def _ending(outcome: "Outcome") -> str:
    """What to say last: how it went, and what to do next."""
    lines = []
    if outcome.state == "finished":
        split = next((name for name in ("test", "val", "train") if f"{name}_top1" in outcome.last), "train")
        top1 = outcome.last.get(f"{split}_top1", math.nan)
        best = f", best {outcome.best['top1']:.2%} in epoch {outcome.best['epoch']}" if outcome.best else ""
        lines.append(f"finished {outcome.epochs} epochs in {clock(outcome.seconds)}: {split} top-1 {top1:.2%}{best}")
    elif outcome.state == "failed":
        lines.append(f"failed: {outcome.error}; more in {outcome.run / 'log.txt'}")
    else:
        lines.append(f"{outcome.state} after {outcome.epochs} epochs; everything is saved")
    if outcome.state != "finished":
        program = "torchrun ... -m workbench" if ranks.several() else "cnn-workbench"
        lines.append(f"go on with: {program} --headless --runs {outcome.run.parent} --resume {outcome.run.name}")
    return "\n".join([*lines, f"run {outcome.run}"])


class _PatientConsole(Console):
    """Rich ends the program when its pipe breaks, and points stdout at nothing; a run goes on."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Lines:
    """Plain timed lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = time.monotonic()
        self.said = self.started

    def note(self, text: str) -> None:
        for line in text.splitlines():
            self.print(f"{clock(time.monotonic() - self.started)} {clean(line)}")

    def progress(self, snapshot: "Snapshot") -> None:
        now = time.monotonic()
        if now - self.said >= LINE_SECONDS:
            self.said = now
            self.note(f"{where(snapshot)} {figures(snapshot)}")

    def epoch_done(self, record: dict[str, float | int | str]) -> None:
        self.said = time.monotonic()
        self.note(epoch_line(record))

    def close(self) -> None:
        """Nothing is left on the screen."""

    def print(self, text: str) -> None:
        try:
            self.console.print(Text(text))
        except (OSError, ValueError):  # the terminal or the pipe is gone; the run directory has it all
            sys.stderr = self.console.file = open("/dev/null", "w")  # noqa: SIM115  # open until the process ends


class Bars(Lines):
    """A bar for the epochs and one for the steps, redrawn from the training thread: no thread of its own."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:>.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[figures]}"),
            console=console,
            auto_refresh=False,
        )
        self.epochs = self.bars.add_task("epoch", total=1, figures="")
        self.steps = self.bars.add_task("step", total=1, figures="")
        self.drawn = 0.0
        self.open = False

    def note(self, text: str) -> None:
        for line in text.splitlines():
            self.print(clean(line))

    def progress(self, snapshot: "Snapshot") -> None:
        """Redraw both bars, at most every `REDRAW_SECONDS` but always at the end of a phase."""
        now = time.monotonic()
        if now - self.drawn < REDRAW_SECONDS and snapshot.done < snapshot.total:
            return
        self.drawn = now
        try:
            if not self.open:
                self.bars.start()
                self.open = True
            phase = "step" if snapshot.phase == "train" else f"{snapshot.phase}"
            eta = f"ETA {clock(snapshot.eta)}" if snapshot.eta is not None else ""
            self.bars.update(self.epochs, total=snapshot.epochs, completed=snapshot.epoch, figures=eta)
            self.bars.update(
                self.steps,
                description=phase,
                total=snapshot.total,
                completed=snapshot.done,
                figures=figures(snapshot, eta=False),
            )
            self.bars.refresh()
        except (OSError, ValueError):
            self.print("")

    def close(self) -> None:
        """Take the bars off the screen; the lines above them stay."""
        if self.open:
            self.open = False
            try:
                for task in (self.epochs, self.steps):
                    self.bars.remove_task(task)
                self.bars.stop()
            except (OSError, ValueError):
                self.print("")


def where(snapshot: "Snapshot") -> str:
    unit = "step" if snapshot.phase == "train" else f"{snapshot.phase} batch"
    return f"epoch {snapshot.epoch}/{snapshot.epochs} {unit} {snapshot.done}/{snapshot.total}"


def figures(snapshot: "Snapshot", *, eta: bool = True) -> str:
    """Loss, accuracy and speed of the last flush, as far as they are known."""
    parts = []
    if snapshot.loss is not None and snapshot.top1 is not None:
        parts.append(f"loss {snapshot.loss:.4f}  top-1 {snapshot.top1:.2%}")
    if snapshot.images_per_second:
        parts.append(f"{snapshot.images_per_second:,.0f} images/s")
    if eta and snapshot.eta is not None:
        parts.append(f"ETA {clock(snapshot.eta)}")
    return "  ".join(parts)


def epoch_line(record: dict[str, Any]) -> str:
    """One line about an epoch that is over."""
    parts = [f"epoch {record['epoch']}"]
    for split in ("train", "val", "test"):
        if f"{split}_loss" in record:
            parts.append(f"{split} loss {record[f'{split}_loss']:.4f} top-1 {record[f'{split}_top1']:.2%}")
    if record.get("images_per_second"):
        parts.append(f"{record['images_per_second']:,.0f} images/s")
    return "  ".join(parts)
