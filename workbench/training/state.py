"""All that a run is at one moment besides weights: what a checkpoint must hold so that going on changes nothing.

Orders, augmentations and dropout are functions of (seed, epoch, step) and need no place here.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workbench.base.errors import UserError
from workbench.training.metrics import Totals
from workbench.training.step import Step

SCHEMA = 2
"""2 added scaler, moving average, schedule state, micro-batch; a checkpoint of 1 has none of them and is read."""


@dataclass
class State:
    """Counters and figures. `epoch` epochs are over; `step_in_epoch` steps of the next are done."""

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    sums: Totals = field(default_factory=Totals)
    """Training sums of the epoch under way."""
    best: dict[str, Any] | None = None
    """epoch, top1, split, monitor and its value of the best epoch so far."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last epoch's figures."""
    images: int = 0
    train_seconds: float = 0.0
    """Time in training steps alone; `images` over it is the speed."""
    seconds: float = 0.0
    """Wall time of all attempts together."""
    lr_factor: float = 1.0
    """What people and rollbacks have multiplied the learning rate by."""
    plateau: dict[str, Any] = field(default_factory=dict)
    """What the plateau schedule remembers."""
    skipped: int = 0
    """Steps left out because their loss or gradient was not finite."""
    rollbacks: int = 0


def checkpoint_content(
    state: State, network: nn.Module, optimizer: torch.optim.Optimizer, step: Step, recipe: dict[str, Any]
) -> dict[str, Any]:
    """What goes into a checkpoint: tensors and plain values only. The tensors are the live ones."""
    return {
        "schema": SCHEMA,
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step.state_dict(),
        "state": asdict(state),
        "recipe": recipe,
    }


def load_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, step: Step, recipe: dict[str, Any]
) -> tuple[State, list[str]]:
    """Put a checkpoint into `network`, `optimizer` and `step`; returns its state and what differs without harm.

    UserError where the data is not what it was: the rest of the epoch would be other images.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["schema"] > SCHEMA:
        raise UserError(f"{path} was written by a newer version of cnn-workbench; update this one")
    old = content["recipe"]
    if old["data"] != recipe["data"]:
        raise UserError(f"the images of this run are no longer what they were when {path} was written; start a new run")
    differences = [
        f"{name} was {old[name]} and is {recipe[name]}: the result is no longer the same to the bit"
        for name in recipe
        if name != "data" and name in old and old[name] != recipe[name]
    ]
    network.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    step.load_state_dict(content.get("step", {}))
    state = State(**{**content["state"], "sums": Totals(**content["state"]["sums"])})
    return state, differences
