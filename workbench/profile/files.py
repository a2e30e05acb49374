"""The profiles there are: the project's, the person's own, the built-in ones; duplicated, deleted and restored.

    for entry in listed():
        entry.name, entry.place, entry.differences, entry.problem

The trash of a folder is `.trash` in it. A deleted file keeps its name there; where that is taken it gets a number
behind it (`mine.toml.2`), so what was deleted under one name several times is all there.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.profile import disk
from workbench.profile.edit import Draft
from workbench.profile.errors import Problem, ProfileError, printable
from workbench.profile.find import HERE, builtin_folder, find, is_builtin, label, user_folder
from workbench.profile.holding import choices, get_in, value_in
from workbench.profile.keys import chosen_keys
from workbench.profile.layers import KeyPath, Layer, merge
from workbench.profile.load import read_chain, resolve
from workbench.profile.schema import DISCRIMINATED

if TYPE_CHECKING:
    from collections.abc import Iterator

Place = Literal["project", "user", "built-in"]

TRASH = ".trash"

MOST_OF_ONE_NAME = 1000

_CHOOSING = (
    *((section, "name") for section in DISCRIMINATED),
    ("model", "arch"),
    ("data", "augment"),
)
"""Keys whose value decides what of a parent still holds."""


@dataclass(frozen=True)
class Difference:
    """A key that a profile sets otherwise than its parent (or the default) has it; `there` None: not set there."""

    key: str
    here: Any
    there: Any


@dataclass(frozen=True)
class Listed:
    """A profile file. `name` is what `find` takes; `parent` what it extends, or ""; `problem` is one line, "" if the
    file loads (without the environment)."""

    name: str
    path: Path
    place: Place
    parent: str
    differences: tuple[Difference, ...]
    problem: str


@dataclass(frozen=True)
class Trashed:
    """A profile in a trash; `deleted` in seconds since 1970."""

    name: str
    path: Path
    place: Place
    deleted: float


def folder_of(place: Place) -> Path:
    """The folder of a place: ./profiles, the person's, the built-in ones; it need not exist."""
    return {"project": HERE, "user": user_folder(), "built-in": builtin_folder()}[place]


def listed() -> list[Listed]:
    """Every profile of all places, the project's first; a broken one with its problem, never an error.

    In a checkout the built-in profiles lie in ./profiles; each file is listed once. Links to folders are not followed.
    """
    found: list[Listed] = []
    seen: set[Path] = set()
    for place in ("project", "user", "built-in"):
        for path in _files(folder_of(place), ".toml"):
            full = path.resolve()
            if full not in seen:
                seen.add(full)
                found.append(_look(path, "built-in" if is_builtin(path) else place))
    order = ("project", "user", "built-in")
    return sorted(found, key=lambda entry: order.index(entry.place))  # a stable sort: folders stay together


def in_trash() -> list[Trashed]:
    """What can be restored, the last deleted first."""
    found = []
    for place in ("project", "user"):
        root = folder_of(place)
        for path in _files(root, "", trash=True):
            try:
                deleted = path.lstat().st_ctime  # renaming sets it
            except OSError:  # restored meanwhile
                continue
            name = (path.parent.parent / _first_name(path)).relative_to(root).as_posix().removesuffix(".toml")
            found.append(Trashed(name, path, place, deleted))
    return sorted(found, key=lambda entry: -entry.deleted)


def fresh(folder: Path, stem: str) -> Path:
    """A file of that name in the folder that is not there yet: `mine.toml`, else `mine-2.toml`, `mine-3.toml`."""
    base = re.sub(r"-\d+$", "", stem)
    names = [stem, *(f"{base}-{number}" for number in range(2, MOST_OF_ONE_NAME))]
    taken = next((folder / f"{name}.toml" for name in names if not os.path.lexists(folder / f"{name}.toml")), None)
    if taken is None:
        raise ProfileError([Problem("", "", f"there are {MOST_OF_ONE_NAME} profiles called {base} in {folder}")])
    return taken


def duplicate(path: Path) -> Path:
    """A copy beside it (`mine-2.toml`); of a built-in one in ./profiles (`vit.toml`), its parent named from there.

    ProfileError, one line, where it cannot be read or written.
    """
    if is_builtin(path):
        stem = path.stem if path.parent.resolve() != builtin_folder().resolve() else f"{path.stem}-2"
        target = fresh(HERE, stem)
        Draft.open(path, environ={}).save_as(target)
        return target
    content = disk.Content.read(path)
    target = fresh(path.parent, path.stem)
    disk.write(target, content)
    return target


def delete(path: Path) -> Path:
    """Move it to `.trash` in its folder; returns where it lies. ProfileError, one line, for a built-in one."""
    if is_builtin(path):
        raise ProfileError([Problem("", "", f"{label(path)} is a built-in profile, and stays")])
    trash = path.parent / TRASH
    try:
        trash.mkdir(exist_ok=True)
        if trash.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "its trash is a symbolic link")
        for number in range(1, MOST_OF_ONE_NAME):
            target = trash / (path.name if number == 1 else f"{path.name}.{number}")
            if _move(path, target):
                return target
    except OSError as error:
        raise _problem(path, "deleted", error) from None
    raise ProfileError([Problem(label(path), "", f"there are {MOST_OF_ONE_NAME} of that name in {trash}")])


def restore(trashed: Path) -> Path:
    """Move it back from the trash. ProfileError, one line, where there is a profile of its name."""
    target = trashed.parent.parent / _first_name(trashed)
    try:
        if not _move(trashed, target):
            raise ProfileError([Problem("", "", f"there is a {label(target)} already; {trashed.name} stays")])
        if not any(trashed.parent.iterdir()):
            trashed.parent.rmdir()
    except OSError as error:
        raise _problem(trashed, "restored", error) from None
    return target


def _files(root: Path, suffix: str, *, trash: bool = False) -> Iterator[Path]:
    """The regular files below a folder, its own first; of hidden folders none, or with `trash` those of the trashes."""
    for where, folders, names in os.walk(root):
        inside = Path(where).name == TRASH
        folders[:] = sorted(name for name in folders if not name.startswith(".") or (trash and name == TRASH))
        for name in sorted(names):
            path = Path(where) / name
            if inside == trash and name.endswith(suffix) and not name.startswith(".") and path.is_file():
                yield path


def _look(path: Path, place: Place) -> Listed:
    folder = folder_of(place)
    short = path.relative_to(folder) if path.is_relative_to(folder) else path.resolve().relative_to(folder.resolve())
    name = short.with_suffix("").as_posix()
    parent, problem = "", ""
    differences: tuple[Difference, ...] = ()
    try:
        if find(name).resolve() != path.resolve():
            name = str(path)  # another place has one of that name, which is found first
        chain, layers = read_chain(path)
        found = layers[-1].data.get("extends", "")
        parent = found if isinstance(found, str) else ""
        differences = _differences(layers[:-1], layers[-1])
        resolve(chain, layers)
    except ProfileError as error:
        problem = str(error.problems[0])
        if len(error.problems) > 1:
            problem += f" (and {len(error.problems) - 1} more)"
    return Listed(name, path, place, parent, differences, problem)


def _differences(below: list[Layer], own: Layer) -> tuple[Difference, ...]:
    """The keys set in `own` whose value would be another without."""
    parent, here = merge(below), merge([*below, own])
    chosen: dict[str, Any] = {}
    for section, name in _CHOOSING:
        value = get_in(own.data, (section, name))
        if value is not None:
            chosen.setdefault(section, {})[name] = value
    # What of the parent still holds beside the choices that the file makes.
    beside = merge([*below, Layer(chosen)])
    found = []
    for key in chosen_keys(choices(here)):
        path: KeyPath = tuple(key.path.split("."))
        if get_in(own.data, path) in (None, {}):
            continue
        there = value_in(parent if path in _CHOOSING else beside, key.path, key.default)
        value = value_in(here, key.path, key.default)
        if repr(value) != repr(there):
            found.append(Difference(key.path, value, there))
    return tuple(found)


def _first_name(trashed: Path) -> str:
    """The name that a file in the trash had: without the number behind it."""
    return re.sub(r"(\.toml)\.\d+$", r"\1", trashed.name)


def _move(source: Path, target: Path) -> bool:
    """Rename, but never onto another file: False where there is one."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # from here on the name is ours
    except FileExistsError:
        return False
    try:
        os.replace(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return True


def _problem(path: Path, what: str, error: OSError) -> ProfileError:
    why = printable((error.strerror or str(error)).lower())
    return ProfileError([Problem(label(path), "", f"cannot be {what}: {why}")])
