"""Batched operations against torchvision's, which take one figure for all images; tolerances in levels of 0 to 255.

Ours round once, to the nearest level, so they may be half a level from torchvision's result on floats. The extra
hundredth is for coordinates and products in another order of operations.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import ColorJitter, RandAugment, TrivialAugmentWide
from torchvision.transforms.v2 import functional as tv

from workbench.data import colour, geometry
from workbench.data.keys import generator
from workbench.data.operations import OPERATIONS, RANDAUGMENT, TRIVIALAUGMENT, Operations, amounts, matrices
from workbench.data.policy import Policy
from workbench.data.stages import Jitter, blur_stage
from workbench.data.walk import Walk

HALF = 0.51
SHAPES = [(8, 3, 32, 32), (8, 1, 8, 8), (8, 3, 8, 8), (6, 3, 40, 24), (4, 3, 96, 96)]
BILINEAR = InterpolationMode.BILINEAR


def pictures(n: int, channels: int, height: int, width: int) -> Tensor:
    """Half noise, half smooth, and one of a single value: uint8."""
    drawn = generator("pictures", n, channels, height, width)
    noise = torch.randint(256, (n, channels, height, width), generator=drawn, dtype=torch.uint8)
    small = torch.randint(256, (n, channels, 4, 4), generator=drawn).float()
    smooth = torch.nn.functional.interpolate(small, (height, width), mode="bilinear").round().to(torch.uint8)
    images = torch.cat([noise[: n // 2], smooth[n // 2 :]])
    images[0] = 77
    return images


def worst(ours: Tensor, theirs: list[Tensor]) -> float:
    assert ours.dtype == torch.uint8
    return (ours.double() - torch.stack(theirs).double()).abs().max().item()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_enhancements(shape: tuple[int, int, int, int], name: str) -> None:
    images = pictures(*shape)
    factors = torch.linspace(0.0, 1.9, len(images))
    is_contrast, is_saturation = (torch.full_like(factors, float(name == kind)) for kind in ("contrast", "saturation"))
    ours = geometry.to_bytes(colour.enhance(images.float(), factors, is_contrast, is_saturation))
    theirs = getattr(tv, f"adjust_{name}")
    expected = [theirs(i.float() / 255, f) * 255 for i, f in zip(images, factors.tolist(), strict=True)]
    assert worst(ours, expected) < HALF


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[1] == 3], ids=str)
def test_hue_and_greyscale(shape: tuple[int, int, int, int]) -> None:
    images = pictures(*shape)
    turns = torch.linspace(-0.5, 0.5, len(images))
    ours = geometry.to_bytes(colour.turn_hue(images.float(), turns))
    expected = [tv.adjust_hue(i.float() / 255, t) * 255 for i, t in zip(images, turns.tolist(), strict=True)]
    assert worst(ours, expected) < HALF
    grey = [tv.rgb_to_grayscale(image.float() / 255, 3) * 255 for image in images]
    assert worst(colour.greyscale(images), grey) < HALF


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sharpness_and_blur(shape: tuple[int, int, int, int]) -> None:
    images = pictures(*shape)
    factors = torch.linspace(0.1, 1.9, len(images))
    expected = [tv.adjust_sharpness(i.float() / 255, f) * 255 for i, f in zip(images, factors.tolist(), strict=True)]
    assert worst(colour.sharpness(images, factors), expected) < HALF
    radius = min(6, min(shape[2:]) - 1)
    sigmas = torch.linspace(0.1, 2.0, len(images))
    expected = [
        tv.gaussian_blur(i.float(), [2 * radius + 1] * 2, [s] * 2) for i, s in zip(images, sigmas.tolist(), strict=True)
    ]
    assert worst(colour.blur(images, sigmas, radius), expected) < HALF


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_operations_on_levels(shape: tuple[int, int, int, int]) -> None:
    images = pictures(*shape)
    bits = [1 + number % 8 for number in range(len(images))]
    masks = torch.tensor([256 - 2 ** (8 - b) for b in bits], dtype=torch.uint8)
    expected = [tv.posterize(image, b) for image, b in zip(images, bits, strict=True)]
    assert worst(colour.posterize(images, masks), expected) == 0
    thresholds = torch.linspace(0, 255, len(images))
    expected = [tv.solarize(image, t) for image, t in zip(images, thresholds.tolist(), strict=True)]
    assert worst(colour.solarize(images, thresholds), expected) == 0
    assert worst(colour.equalize(images), [tv.equalize(image) for image in images]) == 0
    expected = [tv.autocontrast(image.float() / 255) * 255 for image in images]
    assert worst(colour.autocontrast(images), expected) < HALF


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_resized_crop(shape: tuple[int, int, int, int]) -> None:
    images = pictures(*shape)
    height, width = shape[2:]
    drawn = generator("boxes", *shape)
    tall = torch.randint(1, height + 1, (len(images),), generator=drawn)
    wide = torch.randint(1, width + 1, (len(images),), generator=drawn)
    tall[0], wide[0], tall[1], wide[1] = height, width, 1, 1
    corner = (torch.rand((2, len(images)), generator=drawn) * torch.stack((height - tall + 1, width - wide + 1))).long()
    boxes = torch.stack((*corner, tall, wide), 1)
    flip = torch.arange(len(images)) % 3 == 1
    expected = [
        tv.resized_crop(image.float(), *box, [height, width], antialias=True)
        for image, box in zip(images, boxes.tolist(), strict=True)
    ]
    assert worst(geometry.resized_crop(images, boxes), expected) < HALF
    assert torch.equal(geometry.resized_crop(images, boxes)[0], images[0])
    expected = [e.flip(-1) if f else e for e, f in zip(expected, flip, strict=True)]
    assert worst(geometry.resized_crop(images, boxes, flip), expected) < HALF


Theirs = Callable[[Tensor, float], Tensor]
MOVES: dict[str, tuple[float, Theirs]] = {
    "shear_x": (0.3, lambda image, v: sheared(image, [math.degrees(math.atan(v)), 0.0])),
    "shear_y": (0.3, lambda image, v: sheared(image, [0.0, math.degrees(math.atan(v))])),
    "translate_x": (7.0, lambda image, v: tv.affine(image, 0.0, [int(v), 0], 1.0, [0.0, 0.0], BILINEAR)),
    "translate_y": (7.0, lambda image, v: tv.affine(image, 0.0, [0, int(v)], 1.0, [0.0, 0.0], BILINEAR)),
    "rotate": (2.3, lambda image, v: tv.rotate(image, math.degrees(v), BILINEAR)),
}


def sheared(image: Tensor, degrees: list[float]) -> Tensor:
    return tv.affine(image, 0.0, [0, 0], 1.0, degrees, BILINEAR, center=[0, 0])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", MOVES)
def test_moves(shape: tuple[int, int, int, int], name: str) -> None:
    images = pictures(*shape)
    largest, theirs = MOVES[name]
    amount = torch.linspace(-largest, largest, len(images))
    if name.startswith("translate"):
        amount = amount.trunc()
    kinds = torch.full((len(images),), OPERATIONS.index(name), dtype=torch.uint8)
    ours = geometry.affine(images, matrices(kinds, amount, *shape[2:]))
    expected = [theirs(image.float(), value) for image, value in zip(images, amount.tolist(), strict=True)]
    assert worst(ours, expected) < HALF


@pytest.mark.parametrize(
    ("space", "theirs"), [(RANDAUGMENT, RandAugment), (TRIVIALAUGMENT, TrivialAugmentWide)], ids=["rand", "trivial"]
)
def test_magnitudes_are_torchvisions(space: object, theirs: type) -> None:
    """Every operation at each of the 31 magnitudes, for a picture of 40 by 48."""
    names = {"Color": "saturation", "TranslateX": "translate_x", "TranslateY": "translate_y", "ShearX": "shear_x"}
    seen = set()
    for theirs_name, (magnitudes, signed) in theirs._AUGMENTATION_SPACE.items():
        name = names.get(theirs_name, theirs_name.lower() if theirs_name != "ShearY" else "shear_y")
        seen.add(name)
        expected = magnitudes(31, 40, 48)
        kinds = torch.full((31,), OPERATIONS.index(name), dtype=torch.uint8)
        for sign in (1, -1):
            ours = amounts(space, kinds, torch.arange(31) / 30, torch.full((31,), sign), 40, 48)
            if expected is None:
                assert not ours.any()
                continue
            values = expected.float() * (sign if signed else 1)
            if name in ("brightness", "contrast", "saturation", "sharpness"):
                values = 1 + values
            elif name == "rotate":
                values = values.deg2rad()
            elif name.startswith("translate"):
                assert torch.equal(ours, ours.round())  # whole pixels: torchvision cuts the fraction off, we round
                assert (ours - values).abs().max() <= 0.5001
                continue
            elif name == "posterize":
                values = 256 - 2 ** (8 - values)
            elif name == "solarize":
                values = 255 * values
            torch.testing.assert_close(ours, values, atol=1e-5 if name != "solarize" else 1e-3, rtol=1e-6)
    assert seen == set(OPERATIONS)


def walk_over(n: int, shape: tuple[int, int, int], batch: int = 0, epoch: int = 0) -> Walk:
    batch = batch or n
    spans = [(first, min(first + batch, n)) for first in range(0, n, batch)]
    return Walk(torch.arange(n), spans, n, shape, shape[1], 3, epoch, torch.device("cpu"))


@pytest.mark.parametrize("name", ["randaugment", "trivialaugment"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_what_its_images_are_one_by_one(name: str, channels: int) -> None:
    """Grouping by operation mixes no image up with another and leaves the order of the rounds alone."""
    policy = Policy(policy=name, operations=3, magnitude=20)
    images = pictures(60, channels, 12, 12)
    together = Operations(policy, walk_over(60, (channels, 12, 12), 25))
    alone = Operations(policy, walk_over(60, (channels, 12, 12), 1))
    for number, (first, last) in enumerate([(0, 25), (25, 50), (50, 60)]):
        batch = together(images[first:last].clone(), number)
        for place in range(first, last):
            assert torch.equal(batch[place - first], alone(images[place : place + 1].clone(), place)[0])
            if (alone.kinds[place] == 0).all():
                assert torch.equal(batch[place - first], images[place])


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_gets_torchvisions_operation_of_that_name_and_size(channels: int) -> None:
    """Names, numbers and families fit together: half a level from the operation on floats, or the same on levels."""
    n = 140
    images = pictures(n, channels, 32, 32)
    stage = Operations(Policy(policy="randaugment", operations=1, magnitude=15), walk_over(n, (channels, 32, 32)))
    ours = stage(images.clone(), 0)
    seen = set()
    for place, image in enumerate(images):
        name = OPERATIONS[stage.kinds.values[place, 0]]
        amount = stage.amounts.values[place, 0].item()
        seen.add(name)
        if name == "identity":
            expected = image
        elif name in MOVES:
            expected = MOVES[name][1](image.float(), amount)
        elif name in ("brightness", "contrast", "saturation", "sharpness"):
            expected = getattr(tv, f"adjust_{name}")(image.float() / 255, amount) * 255
        elif name == "autocontrast":
            expected = tv.autocontrast(image.float() / 255) * 255
        else:
            arguments = {"posterize": [6], "solarize": [127.5], "equalize": []}[name]
            expected = getattr(tv, name)(image, *arguments)
        assert worst(ours[place][None], [expected]) < HALF, name
    assert seen == set(OPERATIONS)


def test_blur_reaches_far_enough() -> None:
    """Cut off where no level is left: the same as with a kernel over the whole picture."""
    images = pictures(30, 3, 96, 96)
    walk = walk_over(30, (3, 96, 96))
    sigmas = (0.1 + 1.9 * walk.uniform("blur")) * 96 / 224
    ours = blur_stage(Policy(blur=1.0), walk)(images.clone(), 0)
    expected = [tv.gaussian_blur(i.float(), [41, 41], [s, s]) for i, s in zip(images, sigmas.tolist(), strict=True)]
    assert worst(ours, expected) < 1.0
    assert sigmas.max() > 0.8


def test_all_operations_are_equally_frequent_and_signs_fair() -> None:
    walk = walk_over(20_000, (1, 32, 32))
    drawn = Operations(Policy(policy="randaugment", operations=2, magnitude=9), walk)
    for column in drawn.kinds.values.unbind(1):
        counts = torch.bincount(column.long(), minlength=14)
        assert counts.min() > 1260  # 1429 expected, standard deviation 36
        assert counts.max() < 1600
    rotations = drawn.amounts.values[drawn.kinds.values == OPERATIONS.index("rotate")]
    torch.testing.assert_close(rotations.abs(), torch.full_like(rotations, math.radians(9)))
    assert abs((rotations > 0).float().mean() - 0.5) < 0.05
    trivial = Operations(Policy(policy="trivialaugment", operations=1, magnitude=30), walk)
    rotations = trivial.amounts.values[trivial.kinds.values == OPERATIONS.index("rotate")].rad2deg()
    assert set((rotations / 4.5).round().int().tolist()) == set(range(-30, 31))


def test_jitter_is_torchvisions_in_the_order_that_was_drawn() -> None:
    images = pictures(40, 3, 16, 16)
    stage = Jitter(Policy(jitter=0.8, hue=0.2), walk_over(40, (3, 16, 16)))
    ours = stage(images.clone(), 0)
    functions = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)
    expected = []
    for place, image in enumerate(images):
        x = image.float() / 255
        for kind, factor in zip(stage.kinds.values[place].tolist(), stage.factors.values[place].tolist(), strict=True):
            x = functions[kind](x, factor)
        assert stage.turns is not None
        expected.append(tv.adjust_hue(x, stage.turns.values[place].item()) * 255)
    assert worst(ours, expected) < HALF
    assert len({tuple(order) for order in stage.kinds.values.tolist()}) == 6


def test_jitters_figures_are_drawn_like_torchvisions() -> None:
    stage = Jitter(Policy(jitter=0.4, hue=0.1, jitter_probability=0.8), walk_over(20_000, (3, 8, 8)))
    theirs = ColorJitter(0.4, 0.4, 0.4, 0.1)
    assert stage.turns is not None
    for drawn, bounds in ((stage.factors.values, theirs.brightness), (stage.turns.values, theirs.hue)):
        low, high = bounds
        assert low <= drawn.min() < low + 0.001
        assert high - 0.001 < drawn.max() <= high
        assert abs(drawn.mean().item() - (low + high) / 2) < 0.005
    jittered = sum(len(members) for members in stage.some.groups.members(0))
    assert abs(jittered / 20_000 - 0.8) < 0.01
