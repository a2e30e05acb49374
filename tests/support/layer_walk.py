"""What the layers of a network give out and hold, to compare with a paper's table."""

from collections.abc import Iterable

import torch

import architectures
from workbench.inspect.counts import count_parameters
from workbench.inspect.meta import on_meta


def output_shapes(name: str, layers: Iterable[str], size: int = 224) -> dict[str, tuple[int, ...]]:
    """What each named layer returns for one image, without its batch dimension."""
    return {layer: shape[1:] for layer, (shape, _) in shapes_and_parameters(name, layers, size=size).items()}


def shapes_and_parameters(
    name: str, layers: Iterable[str], num_classes: int = 1000, size: int = 224
) -> dict[str, tuple[tuple[int, ...], int]]:
    """Each named layer's output shape for one image and its parameters, in the order in which the layers run."""
    seen: dict[str, tuple[tuple[int, ...], int]] = {}
    with on_meta():
        network = architectures.create(name, num_classes=num_classes, image_size=size).eval()
        for layer in layers:
            network.get_submodule(layer).register_forward_hook(
                lambda module, _, out, layer=layer: seen.update({layer: (tuple(out.shape), count_parameters(module))})
            )
        network(torch.empty(1, 3, size, size))
    return seen
