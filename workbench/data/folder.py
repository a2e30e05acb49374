"""Your own images: root/train/<class>/*.jpg, and root/test/<class>/*.jpg if there is a test set."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.data.decode import Reader, readings
from workbench.data.scan import Scan, scan
from workbench.data.sources import Span
from workbench.data.stats import Totals
from workbench.profile.schema import Data

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
"""Files of a class folder that are images, in small or capital letters; others are passed over."""

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Part:
    """A split's readable files and their labels."""

    files: "Files"
    labels: Tensor  # int64 (N,)


class Files:
    """Images decoded by workers as they are needed; `Countable`."""

    def __init__(self, paths: Sequence[Path], sums: Tensor, size: int, workers: int, device: torch.device) -> None:
        """`sums` is int64 (N, 2, 3) from the scan: sum and sum of squares per image and channel."""
        self.paths, self.sums, self.size, self.workers, self.device = paths, sums, size, workers, device

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image once decoded."""
        return 3, self.size, self.size

    def read(self, rows: Tensor, spans: Sequence[Span]) -> Iterator[Tensor]:
        """See `Source.read`. Raises UserError naming a file that can no longer be read."""
        groups = [rows[first:last].tolist() for first, last in spans]
        for images, failures in readings(Reader(self.paths, self.size), groups, self.workers):
            if failures:
                row, why = failures[0]
                raise UserError(f"{clean(str(self.paths[row]))}: was readable and no longer is ({why})")
            # Pinned, or the copy would wait for the device.
            pinned = images.pin_memory() if self.device.type == "cuda" else images
            yield pinned.to(self.device, non_blocking=True)

    def totals(self, rows: Tensor) -> Totals:
        """See `Countable.totals`."""
        sums, squares = self.sums[rows].sum(0).tolist()
        return Totals(len(rows) * self.size**2, tuple(sums), tuple(squares))


def open_folder(data: Data, device: torch.device, report: Report) -> tuple[tuple[str, ...], Part, Part | None]:
    """(class names as on disk, training part, test part or None); every image has been decoded once.

    Raises UserError for a layout that is not understood, and for more than `data.max_corrupt`
    images that cannot be read; up to that many are reported by name and left out.
    """
    if not data.root:
        raise UserError("data.root: dataset folder needs the folder that holds train/<class>/ with your images")
    root = Path(data.root).expanduser()
    classes = _class_folders(root / "train")
    listed = {"train": _list_images(root / "train", classes)}
    if (root / "test").is_dir():
        strange = sorted(set(_class_folders(root / "test")) - set(classes))
        if strange:
            raise UserError(f"{_shown(root / 'test' / strange[0])}: no such class in train/")
        listed["test"] = _list_images(root / "test", classes, may_lack=True)
    elif (root / "val").is_dir():
        report(f"folder: {_shown(root / 'val')} is not read; a test set is to be called test/")

    paths = [path for files in listed.values() for path, _ in files]
    seen = scan(root, paths, data.image_size, data.workers, report)
    _judge(seen, paths, data.max_corrupt, report)
    parts: dict[str, Part] = {}
    first = 0
    for name, files in listed.items():
        kept = [i for i in range(len(files)) if first + i not in seen.corrupt]
        labels = torch.tensor([files[i][1] for i in kept], dtype=torch.int64)
        lost = set(range(len(classes))) - set(labels.tolist())
        if lost and name == "train":
            raise UserError(f"{_shown(root / name / classes[min(lost)])}: none of its images can be read")
        sums = seen.sums[[first + i for i in kept]]
        parts[name] = Part(Files([files[i][0] for i in kept], sums, data.image_size, data.workers, device), labels)
        first += len(files)
    return tuple(classes), parts["train"], parts.get("test")


def _shown(path: Path) -> str:
    return clean(str(path))


def _class_folders(split: Path) -> list[str]:
    try:
        names = sorted(e.name for e in os.scandir(split) if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise UserError(
            f"{_shown(split)}: {error.strerror}; dataset folder wants {split.name}/<class>/ with images in it"
        ) from error
    if not names:
        raise UserError(f"{_shown(split)}: has no class folders; images belong into {split.name}/<class>/")
    return names


def _list_images(split: Path, classes: Sequence[str], *, may_lack: bool = False) -> list[tuple[Path, int]]:
    """(file, class number), by class and then by path; folders inside a class belong to it."""
    found = []
    for label, name in enumerate(classes):
        folder = split / name
        if may_lack and not folder.is_dir():
            continue
        inside = []
        for where, folders, files in os.walk(folder):
            folders[:] = [f for f in folders if not f.startswith(".")]
            inside += [Path(where, f) for f in files if not f.startswith(".") and f.lower().endswith(EXTENSIONS)]
        if not inside:
            raise UserError(f"{_shown(folder)}: has no images ({', '.join(EXTENSIONS)})")
        found += [(path, label) for path in sorted(inside, key=lambda p: p.relative_to(folder).as_posix())]
    return found


def _judge(seen: Scan, paths: Sequence[Path], allowed: int, report: Report) -> None:
    if len(seen.corrupt) > allowed:
        named = ", ".join(_shown(paths[row]) for row in list(seen.corrupt)[:3])
        raise UserError(
            f"data.max_corrupt: {len(seen.corrupt)} of {len(paths)} images cannot be read and {allowed} may be: "
            f"{named}{', ...' if len(seen.corrupt) > 3 else ''}"
        )
    for row, why in seen.corrupt.items():
        report(f"folder: skipping {_shown(paths[row])}: {why}")
