"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019): pictures of two samples in one, with both labels.

Pairs are neighbours: position 2k of a batch with 2k + 1, and the last of an odd batch with itself, which leaves it as
it is. So any part of a batch that begins at an even place and has an even length, or ends where the batch does, can be
mixed alone, and gradients of micro-batches and of several devices add up to those of the whole batch.

A sample's lambda is drawn from Beta(alpha, alpha) by its number, with numpy's Philox generator from a counter-derived
key. Mixup takes each sample's own; for CutMix both of a pair take the first one's, and with it one box. Where both
kinds are on, the first one's coin decides for the pair.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.data.keys import key
from workbench.data.policy import Policy
from workbench.data.walk import Table, Walk


@dataclass(frozen=True, eq=False)
class Mixed:
    """What mixing made of a batch. The target of a sample is `share` of its own label and the rest of `other`."""

    images: Tensor  # float32 (B, C, S, S)
    other: Tensor  # int64 (B,)
    share: Tensor  # float32 (B,)


class Mixing:
    """Mixup and CutMix for the batches of a walk, drawn and uploaded."""

    def __init__(self, policy: Policy, walk: Walk, labels: Tensor) -> None:
        """`labels` are int64 (m,), in the order of the walk, on the CPU."""
        first, partner = pairs(walk)
        cut = self._cuts(policy, walk)[walk.samples[first]]
        alone = partner == torch.arange(len(partner))
        boxes = self._boxes(policy, walk, first)
        kept = 1 - (boxes[:, 2] * boxes[:, 3]).double() / walk.size**2
        own = torch.from_numpy(_betas(policy.mixup, walk, "mixup"))[walk.samples]
        share = torch.where(cut, kept, own).masked_fill_(alone, 1.0).float()
        whole = torch.tensor([0, 0, walk.size, walk.size])
        # Either way a part of the other picture is laid over a box: all of it over a small one, or some over the whole.
        self.boxes = _upload(torch.where(cut[:, None], boxes, whole), walk) if policy.cutmix > 0 else None
        self.part = _upload(torch.where(cut, 1.0, 1 - share), walk)
        self.share = _upload(share, walk)
        self.other = _upload(labels[partner], walk)
        self.partner = _upload(partner - walk.starts, walk)

    def __call__(self, x: Tensor, batch: int) -> Mixed:
        """The batch's input, float32 (B, C, S, S), mixed."""
        weight = self.part[batch][:, None, None, None]
        if self.boxes is not None:
            weight = weight * inside(self.boxes[batch], x.shape[-1])[:, None]
        images = x[self.partner[batch]]
        torch.lerp(x, images, weight, out=images)
        return Mixed(images, self.other[batch], self.share[batch])

    @staticmethod
    def _cuts(policy: Policy, walk: Walk) -> Tensor:
        """Whether a pair that the sample leads is cut, not blended: bool (total,)."""
        if policy.mixup > 0 and policy.cutmix > 0:
            return walk.uniform("mix") < 0.5
        return torch.full((walk.total,), policy.cutmix > 0)

    @staticmethod
    def _boxes(policy: Policy, walk: Walk, first: Tensor) -> Tensor:
        """CutMix's boxes (top, left, height, width), int64 (m, 4), of the pairs' first samples (section 3.1).

        Sides of sqrt(1 - lambda) around a centre that can be anywhere; what hangs over the edge is cut off.
        """
        leaders = walk.samples[first]
        ratio = torch.from_numpy(np.sqrt(1 - _betas(policy.cutmix, walk, "cutmix")))[leaders]
        side = (walk.size * ratio).long()
        centre = (walk.uniform("centre", 2)[leaders] * walk.size).long()
        low = (centre - side[:, None] // 2).clamp_(min=0)
        high = (centre - side[:, None] // 2 + side[:, None]).clamp_(max=walk.size)
        return torch.cat((low, high - low), 1)


def pairs(walk: Walk) -> tuple[Tensor, Tensor]:
    """For each position of the walk the position of its pair's first, and of its partner: int64 (m,) both."""
    places = torch.arange(len(walk.samples)) - walk.starts
    partners = torch.minimum(places ^ 1, walk.lengths - 1)
    return walk.starts + places // 2 * 2, walk.starts + partners


def inside(boxes: Tensor, size: int) -> Tensor:
    """Float32 (B, S, S): 1 inside the box of each, integers (B, 4) as top, left, height and width; 0 outside."""
    top, left, height, width = boxes[:, :, None].unbind(1)  # each (B, 1)
    places = torch.arange(size, device=boxes.device)
    rows = (places >= top) & (places < top + height)
    cols = (places >= left) & (places < left + width)
    return (rows[:, :, None] & cols[:, None, :]).float()


def _betas(alpha: float, walk: Walk, purpose: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Lambda of each sample of the split, (total,); all 1, which mixes nothing, where alpha is 0."""
    if alpha <= 0:
        return np.ones(walk.total)
    rng = np.random.Generator(np.random.Philox(key(walk.seed, "augment", walk.epoch, purpose)))
    return rng.beta(alpha, alpha, size=walk.total)


def _upload(values: Tensor, walk: Walk) -> Table:
    return Table(values.to(walk.device), walk.spans)
