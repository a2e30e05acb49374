"""Where pixels go: crops of any size, mirrors and affine maps, for a whole batch with figures of its own an image.

Pictures are uint8 in and out; values between pixels are interpolated linearly and rounded. No matrix product is used
for coordinates: on a GPU that rounds products to TF32 it would move pixels by tenths.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def to_bytes(values: Tensor) -> Tensor:
    """Float values on the scale 0..255 to uint8: rounded, and clamped to what a byte holds. Overwrites `values`."""
    return values.round_().clamp_(0, 255).to(torch.uint8)


def mirrored(images: Tensor, flip: Tensor) -> Tensor:
    """(B, C, H, W) with those mirrored left to right where `flip`, bool (B,), says so."""
    return torch.where(flip[:, None, None, None], images.flip(-1), images)


def resized_crop(images: Tensor, boxes: Tensor, flip: Tensor | None = None) -> Tensor:
    """A part of each picture stretched to the whole size, and perhaps mirrored; uint8 (B, C, H, W) to the same.

    `boxes` is (B, 4): top, left, height and width in whole pixels, inside the picture. Bilinear with pixel centres at
    halves, and nothing outside the box is read: what resizing the cut-out part alone would give.
    """
    height, width = images.shape[-2:]
    top, left, tall, wide = boxes.to(torch.float32)[:, :, None].unbind(1)  # each (B, 1)
    rows = _inside((_centres(height, images) / height) * tall - 0.5, tall) + top
    cols = _inside((_centres(width, images) / width) * wide - 0.5, wide) + left
    if flip is not None:
        cols = torch.where(flip[:, None], cols.flip(-1), cols)
    return _sample(images, rows[:, :, None], cols[:, None, :], "border")


def _centres(side: int, like: Tensor) -> Tensor:
    return torch.arange(side, device=like.device, dtype=torch.float32) + 0.5


def _inside(places: Tensor, length: Tensor) -> Tensor:
    return torch.minimum(places.clamp_min(0), length - 1)


def affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Each picture seen through an affine map, black where it has no pixels; uint8 (B, C, H, W) to the same.

    `matrices` is float32 (B, 2, 3), from the result to the source: the pixel that appears at (x, y), measured from the
    picture's centre, is the one at `matrix @ (x, y, 1)`.
    """
    height, width = images.shape[-2:]
    x = (_centres(width, images) - width / 2)[None, None, :]
    y = (_centres(height, images) - height / 2)[None, :, None]
    a, b, c, d, e, f = matrices.flatten(1)[:, :, None, None].unbind(1)  # each (B, 1, 1)
    cols = a * x + b * y + (c + (width - 1) / 2)
    rows = d * x + e * y + (f + (height - 1) / 2)
    return _sample(images, rows, cols, "zeros")


def _sample(images: Tensor, rows: Tensor, cols: Tensor, outside: str) -> Tensor:
    """Pixels at fractional places: `rows` and `cols` broadcast to (B, H, W), in pixels, 0 at the first one's centre."""
    batch, _, height, width = images.shape
    # grid_sample's scale: -1 and 1 are the centres of the first and the last pixel. A side of one pixel has no scale.
    rows, cols = rows * (2 / max(height - 1, 1)) - 1, cols * (2 / max(width - 1, 1)) - 1
    grid = torch.stack([places.expand(batch, height, width) for places in (cols, rows)], -1)
    return to_bytes(F.grid_sample(images.float(), grid, mode="bilinear", padding_mode=outside, align_corners=True))
