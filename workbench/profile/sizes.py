"""How many optimiser steps an epoch has, and how large the images are, where that is known without opening the data.

The rules are those of `workbench.data.splits`, which torch's import keeps out of here; tests compare the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.profile.schema import Data

TRAIN_IMAGES: dict[str, tuple[int, ...]] = {
    "digits": (151, 161, 143, 131, 147, 154, 150, 136, 127, 138),
    "mnist": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "fashion_mnist": (6000,) * 10,
    "kmnist": (6000,) * 10,
    "cifar10": (5000,) * 10,
    "cifar100": (500,) * 100,
    "svhn": (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
}
"""Training images of each class, as published; `folder` has as many as its owner put there."""


TEST_IMAGES: dict[str, int] = {
    "digits": 359,
    "mnist": 10_000,
    "fashion_mnist": 10_000,
    "kmnist": 10_000,
    "cifar10": 10_000,
    "cifar100": 10_000,
    "svhn": 26_032,
}
SHAPES: dict[str, tuple[int, int, int]] = {
    "digits": (1, 8, 8),
    "mnist": (1, 28, 28),
    "fashion_mnist": (1, 28, 28),
    "kmnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "svhn": (3, 32, 32),
}
"""(C, H, W) of the images as they are kept, a byte a value; those of a `folder` are RGB of `data.image_size`."""


def train_images(data: Data) -> int | None:
    """Images that are trained on: without those of `val_fraction`, which is taken from each class. None: unknown."""
    counts = TRAIN_IMAGES.get(data.dataset)
    return None if counts is None else sum(count - round(count * data.val_fraction) for count in counts)


def steps_per_epoch(data: Data) -> int | None:
    """Batches in a pass over the training images; a last one of one image joins the one before. None: unknown."""
    images = train_images(data)
    if images is None:
        return None
    full, left = divmod(images, data.batch_size)
    alone = left == 1 and full > 0 and data.batch_size > 1
    return full + (left > 0 and not alone)
