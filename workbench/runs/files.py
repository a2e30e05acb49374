"""Files that are whole or absent: temporary name, fsync, rename, fsync of the folder."""

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `content` in one step. `durable` waits until it would survive a power cut."""
    write_hashed(path, lambda file: file.write(content), durable=durable)


def write_json(path: Path, value: dict[str, Any], *, durable: bool = True) -> None:
    """Replace `path` by `value` as indented JSON, in one step."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text.encode() + b"\n", durable=durable)


def write_hashed(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> str:
    """Let `write` fill a file that then replaces `path` in one step; returns its SHA-256 in hex.

    Whatever fails, `path` stays what it was and the temporary file is gone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()  # of a killed process with this pid, or a link that leads elsewhere
        with open(temporary, "xb") as file:
            hashing = _HashingWriter(file)
            write(hashing)  # type: ignore[arg-type]  # write() and flush() are all that torch.save asks of it
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(path.parent)
    return hashing.sha256.hexdigest()


def open_regular(path: Path) -> BinaryIO:
    """A file opened to be read. OSError for what is none: a pipe in its place would keep the reader waiting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path | str) -> bytes:
    """What is in a file. OSError where there is none, or something else in its place."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, "not a regular file", str(path))
        content = os.read(descriptor, found.st_size + 1)
        while len(content) > found.st_size and (more := os.read(descriptor, 1 << 20)):  # it grows meanwhile
            content += more
        return content
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable; a file system that cannot is left alone."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _HashingWriter:
    """Passes bytes on and hashes them on the way, so that a checkpoint is read only once."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.sha256.update(data)
        self.file.write(data)
        return len(data)

    def flush(self) -> None:
        self.file.flush()
