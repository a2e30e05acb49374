"""What people say about a run: tags, a note, pinned, archived. The file user.json of a run directory.

    {"schema": 1, "tags": ["baseline"], "note": "as in the paper", "pinned": true, "archived": false}

The trainer never writes it. Whoever changes it does so under `user.lock` and replaces the file in one step, so of
several who change it at once none loses anything. Members that this version does not know stay as they are; a file of a
newer schema is read as far as it is understood and never written.

Everything that `read_user` returns is safe to print: it has passed `clean`.
"""

import fcntl
import json
import os
import re
import stat
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.files import write_atomically
from workbench.runs.journal import finite

SCHEMA = 1
FILE, LOCK = "user.json", "user.lock"

MOST_TAGS = 50
TAG_LENGTH = 40
"""Characters of a tag."""
NOTE_LENGTH = 10_000
"""Characters of a note."""
MOST_BYTES = 1 << 20
"""A larger file is none of ours."""
PATIENCE = 10.0
"""Seconds to wait for another who is changing the same file; a change takes milliseconds."""

_TAG = re.compile(rf"[\w./-]{{1,{TAG_LENGTH}}}")


@dataclass(frozen=True)
class User:
    """What people say about a run. `note` may have several lines, and no control character but the newline."""

    tags: tuple[str, ...] = ()
    note: str = ""
    pinned: bool = False
    archived: bool = False

    @property
    def note_line(self) -> str:
        """The note where there is room for one line only."""
        return " ".join(self.note.split())


def read_user(run: Path) -> User:
    """What people say about the run. Nothing where there is no such file or it cannot be read; never raises."""
    try:
        return _understood(_content(run))
    except (OSError, ValueError, RecursionError):
        return User()


def change_user(run: Path, change: Callable[[User], User]) -> User:
    """Replace what people say about the run by `change` of it; returns what stands in the file afterwards.

    UserError, and the file as it was: where it cannot be written, is damaged or of a newer version; for a tag that is
    none, too many tags or a note that is too long.
    """
    try:
        with _alone(run):
            content = _changeable(run)
            before = _understood(content)
            after = _checked(change(before), before)
            now = asdict(after)
            # Only what changed: what another version made of the rest may be more than is understood here.
            changed = {key: value for key, value in now.items() if value != getattr(before, key)}
            if changed:
                _write(run, {"schema": SCHEMA, **content, **changed})
    except OSError as error:
        raise UserError(f"cannot change what is noted of {run.name}: {error.strerror or error}") from None
    except RecursionError:
        raise UserError(f"{run.name}: {FILE} is nested too deeply; mend it or move it away") from None
    return after


def tag_of(text: str) -> str:
    """`text` as a tag. UserError where it is none."""
    tag = unicodedata.normalize("NFC", text)
    if _TAG.fullmatch(tag) is None:
        raise UserError(
            f'"{_safe(text, TAG_LENGTH)}" cannot be a tag: it may have letters, digits and . _ - /, '
            f"1 to {TAG_LENGTH} of them"
        )
    return tag


def note_of(text: str) -> str:
    """`text` as a note: lines end in a newline only, other control characters become U+FFFD. UserError if too long."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").strip("\n").split("\n")
    note = "\n".join(_safe(line, NOTE_LENGTH + 1).rstrip() for line in lines)
    if len(note) > NOTE_LENGTH:
        raise UserError(f"a note has at most {NOTE_LENGTH:,} characters (this one has {len(text):,})")
    return note


def _checked(after: User, before: User) -> User:
    """`after` as it may be written. What was there before is not asked about again: others may have put it there."""
    tags = tuple(dict.fromkeys(tag if tag in before.tags else tag_of(tag) for tag in after.tags))
    if len(tags) > MOST_TAGS and len(tags) > len(before.tags):
        raise UserError(f"a run has at most {MOST_TAGS} tags (this would be {len(tags)})")
    note = before.note if after.note == before.note else note_of(after.note)
    return User(tags, note, bool(after.pinned), bool(after.archived))


def _understood(content: dict[str, Any]) -> User:
    """What a file's content says, as far as it is of the right kind."""
    tags, note = content.get("tags"), content.get("note")
    listed = tags[:MOST_TAGS] if isinstance(tags, list) else []
    words = [_safe(tag, TAG_LENGTH) for tag in listed if isinstance(tag, str)]
    return User(
        tuple(dict.fromkeys(word for word in words if word.strip())),
        _shortened(note) if isinstance(note, str) else "",
        content.get("pinned") is True,
        content.get("archived") is True,
    )


def _shortened(note: str) -> str:
    """A note from disk, however long."""
    lines = "\n".join(_safe(line, NOTE_LENGTH) for line in note[: NOTE_LENGTH + 1].split("\n"))
    return lines if len(lines) <= NOTE_LENGTH else lines[: NOTE_LENGTH - 1] + "…"


def _safe(text: str, limit: int) -> str:
    """As `clean`; half a surrogate pair, which JSON may hold and no terminal can be sent, becomes a question mark."""
    return clean(text[: limit + 1].encode("utf-8", errors="replace").decode(), limit)


# The file


def _content(run: Path) -> dict[str, Any]:
    """The object in the file. OSError or ValueError where there is none: a link, a pipe, too large, not JSON."""
    # Without waiting: opening a named pipe would last until somebody writes into it.
    descriptor = os.open(run / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a plain file")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    return content


def _changeable(run: Path) -> dict[str, Any]:
    """The object in the file, empty where there is no file. UserError for one that must not be written over."""
    try:
        content = _content(run)
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UserError(f"{run.name}: {FILE} is damaged and not written over; mend it or move it away") from None
    schema = content.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise UserError(f"{run.name}: {FILE} was written by a newer version of cnn-workbench; change it with that one")
    return content


def _write(run: Path, content: dict[str, Any]) -> None:
    text = json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    # Half a surrogate pair in a member of others goes back as the \uXXXX that it came from.
    write_atomically(run / FILE, text.encode("utf-8", errors="backslashreplace") + b"\n")


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Hold the run's `user.lock`. UserError where another holds it for long, OSError where there can be none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(run / LOCK, flags, 0o666)  # less what the umask takes: a group may share its runs
    try:
        deadline = time.monotonic() + PATIENCE
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise UserError(f"another program has been changing what is noted of {run.name} for {PATIENCE:g} s")
            time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
