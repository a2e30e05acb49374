"""What a draft would do and cost: a line of it below the form, or a chart and figures beside it.

A thread computes it when a person pauses. One look is under way at a time: the newest wish is looked at when it ends.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from workbench.base.text import clean
from workbench.profile import Profile
from workbench.runs.units import clock, short_memory
from workbench.tui import profile_preview as preview
from workbench.tui.aside import Aside, Done
from workbench.tui.profile_preview import Duration, Memory, Steps
from workbench.tui.run_preview import sparkline
from workbench.tui.torch_loader import TorchLoader
from workbench.tui.widgets.chart import Chart
from workbench.tui.widgets.chart_view import Picture, Series, draw
from workbench.tui.widgets.lines import TextLines

SETTLE = 0.4
"""Seconds without a change before the thread begins."""
FIGURES = 7
"""Lines of figures below the chart."""
SPARK = 16
"""Cells of the curve in the line."""


@dataclass(frozen=True)
class Look:
    """What is known so far of one profile. `waiting`: what the rest waits for; `problem`: why there is no more."""

    steps: Steps | None = None
    epochs: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    memory: Memory | None = None
    duration: Duration | None = None
    waiting: str = ""
    problem: str = ""
    schedule: str = ""


def look(profile: Profile, runs: Path, torch: TorchLoader, tell: Callable[[Look], object]) -> Look:
    """Everything about a profile; `tell` gets what is known before torch is. For a thread."""
    seen = Look(schedule=profile.schedule.name)
    try:
        epochs, rates = preview.learning_rate(profile)
        seen = replace(seen, steps=preview.steps(profile), epochs=tuple(epochs), rates=tuple(rates))
        seen = replace(seen, duration=preview.duration(profile, runs))
        tell(replace(seen, waiting="measuring memory" if torch.ready.is_set() else "loading torch"))
        torch.load()
        return replace(seen, memory=preview.memory(profile))
    except Exception as error:  # noqa: BLE001  # a network that cannot be built is told where its memory would stand
        return replace(seen, problem=clean(str(error).split("\n")[0], 300) or type(error).__name__)


def in_line(seen: Look, width: int) -> Text:
    """The most telling of it in one line."""
    parts = [_steps(seen.steps)]
    if seen.duration is not None:
        parts.append(_time(seen.duration))
    if seen.memory is not None:
        parts.append(f"≈{short_memory(seen.memory.total)}")
    if seen.rates:
        parts.append(f"lr {sparkline(_from_zero(seen.rates), SPARK)[1:]} {max(seen.rates):.3g}")
    parts += [seen.waiting, f"! {seen.problem}" if seen.problem else ""]
    line = Text(" · ".join(part for part in parts if part), no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def in_lines(seen: Look) -> list[Text]:
    """The figures below the chart."""
    rows = [("steps", _steps(seen.steps))]
    if seen.rates:
        rows.append(("lr", _rates(seen)))
    if seen.memory is not None:
        m = seen.memory
        parts = ((m.weights, "weights"), (m.activations, "activations"), (m.images, "images"))
        text = ", ".join(f"{short_memory(size)} {what}" for size, what in parts if size)
        rows.append(("memory", f"≈{short_memory(seen.memory.total)}: {text}"))
    if seen.duration is not None:
        runs = f"{seen.duration.runs} run{'s' * (seen.duration.runs != 1)}"
        of = f"{runs} of others" if seen.duration.scaled else runs
        rows.append(("time", f"{_time(seen.duration)}, {seen.duration.images_per_second:,.0f} images/s, from {of}"))
    elif seen.steps is not None:
        rows.append(("time", "no run to compare with yet"))
    lines = [Text(f"{name.ljust(8)}{text}", no_wrap=True) for name, text in rows if text]
    if seen.waiting:
        lines.append(Text(seen.waiting, "dim"))
    if seen.problem:
        lines.append(Text(f"! {seen.problem}", "bold"))
    return lines


def _steps(steps: Steps | None) -> str:
    if steps is None:
        return ""
    if steps.in_epoch is None or steps.all is None:
        return "steps: only the images' folder can tell"
    return f"{steps.in_epoch:,} steps/epoch, {steps.all:,} steps"


def _rates(seen: Look) -> str:
    first, peak, last = seen.rates[0], max(seen.rates), seen.rates[-1]
    return f"{peak:.3g}" if first == peak == last else f"{first:.2g} → {peak:.3g} → {last:.2g}"


def _time(duration: Duration) -> str:
    return f"{'~' if duration.scaled else '≈'}{clock(duration.seconds)}"


def _from_zero(rates: tuple[float, ...]) -> list[float | None]:
    """With a zero before them, so that blocks begin at zero; the block of the zero is cut off."""
    size = len(rates)
    step = max(1, size // (SPARK - 1))
    return [0.0, *(rates[min(number * step, size - 1)] for number in range(SPARK - 1))]


class ProfileLook(Aside, Vertical, can_focus=True):
    """The chart of the learning rate, and figures below; or, with `-line`, one line."""

    DEFAULT_CSS = f"""
    ProfileLook {{
        & > Chart {{ display: block; }}
        & > #look-figures {{ height: {FIGURES}; padding: 0 1; }}
        & > #look-line {{ display: none; height: 1; padding: 0 1; color: $text-muted; }}
        &.-line {{ height: 1; & > Chart {{ display: none; }} & > #look-figures {{ display: none; }} }}
        &.-line > #look-line {{ display: block; }}
    }}
    """

    def __init__(self, runs: Path, torch: TorchLoader) -> None:
        super().__init__(id="form-look")
        self.seen = Look()
        self._runs, self._torch = runs, torch
        self._wanted: Profile | None = None
        self._shown: Profile | None = None
        self._busy = False
        self._drawn: tuple[Look, int, int] | None = None

    def compose(self) -> ComposeResult:
        chart = Chart("lr")
        chart.can_focus = False
        yield chart
        yield TextLines(id="look-figures")
        yield TextLines(id="look-line")

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._show)

    def want(self, profile: Profile | None) -> None:
        """Look at this one when nobody changes it for a moment; None where the draft is wrong."""
        self._wanted = profile
        if profile is None:
            self._shown = None
            self._take(Look(problem="the profile has a problem"))
        elif profile != self._shown:
            self.set_timer(SETTLE, lambda: self._begin(profile))

    def _begin(self, profile: Profile) -> None:
        if self._busy or profile != self._wanted or profile == self._shown:
            return
        self._busy, self._shown = True, profile
        self._torch.start()

        def tell(seen: Look) -> None:
            self.post_message(Done(partial(self._tell, profile), seen))

        self.aside(partial(look, profile, self._runs, self._torch, tell), partial(self._looked, profile))

    def _tell(self, profile: Profile, seen: Look) -> None:
        if self._busy and profile == self._wanted:
            self._take(seen)

    def _looked(self, profile: Profile, seen: Look | Exception) -> None:
        self._busy = False
        if profile == self._wanted:
            self._take(seen if isinstance(seen, Look) else Look(problem=clean(str(seen), 300)))
        elif self._wanted is not None:
            self._begin(self._wanted)

    def _take(self, seen: Look) -> None:
        self.seen = seen
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        self.query_one("#look-line", TextLines).show([in_line(self.seen, max(1, self.size.width - 2))])
        self.query_one("#look-figures", TextLines).show(in_lines(self.seen))
        chart = self.query_one(Chart)
        if not self.has_class("-line") and chart.room[1] > 0 and self._drawn != (self.seen, *chart.room):
            self._drawn = (self.seen, *chart.room)
            self.aside(partial(_picture, self.seen, chart.room), self._show_chart)

    def _show_chart(self, picture: Picture | Exception) -> None:
        title = Text(f" learning rate, {self.seen.schedule}" if self.seen.rates else " learning rate")
        if isinstance(picture, Picture):
            self.query_one(Chart).show(title, picture, note=self.seen.waiting or "nothing to draw yet")


def _picture(seen: Look, room: tuple[int, int]) -> Picture:
    if not seen.rates:
        return Picture()
    curve = Series("lr", np.array(seen.epochs), np.array(seen.rates))
    return draw([curve], ends=(0.0, max(seen.epochs[-1], 1e-9)), width=room[0], height=room[1])
