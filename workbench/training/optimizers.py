"""The optimiser and the learning rate of each step, from a profile."""

import math

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


def learning_rate(profile: schema.Profile, step: int, steps: int) -> float:
    """The learning rate of step `step` (from 0) of `steps`: a pure function, so a resume has nothing to replay."""
    lr = profile.optim.lr
    if isinstance(profile.schedule, schema.Cosine):
        end = profile.schedule.end
        return lr * (end + (1 - end) * 0.5 * (1 + math.cos(math.pi * step / steps)))
    return lr


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
