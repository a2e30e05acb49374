"""What is known about an epoch without opening the data is what opening it gives."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from real_mnist import link_real_mnist

from workbench.data import open_dataset
from workbench.data.splits import batch_spans, hold_out
from workbench.profile import sizes
from workbench.profile.schema import Data
from workbench.profile.sizes import TRAIN_IMAGES, steps_per_epoch, train_images


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.floats(0.0, 0.5), st.integers(1, 100))
@example([33], 0.0, 32)  # a last batch of one image joins the one before it
@example([1], 0.0, 8)
@example([5, 3], 0.5, 1)
def test_the_rules_are_those_of_the_splits(counts: list[int], fraction: float, batch_size: int) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    kept, _ = hold_out(labels, fraction)
    data = Data(dataset="digits", val_fraction=fraction, batch_size=batch_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "TRAIN_IMAGES", {"digits": tuple(counts)})
        assert train_images(data) == len(kept)
        assert steps_per_epoch(data) == len(batch_spans(len(kept), batch_size))


def opened(data: Data) -> tuple[int, int]:
    train = open_dataset(data, seed=0, device=torch.device("cpu"), report=print).train
    return train.size, train.steps(data.batch_size)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.37])
def test_the_digits_are_counted_right(fraction: float) -> None:
    data = Data(dataset="digits", val_fraction=fraction, batch_size=17)
    assert (train_images(data), steps_per_epoch(data)) == opened(data)


def test_the_real_mnist_is_counted_right(tmp_path: Path) -> None:
    link_real_mnist(tmp_path)
    content = gzip.decompress((tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz").read_bytes())
    assert tuple(np.bincount(np.frombuffer(content, np.uint8, offset=8))) == TRAIN_IMAGES["mnist"]


def test_every_set_but_a_folder_is_known() -> None:
    names = Data.model_fields["dataset"].annotation.__args__
    assert {*names} - {*TRAIN_IMAGES} == {"folder"}
    assert train_images(Data(dataset="folder")) is None
    assert steps_per_epoch(Data(dataset="folder")) is None
    totals = {"digits": 1438, "cifar10": 50_000, "cifar100": 50_000, "svhn": 73_257}
    totals |= dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), 60_000)
    assert {name: sum(counts) for name, counts in TRAIN_IMAGES.items()} == totals
