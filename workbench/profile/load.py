"""A profile from its file and all that lies over it.

Layers, lowest first: the schema's defaults, the chain of `extends` (root first), the file, the
environment, the command line. Every fault of every layer is reported together.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.profile.errors import Problem, ProfileError, shown_value
from workbench.profile.find import find, label
from workbench.profile.layers import DEFAULT, KeyPath, Layer, Origin, merge
from workbench.profile.lines import key_lines
from workbench.profile.sources import read_environment
from workbench.profile.validate import validate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.profile.schema import Profile

DEEPEST_CHAIN = 16
"""Files that may extend one another."""

DEEPEST_NESTING = 32
"""Tables and arrays inside one another: far above any setting, far below what Python's stack can walk."""

LARGEST_FILE = 1 << 20
"""Bytes of a profile; more than this is some other file given by mistake."""

PLACES = ("environment", "command line")
"""Places above the files, in the order in which their problems are told."""


@dataclass(frozen=True)
class Resolved:
    """A profile with nothing left open (`extends` is None), and where each value came from.

    `chain`: the files, the one that was asked for first.
    """

    profile: Profile
    chain: tuple[Path, ...]
    origins: Mapping[str, Origin] = field(repr=False)

    def origin(self, key: str) -> Origin:
        """Where the value of a dotted key was set; str() gives `base.toml:12`, `environment CNNWB_SEED`, `default`."""
        return self.origins.get(key, DEFAULT)

    def error(self, key: str, message: str) -> ProfileError:
        """A complaint about the value of `key`, placed where it was set: for checks that need more than the profile."""
        return ProfileError([self.origin(key).problem(key, message, file=label(self.chain[0]))])


def load(name: str | Path, *, options: Layer | None = None, environ: Mapping[str, str] | None = None) -> Resolved:
    """The profile `name` (a path, or a name in `./profiles` or of a built-in one) under all layers.

    `options` is the command line's layer (`read_options`), `environ` the environment, os.environ by
    default. Raises ProfileError with every problem found.
    """
    chain, files = read_chain(find(str(name)))
    return resolve(chain, [*files, read_environment(environ), options or Layer()])


def load_exact(path: str | Path, *, options: Layer | None = None) -> Resolved:
    """The profile in the file alone: no environment. For the profile a run directory keeps.

    Such a file extends nothing (`dump` wrote it out in full), and one that does is refused. `options` lies over it.
    """
    layer = _read_file(Path(path))
    if "extends" in layer.data:
        raise ProfileError([layer.origins[("extends",)].problem("extends", "a resolved profile extends nothing")])
    return resolve([Path(path)], [layer, options or Layer()])


def resolve(chain: Sequence[Path], layers: Sequence[Layer]) -> Resolved:
    """What is left of the layers, lowest first, and valid. ProfileError with all that is wrong with them."""
    merged = merge(layers)
    profile, faults = validate(merged.data)
    file = label(chain[0])
    found: list[tuple[Origin, Problem]] = []
    for paths, message in faults:
        # Of several keys that clash, the one laid on last made the clash.
        path = max(paths, key=lambda path: merged.origins.get(path, DEFAULT).rank)
        origin = merged.origins.get(path, DEFAULT)
        found.append((origin, origin.problem(".".join(path), message, file=file)))
    found.sort(key=lambda entry: (entry[0].rank, entry[0].line, entry[1].key))
    problems = [*(problem for _, problem in found), *merged.problems]
    problems.sort(key=lambda problem: PLACES.index(problem.where) if problem.where in PLACES else -1)
    if profile is None or problems:
        raise ProfileError(problems)
    return Resolved(profile, tuple(chain), {".".join(path): origin for path, origin in merged.origins.items()})


def read_chain(path: Path, own: Layer | None = None) -> tuple[list[Path], list[Layer]]:
    """The files that `path` extends, itself first, and their layers, lowest first.

    `own` is the layer of `path` where it is known already: of a text that was not saved yet.
    """
    chain: list[Path] = []
    layers: list[Layer] = []
    following: Path | None = path
    while following is not None:
        chain.append(following)
        layer = own if own is not None and not layers else _read_file(following)
        layers.insert(0, layer)
        following = _extended(layer, chain)
    return chain, layers


def _extended(layer: Layer, chain: list[Path]) -> Path | None:
    """The file that the last one of `chain` extends."""
    if "extends" not in layer.data:
        return None
    name = layer.data["extends"]
    origin = layer.origins[("extends",)]
    if not isinstance(name, str):
        raise ProfileError([origin.problem("extends", f"must be a string (got {shown_value(name)})")])
    try:
        path = find(name, relative_to=chain[-1].parent)
    except ProfileError as error:
        raise ProfileError([origin.problem("extends", p.message) for p in error.problems]) from None
    resolved = [known.resolve() for known in chain]
    if not path.is_file():  # only what a person names may be a pipe
        raise ProfileError([origin.problem("extends", f"{shown_value(name)} is not a regular file")])
    if path.resolve() in resolved:
        start = resolved.index(path.resolve())
        ring = " -> ".join(known.name for known in [*chain[start:], path])
        raise ProfileError([origin.problem("", f"extends forms a cycle: {ring}")])
    if len(chain) >= DEEPEST_CHAIN:
        raise ProfileError([origin.problem("extends", f"more than {DEEPEST_CHAIN} profiles extend one another")])
    return path


def _read_file(path: Path) -> Layer:
    """The layer of one file, with the line of every key."""
    name = label(path)
    return parse(decode(read_bytes(path, name), name), name)


@functools.lru_cache(maxsize=64)  # the parents of a folder of profiles, and the text of a form at each key, come often
def parse(text: str, name: str) -> Layer:
    """The layer of a TOML text, with the line of every key; `name` is the file as errors call it. Not to be changed."""
    try:
        data = tomllib.loads(text)
        lines = key_lines(text)
        if any(len(place) > DEEPEST_NESTING for place in lines):
            raise RecursionError
    except RecursionError:
        raise ProfileError([Problem(name, "", "nested too deeply")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileError([_syntax_problem(str(error), text, name)]) from None
    except ValueError:  # Python refuses to read a whole number of thousands of digits
        raise ProfileError([Problem(name, "", "a number in it has too many digits")]) from None
    origins: dict[KeyPath, Origin] = {}
    for place, line in lines.items():
        if all(isinstance(part, str) for part in place):
            origins[tuple(str(part) for part in place)] = Origin("file", name, line)
    return Layer(data, origins)


def read_bytes(path: Path, name: str) -> bytes:
    """What is in a profile's file. ProfileError where it cannot be read or is far too large."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProfileError([Problem(name, "", f"cannot be read: {reason}")]) from None
    if len(content) > LARGEST_FILE:
        raise ProfileError([Problem(name, "", f"is no profile: larger than {LARGEST_FILE} bytes")])
    return content


def decode(content: bytes, name: str) -> str:
    """The bytes of a file as text. ProfileError, with the line, where they are no UTF-8."""
    try:
        return content.decode("utf-8-sig")  # Windows editors put a byte-order mark first
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise ProfileError([Problem(f"{name}:{line}", "", f"is not UTF-8 text (byte 0x{byte:02x})")]) from None


def _syntax_problem(message: str, text: str, name: str) -> Problem:
    """tomllib's complaint, with the place it names only in words before Python 3.14."""
    what, _, place = message.partition(" (at ")
    what = what[:1].lower() + what[1:]
    numbers = re.search(r"line (\d+), column (\d+)", place)
    if numbers:
        return Problem(f"{name}:{numbers[1]}:{numbers[2]}", "", what)
    if place:  # "at end of document"
        lines = text.removesuffix("\n").split("\n")
        return Problem(f"{name}:{len(lines)}:{len(lines[-1]) + 1}", "", f"{what} at the end of the file")
    return Problem(name, "", what)
