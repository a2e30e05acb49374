"""A split hands out batches; which images, in which order and with which draws, is a function of counters."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.data.augment import to_input
from workbench.data.keys import generator, order
from workbench.data.mixing import Mixing
from workbench.data.policy import Policy
from workbench.data.sources import Source, Span
from workbench.data.stages import byte_stages, input_stages
from workbench.data.walk import Walk


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and what they show. All on the device; B may be 0 for one of several ranks."""

    images: Tensor  # float32 (B, C, S, S)
    labels: Tensor  # int64 (B,)
    other: Tensor | None = None  # int64 (B,): where images are mixed, the label of the other picture
    share: Tensor | None = None  # float32 (B,): the part of `labels` in the target; the rest is of `other`

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Batch":
        """Some of the images, as views: what goes through the network at once."""
        other = None if self.other is None else self.other[part]
        share = None if self.share is None else self.share[part]
        return Batch(self.images[part], self.labels[part], other, share)

    def tensors(self) -> list[Tensor]:
        """Those that are there."""
        return [t for t in (self.images, self.labels, self.other, self.share) if t is not None]


@dataclass(frozen=True, eq=False)
class Recipe:
    """How bytes become the network's input; the same for every split of a data set."""

    image_size: int  # pixels
    mean: Tensor  # float32 (C, 1, 1) on the device, of values 0..1
    std: Tensor  # float32 (C, 1, 1) on the device
    seed: int


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels for one purpose: training, validation or test."""

    source: Source
    rows: Tensor  # int64 (n,) on the CPU: the split's images among the source's
    labels: Tensor  # int64 (n,) on the CPU
    recipe: Recipe
    policy: Policy  # what happens to images of an epoch; Policy() for every split but the training one

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.rows)

    def steps(self, batch_size: int) -> int:
        """Number of batches in a pass."""
        return len(batch_spans(self.size, batch_size))

    def batches(
        self,
        batch_size: int,
        *,
        epoch: int | None = None,
        start: int = 0,
        size: int | None = None,
        strength: float = 1.0,
        shard: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """The batches of one pass, on the device.

        With `epoch`, shuffled for that epoch and augmented by the split's policy; without, in the files' order and
        never augmented. `start` batches are skipped without being read, and the rest is what it would have been. A last
        batch of one image joins the one before it: batch norm cannot train on a single image.

        `size` is the side of the images in pixels (default: the recipe's) and `strength`, 0 to 1, scales the policy as
        `Policy.scaled` says: progressive resizing changes both from epoch to epoch.

        `shard` is (rank, world): only that rank's part of each batch, see `part_of`. A batch of fewer than 2 * world
        images leaves some ranks an empty one, of 0 images: whoever adds up over ranks weighs by `len(batch)`.

        Raises ValueError for figures out of range.
        """
        rank, world = shard
        if start < 0:
            raise ValueError(f"start must not be negative (got {start})")
        if size is not None and size < 1:
            raise ValueError(f"size must be at least 1 (got {size})")
        if not 0 <= rank < world:
            raise ValueError(f"shard must be (rank, world) with 0 <= rank < world (got {shard})")
        policy = self.policy.scaled(strength) if epoch is not None else Policy()
        visited = torch.arange(self.size) if epoch is None else order(self.size, self.recipe.seed, epoch)
        own = [part_of(span, rank, world) for span in batch_spans(self.size, batch_size)[start:]]
        walk = Walk(
            samples=torch.cat([visited[first:last] for first, last in own] or [visited[:0]]),
            spans=_back_to_back(own),
            total=self.size,
            shape=self.source.shape,
            size=size or self.recipe.image_size,
            seed=self.recipe.seed,
            epoch=epoch or 0,
            device=self.recipe.mean.device,
        )
        return self._produce(walk, policy)

    def _produce(self, walk: Walk, policy: Policy) -> Iterator[Batch]:
        recipe = self.recipe
        # Everything goes to the device once a pass, not once a batch.
        labels = self.labels[walk.samples].to(walk.device)
        on_bytes = byte_stages(policy, walk)
        on_input = input_stages(policy, walk, recipe.mean, recipe.std)
        mixing = Mixing(policy, walk, self.labels[walk.samples]) if policy.mixes else None
        for number, images in enumerate(self.source.read(self.rows[walk.samples], walk.spans)):
            first, last = walk.spans[number]
            if first == last:
                x = recipe.mean.new_empty((0, walk.shape[0], walk.size, walk.size))
            else:
                for stage in on_bytes:
                    images = stage(images, number)
                x = to_input(images, walk.size, recipe.mean, recipe.std)
                for stage in on_input:
                    x = stage(x, number)
            if mixing is None:
                yield Batch(x, labels[first:last])
            else:
                mixed = mixing(x, number)
                yield Batch(mixed.images, labels[first:last], mixed.other, mixed.share)


def part_of(span: Span, rank: int, world: int) -> Span:
    """The part of a batch that is `rank`'s: all ranks' parts, one behind the other, are the batch.

    Each begins at an even place, so that both samples of a pair that is mixed belong to one rank. Sizes differ by 2 at
    most; with fewer pairs than ranks some parts are empty.
    """
    first, last = span
    pairs = (last - first + 1) // 2
    begin, end = (first + 2 * (pairs * part // world) for part in (rank, rank + 1))
    return begin, min(end, last)


def _back_to_back(spans: list[Span]) -> list[Span]:
    """Spans of the same lengths, the first from 0 and each from where the one before ends."""
    moved, place = [], 0
    for first, last in spans:
        moved.append((place, place + last - first))
        place += last - first
    return moved


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
