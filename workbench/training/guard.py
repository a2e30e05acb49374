"""What happens when a loss or gradient is not a finite number: noticed on the device, told at the next flush.

Nothing waits for the device to learn it. The fused optimisers of torch (and ours) take a tensor `found_inf` and leave
weights and state untouched where it is 1; an optimiser without that costs one wait a step, and only if steps are to be
skipped.
"""

import torch
from torch import Tensor, nn

NEVER = -1


class Guard:
    """Counts the steps whose loss or gradient was not finite, and keeps them from the weights.

    `mode` is `train.on_nan`. With skip, a bad step leaves no trace but its count. With stop and rollback, no step after
    the first bad one changes a weight either, so that what went wrong can still be looked at.
    """

    def __init__(self, mode: str, network: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self.skips = mode == "skip"
        self.checks_gradients = mode != "stop"
        self.optimizer = optimizer
        self.held = bool(getattr(optimizer, "_step_supports_amp_scaling", False))
        self.bad = torch.zeros((), device=device)  # 1 where this step is not to count
        self.count = torch.zeros((), dtype=torch.int64, device=device)
        self.first = torch.full((), NEVER, dtype=torch.int64, device=device)
        self.number = torch.zeros((), dtype=torch.int64, device=device)
        self._buffers = [b for b in network.buffers() if b.is_floating_point()] if self.skips else []
        self._kept = [torch.empty_like(b) for b in self._buffers]

    def before(self) -> None:
        """Keep what a bad forward pass would spoil: running statistics, where the run is to go on after it."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    def judge(self, loss: Tensor, norm: Tensor | None) -> None:
        """Look at a step's loss (scalar) and, where it is known, the norm of its gradient."""
        finite = loss.isfinite()
        if norm is not None:
            finite = finite & norm.isfinite()
        bad = finite.logical_not()
        self.first.copy_(torch.where(bad & (self.first == NEVER), self.number, self.first))
        self.count += bad
        self.number += 1
        if self.skips:
            self.bad.copy_(bad)
        else:
            torch.maximum(self.bad, bad.to(self.bad.dtype), out=self.bad)

    def step(self) -> None:
        """The optimiser's step, or nothing where this one is not to count."""
        if self.held:
            self.optimizer.found_inf = self.bad  # type: ignore[attr-defined]  # as torch's own loss scaler sets it
            self.optimizer.grad_scale = None  # type: ignore[attr-defined]
            try:
                self.optimizer.step()
            finally:
                del self.optimizer.found_inf, self.optimizer.grad_scale  # type: ignore[attr-defined]
        elif not self.skips or not self.bad.item():
            self.optimizer.step()

    def after(self) -> None:
        """Put back what a bad forward pass spoilt."""
        for buffer, kept in zip(self._buffers, self._kept, strict=True):
            buffer.copy_(torch.where(self.bad > 0, kept, buffer))

    def restart(self, number: int) -> None:
        """The next step is `number`, and all is well."""
        self.bad.zero_()
        self.count.zero_()
        self.first.fill_(NEVER)
        self.number.fill_(number)

    @property
    def figures(self) -> Tensor:
        """(2,) on the device: bad steps since `restart`, and the number of the first, or NEVER."""
        return torch.stack((self.count, self.first))
