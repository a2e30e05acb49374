"""The disposable index: the rows of a runs folder in SQLite, so that a list of ten thousand shows at once.

A row is kept under the signature (time of change, size, inode) of the files that it was made from; whoever finds
another signature reads the run again. Deleting the index at any time loses nothing, and neither does any trouble with
it: a damaged file is made anew, a locked one is not written. It lies in `.index/` of the runs folder, or in the user's
cache folder where the runs folder cannot be written or is on a network, on which SQLite's locks cannot be trusted.
"""

import hashlib
import math
import os
import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import platformdirs

from workbench.runs.journal import finite
from workbench.runs.run import cleaned
from workbench.runs.settings import Settings
from workbench.runs.summary import Summary

VERSION = 1
"""In the file's name: another version of the program has another index."""

_FOLDER = ".index"
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "lustre",
    "ceph",
    "beegfs",
    "gpfs",
    "wekafs",
    "9p",
    "afs",
    "glusterfs",
}
_BUSY_SECONDS = 0.5
_COLUMNS = tuple(field.name for field in fields(Summary) if field.name != "settings")
_ROUND = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_FIGURES = tuple(number for number, field in enumerate(fields(Summary)) if "float" in str(field.type))
_TAGS = _COLUMNS.index("tags")

Signature = str


class Index:
    """The rows that are known, in one SQLite file. A file that is damaged, locked or read-only harms nobody."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def load(self) -> dict[str, tuple[Signature, Summary]]:
        """Every row that can be read, by run id."""
        try:
            found = self._open().execute("SELECT signature, row, settings FROM runs").fetchall()
            rows = [(signature, _decode(row, settings)) for signature, row, settings in found]
        except (sqlite3.Error, OSError, ValueError, TypeError, LookupError, RecursionError):
            self._forget()
            return {}
        return {summary.id: (signature, summary) for signature, summary in rows}

    def save(self, rows: Iterable[tuple[Signature, Summary]], gone: Iterable[str] = ()) -> None:
        """Put rows in or replace them, and take away those of runs that are gone. What cannot be written is not."""
        try:
            connection = self._open()
            with connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO runs (id, signature, row, settings) VALUES (?, ?, ?, ?)",
                    ((summary.id, signature, *_encode(summary)) for signature, summary in rows),
                )
                connection.executemany("DELETE FROM runs WHERE id = ?", ((name,) for name in gone))
        except (sqlite3.OperationalError, OSError):  # locked, read-only or full: the next one writes it
            self._close()
        except sqlite3.DatabaseError:
            self._forget()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, signature TEXT NOT NULL, row TEXT NOT NULL, "
                "settings TEXT NOT NULL) WITHOUT ROWID"
            )
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _forget(self) -> None:
        """Begin anew: the file is no index."""
        self._close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{self.path}{suffix}")


def place_of_index(root: Path) -> Path:
    """The folder for what is derived from the runs in `root`: inside it, or in the user's cache folder."""
    with suppress(OSError):
        if os.access(root, os.W_OK) and not (root / _FOLDER).is_symlink() and file_system(root) not in _NETWORK:
            return root / _FOLDER
    digest = hashlib.sha256(str(root.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("cnn-workbench")) / "index" / digest


def file_system(path: Path) -> str:
    """The kind of file system that a path lies on, as Linux calls it, without `fuse.`; empty where it does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    real, best, kind = os.path.realpath(path), "", ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        words = left.split()
        if len(words) < 5 or not right:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), words[4])
        if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, right.split()[0]
    return kind.removeprefix("fuse.")


def _encode(summary: Summary) -> tuple[str, str]:
    settings = summary.settings
    text = settings.text if isinstance(settings, Settings) else Settings(dict(settings)).text
    row = [getattr(summary, name) for name in _COLUMNS]
    for number in _FIGURES:
        if row[number] is not None and not math.isfinite(row[number]):
            row[number] = finite(row[number])
    return orjson.dumps(row).decode(), text


def _decode(row: str, settings: str) -> Summary:
    values: list[Any] = orjson.loads(row)
    if not row.isascii() or "\\u" in row or "\x7f" in row:  # the index is a file like any other: others may write it
        values = cleaned({"row": values})["row"]
    values[_TAGS] = tuple(values[_TAGS])
    for number in _FIGURES:
        if values[number].__class__ is str:
            values[number] = _ROUND[values[number]]
    return Summary(*values, Settings(settings))  # type: ignore[call-arg]  # as many as it has fields, or TypeError
