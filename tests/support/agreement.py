"""What "the same network" means here: the peer's weights load strictly, and everything computed from them agrees.

The peer's weights, norm statistics, scales and biases are all drawn at random, so that no zero and no one hides a
difference; dropout and stochastic depth are off on both sides; all is float64.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import torch
from torch import Tensor, nn

from workbench.inspect.meta import on_meta

TOLERANCE = 1e-9
"""Largest difference allowed, relative to the largest value compared (float64).

Rounding makes at most 8e-15 (torch 2.15, x86-64); another epsilon in one layer norm, 2e-6 for 1e-6, makes 7e-8.
"""


def assert_networks_agree(
    ours: nn.Module,
    peer: nn.Module,
    *sizes: int,
    in_channels: int = 3,
    weights: Sequence[str] = (),
    rename: Callable[[str], str] = str,
    gain: float = 2.0,
) -> float:
    """Load `peer`'s weights into `ours` strictly; compare what they compute in eval and in training mode.

    Compared are, at each of `sizes` (px): logits, norm statistics after training mode's forward pass, and the gradients
    of the mean squared logits with respect to the input and to `weights` (our parameter names; by default the first,
    the middle and the last matrix or kernel). Both networks come from `without_memory`. `rename` maps a peer's key to
    ours where the two cannot be the same; `gain` is that of `fill`. Returns the largest relative difference seen.
    """
    fill(peer, gain)
    ours.to_empty(device="cpu").load_state_dict({rename(key): value for key, value in peer.state_dict().items()})
    theirs = {rename(name): parameter for name, parameter in peer.named_parameters()}
    mine = dict(ours.named_parameters())
    matrices = [name for name, parameter in mine.items() if parameter.ndim > 1]
    watched = list(weights) or [matrices[0], matrices[len(matrices) // 2], matrices[-1]]
    for network in (ours, peer):
        disable_randomness(network)
    seen = [0.0]
    for size, mode in product(sizes, ("eval", "training")):
        where = f"{mode} mode, {size} px"
        ours.train(mode == "training")
        peer.train(mode == "training")
        x = torch.randn(2, in_channels, size, size, dtype=torch.float64)
        x_ours, x_peer = x.clone().requires_grad_(), x.clone().requires_grad_()
        outputs, expected = as_tuple(ours(x_ours)), as_tuple(peer(x_peer))
        assert len(outputs) == len(expected)
        for output, other in zip(outputs, expected, strict=True):
            seen.append(assert_close(output, other, f"logits ({where})"))
            spread = float((other[0] - other[1]).detach().abs().max() / other.detach().abs().max())
            assert spread > 1e-3, f"logits ({where}): two images differ by {spread:.1e}, so little depends on the input"
        gradients = torch.autograd.grad(total(outputs), [x_ours, *(mine[name] for name in watched)])
        others = torch.autograd.grad(total(expected), [x_peer, *(theirs[name] for name in watched)])
        for name, gradient, other in zip(["input", *watched], gradients, others, strict=True):
            seen.append(assert_close(gradient, other, f"gradient of {name} ({where})"))
    statistics = dict(ours.named_buffers())
    for name, buffer in peer.named_buffers():
        seen.append(assert_close(statistics[rename(name)].double(), buffer.double(), f"{name} after training mode"))
    return max(seen)


@contextmanager
def without_memory() -> Iterator[None]:
    """Networks built within it are float64 and have no values yet, so that drawing initial weights costs nothing."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with on_meta():
            yield
    finally:
        torch.set_default_dtype(before)


def fill(network: nn.Module, gain: float = 2.0) -> None:
    """Give a network from `without_memory` values: no weight, statistic, scale or bias is zero, one or like another.

    Matrices have variance 1 / fan-in and kernels gain / fan-in: 2 keeps the signal of a plain network with ReLUs at its
    strength (He et al. 2015); one whose residual sums pass through gates needs less, lest it saturates them.
    """
    network.to_empty(device="cpu")
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            tensor.zero_()  # a norm's count of batches
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1 or (tensor.ndim == 3 and tensor.shape[0] == 1):  # vectors, also those shaped (1, S, C)
            tensor.normal_(0.0, 0.2).add_(1.0 if name.endswith(("weight", "alpha")) else 0.0)
        else:
            bound = (3 * (gain if tensor.ndim == 4 else 1.0) / tensor[0].numel()) ** 0.5
            tensor.uniform_(-bound, bound)  # cheaper to draw than a normal distribution


def disable_randomness(network: nn.Module) -> None:
    """Dropout and stochastic depth off, whatever the class calls its rate."""
    for module in network.modules():
        for attribute in ("p", "drop_prob", "rate"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)


def as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (output,) if isinstance(output, Tensor) else tuple(output)


def total(outputs: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([output.square().mean() for output in outputs]).sum()


def assert_close(ours: Tensor, peer: Tensor, what: str) -> float:
    """The largest difference, relative to the peer's largest value."""
    assert ours.shape == peer.shape, f"{what}: shapes {tuple(ours.shape)} and {tuple(peer.shape)}"
    ours, peer = ours.detach(), peer.detach()
    scale = float(peer.abs().max())
    assert scale > 0, f"{what}: all zero, nothing is compared"
    difference = float((ours - peer).abs().max()) / scale
    assert difference <= TOLERANCE, f"{what}: differs by {difference:.2e} of the largest value"
    return difference
