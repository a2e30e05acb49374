"""All that a run needs, in one place: what `prepare` makes ready and the loop trains."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workbench.data import Dataset
from workbench.profile import Profile
from workbench.training.distributed import Ranks
from workbench.training.state import State
from workbench.training.step import Step


@dataclass
class Job:
    """All that a run needs, made ready by `prepare`."""

    profile: Profile
    dataset: Dataset
    network: nn.Module
    optimizer: torch.optim.Optimizer
    step: Step
    device: torch.device
    precision: str
    recipe: dict[str, Any]
    """What decides the result besides the profile: data fingerprint, device type, precision, threads, torch version."""
    state: State
    ranks: Ranks
    pretrained: str | None = None
    """What the first weights were and how they were adapted, in words; None where they were drawn from the seed."""
