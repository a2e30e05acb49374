"""One pass over samples, ready for the device: tables by position, and which positions an operation touches.

Everything that a batch needs is uploaded once, before the first batch. What depends on a value (which images are
blurred, how many) is worked out here on the CPU, where the draws are made, so that no batch has to ask the device.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from workbench.data.keys import generator
from workbench.data.sources import Span

CACHE = 2**23
"""Bytes of floats that operations on a CPU work on at a time. On 64 images of 224 px at once, most of them took about
twice as long an image as on 16."""


@dataclass(frozen=True, eq=False)
class Walk:
    """Which samples are visited in which batches, in what epoch, as pictures of what size."""

    samples: Tensor  # int64 (m,) on the CPU: sample numbers in the order of the visit
    spans: Sequence[Span]  # the batches: positions in `samples`, one behind the other, from 0 to m
    total: int  # samples of the whole split; tables are drawn for all, so that a sample's draws are its own
    shape: tuple[int, int, int]  # (C, H, W) of the stored pictures
    size: int  # pixels, height and width of the network's input
    seed: int
    epoch: int
    device: torch.device

    @cached_property
    def lengths(self) -> Tensor:
        """Size of the batch that each position belongs to: int64 (m,) on the CPU, as the next two."""
        return self._for_each([last - first for first, last in self.spans])

    @cached_property
    def starts(self) -> Tensor:
        """First position of its batch."""
        return self._for_each([first for first, _ in self.spans])

    @cached_property
    def numbers(self) -> Tensor:
        """Number of its batch in the walk."""
        return self._for_each(list(range(len(self.spans))))

    def _for_each(self, values: list[int]) -> Tensor:
        sizes = [last - first for first, last in self.spans]
        return torch.from_numpy(np.repeat(np.array(values, dtype=np.int64), sizes))

    @property
    def at_once(self) -> int:
        """How many images an operation should take at a time: on a CPU as many as its caches hold as floats."""
        channels, height, width = self.shape
        return max(1, CACHE // (4 * channels * height * width)) if self.device.type == "cpu" else sys.maxsize

    def generator(self, purpose: str) -> torch.Generator:
        """A generator of its own for each purpose: switching one operation on changes no other's draws."""
        return generator(self.seed, "augment", self.epoch, purpose)

    def uniform(self, purpose: str, *columns: int) -> Tensor:
        """Float32 (total, *columns) from 0 up to but not including 1, on the CPU."""
        return torch.rand((self.total, *columns), generator=self.generator(purpose))

    def table(self, drawn: Tensor) -> "Table":
        """`drawn` (total, ...), by sample number, in the order of the visit on the device."""
        return Table(drawn[self.samples].to(self.device), self.spans)

    def groups(self, kinds: Tensor, count: int) -> "Groups":
        """The batches' positions by kind: `kinds` (total,) holds 0 to count - 1 for each sample, on the CPU."""
        keys = self.numbers * count + kinds[self.samples].long()
        by_kind = torch.argsort(keys, stable=True)
        ends = torch.bincount(keys, minlength=len(self.spans) * count).cumsum(0).tolist()
        return Groups((by_kind - self.starts[by_kind]).to(self.device), [0, *ends], count, self.at_once)

    def chosen(self, mask: Tensor) -> "Groups":
        """`groups` of a yes or no for each sample, bool (total,): kind 1 is yes."""
        return self.groups(mask, 2)


@dataclass(frozen=True, eq=False)
class Table:
    """Values by position, on the device; `table[batch]` is the batch's part, a view."""

    values: Tensor  # (m, ...)
    spans: Sequence[Span]

    def __getitem__(self, batch: int) -> Tensor:
        first, last = self.spans[batch]
        return self.values[first:last]


@dataclass(frozen=True, eq=False)
class Groups:
    """Positions inside each batch, sorted by batch and kind; where a kind begins and ends is known on the CPU."""

    positions: Tensor  # int64 (m,) on the device
    ends: list[int]  # batches * count + 1 of them, ascending from 0
    count: int
    at_once: int

    def members(self, batch: int, kind: int = 1) -> Iterator[Tensor]:
        """Positions in `batch` of images of `kind`, int64 (G,) ascending, views; in parts of up to `at_once`."""
        place = batch * self.count + kind
        for first in range(self.ends[place], self.ends[place + 1], self.at_once):
            yield self.positions[first : min(first + self.at_once, self.ends[place + 1])]
