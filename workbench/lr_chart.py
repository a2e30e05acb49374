"""The picture of a learning-rate schedule before the run, and what its lengths lack; no data, no torch."""

import math
import textwrap

from workbench.base.plot import Line, line_chart
from workbench.profile import Profile, ProfileError, Resolved
from workbench.profile.sizes import steps_per_epoch
from workbench.training.schedule import check, factor

ROWS = 18
"""Lines of the chart, of which 13 are the curve's."""

ASSUMED = 100
"""Steps an epoch where only opening the data could tell."""

MOST_POINTS = 100_000
"""Steps of which the rate is computed, evenly spaced: many times the columns of any terminal."""


def check_schedule(resolved: Resolved) -> None:
    """ProfileError, at the line where it was set, for each length that the run has too few steps for.

    For data sets of known size; a folder's is checked when it has been opened.
    """
    steps = steps_per_epoch(resolved.profile.data)
    faults = check(resolved.profile, steps) if steps is not None else []
    if faults:
        raise ProfileError([problem for key, text in faults for problem in resolved.error(key, text).problems])


def lr_points(profile: Profile, most: int) -> tuple[list[float], list[float]]:
    """The learning rate over the run: epochs, and the rate from there on; of about `most` steps, evenly spaced."""
    in_epoch = steps_per_epoch(profile.data) or ASSUMED
    steps = in_epoch * profile.train.epochs
    shown = sorted({*range(0, steps, math.ceil(steps / most)), steps - 1})
    rates = [profile.optim.lr * factor(profile.schedule, step, steps=steps, steps_per_epoch=in_epoch) for step in shown]
    # A step lasts until the next one begins: the curve ends with the last epoch.
    return [*(step / in_epoch for step in shown), float(profile.train.epochs)], [*rates, rates[-1]]


def draw_lr(profile: Profile, *, width: int, color: bool) -> str:
    """The learning rate over the run as a chart `width` columns wide, and below it steps and rates in words."""
    known = steps_per_epoch(profile.data)
    steps = (ASSUMED if known is None else known) * profile.train.epochs
    epochs, rates = lr_points(profile, MOST_POINTS)
    curve = Line("lr", epochs, rates)
    title = f"learning rate, schedule {profile.schedule.name}"
    chart = line_chart(
        [curve], width=width, height=ROWS, title=title, x_label="epoch", y_label="lr", color=color, y_low=0.0
    )
    return "\n".join([chart, *textwrap.wrap(_in_words(profile, known, steps, rates), width), ""])


def _in_words(profile: Profile, known: int | None, steps: int, rates: list[float]) -> str:
    in_epoch = f"{known:,} an epoch" if known is not None else f"{ASSUMED} an epoch assumed, the images are not counted"
    text = f"{steps:,} steps, {in_epoch}; lr: start {rates[0]:.3g}, peak {max(rates):.3g}, end {rates[-1]:.3g}"
    return text + ("; when it drops depends on the run" if profile.schedule.name == "plateau" else "")
