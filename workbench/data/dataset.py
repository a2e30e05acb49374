"""Opening a data set: what a profile's [data] names, as splits that hand out batches."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.data import digits, standard
from workbench.data.policy import MIRRORED, Policy, resolve, without_effect
from workbench.data.sources import Countable, Resident, Source
from workbench.data.splits import Recipe, Split, hold_out
from workbench.profile.schema import Augment, Data

_AS_THE_PRESET = Augment()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, opened. Facts that a network or a table needs are here, never in a profile."""

    name: str
    classes: tuple[str, ...]  # names, safe to show; their number is the network's number of outputs
    channels: int
    image_size: int  # pixels, what the network sees
    mean: tuple[float, ...]  # per channel, of the training split itself, values scaled to 0..1
    std: tuple[float, ...]
    train: Split
    val: Split | None  # held out of the training images, if data.val_fraction is above 0
    test: Split | None  # None for a folder without test/
    fingerprint: str  # SHA-256 over name, class names, sizes and labels; equal means the same splits


def open_dataset(
    data: Data, *, seed: int, device: torch.device, report: Callable[[str], None], augment: Augment = _AS_THE_PRESET
) -> Dataset:
    """Open what `data` describes, with its images on `device` (a folder's images come as they are needed).

    `augment` changes parts of the preset that `data.augment` names; the training split's `policy` is the result.
    `report` gets a line for a person now and then: downloads, progress of a first look, skipped
    files. Raises UserError for everything that is missing, damaged or empty.
    """
    try:
        return _open(data, augment, seed, device, report)
    except MemoryError as error:
        raise UserError(f"data.dataset: {data.dataset} does not fit into main memory") from error


def _open(data: Data, augment: Augment, seed: int, device: torch.device, report: Callable[[str], None]) -> Dataset:
    name = data.dataset
    test: tuple[Source, Tensor] | None
    if name == "folder":
        from workbench.data.folder import open_folder  # Pillow, for folders only

        classes, train_part, test_part = open_folder(data, device, report)
        source: Countable = train_part.files
        labels = train_part.labels
        test = (test_part.files, test_part.labels) if test_part else None
    else:
        root = Path(data.root).expanduser() if data.root else platformdirs.user_cache_path("cnn-workbench") / "datasets"
        arrays = digits.load() if name == "digits" else standard.load(name, root, report)
        classes, labels = arrays.classes, arrays.train_labels
        source = Resident(arrays.train_images, name, device)
        test = (Resident(arrays.test_images, name, device), arrays.test_labels)
    if len(labels) == 0 or (test is not None and len(test[1]) == 0):
        raise UserError(f"data.dataset: {name} has no {'training' if len(labels) == 0 else 'test'} images")
    policy = resolve(data.augment, augment, name in MIRRORED)
    for key in without_effect(augment, policy, source.shape[0]):
        report(f"augment.{key} changes nothing here: what it belongs to is not in use for these images")
    return _assemble(data, policy, seed, device, tuple(clean(c, 100) for c in classes), (source, labels), test)


def _assemble(
    data: Data,
    policy: Policy,
    seed: int,
    device: torch.device,
    classes: tuple[str, ...],
    training: tuple[Countable, Tensor],
    test: tuple[Source, Tensor] | None,
) -> Dataset:
    source, labels = training
    kept, held = hold_out(labels, data.val_fraction)
    if data.val_fraction > 0 and len(held) == 0:
        raise UserError(
            f"data.val_fraction: {data.val_fraction:g} of {len(labels)} training images is not one image of any class"
        )
    totals = source.totals(kept)
    mean, std = totals.mean(), totals.std()
    recipe = Recipe(data.image_size, _column(mean, device), _column(std, device), seed)
    train = Split(source, kept, labels[kept], recipe, policy)
    splits: dict[str, Split | None] = {
        "train": train,
        "val": Split(source, held, labels[held], recipe, Policy()) if len(held) else None,
        "test": Split(test[0], torch.arange(len(test[1])), test[1], recipe, Policy()) if test else None,
    }
    return Dataset(
        name=data.dataset,
        classes=classes,
        channels=source.shape[0],
        image_size=data.image_size,
        mean=mean,
        std=std,
        train=train,
        val=splits["val"],
        test=splits["test"],
        fingerprint=_fingerprint(data.dataset, classes, splits),
    )


def _column(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


def _fingerprint(name: str, classes: tuple[str, ...], splits: dict[str, Split | None]) -> str:
    digest = hashlib.sha256(repr((name, classes)).encode())
    for purpose, split in splits.items():
        digest.update(repr((purpose, split.size if split else None)).encode())
        if split is not None:
            digest.update(split.labels.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
