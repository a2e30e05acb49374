"""Where the pixels of a split come from: memory of the device, or image files decoded on the way."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from workbench.base.errors import UserError
from workbench.data.stats import Totals, totals

Span = tuple[int, int]
"""A batch as positions [first, last) in an order."""

_CHUNK = 4096  # images a time when all are read for their totals


class Source(Protocol):
    """Images by row number, all of one shape."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""

    def read(self, rows: Tensor, spans: Sequence[Span]) -> Iterator[Tensor]:
        """For each span, the images of `rows[first:last]`: uint8 (B, C, H, W) on the device.

        `rows` is int64 on the CPU. Images outside the spans are not touched.
        """


class Countable(Source, Protocol):
    """A source that the images to train on may come from: how they are normalised is worked out from it."""

    def totals(self, rows: Tensor) -> Totals:
        """Sums over the images of `rows`, for mean and std."""


class Resident:
    """All images as one uint8 tensor on the device: no loader, no worker, one gather a batch."""

    def __init__(self, images: Tensor, name: str, device: torch.device) -> None:
        """`images` is uint8 (N, C, H, W). Raises UserError if the device has no room for them."""
        try:
            self.images = images.to(device)
        except (RuntimeError, MemoryError) as error:
            raise UserError(
                f"data.dataset: {name} does not fit on {device} ({images.nbytes / 2**20:.0f} MiB): "
                f"{str(error).splitlines()[0]}"
            ) from error

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def read(self, rows: Tensor, spans: Sequence[Span]) -> Iterator[Tensor]:
        """See `Source.read`."""
        there = rows.to(self.images.device)  # once an epoch
        for first, last in spans:
            yield self.images[there[first:last]]

    def totals(self, rows: Tensor) -> Totals:
        """See `Countable.totals`; counted on the CPU, a part at a time."""
        there = rows.to(self.images.device)
        return totals(self.images[there[i : i + _CHUNK]].cpu() for i in range(0, len(there), _CHUNK))
