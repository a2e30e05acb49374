"""The images to evaluate on: a split of the run's own data set, or of another one, as the run's network wants them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from workbench.base.errors import UserError, did_you_mean
from workbench.data import Dataset, Split, open_dataset
from workbench.data.sources import Source, Span
from workbench.evaluation.model import Model
from workbench.profile.schema import Data, DatasetName

SPLITS = ("test", "val", "train")

LUMA = (19595, 38470, 7471)
"""Parts of red, green and blue in a grey, of 65536: ITU-R BT.601's, and in whole numbers as Pillow has them."""


@dataclass(frozen=True, eq=False)
class Images:
    """A split ready for the network, and what is known about it."""

    split: Split
    dataset: str
    name: str
    """test, val or train."""
    root: str
    """Where its files are; empty for the user's cache folder and for digits."""
    classes: tuple[str, ...]
    fingerprint: str
    own: bool
    """Whether these are the very images that the run has used."""


def open_images(
    model: Model,
    *,
    dataset: str | None = None,
    root: str | None = None,
    split: str | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Images:
    """A split (test, else val, where none is named) of `dataset`, else of the run's own.

    Images are normalised with the run's mean and std, scaled to its size and given its number of channels. UserError
    for a data set with another number of classes, and for a split that there is not.
    """
    data = _wanted(model.profile.data, dataset, root)
    opened = open_dataset(
        data, augment=model.profile.augment, seed=model.profile.seed, device=model.device, report=note
    )
    _compare_classes(model, opened, note)
    own = opened.fingerprint == model.facts.fingerprint
    if not own and dataset is None and root is None:
        note(f"the images of {data.dataset} are no longer those that the run has seen")
    name, chosen = _choose(opened, split)
    recipe = replace(chosen.recipe, mean=model.mean, std=model.std)
    source = with_channels(chosen.source, model.facts.channels, note)
    return Images(
        split=replace(chosen, source=source, recipe=recipe),
        dataset=data.dataset,
        name=name,
        root=data.root,
        classes=opened.classes,
        fingerprint=opened.fingerprint,
        own=own,
    )


def _wanted(data: Data, dataset: str | None, root: str | None) -> Data:
    name = dataset or data.dataset
    if name not in get_args(DatasetName):
        known = list(get_args(DatasetName))
        raise UserError(f"--dataset: there is no {name}{did_you_mean(name, known)}; it may be {', '.join(known)}")
    place = data.root if name == data.dataset else ""
    if root is not None:
        place = str(Path(root).expanduser().absolute())
    if name == "folder" and not place:
        raise UserError("--dataset folder needs --root DIR, the folder that holds train/<class>/ and test/<class>/")
    return data.model_copy(update={"dataset": name, "root": place})


def _compare_classes(model: Model, opened: Dataset, note: Callable[[str], None]) -> None:
    ours, theirs = model.facts.classes, opened.classes
    if len(ours) != len(theirs):
        raise UserError(
            f"--dataset: {opened.name} has {len(theirs)} classes and {model.run.name} tells {len(ours)} apart; "
            "it can be evaluated on data sets with as many"
        )
    if ours != theirs:
        first = next(i for i in range(len(ours)) if ours[i] != theirs[i])
        note(
            f"the classes of {opened.name} have other names than the run's and are taken in their order: "
            f'number {first} is "{theirs[first]}" there and "{ours[first]}" here'
        )


def _choose(opened: Dataset, wanted: str | None) -> tuple[str, Split]:
    there = {name: split for name in SPLITS if (split := getattr(opened, name)) is not None}
    name = wanted or next(iter(there))
    if name not in there:
        raise UserError(f"--split: {opened.name} has no {name} images here; it has {' and '.join(there)}")
    return name, there[name]


class Recoloured:
    """A source whose images are given another number of channels; a `Source`."""

    def __init__(self, source: Source, channels: int) -> None:
        self.source, self.channels = source, channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        return self.channels, *self.source.shape[1:]

    def read(self, rows: Tensor, spans: Sequence[Span]) -> Iterator[Tensor]:
        """See `Source.read`."""
        for images in self.source.read(rows, spans):
            yield recolour(images, self.channels)


def with_channels(source: Source, channels: int, note: Callable[[str], None] = lambda text: None) -> Source:
    """`source` with its images in as many channels as the network takes. UserError where that has no meaning."""
    here = source.shape[0]
    if here == channels:
        return source
    if {here, channels} != {1, 3}:
        raise UserError(f"--dataset: its images have {here} channels and the network takes {channels}")
    note("grey images are shown as RGB" if channels == 3 else "colour images are shown as greys")
    return Recoloured(source, channels)


def recolour(images: Tensor, channels: int) -> Tensor:
    """uint8 images (B, C, H, W) with 1 or 3 channels, as 1 or 3 `channels`: RGB to luma, grey to three of the same."""
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1)
    parts = torch.tensor(LUMA, dtype=torch.int32, device=images.device)[:, None, None]
    return ((images.int() * parts).sum(1, keepdim=True) + 0x8000 >> 16).to(torch.uint8)
