"""A whole data set in main memory, as its file format gave it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Arrays:
    """Training and test images, in the files' order."""

    classes: tuple[str, ...]
    train_images: Tensor  # uint8 (N, C, H, W)
    train_labels: Tensor  # int64 (N,)
    test_images: Tensor  # uint8 (M, C, H, W)
    test_labels: Tensor  # int64 (M,)
