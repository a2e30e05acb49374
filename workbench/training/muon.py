"""Muon: momentum whose update is made orthogonal (Jordan et al., 2024, kellerjordan.github.io/posts/muon).

The momentum of a weight matrix mostly points in a few directions. Its nearest semi-orthogonal matrix, U V^T of the
singular value decomposition U S V^T, has the same directions, all equally strong, and is what the matrix is moved by:

    B = B + (1 - momentum) (G - B)                        running mean of the gradient
    M = G + momentum (B - G)                              with Nesterov's momentum, else M = B
    W = W - lr * weight_decay * W
    W = W - lr * sqrt(max(1, rows / columns)) * orthogonal(M)

U V^T is had without a decomposition: a quintic polynomial, applied five times, brings all singular values near 1.
This is meant for the hidden matrices. First layer, head, embeddings, norms and biases are trained by AdamW.
"""

# torch.optim.Muon is not used: it takes 2-d parameters alone (no convolutions, no several matrices in one parameter),
# computes in bfloat16 on a CPU too, one matrix after the other, and reads a learning rate on the device back each step.

from collections.abc import Callable, Iterator
from typing import Any, overload

import torch
from torch import Tensor

from workbench.training.optimizer_state import (
    gradients_of,
    held,
    reload_wide,
    unless_held,
    wide,
    wide_zeros,
    write_back,
)

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of a x + b x^3 + c x^5, as published: steep at 0, so that small singular values grow fast, at the price of
ending between about 0.7 and 1.2 instead of at 1."""

SMALLEST_NORM = 1e-7


class Muon(torch.optim.Optimizer):
    """One optimiser outwards: its first group are the matrices, the others are `rest`'s, an AdamW that steps with it.

    `matrices`: parameters of two dimensions or more; `blocks`: how many matrices, one below the other, each holds. A
    parameter (out, ...) is seen as `blocks` matrices of (out / blocks, all the rest). Momentum in float32 at least.
    """

    def __init__(
        self,
        matrices: list[Tensor],
        blocks: list[int],
        rest: torch.optim.AdamW | None,
        *,
        lr: float | Tensor,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        weight_decay: float = 0.01,
    ) -> None:
        settings = {
            "params": matrices,
            "blocks": tuple(blocks),
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_steps": ns_steps,
        }
        super().__init__([settings], {"lr": lr, "weight_decay": weight_decay})
        self.rest = rest
        # torch's loss scaler looks for this name; only a fused AdamW can hold a step back by itself.
        self._step_supports_amp_scaling = rest is None or getattr(rest, "_step_supports_amp_scaling", False)
        if rest is not None:
            self.param_groups += rest.param_groups
            self.state.update(rest.state)
        self._share()

    def _share(self) -> None:
        """Let `rest` work on this optimiser's own groups and state: there is one of each, whoever looks."""
        if self.rest is not None:
            self.rest.param_groups = self.param_groups[1:]
            self.rest.state = self.state

    def __getstate__(self) -> dict[str, Any]:
        own = {name: vars(self)[name] for name in ("rest", "_step_supports_amp_scaling")}
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        reload_wide(self, state_dict, ("momentum_buffer",))

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
        group = self.param_groups[0]
        moved = [(p, blocks) for p, blocks in zip(group["params"], group["blocks"], strict=True) if p.grad is not None]
        if moved:
            self._update(moved, group)
        if self.rest is not None:
            self._step_rest(self.rest)
        return loss

    def _update(self, moved: list[tuple[Tensor, int]], group: dict[str, Any]) -> None:
        hold, momentum = held(self), group["momentum"]
        parameters = [parameter for parameter, _ in moved]
        weights = [wide(parameter) for parameter in parameters]
        gradients = gradients_of(self, parameters, hold)
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = wide_zeros(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        lr = unless_held(hold, group["lr"], 0.0)

        torch._foreach_mul_(buffers, unless_held(hold, momentum, 1.0))
        torch._foreach_add_(buffers, gradients, alpha=1 - momentum)
        means = torch._foreach_lerp(gradients, buffers, momentum) if group["nesterov"] else buffers
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
        directions = [as_matrices(g, blocks) for g, (_, blocks) in zip(means, moved, strict=True)]
        updates = list(directions)
        for places in alike(directions):
            stack = torch.cat([directions[place] for place in places])
            rows, columns = stack.shape[1:]
            scale = lr * max(1.0, rows / columns) ** 0.5
            moves = orthogonal(stack, group["ns_steps"]).to(stack.dtype) * -scale
            for place, move in zip(places, moves.split([len(directions[p]) for p in places]), strict=True):
                updates[place] = move.reshape(weights[place].shape)
        torch._foreach_add_(weights, updates)
        write_back(parameters, weights)

    def _step_rest(self, rest: torch.optim.AdamW) -> None:
        """AdamW's part of the step, with what a loss scaler or guard has set on the whole."""
        asked = {name: getattr(self, name) for name in ("found_inf", "grad_scale") if hasattr(self, name)}
        vars(rest).update(asked)
        try:
            rest.step()
        finally:
            for name in asked:
                delattr(rest, name)


def as_matrices(parameter: Tensor, blocks: int) -> Tensor:
    """(out, ...) -> (blocks, out / blocks, all the rest)."""
    return parameter.reshape(blocks, parameter.shape[0] // blocks, -1)


def alike(stacks: list[Tensor]) -> Iterator[list[int]]:
    """Places of the stacks whose matrices have one shape: they are worked on in one batched product."""
    places: dict[torch.Size, list[int]] = {}
    for place, stack in enumerate(stacks):
        places.setdefault(stack.shape[1:], []).append(place)
    yield from places.values()


def orthogonal(matrices: Tensor, steps: int) -> Tensor:
    """(n, rows, columns) -> the same singular vectors with singular values near 1, by Newton-Schulz iteration.

    In bfloat16 on a CUDA device, as published: the polynomial is less exact than that. In float32 elsewhere.
    A singular value below about a thousandth of the matrix's norm ends below a half; a matrix of zeros stays zero.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices  # the products below are then of the smaller side
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp_min(SMALLEST_NORM)
    x = x.to(torch.bfloat16 if x.is_cuda else torch.float32)
    for _ in range(steps):
        square = x @ x.mT
        polynomial = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x.mT if tall else x
