"""What a network says of image files: read, cropped, scaled and normalised as the run's own images were."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.data.augment import to_input
from workbench.data.decode import decode
from workbench.evaluation.images import recolour
from workbench.evaluation.model import Model

AT_ONCE = 16
"""Images that go through the network together."""

STORED = {"digits": 8, "mnist": 28, "fashion_mnist": 28, "kmnist": 28, "cifar10": 32, "cifar100": 32, "svhn": 32}
"""Side of the pictures as these data sets have them, pixels: what the network has seen is no sharper, whatever its
image size. A folder's are stored at the image size."""


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one image, or why it could not be read."""

    path: Path
    classes: tuple[str, ...] = ()
    """The likeliest first; safe to show."""
    probabilities: tuple[float, ...] = ()
    """Softmax, 0 to 1."""
    error: str = ""
    """One safe line; empty where it was read."""


def check_paths(paths: Sequence[Path]) -> None:
    """UserError for a directory among the images."""
    for path in paths:
        if path.is_dir():
            shown = clean(str(path))
            raise UserError(f"{shown} is a directory; name the images in it: {shown.rstrip('/')}/*")


def predict(model: Model, paths: Sequence[Path], top: int = 5) -> Iterator[Prediction]:
    """For each file, in order, its `top` likeliest classes. A file that cannot be read is an answer, not an exception.

    The middle square of the picture is taken; of colour or grey, what the run's images are is made.
    """
    if model.facts.channels not in (1, 3):
        raise UserError(f"{model.run.name} takes images of {model.facts.channels} channels; a file has 1 or 3")
    for first in range(0, len(paths), AT_ONCE):
        group = paths[first : first + AT_ONCE]
        read = [_read(path, model) for path in group]
        pixels = [one for one in read if not isinstance(one, str)]
        answers = _look(model, np.stack(pixels), top) if pixels else iter(())
        for path, one in zip(group, read, strict=True):
            yield Prediction(path, error=one) if isinstance(one, str) else Prediction(path, *next(answers))


def _look(model: Model, pixels: NDArray[np.uint8], top: int) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
    """`pixels` (n, 3, side, side) to (classes, probabilities) of each."""
    images = recolour(torch.from_numpy(pixels), model.facts.channels).to(model.device)
    logits = model.logits(to_input(images, model.image_size, model.mean, model.std))
    found = logits.double().cpu().softmax(1).topk(min(top, logits.shape[1]), dim=1)
    for values, places in zip(found.values.tolist(), found.indices.tolist(), strict=True):
        yield tuple(model.facts.classes[place] for place in places), tuple(values)


def _read(path: Path, model: Model) -> NDArray[np.uint8] | str:
    """(3, side, side) bytes, or why there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about odd but readable files
        try:
            return decode(path, STORED.get(model.profile.data.dataset, model.image_size))
        except MemoryError:  # says nothing about the file
            raise
        except OSError as error:
            return clean(error.strerror or f"{type(error).__name__}: {error}", 300)
        except Exception as error:  # noqa: BLE001  # a decoder fed damaged bytes may raise anything
            return clean(f"{type(error).__name__}: {error}", 300)
