"""Checkpoint files of a run, each with its SHA-256: the newest ones, and the best epoch's.

    last.pt, previous.pt      the newest two, always
    step-<N>.pt               with keep above 2: the newest `keep`, of which two have the names above as well
    best.pt                   the best epoch's

One checkpoint under two names is one file with two hard links; where the file system has none, step-<N>.pt and best.pt
are copies.

What is in them is the trainer's business; here they are bytes that are whole or not used. A flipped bit in a
checkpoint usually loads without a word as other weights, so nothing is loaded whose SHA-256 does not agree. The digest
is that of the bytes on their way to the file, and it is compared when the file is read: reading it back at once would
be answered from the page cache and prove nothing about the disk. The sidecar has the format of `sha256sum`:
`sha256sum -c last.pt.sha256` checks by hand.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workbench.runs.files import sha256_of, sync_folder, write_atomically, write_hashed

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"

_FRESH, _SECOND = "new.pt", "new-second.pt"
_STEP = re.compile(r"step-(0|[1-9][0-9]*)\.pt(\.sha256)?")
_OURS = re.compile(r"(last|previous|best|step-[0-9]+)\.pt(\.sha256)?")
_LEFTOVER = re.compile(r"new(-\w+)?\.pt|\.(new|last|previous|best|step-[0-9]+)\.pt(\.sha256)?\.[0-9]+\.tmp")
"""Files that a save takes away when it ends, unless it is killed."""


@dataclass(frozen=True)
class Found:
    """The newest checkpoint that is whole, and what was found wrong with newer ones."""

    path: Path | None
    complaints: tuple[str, ...]


class CheckpointStore:
    """The `checkpoints/` folder of one run; the trainer is its only writer. Not safe for several threads at once."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep
        """Newest checkpoints that stay, 2 or more; not counting best.pt."""
        self._last_digest: str | None = None
        """Digest of last.pt where it is known to be whole."""
        self._tidy = False

    def save(self, write: Callable[[BinaryIO], object], *, last: bool, best: bool, step: int | None = None) -> None:
        """Write one checkpoint as last.pt (what was last.pt becomes previous.pt), as best.pt, or as both.

        `step` names it among the older ones; with `keep` above 2 it has to be given. At every moment last.pt or
        previous.pt is whole. OSError leaves them as they were, or last.pt and previous.pt the same. best.pt comes
        first: a last.pt that speaks of a best epoch must find its weights there, while an early best.pt is only made
        anew.
        """
        if self.keep > 2 and last and step is None:
            raise ValueError("a checkpoint that is to be kept among more than two needs its step")
        self.folder.mkdir(exist_ok=True)
        self._remove_leftovers()
        fresh = self.folder / _FRESH
        try:
            digest = write_hashed(fresh, write)
            if best:
                put_hashed(self._link(fresh) or self._copy(fresh), self.folder / BEST, digest)
            if last:
                if self.keep > 2:
                    put_hashed(self._link(fresh) or self._copy(fresh), self.folder / f"step-{step}.pt", digest)
                self._put_last(fresh, digest)
                self._remove_older(step)
        finally:
            fresh.unlink(missing_ok=True)
            (self.folder / _SECOND).unlink(missing_ok=True)

    def newest_good(self) -> Found:
        """The first whose SHA-256 agrees of last.pt, previous.pt, the older ones (newest first) and best.pt."""
        complaints: list[str] = []
        steps = [f"step-{step}.pt" for step in sorted(self._steps(), reverse=True)]
        for name in (LAST, PREVIOUS, *steps, BEST):
            path = self.folder / name
            if not path.is_file():
                continue
            digest, complaint = examine(path)
            if complaint is None:
                self._last_digest = digest if name == LAST else None
                return Found(path, tuple(complaints))
            complaints.append(f"{name}: {complaint}")
        return Found(None, tuple(complaints))

    def clear(self) -> None:
        """Remove every checkpoint, for a finished run that is to leave none behind. OSError where it cannot be."""
        self._last_digest = None
        for name in list(self._names()):
            if _OURS.fullmatch(name) or _LEFTOVER.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # someone else's files may be in it
            self.folder.rmdir()

    def _put_last(self, fresh: Path, digest: str) -> None:
        """What is last.pt becomes previous.pt, and `fresh` last.pt.

        A damaged last.pt must not push out the good one before it. Linked and not renamed, last.pt is there all the
        time for whoever reads it.
        """
        last = self.folder / LAST
        before, self._last_digest = self._last_digest or examine(last)[0], None
        if before is not None and last.is_file():
            put_hashed(self._link(last) or last, self.folder / PREVIOUS, before)
        put_hashed(fresh, last, digest)
        self._last_digest = digest

    def _link(self, path: Path) -> Path | None:
        """A second name of a file; None where the file system has no hard links."""
        second = self.folder / _SECOND
        second.unlink(missing_ok=True)
        try:
            os.link(path, second)
        except OSError:
            return None
        return second

    def _copy(self, path: Path) -> Path:
        second = self.folder / _SECOND
        shutil.copyfile(path, second)
        with open(second, "rb") as file:
            os.fsync(file.fileno())
        return second

    def _remove_older(self, step: int | None) -> None:
        """Leave the newest `keep`. Steps past this one are of an attempt that a rewind took back."""
        there = [number for number in self._steps() if step is not None and number <= step]
        stay = sorted(there)[-self.keep :] if self.keep > 2 else []
        gone = {match[1] for name in self._names() if (match := _STEP.fullmatch(name)) and int(match[1]) not in stay}
        for number in gone:
            path = self.folder / f"step-{number}.pt"
            with contextlib.suppress(OSError):  # one too many is no reason to fail
                path.unlink(missing_ok=True)
                _sidecar(path).unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Once: what a killed attempt left of a save, as large as a checkpoint."""
        if self._tidy:
            return
        for name in self._names():
            if _LEFTOVER.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)
        self._tidy = True

    def _steps(self) -> list[int]:
        """The N of every step-<N>.pt."""
        return [int(match[1]) for name in self._names() if (match := _STEP.fullmatch(name)) and not match[2]]

    def _names(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            yield from os.listdir(self.folder)


def put_hashed(source: Path, target: Path, digest: str) -> None:
    """Rename `source` to `target` so that a crash at any moment leaves `target` with a sidecar that fits it.

    While the bytes change, the sidecar holds the digests of both contents. OSError leaves `target` as it was.
    """
    sidecar = _sidecar(target)
    old = _digests(target) if target.exists() else []
    write_atomically(sidecar, "".join(f"{d}  {target.name}\n" for d in [digest, *old]).encode("ascii"))
    os.replace(source, target)
    sync_folder(target.parent)
    if old:
        with contextlib.suppress(OSError):  # `target` is in place, and one line too many takes nothing from it
            write_atomically(sidecar, f"{digest}  {target.name}\n".encode("ascii"))


def examine(path: Path) -> tuple[str | None, str | None]:
    """(digest, None) of a file that agrees with its sidecar, else (None, what is wrong with it)."""
    digests = _digests(path)
    if not digests:
        return None, "it has no SHA-256 beside it"
    try:
        digest = sha256_of(path)
    except OSError as error:
        return None, f"it cannot be read ({error.strerror})"
    return (digest, None) if digest in digests else (None, "its SHA-256 does not agree: it is damaged")


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digests(path: Path) -> list[str]:
    try:
        text = _sidecar(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return [line.split()[0] for line in text.splitlines() if line.strip()]
