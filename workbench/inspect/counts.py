"""Parameters and multiply-accumulates (MACs) of a network, counted without running it for real."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_macs(build: Callable[[], nn.Module], in_channels: int, image_size: int) -> int:
    """MACs of one image: convolutions, linear layers and attention products, nothing else.

    `build` is called on the meta device, so the count takes no memory and no arithmetic. torch counts a
    multiply-accumulate as two floating-point operations.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        build().eval()(torch.empty(1, in_channels, image_size, image_size))
    return int(counter.get_total_flops()) // 2
