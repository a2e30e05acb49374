"""Where in the network a number stopped being finite: the failing step once more, with an eye on every layer."""

import torch
from torch import Tensor, nn

from workbench.data.splits import Batch
from workbench.training.sam import frozen_batch_norm
from workbench.training.step import Step


def first_bad_module(step: Step, batch: Batch, number: int) -> str:
    """What went non-finite first in step `number` on `batch`, in words: a layer's output, the loss, or a gradient.

    The weights must be those that the step began with; running statistics are left alone, gradients are not.
    """
    seen: list[str] = []
    hooks = [
        module.register_forward_hook(_watch(name or "the network", module, seen))
        for name, module in step.network.named_modules()
        if not list(module.children())
    ]
    try:
        with frozen_batch_norm(step.network):
            step.reseed(number, 0)
            loss, _ = step.loss(batch)
            if seen:
                return seen[0]
            if not loss.isfinite().item():
                return "the loss"
            step.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    finally:
        for hook in hooks:
            hook.remove()
    # Backward runs from the last layer to the first: the last parameter with a bad gradient is the first to get one.
    names = [name for name, p in step.network.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    return f"the gradient of {names[-1]}" if names else "nothing any more: the step is finite when repeated"


def _watch(name: str, module: nn.Module, seen: list[str]):  # type: ignore[no-untyped-def]  # a torch hook
    def hook(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and not torch.isfinite(output).all():
            seen.append(f"the output of {name} ({type(module).__name__})")

    return hook
