"""What pixels look like: brightness, contrast, saturation, hue, greyscale, blur and the histogram operations.

Each works on a whole batch with a figure of its own an image, on 1 or 3 channels; what needs three leaves pictures of
one as they are. Functions named after an operation take and return uint8 (B, C, H, W); those on float32 are on the same
scale, 0 to 255, so that several can follow each other without rounding in between.

The operations are Pillow's (ImageEnhance, ImageOps), on which AutoAugment and its followers are defined; results are
rounded to the nearest level where Pillow cuts off the fraction.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.data.geometry import to_bytes

_LUMINANCE = (0.2989, 0.587, 0.114)  # ITU-R 601, with torchvision's digits


def grey(x: Tensor) -> Tensor:
    """Luminance, float32 (B, 1, H, W), of float32 (B, C, H, W); a picture of one channel is its own."""
    if x.shape[1] != 3:
        return x
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    return (red * _LUMINANCE[0]).add_(green, alpha=_LUMINANCE[1]).add_(blue, alpha=_LUMINANCE[2])


def enhance(x: Tensor, factor: Tensor, towards_mean: Tensor, towards_grey: Tensor) -> Tensor:
    """Each picture moved away from a duller one, or towards it: `duller + factor * (x - duller)`, clamped; float32.

    Duller is black for brightness, the mean luminance for contrast, the picture's own greys for saturation: float32
    (B,) `towards_mean` is 1 for contrast and `towards_grey` 1 for saturation, else 0. One expression for a batch in
    which some images want one and some another.
    """
    if x.shape[1] not in (1, 3):
        return x
    greys = grey(x)
    # Summed in double precision, the mean does not depend on how many images and threads share the work. MPS has none.
    precise = torch.float32 if x.device.type == "mps" else torch.float64
    mean = greys.mean((1, 2, 3), keepdim=True, dtype=precise).float()
    duller = _column(towards_mean) * mean + _column(towards_grey) * greys
    return torch.lerp(duller, x, _column(factor)).clamp_(0, 255)


def turn_hue(x: Tensor, turns: Tensor) -> Tensor:
    """Hue turned by `turns`, float32 (B,), of the circle; largest and smallest channel value stay. Float32, 3 channels.

    HSV without its other two coordinates: the hue in sixths of a turn, turned, and from it each channel's place between
    the smallest and the largest value, which is a trapezium with its top around red 0, green 2 and blue 4.
    """
    low, top = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    chroma = top - low
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    sixths = torch.where(
        red == top,
        green - blue,
        torch.where(green == top, (blue - red).add_(chroma, alpha=2), (red - green).add_(chroma, alpha=4)),
    )
    sixths.div_(chroma.clamp_min(1e-6))  # a grey has chroma 0, and any hue is right for it
    hue = sixths.add_(_column(turns), alpha=6).remainder_(6)
    places = torch.cat(((hue - 3).abs_().sub_(1), 2 - (hue - 2).abs_(), 2 - (hue - 4).abs_()), 1)
    return places.clamp_(0, 1).mul_(chroma).add_(low)


def greyscale(images: Tensor) -> Tensor:
    """All channels the luminance."""
    return to_bytes(grey(images.float()).repeat(1, images.shape[1], 1, 1)) if images.shape[1] == 3 else images


def blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur with standard deviation `sigma`, float32 (B,), in pixels, cut off `radius` pixels away.

    Edges are mirrored without repeating the outermost pixel, so `radius` must be smaller than both sides. Rows and
    columns one after the other, as sums of shifted pictures: a convolution would be at the mercy of TF32.
    """
    distances = torch.arange(-radius, radius + 1, device=images.device, dtype=torch.float32)
    bell = torch.softmax((distances / sigma[:, None]).square() / -2, dim=1)
    weights = bell[:, :, None, None, None]  # (B, taps, 1, 1, 1)
    height, width = images.shape[-2:]
    x = F.pad(images.float(), (radius, radius, radius, radius), mode="reflect")
    x = _weighted([x[:, :, shift : shift + height] for shift in range(2 * radius + 1)], weights)
    return to_bytes(_weighted([x[..., shift : shift + width] for shift in range(2 * radius + 1)], weights))


def _weighted(parts: list[Tensor], weights: Tensor) -> Tensor:
    total = parts[0] * weights[:, 0]
    for number, part in enumerate(parts[1:], 1):
        total.addcmul_(part, weights[:, number])
    return total


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """As `enhance`, the duller picture being a smoothed one: 3 by 3, the middle counting 5 of 13. Edges stay."""
    if min(images.shape[-2:]) < 3:
        return images
    x = images.float()
    inner = x[..., 1:-1, 1:-1]
    rows = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    smooth = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]).add_(inner, alpha=4).div_(13)
    inner.copy_(torch.lerp(smooth, inner, _column(factor)))
    return to_bytes(x)


def posterize(images: Tensor, mask: Tensor) -> Tensor:
    """Fewer levels: only the bits of `mask`, uint8 (B,), stay."""
    return images & _column(mask)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Values from `threshold`, float32 (B,), upwards inverted."""
    return torch.where(images >= _column(threshold), 255 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched so that its darkest pixel becomes 0 and its lightest 255; one of a single value stays."""
    x = images.float()
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    span = high - low
    stretched = (x - low) * (255 / span.clamp_min(1))
    return to_bytes(torch.where(span > 0, stretched, x))


def equalize(images: Tensor) -> Tensor:
    """Each channel's values moved so that its histogram becomes as even as it can.

    As ImageOps.equalize counts: with `step` the 255th part, rounded down, of the pixels below the largest value, a
    value becomes the number of pixels below it, over `step`; a channel whose step is 0 stays.
    """
    flat = images.flatten(2).long()
    counts = torch.zeros((*flat.shape[:2], 256), dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat, dtype=torch.int32))
    below = counts.cumsum(2, dtype=torch.int32) - counts
    step = torch.div(below.gather(2, flat.amax(2, keepdim=True)), 255, rounding_mode="floor")
    levels = torch.div(below + step // 2, step.clamp_min(1), rounding_mode="floor").clamp_(0, 255)
    moved = levels.gather(2, flat).to(torch.uint8).view_as(images)
    return torch.where(step[..., None] > 0, moved, images)


def _column(values: Tensor) -> Tensor:
    """(B,) as (B, 1, 1, 1)."""
    return values[:, None, None, None]
