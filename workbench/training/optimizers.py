"""The optimiser and the learning rate of each step, from a profile."""

import torch
from torch import nn

from workbench.profile import schema


def build_optimizer(network: nn.Module, optim: schema.Adam | schema.SGD, device: torch.device) -> torch.optim.Optimizer:
    """torch's own optimiser; fused into one kernel (or one loop) where the device has that."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    fused = True if device.type in ("cuda", "cpu") else None
    if isinstance(optim, schema.Adam):
        betas = (optim.beta1, optim.beta2)
        return torch.optim.Adam(
            parameters, lr=optim.lr, betas=betas, eps=optim.eps, weight_decay=optim.weight_decay, fused=fused
        )
    return torch.optim.SGD(
        parameters,
        lr=optim.lr,
        momentum=optim.momentum,
        nesterov=optim.nesterov,
        weight_decay=optim.weight_decay,
        fused=fused,
    )


def learning_rate(profile: schema.Profile, step: int) -> float:
    """The learning rate of optimiser step `step`: a pure function, so a resumed run has nothing to replay.

    The one schedule so far is constant.
    """
    return profile.optim.lr


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
