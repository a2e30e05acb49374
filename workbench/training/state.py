"""All that a run is at one moment besides weights: what a checkpoint must hold so that going on changes nothing.

Orders, augmentations and dropout are functions of (seed, epoch, step) and need no place here.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn

from workbench.base.errors import UserError
from workbench.training.metrics import Totals

SCHEMA = 1


@dataclass
class State:
    """Counters and figures. `epoch` epochs are over; `step_in_epoch` steps of the next are done."""

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    sums: Totals = field(default_factory=Totals)
    """Training sums of the epoch under way."""
    best: dict[str, Any] | None = None
    """epoch, top1 and split of the best epoch so far."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last epoch's figures."""
    images: int = 0
    train_seconds: float = 0.0
    """Time in training steps alone; `images` over it is the speed."""
    seconds: float = 0.0
    """Wall time of all attempts together."""


def checkpoint_writer(
    state: State, network: nn.Module, optimizer: torch.optim.Optimizer, recipe: dict[str, Any]
) -> Callable[[BinaryIO], None]:
    """A function that writes a checkpoint into an open file. Only tensors and plain values go in.

    A file object, not a path: torch.save to a path holds Python's lock for as long as it writes.
    """
    content = {
        "schema": SCHEMA,
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "state": asdict(state),
        "recipe": recipe,
    }
    return lambda file: torch.save(content, file)


def load_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, recipe: dict[str, Any]
) -> tuple[State, list[str]]:
    """Put a checkpoint into `network` and `optimizer`; returns its state and what differs without harm.

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
        if name != "data" and old.get(name) != recipe[name]
    ]
    network.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    state = State(**{**content["state"], "sums": Totals(**content["state"]["sums"])})
    return state, differences
