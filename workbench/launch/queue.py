"""Runs that wait to be trained, as folders in <runs>/.queue, so that none is lost with a screen.

    <place>-<letters>/            one that waits: order.json, and profile.toml where it begins with one
    .taken-<place>-<letters>/     one that a process has taken: taken.json says which, child.json the one that it has
                                  started; output.txt is what was printed, and says which run has come of it
    .failed-<place>-<letters>/    one that ended before there was a run; why.txt says why
    lock                          held for the moment of a change
    turn-<host>                   held while a run of the queue is trained on that host: one at a time

What waits for a thread belongs to the screen that asked for it; what waits for a process of its own is anybody's on the
same host. When who has taken an order is dead, and there is no run of it yet, it waits again.
"""

import fcntl
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.launch.orders import Order, Way
from workbench.runs.files import read_regular, write_atomically, write_json
from workbench.runs.lock import identity_of, is_alive, own_identity

FOLDER = ".queue"
SCHEMA = 1
MOST_BYTES = 1 << 20
"""A larger file is none of ours."""

_NAME = re.compile(r"([0-9]{6})-([0-9a-f]{8})")
_STEP = 100


@dataclass(frozen=True)
class Entry:
    """An order in the queue, and where."""

    path: Path
    order: Order
    host: str
    owner: dict[str, str | int]
    """The screen that asked for it."""

    @property
    def folder(self) -> str:
        """`<place>-<letters>`, without what says that it was taken."""
        return self.path.name.removeprefix(".taken-").removeprefix(".failed-")

    @property
    def name(self) -> str:
        """Stays as it is when its place changes."""
        return self.folder.partition("-")[2]

    @property
    def profile(self) -> Path:
        return self.path / "profile.toml"

    @property
    def output(self) -> Path:
        return self.path / "output.txt"

    @property
    def here(self) -> bool:
        """Whether it is for this machine."""
        return self.host == socket.gethostname()

    @property
    def orphaned(self) -> bool:
        """Whether it waits for a thread of a screen that is no more."""
        return self.here and self.order.way == "thread" and not is_alive(self.owner)

    def why(self) -> str:
        """Why it failed; empty for one that did not."""
        with suppress(OSError):
            return clean(read_regular(self.path / "why.txt").decode(errors="replace").strip(), 1000)
        return ""


@dataclass(frozen=True)
class Turn:
    """Held until `release`, or until all processes that the descriptor was handed to have ended."""

    descriptor: int

    def release(self) -> None:
        """Let the next one train."""
        os.close(self.descriptor)


class Queue:
    """The queue of the runs in `root`. OSError becomes a UserError in what changes it, and "nothing" in what looks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER

    # Looking

    def waiting(self) -> list[Entry]:
        """Those that wait, the next one first."""
        return self._entries("")

    def taken(self) -> list[Entry]:
        """Those that somebody has begun with."""
        return self._entries(".taken-")

    def failed(self) -> list[Entry]:
        """Those that ended before there was a run."""
        return self._entries(".failed-")

    def left(self) -> list[Entry]:
        """Those on this machine that nobody is going to train: their screen is no more, or no worker is there."""
        waiting = [entry for entry in self.waiting() if entry.here]
        idle = False
        if any(entry.order.way == "detached" for entry in waiting) and (turn := self.turn()) is not None:
            turn.release()
            idle = True
        return [entry for entry in waiting if entry.orphaned or (idle and entry.order.way == "detached")]

    # Changing

    def add(self, order: Order, *, first: bool = False) -> str:
        """Put an order at the end, or in front of all; returns its name."""
        with self._changing():
            places = [int(entry.folder[:6]) for entry in self.waiting()]
            place = min(places, default=500_000) - _STEP if first else max(places, default=500_000) + _STEP
            name = secrets.token_hex(4)
            hidden = self.folder / f".new-{name}"
            hidden.mkdir()
            facts = {"schema": SCHEMA, "host": socket.gethostname(), "owner": own_identity(), **order.as_json()}
            write_json(hidden / "order.json", facts)
            if order.profile:
                write_atomically(hidden / "profile.toml", order.profile.encode())
            os.rename(hidden, self.folder / f"{place:06d}-{name}")
        return name

    def cancel(self, name: str) -> bool:
        """Take out one that waits or has failed; False where it is gone already."""
        with self._changing():
            for entry in (*self.waiting(), *self.failed()):
                if entry.name == name:
                    shutil.rmtree(entry.path)
                    return True
        return False

    def move(self, name: str, by: int) -> None:
        """Move one that waits by so many places, as far as it goes."""
        with self._changing():
            entries = self.waiting()
            at = next((place for place, entry in enumerate(entries) if entry.name == name), None)
            if at is None:
                return
            to = min(max(at + by, 0), len(entries) - 1)
            order = entries[:at] + entries[at + 1 :]
            order.insert(to, entries[at])
            places = sorted(entry.folder[:6] for entry in entries)
            for place, entry in zip(places, order, strict=True):
                os.rename(entry.path, self.folder / f"{place}-{entry.name}")

    def adopt(self, *, way: Way, orphans: bool) -> int:
        """Make what waits for a thread, of this screen or (`orphans`) of dead ones, wait for `way`, asked for by this
        process; returns how many."""
        me, changed = own_identity(), 0
        with self._changing():
            for entry in self.waiting():
                if entry.here and entry.order.way == "thread" and (entry.owner == me or (orphans and entry.orphaned)):
                    facts = {"schema": SCHEMA, "host": entry.host, "owner": me}
                    write_json(entry.path / "order.json", facts | replace(entry.order, way=way).as_json())
                    changed += 1
        return changed

    def take(self, way: Way, name: str = "") -> Entry | None:
        """The one that is next on this host, if it waits for `way` (and, for a thread, for this process'); or `name`.

        None where there is none.
        """
        me = own_identity()
        if not self.folder.is_dir():
            return None
        with self._changing():
            self._put_back()
            for entry in self.waiting():
                if not entry.here or entry.orphaned or (name and entry.name != name):
                    continue
                if entry.order.way != way or (way == "thread" and entry.owner != me):
                    return None
                write_json(entry.path / "taken.json", me)
                path = self.folder / f".taken-{entry.folder}"
                os.rename(entry.path, path)
                return replace(entry, path=path)
        return None

    def trained_by(self, entry: Entry, pid: int) -> None:
        """A process of its own is at a taken order, and remains at it whatever becomes of the one that started it."""
        with suppress(OSError):
            write_json(entry.path / "child.json", identity_of(pid))

    def put_back(self, entry: Entry) -> None:
        """A taken order waits again, where it was: nothing has come of it."""
        with self._changing():
            self._wait_again(entry)

    def done(self, entry: Entry, failure: str = "") -> None:
        """A taken order is over; `failure`: why there is no run of it."""
        with suppress(OSError), self._changing():
            if failure:
                write_atomically(entry.path / "why.txt", failure.encode("utf-8", "replace"), durable=False)
                os.rename(entry.path, self.folder / f".failed-{entry.folder}")
            else:
                shutil.rmtree(entry.path)

    def turn(self) -> "Turn | None":
        """The right to train a run of the queue on this host; None while another has it."""
        try:
            self._make()
            place = self.folder / f"turn-{_safe(socket.gethostname())}"
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UserError(f"cannot open the queue {self.folder}: {error.strerror or error}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return Turn(descriptor)

    def tidy(self) -> None:
        """Look after what the dead had taken."""
        if self.taken():
            with self._changing():
                self._put_back()

    def _put_back(self) -> None:
        """What the dead had taken: done with where there is a run of it, which can be resumed; else it waits again."""
        for entry in self.taken():
            child = _read(entry.path / "child.json")
            if not entry.here or is_alive(_read(entry.path / "taken.json")) or (child and is_alive(child)):
                continue
            if run_in(entry.output):
                shutil.rmtree(entry.path)
            else:
                self._wait_again(entry)

    def _wait_again(self, entry: Entry) -> None:
        for name in ("taken.json", "child.json", "output.txt"):
            (entry.path / name).unlink(missing_ok=True)
        os.rename(entry.path, self.folder / entry.folder)

    def _entries(self, prefix: str) -> list[Entry]:
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            return []
        found = []
        for name in names:
            if name.startswith(prefix) and _NAME.fullmatch(name[len(prefix) :]):
                with suppress(OSError, ValueError):
                    found.append(_entry(self.folder / name))
        return found

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            self._make()
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UserError(f"cannot change the queue {self.folder}: {error.strerror or error}") from None

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)


def run_in(output: Path) -> str:
    """The id of the run that a headless process said it has made, in what it printed; empty while it did not."""
    with suppress(OSError):
        for line in reversed(read_regular(output).decode(errors="replace").splitlines()):
            if found := re.search(r"(?:^| )run (/.*)$", line):
                return Path(found[1]).name
    return ""


def last_words(output: Path) -> str:
    """The last lines of what a process printed, for one that ended before there was a run."""
    with suppress(OSError):
        lines = read_regular(output).decode(errors="replace").strip().splitlines()
        own = [line.removeprefix("cnn-workbench: ") for line in lines if line.startswith("cnn-workbench: ")]
        return "\n".join(clean(_QUEUED.sub("the profile", line), 500) for line in (own or lines[-1:]))
    return ""


_QUEUED = re.compile(r"\S*/\.taken-[0-9a-f-]+/profile\.toml")
"""A file that is gone when somebody reads of it."""


def _entry(path: Path) -> Entry:
    """ValueError for what is none."""
    found = _read(path / "order.json")
    profile = path / "profile.toml"
    text = read_regular(profile).decode() if profile.exists() else ""
    owner = found.get("owner")
    if found.get("schema") != SCHEMA or not isinstance(owner, dict):
        raise ValueError("not an order")
    return Entry(path, Order.from_json(found, text), str(found.get("host", "")), owner)


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        content = read_regular(path)
        found = json.loads(content) if len(content) <= MOST_BYTES else None
        return found if isinstance(found, dict) else {}
    return {}


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)[:80] or "host"
