"""Requests to a live trainer: files in the run's control/ folder, each claimed by a rename.

    control/<id>.json                  a request, there whole or not at all
    control/claimed/<id>.json          one that the trainer took
    control/claimed/<id>.answer.json   what became of it
    control/refused/<time>-<name>      what was no request

The id is the time in nanoseconds and eight random letters, so names in order are requests in order. Of several that
rename the same file one succeeds, so each request is acted on once. Whoever may write in the folder may steer the run;
so nothing there is trusted: no symlink is followed, a name that is no id is never built into a path, and what is
larger than a request can be is not read.

The asker:    request = ask(run, "lr", factor=0.5); answer = wait_for_answer(run, request, timeout=10)
The trainer:  inbox.refuse_waiting("...") once it holds the lock; between steps, with the time it has read anyway,

    if inbox.due(now):
        for request in inbox.claim():
            ...
            inbox.answer(request, "done", "the learning rate is 0.05 from step 1,200")
        for complaint in inbox.complaints(): ...

and `refuse_waiting` again when the run ends. No trouble in the folder raises in the trainer; `complaints` has it.
"""

import errno
import json
import math
import os
import re
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench.base.errors import UserError, did_you_mean
from workbench.base.text import clean
from workbench.runs.lock import read_holder
from workbench.runs.reading import last_ending

SCHEMA = 1

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "stop": (),
    "stop_after_epoch": (),
    "pause": (),
    "resume": (),
    "checkpoint": (),
    "lr": ("factor",),
}
"""Kind of request -> its arguments, numbers above 0. `factor` multiplies the learning rate as it is."""

Outcome = Literal["done", "refused", "failed"]

LOOK_SECONDS = 0.2
"""A trainer looks into the folder at most this often."""
MOST_BYTES = 4096
"""A larger file is no request."""
MOST_AT_ONCE = 100
"""Files that one look deals with; the rest waits for the next."""
MOST_KEPT = 500
"""Old files that stay in claimed/ and in refused/."""

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(r"[0-9]{20}-[0-9a-z]{8}")
_FILE = re.compile(rf"({_ID.pattern})\.json")
_CLAIMED, _REFUSED = "claimed", "refused"


@dataclass(frozen=True)
class Request:
    """Something asked of a live trainer."""

    id: str
    kind: str
    arguments: dict[str, float] = field(default_factory=dict)
    by: str = ""
    """Who asked: process and host, for the event."""


@dataclass(frozen=True)
class Answer:
    """What became of a request."""

    outcome: Outcome
    text: str


# The asker's side


def ask(run: Path, kind: str, **arguments: float) -> str:
    """Put a request into the run's folder; returns its id. UserError where it makes no sense or nobody can answer."""
    try:
        _check(kind, arguments)
    except ValueError as error:
        raise UserError(str(error)) from None
    if not (run / "run.json").is_file():
        raise UserError(f"{run} is not a run directory (it has no run.json)")
    if (ending := last_ending(run)) is not None:
        raise UserError(f"{run.name} is over ({ending}): there is nobody to ask")
    request_id = f"{time.time_ns():020d}-{''.join(secrets.choice(_LETTERS) for _ in range(8))}"
    by = f"pid {os.getpid()} on {socket.gethostname()}"
    content = {"schema": SCHEMA, "kind": kind, "arguments": arguments, "by": by}
    try:
        with _folder(run, create=True) as control:
            _write(control, f"{request_id}.json", content)
    except PermissionError as error:
        raise UserError(f"cannot ask {run.name}: {_not_yours(run, error)}") from None
    except OSError as error:
        raise UserError(f"cannot ask {run.name}: {run / 'control'}: {error.strerror or error}") from None
    return request_id


def wait_for_answer(run: Path, request_id: str, timeout: float) -> Answer | None:
    """The answer to a request, waiting for it at most `timeout` seconds; None where there is none by then."""
    deadline = time.monotonic() + timeout
    while (answer := _read_answer(run, request_id)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def why_unanswered(run: Path) -> str:
    """What is known of a run whose trainer does not answer: ` (it is frozen: ...)`, in clean words."""
    from workbench.runs.run import Run

    state, host = Run(run).state, read_holder(run / "lock").get("host")
    detail = f": {state.detail}" if state.detail else ""
    if host and host != socket.gethostname():
        detail += f"; this folder may be one that {clean(str(host), 100)} does not see"
    return clean(f" (it is {state.name}{detail})", 400)


def _not_yours(run: Path, error: OSError) -> str:
    """Why somebody may not write into a run's control folder."""
    folder = run / "control" if (run / "control").exists() else run
    try:
        owner = folder.owner()
    except (OSError, KeyError):  # a user that this machine does not know
        owner = "another user"
    return f"{folder} is {clean(owner, 60)}'s, and you may not write there ({error.strerror})"


def withdraw(run: Path, request_id: str) -> bool:
    """Take back a request that nobody claimed yet. False where a trainer was faster, or it is not there."""
    name = _name(request_id)
    try:
        with _folder(run) as control:
            os.unlink(name, dir_fd=control)
    except OSError:
        return False
    return True


# The trainer's side


class Inbox:
    """The trainer's end of a run's control folder."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._looked = float("-inf")
        self._complaints: list[str] = []
        self._complained: set[str] = set()

    def due(self, now: float) -> bool:
        """Whether it is time for another look. `now`: time.monotonic(), in seconds."""
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        return True

    def claim(self) -> list[Request]:
        """The requests that wait, oldest first, each handed out once however many claim. An empty folder costs two
        system calls and no file is opened."""
        requests: list[Request] = []
        try:
            with _folder(self.run) as control:
                names = [n for n in os.listdir(control) if not n.startswith(".") and n not in (_CLAIMED, _REFUSED)]
                waiting = sorted(names, key=lambda name: (_FILE.fullmatch(name) is None, name))[:MOST_AT_ONCE]
                if waiting:
                    with _folder(control, _CLAIMED, create=True) as claimed:
                        requests = [r for name in waiting if (r := self._claim(name, control, claimed)) is not None]
                        _forget_old(claimed)
        except FileNotFoundError:
            pass  # nobody has asked for anything yet
        except OSError as error:
            self._complain("", f"control: {error.strerror or error}")
        return requests

    def answer(self, request: Request, outcome: Outcome, text: str) -> None:
        """Record what became of a request, for whoever asked."""
        try:
            with _folder(self.run) as control, _folder(control, _CLAIMED) as claimed:
                _write(claimed, f"{request.id}.answer.json", {"outcome": outcome, "text": text})
        except OSError as error:
            self._complain(request.id, f"control: {request.kind} could not be answered: {error.strerror or error}")

    def refuse_waiting(self, text: str) -> int:
        """Refuse all that waits: before the first step, what was asked of a trainer that is gone; after the last, what
        came too late. Returns how many requests it were."""
        count = 0
        while requests := self.claim():
            for request in requests:
                self.answer(request, "refused", text)
            count += len(requests)
        return count

    def complaints(self) -> list[str]:
        """What was wrong in the folder since the last call, each thing once, safe to show."""
        found, self._complaints = self._complaints, []
        return found

    def _claim(self, name: str, control: int, claimed: int) -> Request | None:
        match = _FILE.fullmatch(name)
        if match is None:
            self._set_aside(name, control)
            return None
        request_id = match[1]
        try:
            os.rename(name, name, src_dir_fd=control, dst_dir_fd=claimed)
        except FileNotFoundError:
            return None  # another was faster, or the asker took it back
        except OSError as error:
            self._complain(name, f"control/{name} cannot be claimed: {error.strerror or error}")
            return None
        try:
            return _parse(request_id, _read(claimed, name))
        except (OSError, ValueError, RecursionError) as error:
            reason = _reason(error)
            self._complain(name, f"control/{name} is no request: {reason}")
            self.answer(Request(request_id, "request"), "refused", f"it is no request: {reason}")
            return None

    def _set_aside(self, name: str, control: int) -> None:
        aside = os.fsdecode(b"%020d-" % time.time_ns() + os.fsencode(name)[:100])
        try:
            with _folder(control, _REFUSED, create=True) as refused:
                os.rename(name, aside, src_dir_fd=control, dst_dir_fd=refused)
                _forget_old(refused)
        except FileNotFoundError:
            return
        except OSError as error:
            self._complain(name, f"control/{name[:100]} is no request and cannot be moved: {error.strerror or error}")
            return
        self._complain("", f"control/{name[:100]} is no request: moved to control/{_REFUSED}")

    def _complain(self, name: str, text: str) -> None:
        """Once for a file that stays where it is; a second look finds it again."""
        key = name or text
        if key in self._complained or len(self._complained) > MOST_KEPT:
            return
        self._complained.add(key)
        self._complaints.append(clean(text.encode("utf-8", errors="replace").decode(), 300))


# Files


def _check(kind: str, arguments: dict[str, Any]) -> None:
    """ValueError unless this is a request as `ARGUMENTS` has them."""
    if kind not in ARGUMENTS:
        hint = did_you_mean(kind, list(ARGUMENTS)) or f" (it may be {', '.join(ARGUMENTS)})"
        raise ValueError(f'there is no request "{clean(kind, 40)}"{hint}')
    if set(arguments) != set(ARGUMENTS[kind]):
        wanted = ", ".join(ARGUMENTS[kind]) or "no argument"
        raise ValueError(f"the request {kind} takes {wanted}")
    for name, value in arguments.items():
        if not _is_positive(value):
            got = clean(repr(value), 40)
            raise ValueError(f"{name} of the request {kind} must be a finite number greater than 0 (got {got})")


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value) and value > 0
    except OverflowError:  # an integer beyond any float
        return False


def _parse(request_id: str, content: dict[str, Any]) -> Request:
    """The request of a file's content. ValueError says what is wrong with it."""
    schema, kind, arguments = content.get("schema"), content.get("kind"), content.get("arguments")
    if not isinstance(schema, int) or not isinstance(kind, str) or not isinstance(arguments, dict):
        raise ValueError("it lacks schema, kind or arguments")
    if schema > SCHEMA:
        raise ValueError("it was written by a newer version of cnn-workbench")
    _check(kind, arguments)
    by = content.get("by")
    numbers = {name: float(value) for name, value in arguments.items()}
    return Request(request_id, kind, numbers, clean(by, 100) if isinstance(by, str) else "")


def _read_answer(run: Path, request_id: str) -> Answer | None:
    name = _name(request_id, ".answer")
    try:
        with _folder(run) as control, _folder(control, _CLAIMED) as claimed:
            content = _read(claimed, name)
    except (OSError, ValueError, RecursionError):
        return None
    outcome, text = content.get("outcome"), content.get("text")
    if outcome not in ("done", "refused", "failed") or not isinstance(text, str):
        return None
    return Answer(outcome, clean(text))


def _name(request_id: str, suffix: str = "") -> str:
    """File name of a request. ValueError for what is no id: it might lead out of the folder."""
    if _ID.fullmatch(request_id) is None:
        raise ValueError(f"not the id of a request: {clean(request_id, 60)}")
    return f"{request_id}{suffix}.json"


@contextmanager
def _folder(parent: Path | int, name: str = "control", *, create: bool = False) -> Iterator[int]:
    """A descriptor of `name` inside a path or an open folder. OSError for a symlink: it may lead anywhere."""
    outer = parent if isinstance(parent, int) else os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=outer)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=outer)
        try:
            yield inner
        finally:
            os.close(inner)
    finally:
        if outer is not parent:
            os.close(outer)


def _write(folder: int, name: str, content: dict[str, Any]) -> None:
    """Put a JSON file into an open folder in one step; readers pass over names that begin with a dot."""
    data = json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="replace")
    temporary = f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as file:
        try:
            file.write(data)
            file.flush()
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise


def _read(folder: int, name: str) -> dict[str, Any]:
    """A JSON object from a small plain file in an open folder. OSError or ValueError where it is anything else."""
    # Without waiting: opening a named pipe would hold the trainer until somebody writes into it.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a plain file")
        data = os.read(descriptor, MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    try:
        content = json.loads(data)
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError):
        return "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
    return str(error)


def _forget_old(folder: int) -> None:
    """Leave the newest `MOST_KEPT` files: names begin with the time."""
    for name in sorted(os.listdir(folder))[:-MOST_KEPT]:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
