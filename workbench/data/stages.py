"""A policy made ready for one pass: the list of what happens to each batch, in the papers' order.

    stored bytes: crop and mirror, jitter, greyscale, blur, random operations
    then to the network's size and normalised (augment.to_input)
    input: erase; then mixing

The first row works on pictures as they are stored. For a set of 32 px shown to the network at 224 px that is a 49th of
the pixels, and since the last step is linear interpolation a crop or a change of colour gives nearly the same picture
on either side of it. Pictures of a folder are stored at the network's size, so nothing is lost there either.
"""

from collections.abc import Callable
from math import ceil, log

import torch
from torch import Tensor

from workbench.data import colour, geometry
from workbench.data.augment import crop_and_flip, draw
from workbench.data.mixing import inside
from workbench.data.operations import Operations
from workbench.data.policy import Policy
from workbench.data.walk import Table, Walk

Stage = Callable[[Tensor, int], Tensor]
"""(images, number of the batch in the walk) to images of the same shape and type. It may overwrite its argument."""

ASPECTS = (3 / 4, 4 / 3)
"""Width over height of resized crops (Szegedy et al., 2015, section 6)."""

BLUR_SIGMA = (0.1, 2.0)
"""Standard deviation in pixels of a picture of 224 px (Chen et al., 2020, appendix A); others in proportion."""
_BLUR_SIDE = 224

ERASE_AREA = (0.02, 0.4)
ERASE_ASPECTS = (0.3, 1 / 0.3)
"""Part of the picture and height over width of an erased rectangle (Zhong et al., 2020, section 4.1)."""

_ATTEMPTS = 10  # at a box that fits into the picture
_NOISE_OFFSETS = 64  # rows at which an erased image may start reading the epoch's sheet of noise


def byte_stages(policy: Policy, walk: Walk) -> list[Stage]:
    """What happens to stored pictures, uint8 (B, C, H, W), in this order."""
    coloured = walk.shape[0] == 3
    stages = _placement(policy, walk)
    if policy.jitter > 0 or (policy.hue > 0 and coloured):
        stages.append(Jitter(policy, walk))
    if policy.greyscale > 0 and coloured:
        stages.append(Some(walk, "greyscale", policy.greyscale, lambda images, *_: colour.greyscale(images)))
    if policy.blur > 0 and min(walk.shape[1:]) > 1:
        stages.append(blur_stage(policy, walk))
    if policy.policy != "none":
        stages.append(Operations(policy, walk))
    return stages


def input_stages(policy: Policy, walk: Walk, mean: Tensor, std: Tensor) -> list[Stage]:
    """What happens to the network's input, float32 (B, C, S, S), normalised by `mean` and `std`, each (C, 1, 1)."""
    return [erase_stage(policy, walk, mean, std)] if policy.erase > 0 else []


def _placement(policy: Policy, walk: Walk) -> list[Stage]:
    """Crop and mirror, done together."""
    _, height, width = walk.shape
    if policy.crop == "pad":
        # Drawn as they have been since the first runs, flips from the crops' generator: those runs can be resumed.
        draws = draw(walk.total, height, width, seed=walk.seed, epoch=walk.epoch, mirror=policy.flip)
        moves = draws[walk.samples].to(walk.device)
        return [lambda images, batch: crop_and_flip(images, moves[slice(*walk.spans[batch])])]
    flips = walk.table(walk.uniform("flip") < 0.5) if policy.flip else None
    if policy.crop == "resized":
        return [resized_crop_stage(policy, walk, flips)]
    if flips is not None:
        return [lambda images, batch: geometry.mirrored(images, flips[batch])]
    return []


def resized_crop_stage(policy: Policy, walk: Walk, flips: Table | None) -> Stage:
    """Random resized crops, mirrored where `flips` says so."""
    boxes = walk.table(crop_boxes(walk, policy.crop_scale))

    def stage(images: Tensor, batch: int) -> Tensor:
        parts = []
        for first in range(0, len(images), walk.at_once):
            part = slice(first, first + walk.at_once)
            flip = None if flips is None else flips[batch][part]
            parts.append(geometry.resized_crop(images[part], boxes[batch][part], flip))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    return stage


def crop_boxes(walk: Walk, smallest: float) -> Tensor:
    """Boxes (top, left, height, width) in whole pixels, int16 (total, 4): `smallest` to all of the area.

    Area uniform, aspect uniform in its logarithm; of ten attempts the first that fits into the picture, else all of it.
    """
    _, height, width = walk.shape
    drawn = walk.generator("crop")

    def attempt() -> tuple[Tensor, Tensor]:
        area = height * width * (smallest + (1 - smallest) * torch.rand(walk.total, generator=drawn))
        aspect = _log_uniform(torch.rand(walk.total, generator=drawn), ASPECTS)
        return (area / aspect).sqrt().round().clamp_(min=1), (area * aspect).sqrt().round().clamp_(min=1)

    tall, wide = first_fitting(attempt, float(height), float(width), (float(height), float(width)))
    room = torch.stack((height - tall, width - wide), 1) + 1
    corner = (torch.rand((walk.total, 2), generator=drawn) * room).floor().minimum(room - 1)
    return torch.cat((corner, tall[:, None], wide[:, None]), 1).to(torch.int16)


def first_fitting(
    attempt: Callable[[], tuple[Tensor, Tensor]], height: float, width: float, otherwise: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Heights and widths of boxes that fit: each sample's first of ten attempts no larger than height by width."""
    tall, wide = attempt()
    fits = (tall <= height) & (wide <= width)
    for _ in range(_ATTEMPTS - 1):
        again = attempt()
        tall, wide = torch.where(fits, tall, again[0]), torch.where(fits, wide, again[1])
        fits = (tall <= height) & (wide <= width)
    return tall.where(fits, torch.tensor(otherwise[0])), wide.where(fits, torch.tensor(otherwise[1]))


def _log_uniform(drawn: Tensor, bounds: tuple[float, float]) -> Tensor:
    """From 0..1 to between `bounds`, uniform in the logarithm: a shape comes as often as the shape on its side."""
    low, high = (log(bound) for bound in bounds)
    return (low + (high - low) * drawn).exp()


class Some:
    """An operation on those images of a batch that drew it, each with probability `probability`."""

    def __init__(
        self, walk: Walk, purpose: str, probability: float, operation: Callable[[Tensor, Tensor, int], Tensor]
    ) -> None:
        """`operation` takes the images that drew it, their positions in the batch, int64 (G,), and its number."""
        self.groups = walk.chosen(walk.uniform(purpose) < probability)
        self.operation = operation

    def __call__(self, images: Tensor, batch: int) -> Tensor:
        for members in self.groups.members(batch):
            images.index_copy_(0, members, self.operation(images[members], members, batch))
        return images


class Jitter:
    """Random brightness, contrast and saturation in random order, then a random turn of the hue.

    As torchvision's ColorJitter, but that hue always comes last; a turn of the hue leaves an image's largest and
    smallest channel values alone, so little depends on its place. Pictures of one channel get brightness and contrast.
    """

    _KINDS = ("brightness", "contrast", "saturation")

    def __init__(self, policy: Policy, walk: Walk) -> None:
        coloured = walk.shape[0] == 3
        kinds = (3 if coloured else 2) if policy.jitter > 0 else 0
        # Which kind comes in which round, and that round's factor: all kinds draw theirs from the same range.
        self.kinds = walk.table(walk.uniform("jitter order", kinds).argsort(dim=1).to(torch.uint8))
        self.factors = walk.table(1 + policy.jitter * (2 * walk.uniform("jitter", kinds) - 1))
        turns = policy.hue * (2 * walk.uniform("hue") - 1)
        self.turns = walk.table(turns) if policy.hue > 0 and coloured else None
        self.some = Some(walk, "jitter probability", policy.jitter_probability, self._apply)

    def __call__(self, images: Tensor, batch: int) -> Tensor:
        return self.some(images, batch)

    def _apply(self, images: Tensor, members: Tensor, batch: int) -> Tensor:
        x = images.float()
        factors, kinds = self.factors[batch][members], self.kinds[batch][members]
        for number in range(factors.shape[1]):
            kind = kinds[:, number]
            x = colour.enhance(x, factors[:, number], (kind == 1).float(), (kind == 2).float())
        if self.turns is not None:
            x = colour.turn_hue(x, self.turns[batch][members])
        return geometry.to_bytes(x)


def blur_stage(policy: Policy, walk: Walk) -> Stage:
    """Gaussian blur; the kernel reaches three of the largest standard deviations."""
    side = min(walk.shape[1:])
    low, high = (bound * side / _BLUR_SIDE for bound in BLUR_SIGMA)
    sigma = walk.table(low + (high - low) * walk.uniform("blur"))
    radius = min(max(1, ceil(3 * high)), side - 1)
    return Some(
        walk,
        "blur probability",
        policy.blur,
        lambda images, members, batch: colour.blur(images, sigma[batch][members], radius),
    )


def erase_stage(policy: Policy, walk: Walk, mean: Tensor, std: Tensor) -> Stage:
    """Rectangles of random bytes, as Zhong et al. (2020) fill them, in images that drew it.

    The bytes are read from one sheet of noise an epoch, from a row of its own for each sample. Rectangles are drawn as
    parts of the side: the same ones for every image size.
    """
    boxes = walk.table(erase_boxes(walk))
    sheet, offsets = _noise(walk)

    def operation(x: Tensor, members: Tensor, batch: int) -> Tensor:
        rows = offsets[batch][members][:, None] + torch.arange(walk.size, device=x.device)  # (G, S)
        noise = (sheet[:, rows].transpose(0, 1).float() / 255 - mean) / std  # (G, C, S, S)
        return torch.where(inside(boxes[batch][members], walk.size).bool()[:, None], noise, x)

    return Some(walk, "erase", policy.erase, operation)


def _noise(walk: Walk) -> tuple[Tensor, Table]:
    channels, size = walk.shape[0], walk.size
    drawn = walk.generator("noise")
    sheet = torch.randint(256, (channels, size + _NOISE_OFFSETS, size), generator=drawn, dtype=torch.uint8)
    return sheet.to(walk.device), walk.table(torch.randint(_NOISE_OFFSETS, (walk.total,), generator=drawn))


def erase_boxes(walk: Walk) -> Tensor:
    """Boxes (top, left, height, width) in pixels of the network's input, int16 (total, 4).

    Area uniform; aspect uniform in its logarithm, where the paper's is uniform and makes more boxes tall than wide.
    """
    drawn = walk.generator("erase box")

    def attempt() -> tuple[Tensor, Tensor]:
        low, high = ERASE_AREA
        area = low + (high - low) * torch.rand(walk.total, generator=drawn)
        aspect = _log_uniform(torch.rand(walk.total, generator=drawn), ERASE_ASPECTS)
        return (area * aspect).sqrt(), (area / aspect).sqrt()

    sides = torch.stack(first_fitting(attempt, 1.0, 1.0, (0.0, 0.0)), 1)
    corner = torch.rand((walk.total, 2), generator=drawn) * (1 - sides)
    low, high = (corner * walk.size).round(), ((corner + sides) * walk.size).round()
    return torch.cat((low, high - low), 1).to(torch.int16)
