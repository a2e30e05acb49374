"""RandAugment (Cubuk et al., 2020) and TrivialAugment (Müller and Hutter, 2021): random operations from one list of 14.

RandAugment applies N operations of one magnitude M to each image; TrivialAugment, in its wide space, a single one of
any magnitude. The list is that of RandAugment's figure 2 (identity included) and of TrivialAugment's table 1. What a
magnitude means is as in torchvision's transforms, which follow AutoAugment (Cubuk et al., 2019, table 6):

    operation                  RandAugment, M = 30     TrivialAugment, wide
    shear                      0.3                     0.99               horizontally or vertically
    translate                  150/331 of the side     32 px              whole pixels, no more than the side
    rotate                     30 degrees              135 degrees
    brightness, contrast,
      saturation, sharpness    factor 1 +- 0.9         factor 1 +- 0.99
    posterize                  4 of 8 bits stay        2 of 8 bits stay
    solarize                   from value 0            from value 0
    autocontrast, equalize     no magnitude

A smaller magnitude is in proportion. Of the first four rows the sign is a coin's. Uncovered pixels are black.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from workbench.data import colour
from workbench.data.geometry import affine, to_bytes
from workbench.data.policy import TOP_MAGNITUDE, Policy
from workbench.data.walk import Walk

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "contrast",
    "saturation",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
"""Numbered by place. Neighbours of one family are done together, by one kernel for all images that drew one of them."""

_NUMBER = {name: number for number, name in enumerate(OPERATIONS)}
_BINS = 30  # TrivialAugment's magnitudes are 0 to 30


@dataclass(frozen=True)
class Space:
    """How strong each operation is at the top magnitude; see the table above."""

    shear: float
    translate: float | None  # pixels, or None: 150/331 of the side
    rotate: float  # degrees
    factor: float
    bits: int  # that posterize takes away


RANDAUGMENT = Space(shear=0.3, translate=None, rotate=30, factor=0.9, bits=4)
TRIVIALAUGMENT = Space(shear=0.99, translate=32, rotate=135, factor=0.99, bits=6)


def amounts(space: Space, kinds: Tensor, levels: Tensor, signs: Tensor, height: int, width: int) -> Tensor:
    """What each operation is to be called with: float32, of the shape of `kinds`, all on the CPU.

    `kinds` are numbers in OPERATIONS, `levels` from 0 to 1, `signs` -1 or 1. Shears are slopes, translations pixels,
    rotations radians, enhancements factors; posterize's is the mask of bits that stay, solarize's the threshold.
    """
    signed = levels * signs
    bits = (space.bits * levels).round()
    reach = [side * 150 / 331 if space.translate is None else min(space.translate, side) for side in (width, height)]
    factors = 1 + space.factor * signed
    by_name = {
        "shear_x": space.shear * signed,
        "shear_y": space.shear * signed,
        "translate_x": (reach[0] * signed).round(),
        "translate_y": (reach[1] * signed).round(),
        "rotate": radians(space.rotate) * signed,
        "brightness": factors,
        "contrast": factors,
        "saturation": factors,
        "sharpness": factors,
        "posterize": 256 - torch.exp2(bits),  # the upper 8 - bits bits
        "solarize": 255 * (1 - levels),
    }
    found = torch.zeros_like(levels)
    for name, values in by_name.items():
        found = torch.where(kinds == _NUMBER[name], values, found)
    return found


# Each takes uint8 (G, C, H, W), the operation's numbers and its amounts, both (G,), and returns such images.


def _move(images: Tensor, kinds: Tensor, amount: Tensor) -> Tensor:
    return affine(images, matrices(kinds, amount, *images.shape[-2:]))


def _enhance(images: Tensor, kinds: Tensor, amount: Tensor) -> Tensor:
    towards_mean = (kinds == _NUMBER["contrast"]).float()
    towards_grey = (kinds == _NUMBER["saturation"]).float()
    return to_bytes(colour.enhance(images.float(), amount, towards_mean, towards_grey))


Family = Callable[[Tensor, Tensor, Tensor], Tensor]

FAMILIES: tuple[tuple[tuple[str, ...], Family | None], ...] = (
    (("identity",), None),
    (("shear_x", "shear_y", "translate_x", "translate_y", "rotate"), _move),
    (("brightness", "contrast", "saturation"), _enhance),
    (("sharpness",), lambda images, kinds, amount: colour.sharpness(images, amount)),
    (("posterize",), lambda images, kinds, amount: colour.posterize(images, amount.to(torch.uint8))),
    (("solarize",), lambda images, kinds, amount: colour.solarize(images, amount)),
    (("autocontrast",), lambda images, kinds, amount: colour.autocontrast(images)),
    (("equalize",), lambda images, kinds, amount: colour.equalize(images)),
)
_FAMILY_OF = torch.tensor([number for number, (names, _) in enumerate(FAMILIES) for _ in names], dtype=torch.uint8)


def matrices(kinds: Tensor, amount: Tensor, height: int, width: int) -> Tensor:
    """Affine maps from the result to the source, (G, 2, 3), for shears, translations and rotations.

    Shears keep the top left corner of the picture where it is, as Pillow's do; a positive angle turns the picture
    counter-clockwise.
    """
    shear_x, shear_y, right, down, angle = (
        torch.where(kinds == _NUMBER[name], amount, 0.0)
        for name in ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
    )
    cos, sin = angle.cos(), angle.sin()
    # Measured from the centre, the corner is at (-width / 2, -height / 2): what lies on its row or column stays.
    first = torch.stack((cos, shear_x - sin, shear_x * (height / 2) - right), 1)
    second = torch.stack((shear_y + sin, cos, shear_y * (width / 2) - down), 1)
    return torch.stack((first, second), 1)


class Operations:
    """RandAugment or TrivialAugment for the images of a walk, drawn and uploaded."""

    def __init__(self, policy: Policy, walk: Walk) -> None:
        _, height, width = walk.shape
        rounds = (walk.total, policy.operations)
        kinds = torch.randint(len(OPERATIONS), rounds, generator=walk.generator("operations"), dtype=torch.uint8)
        signs = torch.randint(2, rounds, generator=walk.generator("signs"), dtype=torch.int8) * 2 - 1
        if policy.policy == "randaugment":
            space, levels = RANDAUGMENT, torch.ones(rounds)
        else:
            space = TRIVIALAUGMENT
            levels = torch.randint(_BINS + 1, rounds, generator=walk.generator("magnitudes")) / _BINS
        levels = levels * (policy.magnitude / TOP_MAGNITUDE)
        self.kinds = walk.table(kinds)
        self.amounts = walk.table(amounts(space, kinds, levels, signs, height, width))
        families = _FAMILY_OF[kinds.long()]
        self.rounds = [walk.groups(families[:, number], len(FAMILIES)) for number in range(policy.operations)]

    def __call__(self, images: Tensor, batch: int) -> Tensor:
        """The batch's images, uint8 (B, C, H, W), each after its operations; overwrites them."""
        kinds, amount = self.kinds[batch], self.amounts[batch]
        for number, groups in enumerate(self.rounds):
            for family, (_, operation) in enumerate(FAMILIES):
                if operation is None:
                    continue
                for members in groups.members(batch, family):
                    done = operation(images[members], kinds[members, number], amount[members, number])
                    images.index_copy_(0, members, done)
        return images
