"""The profiles there are: the project's, the user's own, the built-in ones; duplicated and deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

Place = Literal["project", "user", "built-in"]


@dataclass(frozen=True)
class Difference:
    """A key that a profile sets otherwise than its parent (or the default) has it; None: not set there."""

    key: str
    here: Any
    there: Any


@dataclass(frozen=True)
class Listed:
    """A profile file. `name` is what `find` takes; `parent` what it extends, ""; `problem` one line, "" if it loads."""

    name: str
    path: Path
    place: Place
    parent: str
    differences: tuple[Difference, ...]
    problem: str


def listed() -> list[Listed]:
    """Every profile of all places, project first; a broken one with its problem, never an error."""
    raise NotImplementedError


def folder_of(place: Place) -> Path:
    """The folder of a place: ./profiles, the user's, the built-in ones; it need not exist."""
    raise NotImplementedError


def duplicate(path: Path) -> Path:
    """A copy beside it (`mine-2.toml`), of a built-in one in ./profiles. ProfileError where it cannot be written."""
    raise NotImplementedError


def delete(path: Path) -> Path:
    """Move it to `.trash` in its folder; returns where it lies. ProfileError for a built-in one, one line."""
    raise NotImplementedError


def restore(trashed: Path) -> Path:
    """Move it back from the trash. ProfileError where its name is taken, one line."""
    raise NotImplementedError
