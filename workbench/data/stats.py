"""Mean and standard deviation per channel, from integer sums: the same digits on every machine.

Floating-point sums depend on the order of adding, hence on threads and device; sums of bytes do not.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Totals:
    """Sums over all pixels of a set of images, per channel, of byte values 0..255."""

    pixels: int  # per channel
    sums: tuple[int, ...]
    squares: tuple[int, ...]

    def mean(self) -> tuple[float, ...]:
        """Per channel, of values scaled to 0..1."""
        return tuple(total / (255 * self.pixels) for total in self.sums)

    def std(self) -> tuple[float, ...]:
        """Per channel, of values scaled to 0..1; over the population. A constant channel counts as 1."""
        variances = (
            (self.pixels * square - total * total) / (255 * self.pixels) ** 2
            for total, square in zip(self.sums, self.squares, strict=True)
        )
        return tuple(math.sqrt(variance) or 1.0 for variance in variances)


def totals(chunks: Iterable[Tensor]) -> Totals:
    """Totals of uint8 CPU tensors (N, C, H, W), all with the same C."""
    counts: Tensor | None = None  # (C, 256): how often each value occurs
    for chunk in chunks:
        values = chunk.transpose(0, 1).flatten(1)
        found = torch.stack([torch.bincount(channel, minlength=256) for channel in values])
        counts = found if counts is None else counts + found
    if counts is None:
        raise ValueError("totals of no images")
    value = torch.arange(256)
    return Totals(
        pixels=int(counts[0].sum()),
        sums=tuple((counts * value).sum(1).tolist()),
        squares=tuple((counts * value * value).sum(1).tolist()),
    )
