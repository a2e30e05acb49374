"""What a person may rely on about batches, with the embedded digits."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch

from workbench.base.errors import UserError
from workbench.data import Dataset, Split, digits
from workbench.data.splits import batch_spans, hold_out
from workbench.data.stats import totals
from workbench.profile.schema import Augment

Open = Callable[..., Dataset]
SMALL = {"dataset": "digits", "image_size": 8}


def gather(split: Split, batch_size: int, **keys: int) -> tuple[torch.Tensor, torch.Tensor]:
    batches = list(split.batches(batch_size, **keys))
    return torch.cat([batch.images for batch in batches]), torch.cat([batch.labels for batch in batches])


def test_the_embedded_digits_are_those_of_uci() -> None:
    with np.load(digits._FILE, allow_pickle=False) as stored:
        images, labels = stored["images"], stored["labels"]
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
        assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    else:
        original = load_digits()
        assert (images == original.images).all()
        assert (labels == original.target).all()


def test_every_fifth_digit_is_for_testing() -> None:
    arrays = digits.load()
    assert arrays.train_images.shape == (1438, 1, 8, 8)
    assert arrays.test_images.shape == (359, 1, 8, 8)
    assert (int(arrays.train_images.min()), int(arrays.train_images.max())) == (0, 255)
    with np.load(digits._FILE) as stored:
        fifth = np.rint(stored["images"][4] * (255 / 16))
        assert (arrays.test_images[0, 0].numpy() == fifth).all()
        assert arrays.test_labels.tolist() == stored["labels"][4::5].tolist()


def test_digits_need_no_torchvision_nor_sklearn() -> None:
    program = (
        "import sys, torch\n"
        "from workbench.data import open_dataset\nfrom workbench.profile.schema import Data\n"
        "open_dataset(Data(dataset='digits'), seed=0, device=torch.device('cpu'), report=print)\n"
        "assert not {'torchvision', 'sklearn', 'PIL', 'textual'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_facts_of_a_data_set(opened: Open) -> None:
    dataset = opened(**SMALL)
    assert dataset.classes == tuple("0123456789")
    assert (dataset.channels, dataset.image_size, dataset.name) == (1, 8, "digits")
    assert (dataset.train.size, dataset.val) == (1438, None)
    pixels = digits.load().train_images.double() / 255
    assert dataset.mean[0] == pytest.approx(pixels.mean().item(), rel=1e-12)
    assert dataset.std[0] == pytest.approx(pixels.std(correction=0).item(), rel=1e-12)


def test_normalised_images_have_mean_0_and_std_1(opened: Open) -> None:
    images, _ = gather(opened(**SMALL).train, 256)
    assert images.mean().abs() < 1e-4
    assert (images.std() - 1).abs() < 1e-3


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 5]),
        (8, 4, [4, 4]),
        (5, 4, [5]),
        (3, 4, [3]),
        (1, 4, [1]),
        (3, 1, [1, 1, 1]),
        (0, 4, []),
    ],
)
def test_a_last_batch_of_one_joins_the_one_before(n: int, batch_size: int, sizes: list[int]) -> None:
    assert [last - first for first, last in batch_spans(n, batch_size)] == sizes


def test_steps_counts_the_batches(opened: Open) -> None:
    split = opened(**SMALL).train  # 1438 = 479 * 3 + 1
    for batch_size in (1, 3, 128, 1438, 5000):
        assert split.steps(batch_size) == sum(1 for _ in split.batches(batch_size, epoch=0))


def test_an_epoch_shows_every_image_once(opened: Open) -> None:
    dataset = opened(**SMALL, augment="none")
    plain, labels = gather(dataset.train, 100)
    shuffled, shuffled_labels = gather(dataset.train, 100, epoch=3)
    assert not torch.equal(labels, shuffled_labels)
    key = [tuple(image.flatten().tolist()) for image in plain]
    assert sorted(zip(key, labels.tolist(), strict=True)) == sorted(
        zip([tuple(i.flatten().tolist()) for i in shuffled], shuffled_labels.tolist(), strict=True)
    )


@pytest.mark.parametrize("start", [0, 1, 7, 100])
def test_starting_inside_an_epoch_gives_the_same_rest(opened: Open, start: int) -> None:
    split = opened(**SMALL).train
    whole = list(islice(split.batches(64, epoch=2), start, None))
    rest = list(split.batches(64, epoch=2, start=start))
    assert len(whole) == len(rest) == max(0, 23 - start)
    for one, other in zip(whole, rest, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_the_picture_of_a_sample_does_not_depend_on_batch_size(opened: Open) -> None:
    """Same seed and epoch: the stream of images is the same however it is cut."""
    split = opened(**SMALL).train
    for first, second in zip(gather(split, 17, epoch=1), gather(split, 128, epoch=1), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("augment", ["standard", "contrastive", "strong"])
def test_the_picture_of_a_sample_does_not_depend_on_its_position(
    opened: Open, monkeypatch: pytest.MonkeyPatch, augment: str
) -> None:
    split = opened(**SMALL, augment=augment).train
    backwards = torch.arange(split.size - 1, -1, -1)
    monkeypatch.setattr("workbench.data.splits.order", lambda n, seed, epoch: backwards)
    there, _ = gather(split, 50, epoch=1)
    monkeypatch.setattr("workbench.data.splits.order", lambda n, seed, epoch: backwards.flip(0))
    back, _ = gather(split, 50, epoch=1)
    assert torch.equal(there, back.flip(0))


def test_seed_and_epoch_change_the_pictures(opened: Open) -> None:
    first, _ = gather(opened(**SMALL).train, 128, epoch=0)
    same, _ = gather(opened(**SMALL).train, 128, epoch=0)
    epoch, _ = gather(opened(**SMALL).train, 128, epoch=1)
    seed, _ = gather(opened(**SMALL, seed=1).train, 128, epoch=0)
    assert torch.equal(first, same)
    assert not torch.equal(first, epoch)
    assert not torch.equal(first, seed)


@pytest.mark.parametrize("augment", ["none", "standard", "contrastive", "strong"])
def test_only_training_images_are_augmented(opened: Open, augment: str) -> None:
    """Told by the pictures themselves: unless augmented, an epoch's are the stored ones in another order."""
    keys = {**SMALL, "val_fraction": 0.2, "augment": augment}
    dataset, mixed = opened(**keys), opened(**keys, changes=Augment(mixup=1.0))
    assert dataset.val is not None
    assert dataset.test is not None
    for split in (dataset.val, dataset.test, mixed.val, mixed.test):
        plain, epoch = gather(split, 64)[0], gather(split, 64, epoch=0)[0]
        assert sorted(plain.flatten(1).tolist()) == sorted(epoch.flatten(1).tolist())
        assert all(batch.other is None for batch in split.batches(64, epoch=0))
    plain, epoch = gather(dataset.train, 64)[0], gather(dataset.train, 64, epoch=0)[0]
    changed = sorted(plain.flatten(1).tolist()) != sorted(epoch.flatten(1).tolist())
    assert changed == (augment != "none")
    assert all(batch.other is None for batch in mixed.train.batches(64))
    assert all(batch.other is not None for batch in mixed.train.batches(64, epoch=0))


def test_validation_images_are_disjoint_complete_and_the_same_for_all_seeds(opened: Open) -> None:
    first, second = opened(**SMALL, val_fraction=0.1), opened(**SMALL, val_fraction=0.1, seed=9)
    assert first.val is not None
    assert second.val is not None
    assert first.val.rows.tolist() == second.val.rows.tolist()
    assert sorted(first.train.rows.tolist() + first.val.rows.tolist()) == list(range(1438))
    assert first.fingerprint == second.fingerprint != opened(**SMALL).fingerprint
    counts = torch.bincount(first.val.labels, minlength=10)
    assert counts.min() >= 13  # stratified: a tenth of each class
    assert counts.max() <= 16


def test_mean_and_std_leave_validation_images_out(opened: Open) -> None:
    dataset = opened(**SMALL, val_fraction=0.5)
    kept = digits.load().train_images[dataset.train.rows].double() / 255
    assert dataset.mean[0] == pytest.approx(kept.mean().item(), rel=1e-12)


def test_hold_out_never_empties_a_class() -> None:
    kept, held = hold_out(torch.tensor([0, 1, 1, 2, 2, 2]), 0.5)
    assert sorted(kept.tolist() + held.tolist()) == list(range(6))
    assert set(torch.tensor([0, 1, 1, 2, 2, 2])[kept].tolist()) == {0, 1, 2}


def test_a_fraction_that_holds_out_nothing_is_an_error(opened: Open) -> None:
    with pytest.raises(UserError, match=r"data\.val_fraction"):
        opened(**SMALL, val_fraction=0.001)


def test_totals_are_exact_however_they_are_cut() -> None:
    images = torch.randint(256, (50, 3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert totals([images]) == totals(images.split(7))
    flat = images.transpose(0, 1).flatten(1).long()
    assert totals([images]).sums == tuple(flat.sum(1).tolist())
    assert totals([images]).squares == tuple((flat**2).sum(1).tolist())
    assert totals([torch.zeros(2, 1, 3, 3, dtype=torch.uint8)]).std() == (1.0,)


def test_torchs_global_generator_is_left_alone(opened: Open) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    gather(opened(**SMALL, val_fraction=0.1).train, 128, epoch=0)
    assert torch.equal(before, torch.get_rng_state())


def test_counts_out_of_range(opened: Open) -> None:
    split = opened(**SMALL).train
    with pytest.raises(ValueError, match="start"):
        split.batches(4, start=-1)
    for wrong in ({"size": 0}, {"shard": (2, 2)}, {"shard": (-1, 2)}, {"shard": (0, 0)}, {"strength": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            split.batches(4, epoch=0, **wrong)
    with pytest.raises(ValueError, match="batch_size"):
        split.steps(0)


def test_a_set_larger_than_the_device_is_said_so(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: torch.Tensor, device: torch.device) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(UserError, match=r"digits does not fit on cpu \(0 MiB\): CUDA out of memory") as caught:
        opened(**SMALL)
    assert "\n" not in str(caught.value)
