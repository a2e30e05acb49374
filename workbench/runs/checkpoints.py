"""Checkpoint files of a run: last.pt, the one before it, and best.pt, each with its SHA-256.

What is in them is the trainer's business; here they are bytes that are whole or not used. A flipped bit in a
checkpoint usually loads without a word as other weights, so nothing is loaded whose SHA-256 does not agree. The
sidecar has the format of `sha256sum`: `sha256sum -c last.pt.sha256` checks by hand.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workbench.runs.files import sha256_of, sync_folder, write_atomically, write_hashed

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"


@dataclass(frozen=True)
class Found:
    """The newest checkpoint that is whole, and what was found wrong with newer ones."""

    path: Path | None
    complaints: tuple[str, ...]


class CheckpointStore:
    """The `checkpoints/` folder of one run; the trainer is its only writer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last_is_good = False

    def save(self, write: Callable[[BinaryIO], object], *, last: bool, best: bool) -> None:
        """Write one checkpoint as last.pt (what was last.pt becomes previous.pt), as best.pt, or as both.

        At every moment last.pt or previous.pt is whole. OSError leaves both as they were. best.pt comes first: a
        last.pt that speaks of a best epoch must find its weights there, while an early best.pt is only made anew.
        """
        self.folder.mkdir(exist_ok=True)
        fresh = self.folder / "new.pt"
        try:
            digest = write_hashed(fresh, write)
            if best:
                self._put(self._second_name(fresh), BEST, digest)
            if last:
                if self._last_is_good:  # a damaged last.pt must not push out the good one before it
                    self._put(self.folder / LAST, PREVIOUS, self._digests(LAST)[0])
                self._put(fresh, LAST, digest)
                self._last_is_good = True
        finally:
            fresh.unlink(missing_ok=True)

    def newest_good(self) -> Found:
        """The first of last.pt, previous.pt and best.pt whose SHA-256 agrees."""
        complaints: list[str] = []
        for name in (LAST, PREVIOUS, BEST):
            path = self.folder / name
            if not path.is_file():
                continue
            complaint = self._complaint(path)
            if complaint is None:
                self._last_is_good = name == LAST
                return Found(path, tuple(complaints))
            complaints.append(f"{name}: {complaint}")
        return Found(None, tuple(complaints))

    def _complaint(self, path: Path) -> str | None:
        digests = self._digests(path.name)
        if not digests:
            return "it has no SHA-256 beside it"
        try:
            return None if sha256_of(path) in digests else "its SHA-256 does not agree: it is damaged"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"

    def _put(self, source: Path, name: str, digest: str) -> None:
        """Rename `source` to `name` so that a crash at any moment leaves `name` with a sidecar that fits it.

        While the bytes change, the sidecar holds the digests of both contents.
        """
        sidecar = self.folder / f"{name}.sha256"
        old = self._digests(name) if (self.folder / name).exists() else []
        write_atomically(sidecar, "".join(f"{d}  {name}\n" for d in [digest, *old]).encode("ascii"))
        os.replace(source, self.folder / name)
        sync_folder(self.folder)
        if old:
            write_atomically(sidecar, f"{digest}  {name}\n".encode("ascii"))

    def _digests(self, name: str) -> list[str]:
        try:
            text = (self.folder / f"{name}.sha256").read_text(encoding="ascii", errors="replace")
        except OSError:
            return []
        return [line.split()[0] for line in text.splitlines() if line.strip()]

    def _second_name(self, path: Path) -> Path:
        """Another file with the same bytes: a hard link where the file system has them, else a copy."""
        second = path.with_name("new-best.pt")
        second.unlink(missing_ok=True)
        try:
            os.link(path, second)
        except OSError:
            shutil.copyfile(path, second)
        return second
