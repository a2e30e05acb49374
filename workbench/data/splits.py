"""A split hands out batches; which images, in which order and with which draws, is a function of counters."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.data.augment import Draws, crop_and_flip, draw, to_input
from workbench.data.keys import generator, order
from workbench.data.sources import Source, Span


@dataclass(frozen=True, eq=False)
class Recipe:
    """How bytes become the network's input; the same for every split of a data set."""

    image_size: int  # pixels
    mean: Tensor  # float32 (C, 1, 1) on the device, of values 0..1
    std: Tensor  # float32 (C, 1, 1) on the device
    mirror: bool  # a mirrored image keeps its class
    seed: int


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels for one purpose: training, validation or test."""

    source: Source
    rows: Tensor  # int64 (n,) on the CPU: the split's images among the source's
    labels: Tensor  # int64 (n,) on the CPU
    recipe: Recipe
    augmented: bool  # True for a training split with augmentation on; False for every other

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.rows)

    def steps(self, batch_size: int) -> int:
        """Number of batches in a pass."""
        return len(batch_spans(self.size, batch_size))

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Images float32 (B, C, S, S) and labels int64 (B,), both on the device.

        With `epoch`, shuffled for that epoch and, if this split is, augmented; without, in the
        files' order and never augmented. `start` batches are skipped without being read, and the
        rest is what it would have been. A last batch of one image joins the one before it: batch
        norm cannot train on a single image. Raises ValueError for counts out of range.
        """
        if start < 0:
            raise ValueError(f"start must not be negative (got {start})")
        spans = batch_spans(self.size, batch_size)[start:]
        visited = torch.arange(self.size) if epoch is None else order(self.size, self.recipe.seed, epoch)
        return self._produce(spans, visited, epoch if self.augmented else None)

    def _produce(
        self, spans: list[Span], visited: Tensor, augment_epoch: int | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        recipe, device = self.recipe, self.recipe.mean.device
        # Tables go to the device once a pass, not once a batch.
        labels = self.labels[visited].to(device)
        draws = self._draws(augment_epoch, visited).to(device) if augment_epoch is not None else None
        for (first, last), images in zip(spans, self.source.read(self.rows[visited], spans), strict=True):
            if draws is not None:
                images = crop_and_flip(images, draws[first:last])
            yield to_input(images, recipe.image_size, recipe.mean, recipe.std), labels[first:last]

    def _draws(self, epoch: int, visited: Tensor) -> Draws:
        """Drawn by sample number, then put in the order of the visit."""
        _, height, width = self.source.shape
        recipe = self.recipe
        return draw(self.size, height, width, seed=recipe.seed, epoch=epoch, mirror=recipe.mirror)[visited]


def batch_spans(n: int, batch_size: int) -> list[Span]:
    """`n` images in batches: positions [first, last), with a last batch of one folded into the one before."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1 (got {batch_size})")
    spans = [(first, min(first + batch_size, n)) for first in range(0, n, batch_size)]
    if batch_size > 1 and n > 1 and n % batch_size == 1:
        spans[-2:] = [(spans[-2][0], n)]
    return spans


def hold_out(labels: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """(kept, held out): ascending sample numbers, int64. `fraction` of each class, rounded, is held out.

    The choice does not depend on a run's seed, so runs with other seeds are compared on the same
    validation images.
    """
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label).flatten()
        shuffled = members[torch.randperm(len(members), generator=generator("validation", label))]
        held[shuffled[: round(len(members) * fraction)]] = True
    return torch.nonzero(~held).flatten(), torch.nonzero(held).flatten()
