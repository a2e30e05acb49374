"""What "the same network" means here: the peer's weights load strictly, and everything computed from them agrees.

The peer gets random weights *and* random norm statistics, scales and biases, so that no zero and no one hides a
difference; dropout and stochastic depth are off on both sides.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

TOLERANCE = 1e-5
"""Largest difference allowed, relative to the largest value compared (float64)."""


def assert_networks_agree(
    ours: nn.Module,
    peer: nn.Module,
    size: int,
    *,
    in_channels: int = 3,
    weights: Sequence[str] = (),
    rename: Callable[[str], str] = lambda key: key,
) -> None:
    """Load `peer`'s weights into `ours` strictly; compare logits in eval and training mode, and gradients.

    Gradients of the mean squared logits are compared for the input and for `weights` (our parameter names; by default
    the first, the middle and the last). `rename` maps a peer's key to ours where the two cannot be the same.
    """
    randomise(peer)
    state = {rename(key): value for key, value in peer.state_dict().items()}
    ours.double().load_state_dict(
        {key: value.double() if value.is_floating_point() else value for key, value in state.items()}
    )
    peer.double()
    theirs = {rename(name): parameter for name, parameter in peer.named_parameters()}
    mine = dict(ours.named_parameters())
    names = list(mine)
    watched = list(weights) or [names[0], names[len(names) // 2], names[-1]]
    for network in (ours, peer):
        disable_randomness(network)
    for training in (False, True):
        ours.train(training)
        peer.train(training)
        x = torch.randn(2, in_channels, size, size, dtype=torch.float64)
        x_ours, x_peer = x.clone().requires_grad_(), x.clone().requires_grad_()
        outputs, expected = as_tuple(ours(x_ours)), as_tuple(peer(x_peer))
        assert len(outputs) == len(expected)
        for output, other in zip(outputs, expected, strict=True):
            assert_close(output, other, f"logits ({'training' if training else 'eval'} mode, {size} px)")
        gradients = torch.autograd.grad(total(outputs), [x_ours, *(mine[name] for name in watched)])
        others = torch.autograd.grad(total(expected), [x_peer, *(theirs[name] for name in watched)])
        for name, gradient, other in zip(["input", *watched], gradients, others, strict=True):
            assert_close(gradient, other, f"gradient of {name} ({'training' if training else 'eval'} mode, {size} px)")


def randomise(network: nn.Module) -> None:
    """Give every norm statistic, scale and bias a random value."""
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.ndim == 1:
            tensor.normal_(0.0, 0.2).add_(1.0 if name.endswith("weight") else 0.0)


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


def assert_close(ours: Tensor, peer: Tensor, what: str) -> None:
    assert ours.shape == peer.shape, f"{what}: shapes {tuple(ours.shape)} and {tuple(peer.shape)}"
    ours, peer = ours.detach(), peer.detach()
    scale = peer.abs().max().clamp_min(1e-30)
    difference = float((ours - peer).abs().max() / scale)
    assert difference <= TOLERANCE, f"{what}: differs by {difference:.2e} of the largest value"
    assert float(scale) > 1e-12, f"{what}: all zero, nothing is compared"
