"""LAMB: Adam's step for each weight tensor, as long as the tensor itself (You et al., ICLR 2020, arXiv 1904.00962).

Algorithm 2, for each tensor x with gradient g, at its t-th step:

    m = beta1 m + (1 - beta1) g                      v = beta2 v + (1 - beta2) g^2
    r = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
    u = r + weight_decay * x
    x = x - lr * (|x| / |u|) * u                     the trust ratio |x| / |u|; 1 where either norm is 0

The paper's phi is the identity. It has no clipping of the gradient inside (NVIDIA's and timm's have): `train.clip_norm`
does that for every optimiser alike.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, overload

import torch
from torch import Tensor

from workbench.training.optimizer_state import (
    STEP,
    gradients_of,
    held,
    reload_wide,
    unless_held,
    wide,
    wide_zeros,
    write_back,
)

CACHED = 1 << 18
"""Elements that are worked on together on a CPU: what is read again and again then mostly stays in its cache (all at
once took a quarter longer on ResNet-18)."""


class Lamb(torch.optim.Optimizer):
    """`params`: parameters or groups; `lr` a number, or a tensor on the device. State in float32 at least.

    A group counts its steps on the device, in `group["step"]`: a captured CUDA graph counts too, and a step that is
    held back (`optimizer_state.held`) does not. A parameter without a gradient is passed over.

    A group with `trust_ratio=False` takes the step without the ratio. So are trained what `build_optimizer` leaves out
    of weight decay: norms and biases, as in the authors' code, where what is excluded from decay is excluded from
    layer adaptation too. A bias near 0 could otherwise hardly move.
    """

    _step_supports_amp_scaling = True  # torch's loss scaler looks for this name

    def __init__(
        self,
        params: Any,
        lr: float | Tensor,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        trust_ratio: bool = True,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "trust_ratio": trust_ratio}
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; `closure`, if given, computes the loss and the gradients first. No wait for the device."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        hold = held(self)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            if STEP not in group:
                group[STEP] = torch.zeros((), device=parameters[0].device)
            group[STEP] += 1 if hold is None else hold.logical_not()
            corrections = [bias_correction(group[STEP], beta) for beta in group["betas"]]
            for chunk in in_chunks(parameters):
                self._update(chunk, group, corrections, hold)
        return loss

    def _update(
        self, parameters: list[Tensor], group: dict[str, Any], corrections: list[Tensor], hold: Tensor | None
    ) -> None:
        states = [self._state(parameter) for parameter in parameters]
        means, squares = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        weights = [wide(parameter) for parameter in parameters]
        gradients = gradients_of(self, parameters, hold)
        beta1, beta2 = group["betas"]
        lr = unless_held(hold, group["lr"], 0.0)

        torch._foreach_mul_(means, unless_held(hold, beta1, 1.0))
        torch._foreach_add_(means, gradients, alpha=1 - beta1)
        torch._foreach_mul_(squares, unless_held(hold, beta2, 1.0))
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, corrections[1].sqrt())
        torch._foreach_add_(roots, group["eps"])
        updates = torch._foreach_div(means, corrections[0])
        torch._foreach_div_(updates, roots)
        if group["weight_decay"]:
            torch._foreach_add_(updates, weights, alpha=group["weight_decay"])

        if group["trust_ratio"]:
            ratios = trust_ratios(torch._foreach_norm(weights), torch._foreach_norm(updates))
            torch._foreach_addcmul_(weights, updates, list((ratios * -lr).unbind()))
        else:
            torch._foreach_mul_(updates, -lr)
            torch._foreach_add_(weights, updates)
        write_back(parameters, weights)

    def _state(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["exp_avg"] = wide_zeros(parameter)
            state["exp_avg_sq"] = wide_zeros(parameter)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, with the state's precision and the count of steps on the parameters' device."""
        super().load_state_dict(state_dict)
        reload_wide(self, state_dict, ("exp_avg", "exp_avg_sq"))
        for group in self.param_groups:
            if STEP in group:
                group[STEP] = group[STEP].to(group["params"][0].device)


def in_chunks(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """All at once on a device where each launch costs; on a CPU so many at once as its cache holds (`CACHED`)."""
    chunk: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if chunk and parameter.device.type == "cpu" and size + parameter.numel() > CACHED:
            yield chunk
            chunk, size = [], 0
        chunk.append(parameter)
        size += parameter.numel()
    if chunk:
        yield chunk


def bias_correction(step: Tensor, beta: float) -> Tensor:
    """1 - beta^t, by which a running mean that started at 0 is still too small after t steps; of t = 1 for t = 0, which
    is there only in a held step. In the form that keeps all digits where beta is near 1.
    """
    return -torch.expm1(step.clamp_min(1) * (math.log(beta) if beta else -math.inf))


def trust_ratios(weights: tuple[Tensor, ...], updates: tuple[Tensor, ...]) -> Tensor:
    """|x| / |u| for the norms of the weights and of the updates, (n,); 1 where either is 0."""
    x, u = torch.stack(weights), torch.stack(updates)
    return torch.where((x > 0) & (u > 0), x / u, 1.0)
