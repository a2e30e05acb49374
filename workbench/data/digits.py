"""The embedded data set: 1,797 handwritten digits of 8 by 8 pixels, so that a first run needs no network.

Source, licence and what was changed: digits.LICENSE.txt beside this file.
"""

from pathlib import Path

import numpy as np
import torch

from workbench.data.arrays import Arrays

_FILE = Path(__file__).with_name("digits.npz")


def load() -> Arrays:
    """Every fifth image is for testing, whatever the seed: 1,438 to train on and 359 to test on."""
    with np.load(_FILE, allow_pickle=False) as stored:
        ink = stored["images"]  # uint8 (1797, 8, 8), 0..16: dark pixels of a 4 by 4 block
        labels = torch.from_numpy(stored["labels"].astype(np.int64))
    images = torch.from_numpy(np.rint(ink * (255 / 16)).astype(np.uint8))[:, None]
    test = torch.arange(len(labels)) % 5 == 4
    return Arrays(
        classes=tuple("0123456789"),
        train_images=images[~test],
        train_labels=labels[~test],
        test_images=images[test],
        test_labels=labels[test],
    )
