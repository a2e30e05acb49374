"""Layers of settings, and what is left when one lies on the other.

A layer is a nested dict as TOML gives it, and beside it where each of its keys was written. Merging
keeps the origin of whatever wins, so that a later complaint about a value points at the line, the
variable or the flag that set it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.profile.errors import Problem
from workbench.profile.keys import default_choice
from workbench.profile.schema import DISCRIMINATED, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFAULTS = Profile()

KeyPath = tuple[str, ...]
"""A key, part by part: ("optim", "lr"). Parts may hold dots, as quoted TOML keys may."""


@dataclass(frozen=True)
class Origin:
    """Where a value was set.

    `source`: the file as shown to a person, `CNNWB_OPTIM__LR` for a variable, `--optim.lr` for a flag.
    `line`: from 1, 0 where there is none. `rank`: the layer's place, 0 (defaults) the lowest.
    """

    kind: Literal["default", "file", "environment", "command line"]
    source: str = ""
    line: int = 0
    rank: int = 0

    def __str__(self) -> str:
        if self.kind == "file":
            return f"{self.source}:{self.line}"
        return f"environment {self.source}" if self.kind == "environment" else self.kind

    def problem(self, key: str, message: str, *, file: str = "") -> Problem:
        """A complaint about `key`, placed here; `file` is the profile to name where the value is a default."""
        if self.kind == "file":
            return Problem(str(self), key, message)
        if self.kind == "default":
            return Problem(file, key, message, shown=f"{key} (default)")
        return Problem(self.kind, key, message, shown=self.source)


DEFAULT = Origin("default")


@dataclass(frozen=True)
class Layer:
    """Settings from one place: `data` nested as in TOML, `origins` for each table and key in it.

    `problems` are faults found while reading (an unknown variable); they do not stop the reading.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def merge(layers: Iterable[Layer]) -> Layer:
    """One layer out of many, lowest first; origins carry the rank of their layer from 1."""
    data: dict[str, Any] = {}
    origins: dict[KeyPath, Origin] = {}
    problems: list[Problem] = []
    for rank, layer in enumerate(layers, start=1):
        for path in _fallen(data, layer.data):
            _remove(data, path)
            for gone in [known for known in origins if known[: len(path)] == path]:
                del origins[gone]
        _lay_over(data, layer.data, (), origins)
        origins |= {path: replace(origin, rank=rank) for path, origin in layer.origins.items()}
        problems += layer.problems
    return Layer(data, origins, tuple(problems))


def _fallen(below: dict[str, Any], above: dict[str, Any]) -> list[KeyPath]:
    """What of `below` no longer holds because `above` makes another choice.

    An Adam never inherits SGD's momentum or learning rate, a VGG not the options of a ResNet, and
    another preset of augmentation not what was changed about the first.
    """
    fallen: list[KeyPath] = []
    for section in DISCRIMINATED:
        if _changes(below, above, (section, "name"), default_choice(section)):
            fallen.append((section,))
    if _changes(below, above, ("model", "arch"), _DEFAULTS.model.arch):
        fallen.append(("model", "options"))
    if _changes(below, above, ("data", "augment"), _DEFAULTS.data.augment):
        fallen.append(("augment",))
    return fallen


def _changes(below: dict[str, Any], above: dict[str, Any], path: KeyPath, default: str) -> bool:
    chosen = _get(above, path)
    return chosen is not None and chosen != (default if _get(below, path) is None else _get(below, path))


def _get(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _remove(data: dict[str, Any], path: KeyPath) -> None:
    parent = _get(data, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)


def _lay_over(below: dict[str, Any], above: dict[str, Any], at: KeyPath, origins: dict[KeyPath, Origin]) -> None:
    """Put `above` on `below` in place; tables are merged, anything else is replaced with all it held."""
    for name, value in above.items():
        path = (*at, name)
        if isinstance(value, dict):
            if not isinstance(below.get(name), dict):
                below[name] = {}
            _lay_over(below[name], value, path, origins)
        else:
            for gone in [known for known in origins if known[: len(path)] == path]:
                del origins[gone]
            below[name] = value
