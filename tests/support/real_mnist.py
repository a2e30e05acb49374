"""The real MNIST, where a machine has its four gzipped files."""

import os
from pathlib import Path

import pytest

FILES = tuple(f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))


def link_real_mnist(root: Path) -> None:
    """Make `root` a data.root with MNIST in it; skips the test where the files are not to be had.

    They are looked for in the folder that CNNWB_TEST_MNIST names, else in shared/data/mnist beside the checkout.
    """
    beside = Path(__file__).parents[3] / "shared" / "data" / "mnist"
    place = Path(os.environ.get("CNNWB_TEST_MNIST") or beside)
    if not all((place / name).is_file() for name in FILES):
        pytest.skip("no MNIST here; set CNNWB_TEST_MNIST to the folder with its four .gz files")
    (root / "MNIST").mkdir(parents=True)
    (root / "MNIST" / "raw").symlink_to(place.absolute(), target_is_directory=True)
