"""Image files to bytes, in worker processes.

A worker is handed explicit lists of row numbers, one list a batch, and draws nothing: what a batch
holds is decided by the trainer alone, and starting in the middle of an epoch decodes nothing before.
A file that cannot be read is an answer, not an exception, so that its name reaches the person whole.
"""

import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as MapDataset

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.data.keys import generator

MAX_PIXELS = 89_478_485
"""A picture larger than this is refused: Pillow's own limit against decompression bombs, in pixels."""

Failure = tuple[int, str]
"""(row, why it could not be read)."""

Reading = tuple[Tensor, list[Failure]]
"""What a worker answers: one entry per row asked for, and the rows whose entry is meaningless."""


def decode(path: Path, size: int) -> NDArray[np.uint8]:
    """The middle square of an image, (3, size, size) RGB bytes: shortest side to `size`, then centre crop.

    The first frame of several; turned as its EXIF orientation says; transparency laid on white;
    16-bit greys reduced to 8. Raises whatever Pillow raises on damaged files, and ValueError.
    """
    with Image.open(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} by {image.height} pixels, more than the limit of {MAX_PIXELS}")
        image.draft("RGB", (2 * size, 2 * size))  # a JPEG much larger than needed is decoded at a fraction
        rgb = _to_rgb(ImageOps.exif_transpose(image))
    side = min(rgb.size)
    left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
    square = rgb.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.mode.startswith("I"):  # 16 bits, whichever way this Pillow calls them; convert() would clip
        greys = np.clip(np.asarray(image).astype(np.int64) // 256, 0, 255)
        return Image.fromarray(greys.astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


class Reader(MapDataset[Reading]):
    """Answers a list of rows with their pixels, uint8 (B, 3, S, S), or with sums of them.

    With `sums`, int64 (B, 2, 3): per image the sum and the sum of squares of each channel. The
    first look at every image needs no more, and no picture travels between processes for it.
    """

    def __init__(self, paths: Sequence[Path], size: int, *, sums: bool = False) -> None:
        self.paths, self.size, self.sums = paths, size, sums

    def __getitem__(self, rows: Sequence[int]) -> Reading:
        failures: list[Failure] = []
        if self.sums:
            out = torch.zeros((len(rows), 2, 3), dtype=torch.int64)
        else:
            out = torch.zeros((len(rows), 3, self.size, self.size), dtype=torch.uint8)
        for position, row in enumerate(rows):
            try:
                pixels = decode(self.paths[row], self.size)
            except MemoryError:  # says nothing about the file
                raise
            except Exception as error:  # noqa: BLE001 - a decoder fed damaged bytes may raise anything
                failures.append((row, clean(f"{type(error).__name__}: {error}", 300)))
                continue
            if self.sums:
                flat = pixels.reshape(3, -1).astype(np.int64)
                out[position, 0] = torch.from_numpy(flat.sum(1))
                out[position, 1] = torch.from_numpy((flat * flat).sum(1))
            else:
                out[position] = torch.from_numpy(pixels)
        return out, failures


def _as_is(reading: Any) -> Any:
    """In place of torch's collating, which would look into every answer. Typed for whatever torch says."""
    return reading


def _start_worker(_: int) -> None:
    """Signals that ask the trainer to stop also reach its children: they must live until it is done.

    So they have a process group of their own: torchrun and schedulers send SIGTERM to the trainer's whole group. A
    SIGTERM to a worker alone is left to torch: it is how one that hangs is ended. Pillow's warnings about odd but
    readable files would land on the screen of whoever watches the run.
    """
    warnings.simplefilter("ignore")
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    for name in ("SIGINT", "SIGHUP", "SIGUSR2"):
        if hasattr(signal, name):  # not all exist on Windows
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def readings(reader: Reader, groups: Sequence[Sequence[int]], workers: int) -> Iterator[Reading]:
    """The reader's answer to each group of rows, in order, from `workers` processes (0: this one).

    Raises UserError if a worker dies. Torch's global generator is left alone.
    """
    loader = DataLoader(
        reader,
        batch_size=None,  # an item is a whole batch already
        sampler=groups,
        collate_fn=_as_is,
        num_workers=min(workers, len(groups)),
        worker_init_fn=_start_worker,
        generator=generator("decode"),  # DataLoader draws a seed; without this, from the global generator
    )
    try:
        yield from loader
    except (RuntimeError, MemoryError) as error:
        raise UserError(
            f"data.workers: a process that decodes images failed ({clean(str(error), 200)}); "
            "is memory or /dev/shm full? data.workers = 0 decodes without processes"
        ) from error
