"""SAM: descend with the gradient of the worst point nearby (Foret et al., ICLR 2021, arXiv 2010.01412).

A flat minimum generalises better than a sharp one. So each step climbs first, by rho along the gradient, takes the
gradient there, comes back and lets any optimiser step with it:

    saved = perturb(parameters, rho, adaptive)       # after a backward pass; w + e(w)
    with frozen_batch_norm(network):
        ...                                          # zero the gradients, forward and backward again, same randomness
    restore(parameters, saved)                       # w, to the last bit
    optimizer.step()                                 # clipping, if any, is of this second gradient

    SAM:   e(w) = rho g / |g|                        (equation 2 with p = 2; |g| over all parameters)
    ASAM:  e(w) = rho T^2 g / |T g|, T = |w| + 0.01  (Kwon et al., ICML 2021, arXiv 2102.11600; T element by element)

Both are the same for any positive multiple of g: a loss scaler needs no undoing before the climb. Nothing here waits
for the device.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from workbench.training.optimizer_state import wide

STABILITY = 0.01
"""ASAM's eta, added to |w| so that a weight at 0 can move (the paper's value)."""


@torch.no_grad()
def perturb(
    parameters: Sequence[Tensor], rho: float, adaptive: bool, plain: Collection[Tensor] = frozenset()
) -> list[Tensor | None]:
    """Move the parameters that have a gradient by e(w), in place; returns what `restore` needs.

    `rho`: the radius, in the units of the weights; with `adaptive` in multiples of each weight's own size. `plain`:
    parameters for which ASAM's T is 1, see `unscaled`. A gradient that is zero everywhere moves nothing.
    """
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    saved = {parameter: parameter.clone() for parameter in moved}
    spared = set(plain)
    scaled = [parameter for parameter in moved if adaptive and parameter not in spared]
    others = [parameter for parameter in moved if not adaptive or parameter in spared]
    directions, rest = gradients(scaled), gradients(others)
    if scaled:
        scales = torch._foreach_abs([wide(parameter) for parameter in scaled])
        torch._foreach_add_(scales, STABILITY)
        directions = list(torch._foreach_mul(directions, scales))  # T g
    if moved:
        length = norm(directions + rest)
        if scaled:
            torch._foreach_mul_(directions, scales)  # T^2 g
        factor = torch.where(length > 0, rho / length, 0.0)
        torch._foreach_add_(scaled + others, torch._foreach_mul(directions + rest, factor))
    return [saved.get(parameter) for parameter in parameters]


def gradients(parameters: list[Tensor]) -> list[Tensor]:
    """The gradients of parameters that have one, in float32 at least."""
    return [wide(parameter.grad) for parameter in parameters if parameter.grad is not None]


def norm(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norm of all the tensors' elements together, a scalar on their device."""
    total: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return total


@torch.no_grad()
def restore(parameters: Sequence[Tensor], saved: Sequence[Tensor | None]) -> None:
    """Undo `perturb`, to the last bit: its copies are put back, nothing is subtracted. `parameters` as given to it."""
    moved = [(parameter, before) for parameter, before in zip(parameters, saved, strict=True) if before is not None]
    if moved:
        torch._foreach_copy_([parameter for parameter, _ in moved], [before for _, before in moved])


def unscaled(network: nn.Module) -> set[Tensor]:
    """Parameters for which ASAM's T is 1 in its authors' code: all that are not called weight, so biases above all."""
    return {parameter for name, parameter in network.named_parameters() if "weight" not in name.rpartition(".")[2]}


@contextmanager
def frozen_batch_norm(network: nn.Module) -> Iterator[None]:
    """Within it, training-mode batch norm normalises by the batch as ever, but its running statistics stand still.

    They belong to the weights of the first pass, and would otherwise see each batch twice. Not done by momentum 0,
    which multiplies the batch's statistics by 0 and counts the batch: after an overflow 0 * inf would be left behind.
    Other layers with a `running_mean` (instance norm, users' own) get their buffers put back at the end.
    """
    layers = [layer for layer in network.modules() if layer.training and hasattr(layer, "running_mean")]
    tracking = [layer for layer in layers if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    others = [layer for layer in layers if not isinstance(layer, _BatchNorm)]
    kept = [(layer, name, buffer.clone()) for layer in others for name, buffer in layer.named_buffers(recurse=False)]
    try:
        for layer in tracking:
            layer.track_running_stats = False
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True
        with torch.no_grad():
            for owner, name, before in kept:
                owner.get_buffer(name).copy_(before)
