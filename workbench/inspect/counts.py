"""Parameters and multiply-accumulates (MACs) of a network, counted without arithmetic."""

import itertools

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_macs(network: nn.Module, in_channels: int, image_size: int) -> int:
    """MACs of one image in evaluation: convolutions, linear layers and attention products, nothing else.

    The network is run on the meta device with stand-ins for its weights, so counting takes no memory, and the
    network itself is not touched. torch counts a multiply-accumulate as two floating-point operations.
    """
    # Stand-ins and not a network built on meta: drawing initial weights there imports 900 modules of torch (3 s).
    tensors = itertools.chain(network.named_parameters(), network.named_buffers())
    stand_ins = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    image = torch.empty(1, in_channels, image_size, image_size, device="meta")
    training = network.training
    network.eval()
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
            functional_call(network, stand_ins, (image,))
    finally:
        network.train(training)
    return int(counter.get_total_flops()) // 2
