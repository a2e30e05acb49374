"""The end of a log that somebody else writes."""

import os
from pathlib import Path

from workbench.base.text import clean
from workbench.runs.files import open_regular

LOG_BYTES = 64 * 1024
"""How much of the end of a log is read at first."""
LOG_LINES = 2000


class LogTail:
    """The lines of a log that somebody else writes. A line without its newline is not yet one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = -1
        self._inode = 0

    def look(self) -> tuple[str, ...]:
        """Lines that are new, safe to show; at first those at the end of the file."""
        try:
            with open_regular(self._path) as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._offset:
                    self._offset = -1
                if found.st_size == self._offset:
                    return ()
                start = self._offset if self._offset >= 0 else max(0, found.st_size - LOG_BYTES)
                cut = self._offset < 0 and start > 0
                content = os.pread(file.fileno(), found.st_size - start, start)
                self._inode = found.st_ino
        except OSError:
            return ()
        end = content.rfind(b"\n") + 1
        self._offset = start + end
        lines = content[:end].decode("utf-8", errors="replace").split("\n")[:-1]
        return tuple(clean(line, 500) for line in lines[1 if cut else 0 :][-LOG_LINES:])
