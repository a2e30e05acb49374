"""The classic data sets, where torchvision keeps them: mnist, fashion_mnist, kmnist, cifar10, cifar100, svhn.

Files that lie in place are used as they are and no network is touched; missing ones are fetched
once. Addresses, file names, MD5 sums and class names are torchvision's own. Torchvision is imported
when one of these sets is opened, never for the embedded digits.
"""

import gzip
import hashlib
import math
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.data import download
from workbench.data.arrays import Arrays

Report = Callable[[str], None]

_DIGITS = tuple("0123456789")


def load(name: str, root: Path, report: Report) -> Arrays:
    """The data set `name`, read from (or first fetched into) `root`, which needs not exist yet.

    Raises UserError naming the files and their place if they are missing and cannot be fetched, are
    damaged, or `root` cannot be written.
    """
    try:
        return _load(name, root, report)
    except OSError as error:
        raise UserError(f"data.root: cannot read {name} in {root}: {error.strerror or error}") from error


def _load(name: str, root: Path, report: Report) -> Arrays:
    from torchvision import datasets  # slow to import

    if name in ("cifar10", "cifar100"):
        return _cifar(name, datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100, root, report)
    if name == "svhn":
        return _svhn(datasets.SVHN, root, report)
    family = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
    cls = family[name]
    classes = _DIGITS if name == "mnist" else tuple(cls.classes)  # torchvision calls them "0 - zero"
    return _idx_family(name, cls, classes, root, report)


def _fetch_all(
    name: str, wanted: Sequence[tuple[str, Sequence[str]]], folder: Path, root: Path, report: Report
) -> None:
    """Download each (file name, mirrors) of `wanted` into `folder`, or say what to put there by hand."""
    for position, (filename, urls) in enumerate(wanted):
        report(f"{name}: downloading {filename} into {folder}")
        reason = download.fetch(urls, folder / filename, download.SHA256[name, filename])
        if reason is not None:
            missing = ", ".join(filename for filename, _ in wanted[position:])
            raise UserError(
                f"data.dataset: {name} is not in {root} and could not be downloaded ({clean(reason)}); "
                f"put {missing} into {folder}"
            )


def _damaged(path: Path, why: object) -> UserError:
    return UserError(
        f"{path}: damaged or incomplete ({clean(str(why))}); delete it, and it is fetched or unpacked again"
    )


def _check_labels(labels: Tensor, images: Tensor, classes: Sequence[str], path: Path) -> None:
    if len(labels) != len(images):
        raise _damaged(path, f"{len(labels)} labels for {len(images)} images")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
        raise _damaged(path, f"a label outside 0..{len(classes) - 1}")


# --- mnist, fashion_mnist, kmnist ---------------------------------------------------------------------


def _idx_family(name: str, cls: Any, classes: tuple[str, ...], root: Path, report: Report) -> Arrays:
    """Read with twenty lines of our own: packed files need no unpacking then (a read-only folder will
    do), and copies that someone packed anew, whose MD5 torchvision would not accept, can be used."""
    folder = root / cls.__name__ / "raw"
    names = [filename for filename, _ in cls.resources]
    absent = [f for f in names if not (folder / f).is_file() and not (folder / f).with_suffix("").is_file()]
    _fetch_all(name, [(f, [mirror + f for mirror in cls.mirrors]) for f in absent], folder, root, report)
    parts = []
    for kind in ("train", "t10k"):
        images, _ = _read_idx(folder / f"{kind}-images-idx3-ubyte", 3)
        labels, path = _read_idx(folder / f"{kind}-labels-idx1-ubyte", 1)
        _check_labels(labels, images, classes, path)
        parts += [images[:, None], labels.long()]
    return Arrays(classes, *parts)


def _read_idx(unpacked: Path, dimensions: int) -> tuple[Tensor, Path]:
    """Bytes of an IDX file (Y. LeCun's format: two zeros, type 8, dimensions, big-endian sizes, values).

    Reads `unpacked`, or else the .gz beside it, whose CRC-32 gzip checks. Returns (values, file read).
    """
    path = unpacked if unpacked.is_file() else unpacked.with_name(unpacked.name + ".gz")
    try:
        content = path.read_bytes() if path == unpacked else gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, error) from error
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes([0, 0, 8, dimensions]):
        raise _damaged(path, "not an IDX file of bytes")
    shape = np.frombuffer(content, ">i4", dimensions, 4).tolist()
    if math.prod(shape) != len(content) - start:
        raise _damaged(path, f"{len(content) - start} values where {math.prod(shape)} are announced")
    values = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(values.copy()), path  # torch wants memory that may be written


# --- cifar10, cifar100 --------------------------------------------------------------------------------


def _cifar(name: str, cls: Any, root: Path, report: Report) -> Arrays:
    folder, archive = root / cls.base_folder, root / cls.filename
    members = [*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])]
    if not all((folder / filename).is_file() for filename, _ in members):
        if not archive.is_file():
            _fetch_all(name, [(cls.filename, [cls.url])], root, root, report)
        _unpack(name, cls, archive, root, report)
    try:
        train, test = cls(root, train=True), cls(root, train=False)
    except RuntimeError as error:  # torchvision compared MD5 sums, before unpickling anything
        for filename, md5 in members:
            if _digest(folder / filename, "md5") != md5:
                raise _damaged(folder / filename, "MD5 differs") from error
        raise
    classes = tuple(str(label) for label in train.classes)
    parts = []
    for split in (train, test):
        images = torch.from_numpy(np.ascontiguousarray(split.data.transpose(0, 3, 1, 2)))
        labels = torch.tensor(split.targets, dtype=torch.int64)
        _check_labels(labels, images, classes, folder)
        parts += [images, labels]
    return Arrays(classes, *parts)


def _unpack(name: str, cls: Any, archive: Path, root: Path, report: Report) -> None:
    """Let torchvision unpack `archive`, once its digest is right: else it would fetch another, unchecked."""
    report(f"{name}: unpacking {archive}")
    if _digest(archive, "sha256") != download.SHA256[name, archive.name]:
        raise _damaged(archive, "SHA-256 differs")
    if _digest(archive, "md5") != cls.tgz_md5:
        raise _damaged(archive, "MD5 differs")
    try:
        with download.safe_extraction():
            cls(root, download=True)
    except (tarfile.TarError, EOFError, zlib.error, RuntimeError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        raise UserError(f"data.root: cannot unpack {archive} there: {error.strerror or error}") from error


def _digest(path: Path, algorithm: str) -> str:
    """Hex digest of a file, or an empty string if it is not there."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    except OSError:
        return ""


# --- svhn ---------------------------------------------------------------------------------------------


def _svhn(cls: Any, root: Path, report: Report) -> Arrays:
    wanted = {split: cls.split_list[split][:2] for split in ("train", "test")}
    absent = [(file, [url]) for url, file in wanted.values() if not (root / file).is_file()]
    _fetch_all("svhn", absent, root, root, report)
    parts = []
    for split, (_, filename) in wanted.items():
        try:
            loaded = cls(root, split=split)
        except (RuntimeError, ValueError) as error:
            raise _damaged(root / filename, "MD5 differs") from error
        images = torch.from_numpy(np.ascontiguousarray(loaded.data))
        labels = torch.from_numpy(loaded.labels)
        _check_labels(labels, images, _DIGITS, root / filename)
        parts += [images, labels]
    return Arrays(_DIGITS, *parts)
