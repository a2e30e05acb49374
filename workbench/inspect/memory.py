"""How much memory training a network takes, without taking it: what autograd would keep, counted by shape."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import architectures
from workbench.base.errors import UserError
from workbench.inspect.meta import on_meta


@dataclass(frozen=True)
class Footprint:
    """Bytes in fp32 that a network takes while it is trained with a batch."""

    weights: int
    """Parameters and buffers."""
    trained: int
    """Those parameters that have a gradient: as much as all gradients."""
    matrices: int
    """Those of them with two dimensions or more: what Muon trains, but for the first and last layer."""
    kept: int
    """What a forward pass keeps for the backward pass, the images among it."""
    largest: int
    """The largest tensor of it. The backward pass holds about two such besides."""


def footprint(
    name: str, *, classes: int, channels: int, image_size: int, batch: int, options: dict[str, Any], head_only: bool
) -> Footprint:
    """What training the network `name` takes; `head_only`: with everything before the head frozen.

    The network is built and run on the meta device, as the shape walk does. Tensors that share their memory (views,
    what was changed in place) count once. UserError for a size or an option that it does not take.
    """
    try:
        with on_meta():
            made = [
                architectures.create(name, num_classes=count, in_channels=channels, image_size=image_size, **options)
                for count in ((classes, classes + 1) if head_only else (classes,))
            ]
            network = made[0].train()
            if head_only:
                _freeze(network, made[1])
            kept = _kept(network, torch.empty(batch, channels, image_size, image_size))
    except (ValueError, TypeError, RuntimeError) as error:
        what = str(error).partition("\n")[0]
        raise UserError(what if what.startswith(name) else f"{name} at {image_size} px: {what}") from None
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return Footprint(
        weights=sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers())),
        trained=sum(parameter.nbytes for parameter in trained),
        matrices=sum(parameter.nbytes for parameter in trained if parameter.ndim >= 2),
        kept=sum(kept),
        largest=max(kept, default=0),
    )


def _freeze(network: nn.Module, other: nn.Module) -> None:
    """As training does it: the head is what another number of classes changes; the rest is in evaluation."""
    shapes = {name: parameter.shape for name, parameter in other.named_parameters()}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(shapes[name] != parameter.shape)
    network.eval()


def _kept(network: nn.Module, images: Tensor) -> list[int]:
    """Bytes of each piece of memory that a forward pass keeps, weights left out."""
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that none has the address of one that is gone

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            storages[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        network(images)
    return [storage.nbytes() for storage in storages.values()]
