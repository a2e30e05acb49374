"""The file of a draft: what was read from it, whether it is still that, and writing it whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.profile.errors import Problem, ProfileError
from workbench.profile.find import is_builtin, label
from workbench.profile.load import decode, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK = b"\xef\xbb\xbf"
"""The byte-order mark that Windows editors put first; a file that has one keeps it."""


@dataclass(frozen=True)
class Content:
    """What is in a profile's file."""

    data: bytes

    @classmethod
    def read(cls, path: Path) -> Content:
        """ProfileError where it cannot be read; a pipe, which would keep the reader waiting, is not."""
        if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
            raise ProfileError([Problem(label(path), "", "cannot be read: not a regular file")])
        return cls(read_bytes(path, label(path)))

    def text(self, path: Path) -> str:
        """As text, without the byte-order mark. ProfileError where it is no UTF-8."""
        return decode(self.data, label(path))

    def with_text(self, text: str) -> Content:
        """The bytes of another text, with the mark if these have it."""
        return Content((MARK if self.data.startswith(MARK) else b"") + text.encode())


def why_not(path: Path) -> str:
    """Why a profile cannot be written there, one line; "" where nothing speaks against it."""
    if is_builtin(path):
        return f"{label(path)} is a built-in profile; save it under another name"
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""  # not there yet, and what else there is writing will tell
    if not mode & 0o222 or not os.access(path, os.W_OK):
        return f"{label(path)} may only be read; save it under another name"
    return ""


@contextlib.contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """The folders above a file that is to be written, made where they lack; if it fails, those made are gone again."""
    lacking = [folder for folder in path.parents if not os.path.exists(folder)]
    try:
        for folder in reversed(lacking):
            folder.mkdir(exist_ok=True)
        yield
    except BaseException as error:
        for folder in lacking:
            with contextlib.suppress(OSError):  # not made, or someone put something in it
                folder.rmdir()
        if isinstance(error, OSError | ValueError):
            raise _unwritten(path, error) from None
        raise


def write(path: Path, content: Content) -> None:
    """Replace the file in one step, its permissions kept; where `path` is a link, the file that it leads to.

    ProfileError, one line, where it cannot be written; then the file is what it was.
    """
    reason = why_not(path)
    if reason:
        raise ProfileError([Problem("", "", reason)])
    target = path.resolve()
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                os.chmod(temporary, target.stat().st_mode & 0o7777)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except (OSError, ValueError) as error:
        raise _unwritten(path, error) from None


def _unwritten(path: Path, error: Exception) -> ProfileError:
    why = (getattr(error, "strerror", None) or str(error)).lower()
    return ProfileError([Problem(label(path), "", f"cannot be written: {why}")])
