"""From stored bytes to network input, a batch at a time on the device: crop, flip, resize, normalise.

Standard augmentation is that of He et al. (2016), section 4.2: pad with black, crop at a random
place, mirror with probability one half. The padding is an eighth of the side (4 px for 32 px).

Draws are made for all samples of an epoch at once, on the CPU, and indexed by sample number: the
picture of sample i in epoch e is the same for every batch size, device and start of the epoch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.data.keys import generator


@dataclass(frozen=True, eq=False)
class Draws:
    """What was drawn for n samples: crop offsets into the padded picture, pixels, and whether to mirror."""

    top: Tensor  # (n,) int64, 0 to 2 * padding(height)
    left: Tensor  # (n,) int64, 0 to 2 * padding(width)
    flip: Tensor  # (n,) bool

    def to(self, device: torch.device) -> "Draws":
        """The same draws on `device`."""
        return Draws(self.top.to(device), self.left.to(device), self.flip.to(device))

    def __getitem__(self, samples: "Tensor | slice") -> "Draws":
        """The draws of `samples`: int64 numbers (B,) on the same device, or a slice."""
        return Draws(self.top[samples], self.left[samples], self.flip[samples])


def padding(side: int) -> int:
    """Black pixels added on each end of a side: an eighth of it, rounded half up."""
    return (side + 4) // 8


def draw(n: int, height: int, width: int, *, seed: int, epoch: int, mirror: bool) -> Draws:
    """Draws for all `n` samples of `epoch`, on the CPU; `mirror` False never flips."""
    rng = generator(seed, "augment", epoch)
    top = torch.randint(2 * padding(height) + 1, (n,), generator=rng)
    left = torch.randint(2 * padding(width) + 1, (n,), generator=rng)
    flip = torch.randint(2, (n,), generator=rng).bool()
    return Draws(top, left, flip if mirror else torch.zeros_like(flip))


def crop_and_flip(images: Tensor, draws: Draws) -> Tensor:
    """Each image padded, cropped back to its size and perhaps mirrored; uint8 (B, C, H, W) to the same.

    One gather for the whole batch. Rows and columns outside the image are read from its edge and
    multiplied by zero, so no padded copy is made and no shape depends on a value (no device sync).
    """
    batch, channels, height, width = images.shape
    device = images.device
    y = torch.arange(height, device=device)
    x = torch.arange(width, device=device)
    rows = y + (draws.top - padding(height))[:, None]  # (B, H)
    cols = torch.where(draws.flip[:, None], width - 1 - x, x) + (draws.left - padding(width))[:, None]
    inside_rows = (rows >= 0) & (rows < height)
    inside_cols = (cols >= 0) & (cols < width)
    places = (rows.clamp(0, height - 1) * width)[:, :, None] + cols.clamp(0, width - 1)[:, None, :]  # (B, H, W)
    # As one flat index: five times as fast on a CPU as an index for each dimension.
    picked = images.flatten(2).gather(2, places.flatten(1)[:, None].expand(batch, channels, -1)).view(images.shape)
    return picked * (inside_rows[:, None, :, None] & inside_cols[:, None, None, :])


def to_input(images: Tensor, size: int, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 (B, C, H, W) to float32 (B, C, size, size): `(x / 255 - mean) / std`, bilinear resize.

    `mean` and `std` are float32 (C, 1, 1), of pixels scaled to 0..1. Antialias only when shrinking:
    for growing it changes nothing. Normalising comes first because both steps are linear and the
    stored picture is mostly the smaller one (28 px to 224 px: 64 times fewer pixels).
    """
    x = images.float().div_(255).sub_(mean).div_(std)
    height, width = images.shape[-2:]
    if (height, width) == (size, size):
        return x
    shrinks = size < height or size < width
    # As so many pictures of one channel: with three, torch takes a path on the CPU that is twice as slow (32 to 224 px,
    # one thread: 1.44 ms an image, so 0.66).
    planes = x.flatten(0, 1)[:, None]
    planes = F.interpolate(planes, (size, size), mode="bilinear", align_corners=False, antialias=shrinks)
    return planes.reshape(*images.shape[:2], size, size)
