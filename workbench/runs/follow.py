"""Following a journal that somebody else writes: what is new since the last look, and nothing twice.

A look at a journal that has not changed is one `stat`. A torn tail is "not yet". A file that was replaced, cut short or
written anew is read again from its beginning, and the look says so.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from workbench.runs import journal
from workbench.runs.files import open_regular
from workbench.runs.journal import Record

_FINGERPRINT = 64
"""Bytes before the offset that must be what they were: a file cut short and grown again is another one."""


@dataclass(frozen=True)
class News:
    """What a look found."""

    records: list[Record]
    restarted: bool
    """The file is another one: forget what came before."""
    places: list[tuple[int, int]]
    """Where in the file each record's line begins and where the next one does, bytes."""


_NOTHING = News([], False, [])


class Follower:
    """A reader's place in one journal. `damaged` counts the lines whose checksum did not fit."""

    def __init__(self, path: Path, offset: int = 0, inode: int = 0, before: bytes = b"", damaged: int = 0) -> None:
        """`offset`, `inode`, `before`, `damaged` as `place` of an earlier follower gave them; else the beginning."""
        self.path = path
        self.damaged = damaged
        self._offset, self._inode, self._before = offset, inode, before
        self._seen = (-1, -1)

    @property
    def place(self) -> tuple[int, int, bytes, int]:
        """Where it stands, for another follower to go on from."""
        return self._offset, self._inode, self._before, self.damaged

    def look(self) -> News:
        """The whole lines that are new. Empty where there is no file, or none that can be read."""
        try:
            found = os.stat(self.path)
        except OSError:
            return self._gone()
        if (found.st_ino, found.st_size) == self._seen:
            return _NOTHING
        try:
            with open_regular(self.path) as file:
                found = os.fstat(file.fileno())
                restarted = self._is_another(found, file.fileno())
                if restarted:
                    self._offset, self._before, self.damaged = 0, b"", 0
                file.seek(self._offset)
                content = file.read()
        except OSError:
            return _NOTHING
        self._inode, self._seen = found.st_ino, (found.st_ino, found.st_size)
        return self._take(content, restarted)

    def _take(self, content: bytes, restarted: bool) -> News:
        end = content.rfind(b"\n") + 1
        records: list[Record] = []
        places: list[tuple[int, int]] = []
        at = self._offset
        for line in content[:end].split(b"\n"):
            after = at + len(line) + 1
            if line and (record := journal.decode(line)) is not None:
                records.append(record)
                places.append((at, after))
            elif line:
                self.damaged += 1
            at = after
        self._offset += end
        self._before = (self._before + content[max(0, end - _FINGERPRINT) : end])[-_FINGERPRINT:]
        return News(records, restarted, places)

    def _is_another(self, found: os.stat_result, descriptor: int) -> bool:
        if not self._offset:
            return False
        if (self._inode and found.st_ino != self._inode) or found.st_size < self._offset:
            return True
        return os.pread(descriptor, len(self._before), self._offset - len(self._before)) != self._before

    def _gone(self) -> News:
        restarted = self._offset > 0
        self._offset, self._inode, self._before, self.damaged, self._seen = 0, 0, b"", 0, (-1, -1)
        return News([], restarted, [])
