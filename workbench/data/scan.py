"""The first look at a folder of images: every one is decoded once, and what was found is remembered.

Found are the files that cannot be read and, for mean and std, each image's sums. The memory is a file
in the user's cache folder named after all paths, sizes and modification times: change, add or remove
an image and the look is taken anew. Losing the cache costs time only.
"""

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch
from torch import Tensor

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.data.decode import Reader, readings

_VERSION = 1  # to be raised when decode() gives other pixels
_GROUP = 32  # images per answer of a worker


@dataclass(frozen=True, eq=False)
class Scan:
    """What is known of n images."""

    sums: Tensor  # int64 (n, 2, 3): sum and sum of squares of the bytes, per channel; 0 where corrupt
    corrupt: dict[int, str]  # row -> why it cannot be read, ascending


def scan(root: Path, paths: Sequence[Path], size: int, workers: int, report: Callable[[str], None]) -> Scan:
    """Look at every image of `paths` (below `root`) as decoded to `size` px, or remember the last look."""
    cache = platformdirs.user_cache_path("cnn-workbench") / "scans" / f"{_digest(root, paths, size)}.npz"
    known = _recall(cache, len(paths))
    if known is None:
        known = _look(paths, size, workers, report)
    elif known.corrupt:
        known = _look_again(known, paths, size)
    else:
        return known
    _remember(cache, known)
    return known


def _digest(root: Path, paths: Sequence[Path], size: int) -> str:
    seen = hashlib.sha256(f"{_VERSION} {size}\n".encode())
    for path in paths:
        try:
            facts = path.stat()
        except OSError as error:
            raise UserError(f"{clean(str(path))}: {error.strerror}; remove it, or mend the link") from error
        seen.update(os.fsencode(path.relative_to(root)) + f"\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def _look(paths: Sequence[Path], size: int, workers: int, report: Callable[[str], None]) -> Scan:
    groups = [range(first, min(first + _GROUP, len(paths))) for first in range(0, len(paths), _GROUP)]
    sums: list[Tensor] = []
    corrupt: dict[int, str] = {}
    done = told = 0
    report(f"folder: looking at {len(paths)} images for the first time")
    for part, failures in readings(Reader(paths, size, sums=True), groups, workers):
        sums.append(part)
        corrupt.update(failures)
        done += len(part)
        if done * 10 // len(paths) > told:  # at most ten lines, however many images
            told = done * 10 // len(paths)
            report(f"folder: looked at {done} of {len(paths)} images")
    return Scan(torch.cat(sums), corrupt)


def _look_again(known: Scan, paths: Sequence[Path], size: int) -> Scan:
    """Another try for the files that failed: the reason may have been the disk and not the file."""
    rows = list(known.corrupt)
    [(sums, failures)] = readings(Reader(paths, size, sums=True), [rows], workers=0)
    known.sums[rows] = sums
    return Scan(known.sums, dict(failures))


def _recall(cache: Path, n: int) -> Scan | None:
    """The remembered look, or None if there is none or it is damaged."""
    try:
        with np.load(cache, allow_pickle=False) as stored:
            sums, rows = stored["sums"], stored["rows"]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return None
    if sums.shape != (n, 2, 3) or sums.dtype != np.int64 or not np.isin(rows, np.arange(n)).all():
        return None
    return Scan(torch.from_numpy(sums), dict.fromkeys(rows.tolist(), "unreadable at the last look"))


def _remember(cache: Path, found: Scan) -> None:
    """Write beside, then rename: a reader sees the whole file or none. A cache that cannot be written is no error."""
    temporary = None
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache.parent, suffix=".partial", delete=False) as file:
            temporary = file.name
            np.savez(file, sums=found.sums.numpy(), rows=np.array(list(found.corrupt), dtype=np.int64))
        os.replace(temporary, cache)
    except OSError:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
