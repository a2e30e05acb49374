"""Batches that do not fit the device: the largest part that does, with gradients summed up to the whole batch.

Trying again after an out-of-memory error is only right if the first try has left no trace: running statistics of batch
norm and the random generators have moved by then. So both are put back to where the step began (`Step` reseeds its
generators anyway), and no try is made once the optimiser has begun.

With parts, batch norm sees each part by itself ("ghost batches"): a network with batch norm then learns slightly
differently from one that sees the whole batch; every other network computes the same gradient but for rounding.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from workbench.base.errors import UserError
from workbench.data.splits import Batch, batch_spans

BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)


def has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, BATCH_NORMS) for module in network.modules())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, or the machine, had no room for a tensor."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


class Fit:
    """How many images go through the network at once. `told` hears of each change."""

    def __init__(
        self,
        network: nn.Module,
        micro_batch: int | str,
        batch_size: int,
        told: Callable[[int, int], None] = lambda before, now: None,
    ) -> None:
        self.auto = micro_batch == "auto"
        self.micro = batch_size if isinstance(micro_batch, str) else min(micro_batch, batch_size)
        self.batch_size = batch_size
        self.smallest = 2 if has_batch_norm(network) else 1
        self.told = told
        self._buffers = list(network.buffers()) if self.auto else []
        self._kept = [torch.empty_like(buffer) for buffer in self._buffers]

    def parts(self, images: int) -> list[tuple[int, int]]:
        """A batch of `images` as spans of at most `micro` (and one more where one would be left over)."""
        return batch_spans(images, self.micro)

    @torch.no_grad()
    def keep(self) -> None:
        """Keep the buffers as they are before a step."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    @torch.no_grad()
    def restore(self) -> None:
        """The buffers as they were when the step began."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._kept)

    def shrink(self) -> None:
        """Halve the part. UserError where it cannot be smaller."""
        smaller = max(self.micro // 2 // 2 * 2, 1)
        if not self.auto or smaller < self.smallest or smaller == self.micro:
            size = f"{self.micro} image{'s' if self.micro > 1 else ''} at a time"
            remedy = (
                "no smaller part can be trained: take a smaller data.image_size or a smaller network"
                if self.auto
                else 'set train.micro_batch = "auto", or a smaller number'
            )
            raise UserError(f"out of memory at {size}; {remedy}")
        before, self.micro = self.micro, smaller
        self.told(before, smaller)


def synthetic(images: int, channels: int, size: int, classes: int, device: torch.device) -> Batch:
    """A batch of random images and labels, on the device. Random, because zeros take less power and time."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(images, channels, size, size, generator=generator)
    labels: Tensor = torch.randint(classes, (images,), generator=generator)
    return Batch(pixels.to(device), labels.to(device))
