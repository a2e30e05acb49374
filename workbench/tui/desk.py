"""What the Runs screen does with the runs of a folder: look, label, delete, restore, export, copy.

Everything here may wait for a disk, so the screen calls it from threads, `Desk.look` from one at a time. What changes
something returns a sentence for the person; UserError says what could not be done.
"""

import gc
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs import trash
from workbench.runs.files import write_atomically
from workbench.runs.store import RunStore
from workbench.runs.tables import FORMATS
from workbench.runs.user import User, change_user, note_of, tag_of
from workbench.tui.board import Board, View, make_board

if TYPE_CHECKING:
    from workbench.runs.summary import Summary

MANY = 2000
"""New runs that make a difference to the collector."""
EXTENSIONS = {"md": "md", "csv": "csv", "json": "json", "latex": "tex", "html": "html"}


class Desk:
    """The runs in `root`, as they were at the last look."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._store = RunStore(root)
        self._indexed = root.is_dir()
        self._runs: dict[str, Summary] = {}
        self._view: View | None = None
        self._settled = 0

    def look(self, view: View, *, whole: bool = False) -> Board | None:
        """The rows of `view`; None where nothing is different since the last look.

        `whole` looks at every run instead of at new, live and a few others: after something was changed from here.
        QueryError for a mistake in the filter.
        """
        if not self._indexed and self.root.is_dir():  # the first run has made the folder, and an index has a place now
            self._store, self._indexed = RunStore(self.root), True
        before = self._view
        if whole:
            runs = {run.id: run for run in self._store.runs()}
            news = runs != self._runs
            self._runs = runs
        else:
            changes = self._store.watch()
            news = bool(changes)
            for run_id in changes.removed:
                self._runs.pop(run_id, None)
            self._runs.update((run.id, run) for run in (*changes.added, *changes.changed))
        self._settle()
        if not news and before == view:
            return None
        board = make_board(list(self._runs.values()), view)
        self._view = view
        return board

    def _settle(self) -> None:
        """Have Python's collector leave alone what the rows of many runs are made of.

        They hold no cycles and go when nobody holds them. Looking through all of them now and then, as it does with
        objects that stay, stops every thread for a tenth of a second with ten thousand runs.
        """
        if len(self._runs) >= self._settled + MANY:
            self._settled = len(self._runs)
            gc.collect()  # what is garbage by now would else stay
            gc.freeze()

    def curve(self, run_id: str) -> list[float | None]:
        """The test accuracies of a run's epochs. Reads its journal; safe beside `look`."""
        epochs = self._store.run(run_id).history.epochs
        return [value if isinstance(value := epoch.get("test_top1"), float) else None for epoch in epochs]

    def path(self, run_id: str) -> Path:
        return self.root / run_id


def label(desk: Desk, runs: Sequence[str], change: Callable[[User], User], done: str) -> str:
    """Change what is said about runs."""
    for run_id in runs:
        change_user(trash.own(desk.root, desk.path(run_id)), change)
    return f"{done}: {named(runs)}"


def with_tags(words: str) -> Callable[[User], User]:
    """`baseline -old`: puts a tag on, takes one off. UserError for what can be no tag."""
    off = [word[1:] or tag_of("") for word in words.split() if word.startswith("-")]
    new = [tag_of(word.removeprefix("+")) for word in words.split() if not word.startswith("-")]
    return lambda user: replace(user, tags=tuple(tag for tag in (*user.tags, *new) if tag not in off))


def with_note(text: str) -> Callable[[User], User]:
    note = note_of(text)
    return lambda user: replace(user, note=note)


def size_of(desk: Desk, runs: Iterable[str]) -> int:
    """Bytes that runs take on the disk."""
    return sum(trash.Trashed(run_id, desk.path(run_id), 0.0).size() for run_id in runs)


def delete(desk: Desk, runs: Sequence[str], deleted: list[str]) -> str:
    """Move runs to the trash; their names there are added to `deleted`, also of those before one that fails."""
    for run_id in runs:
        deleted.append(trash.delete(desk.root, desk.path(run_id)).name)
    return f"in the trash: {named(runs)}; u fetches the last one back"


def restore(desk: Desk, deleted: list[str], name: str = "") -> str:
    """Fetch a run back from the trash: `name`, else the last of `deleted`, else the one that was deleted last."""
    if not name:
        entries = trash.trashed(desk.root)
        there = {entry.name for entry in entries}
        mine = [entry for entry in deleted if entry in there]
        if not entries:
            raise UserError("the trash is empty")
        name = mine[-1] if mine else entries[-1].name
    path = trash.restore(desk.root, name)
    with suppress(ValueError):
        deleted.remove(name)
    return f"fetched back: {path.name}"


def in_trash(desk: Desk) -> list[tuple[str, str]]:
    """Names in the trash, the last one first, and how each is shown."""
    return [
        (entry.name, f"{clean(entry.name)}  deleted {datetime.fromtimestamp(entry.deleted, UTC):%Y-%m-%d %H:%M} UTC")
        for entry in reversed(trash.trashed(desk.root))
    ]


def export(board: Board, form: str, folder: Path, now: datetime) -> str:
    """Write all rows of a board as a file of a format; says where. An older file is never written over."""
    text = FORMATS[form](board.as_table(form))
    path = write_anew(folder, f"leaderboard-{now:%Y%m%d-%H%M%S}", EXTENSIONS[form], text)
    return f"{len(board.rows):,} rows written to {clean(str(path.absolute()), 300)}"


def write_anew(folder: Path, stem: str, extension: str, text: str) -> Path:
    """Write a text as a new file, numbered where there is one of this name; returns it. UserError where it cannot."""
    for number in range(1, 100):
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}.{extension}"
        try:
            with open(path, "x", encoding="utf-8", errors="replace", newline="") as file:
                file.write(text)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"cannot write {clean(str(path), 200)}: {error.strerror or error}") from None
        return path
    raise UserError(f"there are too many files called {stem} in {clean(str(folder), 200)}")


def copies(root: Path, run_id: str) -> list[tuple[str, str]]:
    """What of a run is worth copying: the text, and what it is."""
    path = (root / run_id).absolute()
    runs = f" --runs {shlex.quote(str(root.absolute()))}"
    return [
        (str(path), "path"),
        (run_id, "id"),
        (f"cnn-workbench run show {run_id}{runs}", "command that shows it"),
        (f"cnn-workbench --headless --resume {run_id}{runs}", "command that goes on with it"),
        (f"cnn-workbench --headless --fork {run_id}{runs}", "command that begins a new run from its profile"),
        (f"cnn-workbench --headless --profile {shlex.quote(str(path / 'profile.toml'))}", "command that repeats it"),
    ]


def command_of(root: Path, view: View) -> str:
    """The command line that prints what is on the screen."""
    order = ",".join(f"{'-' if descending else '+'}{name}" for name, descending in view.order)
    words = ["cnn-workbench", "runs", *([view.filter] if view.filter else [])]
    options = (("--sort", order), ("--columns", ",".join(view.columns)), ("--by", ",".join(view.by)),
               ("--baseline", view.baseline), ("--runs", str(root.absolute())))  # fmt: skip
    words += [f"{name}={value}" for name, value in options if value]
    return shlex.join([*words, *(["--all"] if view.archived else [])])


def keep_copy(text: str) -> Path:
    """Write what was copied to a file too: not every terminal takes a copy. Returns the file."""
    path = Path(platformdirs.user_cache_dir("cnn-workbench")) / "copied.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{text}\n".encode("utf-8", "surrogateescape"), durable=False)
    except OSError as error:
        raise UserError(f"cannot write {clean(str(path), 200)}: {error.strerror or error}") from None
    return path


def named(runs: Sequence[str]) -> str:
    """`20261122-100000-quick-aaaaaa`, or `3 runs`."""
    return clean(runs[0], 80) if len(runs) == 1 else f"{len(runs):,} runs"
