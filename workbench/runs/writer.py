"""The writer of a run: the one object through which a trainer leaves anything on disk.

Keeping records must not stop the training they are about: when the disk is full, metrics and events wait in memory, the
person is told once, and everything is written when there is room again.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.base.errors import UserError
from workbench.runs import journal
from workbench.runs.checkpoints import CheckpointStore
from workbench.runs.directory import SCHEMA, publish, stage, staging_of
from workbench.runs.files import write_atomically, write_json
from workbench.runs.journal import Journal
from workbench.runs.lock import RunLock
from workbench.runs.reading import read_json

SYNC_SECONDS = 5.0
"""A power cut loses at most so much of metrics and events."""
STATUS_SECONDS = 1.0
"""status.json is replaced at most this often, but for changes of state."""


class RunWriter:
    """An open run directory with its lock held. Not safe for several threads."""

    def __init__(self, path: Path, lock: RunLock, warn: Callable[[str], None]) -> None:
        self.path = path
        self.checkpoints = CheckpointStore(path / "checkpoints")
        self._lock = lock
        self._warn = warn
        self._metrics = Journal(path / "metrics.jsonl")
        self._events = Journal(path / "events.jsonl")
        self._status: dict[str, Any] = {"schema": SCHEMA, "seq": _last_seq(path)}
        self._status_written = self._synced = float("-inf")
        self._told_of_full_disk = False

    @classmethod
    def create(
        cls, root: Path, slug: str, profile: str, facts: dict[str, Any], warn: Callable[[str], None]
    ) -> "RunWriter":
        """A new run: run.json from `facts`, profile.toml from `profile`, the lock; visible only once all are there."""
        path = stage(root, slug)
        hidden = staging_of(path)
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            lock = RunLock.acquire(hidden / "lock")
            write_json(hidden / "run.json", {"schema": SCHEMA, "id": path.name, "created": created, **facts})
            write_atomically(hidden / "profile.toml", profile.encode())
            publish(path)
        except BaseException as error:
            shutil.rmtree(hidden, ignore_errors=True)
            if isinstance(error, OSError):
                raise UserError(f"cannot create a run in {root}: {error.strerror or error}") from None
            raise
        return cls(path, lock, warn)

    @classmethod
    def reopen(cls, path: Path, warn: Callable[[str], None]) -> "RunWriter":
        """Go on with a run. UserError where a live trainer still holds it."""
        return cls(path, RunLock.acquire(path / "lock"), warn)

    def metrics(self, record: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        self._metrics.append(record)
        self._look_after()

    def event(self, name: str, **facts: Any) -> None:
        """Append a line to events.jsonl, durably, and say it in log.txt."""
        self._events.append({"event": name, "time": round(time.time(), 3), **facts})
        self.log(" ".join([name, *(f"{key}={value}" for key, value in facts.items() if key != "traceback")]))
        self._look_after(force=True)

    def status(self, *, force: bool = False, **fields: Any) -> None:
        """Replace status.json, at most once a second unless `force`. Fields that are not given stay."""
        self._status.update(fields)
        now = time.monotonic()
        if not force and now - self._status_written < STATUS_SECONDS:
            return
        self._status_written = now
        self._status["seq"] += 1
        self._status["updated"] = round(time.time(), 3)
        try:
            write_json(self.path / "status.json", journal.finite(self._status), durable=force)
        except OSError as error:
            self._tell_of_full_disk(error)

    def log(self, text: str) -> None:
        """Append a timed line to log.txt; a full disk costs the line, never the run."""
        with suppress(OSError), open(self.path / "log.txt", "a", encoding="utf-8", errors="replace") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")

    def sync(self) -> None:
        """Make metrics and events survive a power cut."""
        self._metrics.sync()
        self._events.sync()
        self._synced = time.monotonic()

    def close(self) -> None:
        """Write what still waits, then free the lock."""
        for lines in (self._metrics, self._events):
            lines.flush()
            if lines.waiting or lines.lost:
                self._warn(f"{lines.waiting + lines.lost} lines of {lines.path} could not be written: {lines.refusal}")
            lines.close()
        self._lock.release()

    def _look_after(self, *, force: bool = False) -> None:
        refusal = self._metrics.refusal or self._events.refusal
        if refusal is not None:
            self._tell_of_full_disk(refusal)
        elif self._told_of_full_disk:
            self._told_of_full_disk = False
            self.event("disk_ok")
        if force or time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def _tell_of_full_disk(self, error: OSError) -> None:
        if self._told_of_full_disk:
            return
        self._told_of_full_disk = True
        self._warn(f"cannot write to {self.path}: {error.strerror or error}; training goes on, records wait in memory")
        self.event("disk_full", error=str(error))


def _last_seq(path: Path) -> int:
    """Readers on other hosts watch `seq` grow, so a resumed run counts on from where it was."""
    seq = read_json(path / "status.json").get("seq", 0)
    return seq if isinstance(seq, int) else 0
