"""The learning rate of every step, as a factor on `optim.lr`: a closed form of the step, so nothing is replayed.

A picture of the schedule can be drawn before a run, and a resumed run only needs to know its step. All counts are
passed in and nothing is kept, but for `Plateau`, whose drops depend on what the run achieves. No torch here.
docs/schedules.md has the formulas beside torch's counterparts.
"""

import math
from dataclasses import dataclass
from typing import Any

from workbench.profile import Profile, schema
from workbench.profile.lengths import in_epochs, in_steps, several


def factor(schedule: schema.Schedule, step: int, *, steps: int, steps_per_epoch: int) -> float:
    """What `optim.lr` is multiplied by at optimiser step `step` (from 0) of `steps` (at least 1): within [0, 1].

    A warm-up of W steps gives (step + 1) / W: the first step already learns, and step W - 1 is the peak, exactly 1.
    What falls continuously falls from the peak, so that it would be at its end at step `steps`, after the last one;
    drops count from the start of the run, and those that lie in the warm-up take effect at its end. Of `plateau` this
    is the warm-up alone. A step outside the run has the factor of its first or last moment.
    """
    step = min(max(step, 0), steps)

    def count(length: str) -> int:
        return in_steps(length, steps_per_epoch=steps_per_epoch, steps=steps)

    if isinstance(schedule, schema.Constant):
        return 1.0
    if isinstance(schedule, schema.Cyclic):
        return _cyclic(schedule, step, up=max(1, count(schedule.up)), down=max(1, count(schedule.down)))
    if isinstance(schedule, schema.Cosine):
        return _wave(schedule.end, math.pi * step / steps)
    warmup = count(schedule.warmup)
    peak = max(0, warmup - 1)
    if isinstance(schedule, schema.OneCycle):
        return _one_cycle(schedule, step, peak, steps)
    if step < warmup:
        return (step + 1) / warmup
    if isinstance(schedule, schema.WarmupLinear):
        return _between(schedule.end, 1 - _fallen(step, peak, steps))
    if isinstance(schedule, schema.WarmupCosine):
        return _wave(schedule.end, 2 * schedule.cycles * math.pi * (step - peak) / (steps - peak))
    if isinstance(schedule, schema.Step):
        return schedule.factor ** (step // max(1, count(schedule.every)))
    if isinstance(schedule, schema.Multistep):
        return schedule.factor ** sum(count(drop) <= step for drop in several(schedule.at))
    if isinstance(schedule, schema.Polynomial):
        return _between(schedule.end, (1 - _fallen(step, peak, steps)) ** schedule.power)
    return 1.0  # warmup_constant, and plateau before any drop


def check(profile: Profile, steps_per_epoch: int) -> list[tuple[str, str]]:
    """Lengths that the run cannot hold, as (key, message): what only the number of its steps can tell."""
    schedule, epochs = profile.schedule, profile.train.epochs
    steps = steps_per_epoch * epochs
    faults: list[tuple[str, str]] = []
    for name in ("warmup", "every", "at"):
        for length in several(getattr(schedule, name, "0%")):
            taken, run = in_epochs(length, epochs=epochs), float(epochs)
            if taken is None:
                taken, run = in_steps(length, steps_per_epoch=steps_per_epoch, steps=steps), float(steps)
            # Exact, where rounded to steps 75 % of a run of two would be all of it.
            if taken > 0 and taken >= run:
                parts = f"{epochs} epoch{'s' * (epochs > 1)} of {steps_per_epoch}"
                faults.append((f"schedule.{name}", f"{length} must be shorter than the run of {steps} steps ({parts})"))
    for name in ("every", "up", "down"):
        length = getattr(schedule, name, "1step")
        if in_steps(length, steps_per_epoch=steps_per_epoch, steps=steps) == 0:
            message = f"{length} must be at least one step (an epoch has {steps_per_epoch}, the run {steps})"
            faults.append((f"schedule.{name}", message))
    return faults


@dataclass
class Plateau:
    """The state of schedule `plateau`: call `step` after each epoch, multiply `factor` with that of the warm-up.

    An improvement is one by more than `threshold` in the figure's own unit, for accuracies as for losses, like torch's
    ReduceLROnPlateau with threshold_mode "abs". A figure that is not finite is none. Epochs without one are counted
    from the last improvement, drop or end of a cooldown; the first after `patience` of them drops.
    """

    settings: schema.Plateau
    factor: float = 1.0
    best: float | None = None
    bad_epochs: int = 0
    cooldown: int = 0

    def step(self, value: float, *, higher_is_better: bool) -> bool:
        """Count an epoch that ended with `value`. True where the learning rate falls from here on."""
        if self._improved(value, higher_is_better):
            self.best = value
            self.bad_epochs = 0
        else:
            self.bad_epochs += 1
        if self.cooldown > 0:
            self.cooldown -= 1
            self.bad_epochs = 0
        if self.bad_epochs <= self.settings.patience:
            return False
        before = self.factor
        # A resume may have raised `end` above where the rate already is; a plateau never raises it.
        self.factor = min(before, max(before * self.settings.factor, self.settings.end))
        self.bad_epochs = 0
        self.cooldown = self.settings.cooldown
        return self.factor < before

    def as_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: numbers and None; the settings are in the profile."""
        return {"factor": self.factor, "best": self.best, "bad_epochs": self.bad_epochs, "cooldown": self.cooldown}

    @classmethod
    def from_dict(cls, settings: schema.Plateau, saved: dict[str, Any]) -> "Plateau":
        """The state that `as_dict` gave; of an empty dict the state at the start. TypeError for other keys."""
        return cls(settings, **saved)

    def _improved(self, value: float, higher_is_better: bool) -> bool:
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        threshold = self.settings.threshold
        return value > self.best + threshold if higher_is_better else value < self.best - threshold


def _cyclic(schedule: schema.Cyclic, step: int, *, up: int, down: int) -> float:
    """Smith, 2017, section 3; as torch's CyclicLR, from `low` at step 0 to the first peak at step `up`."""
    cycle, within = divmod(step, up + down)
    height = within / up if within <= up else (up + down - within) / down
    # A power that underflows is 0.0, never an error.
    decay = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": schedule.gamma**step}[schedule.mode]
    return _between(schedule.low, height * decay)


def _one_cycle(schedule: schema.OneCycle, step: int, peak: int, steps: int) -> float:
    """Smith and Topin, 2018, without the third phase; as torch's OneCycleLR over one step more than the run has."""
    rising = step < peak
    height = step / peak if rising else 1 - _fallen(step, peak, steps)
    if schedule.shape == "cosine":
        height = 0.5 * (1 - math.cos(math.pi * height))
    return _between(schedule.start if rising else schedule.end, height)


def _fallen(step: int, peak: int, steps: int) -> float:
    """The part of the way from the peak to the end of the run that lies behind, within [0, 1]."""
    return (step - peak) / max(1, steps - peak)


def _between(low: float, height: float) -> float:
    """From `low` (height 0) to 1 (height 1)."""
    return low + (1 - low) * height


def _wave(low: float, angle: float) -> float:
    """The cosine of `angle` (radians), from 1 at its top to `low` at its bottom."""
    return low + (1 - low) * 0.5 * (1 + math.cos(angle))
