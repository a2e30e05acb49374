"""What a profile would cost and do, before it runs: steps, learning rate, memory, time. For a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.profile import Profile


@dataclass(frozen=True)
class Steps:
    """`in_epoch` is None for a folder of images, which only reading would count; then `all` is None as well."""

    in_epoch: int | None
    all: int | None


@dataclass(frozen=True)
class Memory:
    """Estimated peak of a training step in bytes: `weights` (with gradients and optimiser states), `activations`."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.weights + self.activations


@dataclass(frozen=True)
class Duration:
    """Estimated seconds of the run. `runs`: how many runs it is from; `scaled`: from other networks, say "~"."""

    seconds: float
    images_per_second: float
    runs: int
    scaled: bool


def steps(profile: Profile) -> Steps:
    """Optimiser steps an epoch and in all."""
    raise NotImplementedError


def learning_rate(profile: Profile, *, points: int = 400) -> tuple[list[float], list[float]]:
    """The learning rate over the run: epochs, and the rate there. Loads torch."""
    raise NotImplementedError


def memory(profile: Profile) -> Memory:
    """Peak memory of a training step, from the shapes. Loads torch; UserError where the network cannot be built."""
    raise NotImplementedError


def duration(profile: Profile, runs: Path) -> Duration | None:
    """Time of the run from earlier runs in the folder; None where nothing comparable ran."""
    raise NotImplementedError
