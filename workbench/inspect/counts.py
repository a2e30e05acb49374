"""Parameters and multiply-accumulates (MACs) of a network, counted without arithmetic."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workbench.inspect.meta import on_meta

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_macs(network: nn.Module, in_channels: int, image_size: int) -> int:
    """MACs of one image in evaluation: convolutions, linear layers and attention products, nothing else.

    The network, wherever it is, is run on the meta device with stand-ins for its weights, so counting takes no memory,
    and the network itself is not touched. See `Shapes.macs`.
    """
    with on_meta() as shapes:
        run_once(network, in_channels, image_size)
    return shapes.macs


def run_once(network: nn.Module, in_channels: int, image_size: int) -> None:
    """The forward pass of one image in evaluation, with stand-ins for the weights; to be called within `on_meta`."""
    modules = list(network.modules())
    modes = [module.training for module in modules]
    tables: list[MutableMapping[str, Any]] = []
    for module in modules:
        tables += [module._parameters, module._buffers]
    contents = [dict(table) for table in tables]
    network.eval()
    try:
        # Not torch.func.functional_call: it leaves stand-ins behind where a module with a tied weight has two names.
        for table in tables:
            table.update({key: _stand_in(tensor) for key, tensor in table.items() if tensor is not None})
        with torch.no_grad():
            network(torch.empty(1, in_channels, image_size, image_size))
    finally:
        for table, content in zip(tables, contents, strict=True):
            table.clear()
            table.update(content)
        for module, training in zip(modules, modes, strict=True):
            module.training = training


def _stand_in(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype)
