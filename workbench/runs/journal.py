"""Append-only JSON lines with a checksum: metrics.jsonl and events.jsonl.

A line is a JSON object whose last member, `crc`, is the CRC-32 (8 hex digits) of all bytes of the line
before `,"crc"`. One writer a file; a line is one `write` on an O_APPEND descriptor, so a reader in another
process sees whole lines and at most one torn tail. NaN and infinities are the strings "nan", "inf", "-inf".

A reader takes what ends in a newline and remembers where it stopped: a torn tail is "not yet". A line whose
checksum does not fit is counted, never shown and never fatal.
"""

import errno
import json
import math
import os
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from workbench.runs.files import open_regular

Record = dict[str, Any]

_MARK = b',"crc":"'
_TAIL = len(_MARK) + 8 + len(b'"}')

MOST_PENDING = 100_000
"""Lines kept in memory while the disk refuses them; beyond it the oldest are lost (and counted)."""


def encode(record: Record) -> bytes:
    """One line, newline included. `record` must not be empty nor have a member named crc."""
    if not record or "crc" in record:
        raise ValueError("a record has at least one member, and none is named crc")
    text = json.dumps(finite(record), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    body = text.encode("utf-8", errors="replace")[:-1]
    return body + _MARK + b'%08x"}\n' % zlib.crc32(body)


def decode(line: bytes) -> Record | None:
    """The record of one line (without its newline), or None where it is damaged."""
    body, tail = line[:-_TAIL], line[-_TAIL:]
    if not body or tail != _MARK + b'%08x"}' % zlib.crc32(body):
        return None
    try:
        record = parse(body + b"}")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def parse(content: bytes) -> Any:
    """The value of a JSON text. ValueError where it is none.

    Python's own parser, a third as fast, is asked about what the quick one refuses: numbers that no float holds.
    """
    try:
        return orjson.loads(content)
    except ValueError:
        try:
            return json.loads(content)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def finite(value: Any) -> Any:
    """`value` with every non-finite float as its string."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


@dataclass(frozen=True)
class Lines:
    """What a look at a journal found."""

    records: list[Record]
    damaged: int
    """Lines that ended in a newline and whose checksum did not fit."""
    offset: int
    """Where the next look begins."""


def read(path: Path, offset: int = 0) -> Lines:
    """Every whole line from `offset` on. A missing file has none."""
    try:
        with open_regular(path) as file:
            file.seek(offset)
            content = file.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return Lines([], 0, 0)
    end = content.rfind(b"\n") + 1
    lines = [line for line in content[:end].split(b"\n") if line]
    decoded = [decode(line) for line in lines]
    records = [record for record in decoded if record is not None]
    return Lines(records, len(lines) - len(records), offset + end)


class Journal:
    """The writer's end. A disk that refuses keeps nobody from training: lines wait and are tried again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._torn = self._ends_torn()
        self._pending: deque[bytes] = deque()
        self.lost = 0
        self.refusal: OSError | None = None
        """Why the last write was refused, or None."""

    def append(self, record: Record) -> None:
        """Write one record; if the disk refuses, `refusal` says why and the next call tries again."""
        if len(self._pending) >= MOST_PENDING:
            self._pending.popleft()
            self.lost += 1
        self._pending.append(encode(record))
        self.flush()

    def flush(self) -> None:
        """Try to write what is waiting."""
        try:
            while self._pending:
                self._write(self._pending[0])
                self._pending.popleft()
        except OSError as error:
            self.refusal = error
        else:
            self.refusal = None

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.refusal = error

    @property
    def waiting(self) -> int:
        """Lines that the disk has not taken yet."""
        return len(self._pending)

    def close(self) -> None:
        self.flush()
        self.sync()
        os.close(self._descriptor)

    def _write(self, line: bytes) -> None:
        # Someone's torn tail (a killed writer, a full disk) is closed by a newline and never overwritten.
        data = b"\n" + line if self._torn else line
        written = os.write(self._descriptor, data)
        self._torn = 0 < written < len(data) or (self._torn and written == 0)
        if written < len(data):
            raise OSError(errno.ENOSPC, "No space left on device (a line was cut short)")

    def _ends_torn(self) -> bool:
        size = os.fstat(self._descriptor).st_size
        return size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
