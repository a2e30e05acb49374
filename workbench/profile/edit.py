"""Editing one profile: what a form shows and changes, without the form.

    draft = Draft.open(Path("profiles/mine.toml"))
    draft.set("optim.lr", "0.01")          # "" or why not
    draft.undo()                           # "optim.lr = 0.01"
    draft.save()

The draft is a TOML text. Each change makes a new text, so undoing is going back to the former one, letter by letter.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from workbench.profile import disk, toml_text
from workbench.profile.errors import Problem, ProfileError, printable
from workbench.profile.fields import KINDS, Field, Kind, as_text, read_value, refused
from workbench.profile.find import HERE, find, label, spelling
from workbench.profile.holding import choices, get_in, less, sets, show_fields, value_in
from workbench.profile.keys import chosen_keys, keys
from workbench.profile.layers import DEFAULT, Layer, merge
from workbench.profile.load import Resolved, parse, read_chain, resolve
from workbench.profile.schema import DISCRIMINATED, Profile
from workbench.profile.sources import read_environment
from workbench.profile.toml_text import Untouchable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KINDS", "ChangedOnDisk", "Draft", "Field", "Kind"]

SECTIONS = tuple(name for name in Profile.model_fields if any(key.startswith(f"{name}.") for key in keys()))
"""Tables of a profile in the schema's order."""

UNNAMED = HERE / "new profile"
"""The place of a draft without a file, for the search of what it extends and for errors."""


class ChangedOnDisk(Exception):  # noqa: N818 - what happened, not what went wrong
    """The file is another than the one that was read; str() is one line. `save(force=True)` writes over it."""


class Draft:
    """One profile being edited, saved or not.

    `path`: its file, None for a new one that was never saved. `left`: the keys that the last `set` or `reset` took out
    with it, since the new choice does not have them; undoing brings them back.
    """

    def __init__(
        self,
        text: str,
        title: str = "",
        *,
        path: Path | None = None,
        on_disk: disk.Content | None = None,
        environ: Mapping[str, str] | None = None,
        networks: Sequence[str] = (),
    ) -> None:
        """For the classmethods below, which are how a draft is made. ProfileError where `text` is no TOML."""
        self.path = path
        self.left: tuple[str, ...] = ()
        self._title = title
        self._environ = environ
        self._networks = tuple(networks)
        self._text = text
        self._saved = text
        self._on_disk = on_disk
        self._past: list[tuple[str, str]] = []  # the text before each change, and the change in words
        self._future: list[tuple[str, str]] = []  # the text after each change that was undone
        self._layer()

    @classmethod
    def open(cls, path: Path, *, environ: Mapping[str, str] | None = None, networks: Sequence[str] = ()) -> Draft:
        """The profile in a file. ProfileError where it cannot be read or is no TOML; wrong values are `problems()`.

        `environ`: the environment, os.environ by default. `networks`: the names that `model.arch` may have beside
        module:callable; () takes any.
        """
        content = disk.Content.read(path)
        return cls(content.text(path), path=path, on_disk=content, environ=environ, networks=networks)

    @classmethod
    def new(
        cls, extends: str, name: str = "", *, environ: Mapping[str, str] | None = None, networks: Sequence[str] = ()
    ) -> Draft:
        """A profile that extends another ("base", "papers/vit"), not saved yet; `name` is its key `name`.

        ProfileError where there is no such parent.
        """
        find(extends, relative_to=UNNAMED.parent)
        text = tomli_w.dumps({"extends": extends} | ({"name": name} if name else {}))
        return cls(text, f"new, extends {printable(extends)}", environ=environ, networks=networks)

    @classmethod
    def fork(
        cls,
        profile: Path,
        *,
        parent: str,
        environ: Mapping[str, str] | None = None,
        networks: Sequence[str] = (),
    ) -> Draft:
        """A new profile, not saved yet, with the text of a run's `profile.toml`; `parent` is the run's id."""
        text = disk.Content.read(profile).text(profile)
        return cls(text, f"new, from run {printable(parent)}", environ=environ, networks=networks)

    @property
    def title(self) -> str:
        """The file as a person knows it ("profiles/mine.toml"), or "new, extends papers/vit", "new, from run <id>"."""
        return label(self.path) if self.path is not None else self._title

    @property
    def extends(self) -> str:
        """The parent as this file names it, "" for none. `set("extends", name)` and `reset("extends")` change it."""
        name = self._layer().data.get("extends", "")
        return name if isinstance(name, str) else ""

    @property
    def read_only(self) -> str:
        """Why `save()` cannot write in place (a built-in profile, no permission), one line; "" if it can."""
        return disk.why_not(self.path) if self.path is not None else "not saved yet; save it under a name"

    # What holds.

    def fields(self) -> list[Field]:
        """Every setting that the chosen optimiser and schedule have, in the schema's order."""
        environment = read_environment(self._environ)
        return show_fields(self._below(), self._layer(), environment, self.problems(), self.changed)

    @property
    def changed(self) -> tuple[str, ...]:
        """Keys that are set otherwise in the draft than in its file (for a new one: than at its beginning)."""
        if self._text == self._saved:
            return ()
        then, now = tomllib.loads(self._saved), self._layer().data
        paths = [("extends",), *(tuple(key.split(".")) for key in keys())]
        return tuple(".".join(path) for path in paths if repr(get_in(then, path)) != repr(get_in(now, path)))

    @property
    def dirty(self) -> bool:
        """Whether leaving the draft would lose a change."""
        return self._text != self._saved

    def problems(self) -> list[Problem]:
        """All that is wrong, environment included, as `load` tells it; `Problem.key` is the key that is to blame."""
        try:
            self.resolved()
        except ProfileError as error:
            return error.problems
        return []

    def resolved(self) -> Resolved:
        """The profile under all layers as the command line would have it. ProfileError if something is wrong."""
        return self._resolved(read_environment(self._environ))

    def text(self) -> str:
        """The TOML as it would be saved."""
        return self._text

    # What changes.

    def set(self, key: str, value: Any) -> str:
        """Set a key in this file; a str is read as a person types it, None resets. "" or, in one line, why not.

        A value that is wrong alone (type, bounds, word) is not taken; one that clashes with another key is, and is
        told by `problems()`. A new `optim.name`, `schedule.name` or `model.arch` takes what belonged to the old one
        out of this file (`left`), as does `extends`, which is set here too, where it brings one.
        """
        if value is None:
            return self.reset(key)
        self.left = ()
        try:
            if key == "extends":
                return self._set_parent(value)
            if key in keys():
                value = read_value(keys()[key], value)
            reason = refused(key, value, choices(self._here()), self._networks)
            if reason:
                return printable(reason)
            if key == "model.options":
                text = self._with_options(value)
            else:
                text = toml_text.set_key(self._text, tuple(key.split(".")), value, order=SECTIONS)
            self._change(self._without_left(text), f"{key} = {printable(as_text(value)) or '(empty)'}")
        except (Untouchable, ValueError) as error:
            self.left = ()
            return printable(str(error))
        return ""

    def reset(self, key: str) -> str:
        """Take a key out of this file: what it inherits holds. Also an unknown key that a problem names.

        "" or, in one line, why not.
        """
        self.left = ()
        path = tuple(key.split("."))
        known = get_in(self._layer().data, path)
        if known is None:
            return "" if key in keys() or key == "extends" else f"there is no {printable(key)} in this file"
        if key in SECTIONS and isinstance(known, dict):
            return f"{key} is a whole section; reset its keys"
        try:
            text = toml_text.remove_key(self._text, path)
            self._change(self._without_left(text), f"reset {printable(key)}")
        except (Untouchable, ValueError) as error:
            self.left = ()
            return printable(str(error))
        return ""

    def undo(self) -> str:
        """Go back one change; returns what was undone ("optim.lr = 0.01"), "" if there is nothing to undo."""
        return self._step(self._past, self._future)

    def redo(self) -> str:
        """Do again what was undone last; returns what, "" if there is nothing."""
        return self._step(self._future, self._past)

    # The file.

    def save(self, *, force: bool = False, broken: bool = False) -> None:
        """Write the draft to its file, in one piece or not at all.

        ChangedOnDisk where the file changed since it was read, unless `force`. ProfileError where the draft does not
        load, unless `broken`; and where it cannot be written (`read_only`, no file yet, a full disk): one line.
        """
        if self.path is None or self.read_only:
            raise ProfileError([Problem("", "", self.read_only)])
        if not force and self.changed_on_disk():
            how = "changed on the disk since it was read" if self.path.exists() else "is gone from the disk"
            raise ChangedOnDisk(printable(f"{label(self.path)} {how}"))
        with disk.folder_for(self.path):
            self._write(self.path, broken=broken)

    def save_as(self, path: Path, *, force: bool = False, broken: bool = False) -> None:
        """Write it to another file, which is the draft's from then on; folders are made. Errors as for `save`.

        ".toml" is added where it lacks. A file that is there already is written over only with `force` (ChangedOnDisk).
        `extends` is written so that it means the same file from the new place.
        """
        path = Path(os.path.expanduser(path))
        if not path.name or os.path.isdir(path):
            raise ProfileError([Problem("", "", f"{path} is a folder; give the name of a file")])
        if path.suffix != ".toml":
            path = path.with_name(f"{path.name}.toml")
        if self.path is not None and os.path.exists(path) and path.resolve() == self.path.resolve():
            self.save(force=force, broken=broken)
            return
        if not force and os.path.lexists(path):
            raise ChangedOnDisk(printable(f"there is a {label(path)} already"))
        before = self._text, self._past, self._future
        with disk.folder_for(path):
            try:
                self._move(path)
                self._write(path, broken=broken)
            except BaseException:
                self._text, self._past, self._future = before
                raise
        self.path = path

    def changed_on_disk(self) -> bool:
        """Whether the file is another than the one that was read or saved last; also when it vanished. False for a
        draft without a file."""
        if self.path is None:
            return False
        try:
            return disk.Content.read(self.path) != self._on_disk
        except ProfileError:
            return True

    def reload(self) -> None:
        """Take what is on the disk; one change, which can be undone. ProfileError where it cannot be read."""
        if self.path is None:
            return
        content = disk.Content.read(self.path)
        text = content.text(self.path)
        parse(text, label(self.path))
        self._change(text, "reload")
        self._saved, self._on_disk = text, content

    def _name(self) -> str:
        return label(self.path or UNNAMED)

    def _layer(self) -> Layer:
        return parse(self._text, self._name())

    def _here(self) -> Layer:
        return merge([*self._below(), self._layer()])

    def _below(self, own: Layer | None = None) -> list[Layer]:
        """The layers of the parents, lowest first; none where they cannot be read, which `problems` tells."""
        try:
            return read_chain(self.path or UNNAMED, own or self._layer())[1][:-1]
        except ProfileError:
            return []

    def _resolved(self, environment: Layer) -> Resolved:
        chain, layers = read_chain(self.path or UNNAMED, self._layer())
        return resolve(chain, [*layers, environment])

    def _change(self, text: str, words: str) -> None:
        if text != self._text:
            self._past.append((self._text, words))
            self._future.clear()
            self._text = text

    def _step(self, source: list[tuple[str, str]], other: list[tuple[str, str]]) -> str:
        if not source:
            return ""
        text, words = source.pop()
        other.append((self._text, words))
        self._text = text
        self.left = ()
        return words

    def _set_parent(self, value: Any) -> str:
        """Make the file extend another. What cannot be read, or would go round, is not taken."""
        if not isinstance(value, str):
            return "must be a string"
        text = toml_text.set_key(self._text, ("extends",), value.strip(), order=SECTIONS)
        try:
            read_chain(self.path or UNNAMED, parse(text, self._name()))
        except ProfileError as error:
            return printable(error.problems[0].message)
        self._change(self._without_left(text), f"extends = {printable(value.strip())}")
        return ""

    def _with_options(self, wanted: dict[str, Any]) -> str:
        """The text with `model.options` such that these hold. ValueError where a parent has one that is not wanted."""
        path = ("model", "options")
        own = self._layer()
        under = merge([*self._below(), less(own, path)])
        inherited = get_in(under.data, path) or {}
        for name in inherited:
            if name not in wanted:
                origin = under.origins.get((*path, name), DEFAULT)
                raise ValueError(f"{name} is set in {origin} and cannot be left out here; give it another value")
        here = get_in(own.data, path) or {}
        kept = {
            name: value for name, value in wanted.items() if name in here or repr(inherited.get(name)) != repr(value)
        }
        if not kept and not here:
            return self._text
        return toml_text.set_key(self._text, path, kept, order=SECTIONS)

    def _without_left(self, text: str) -> str:
        """The new text without the keys that a choice which it makes anew does not have; they are noted in `left`."""
        own = parse(text, self._name())
        before, after = self._here(), merge([*self._below(own), own])
        chose, chooses = choices(before), choices(after)
        known = {key.path for key in chosen_keys(chooses)}
        gone = [
            f"{section}.{name}"
            for section in DISCRIMINATED
            for name in (own.data.get(section, {}) if chose[section] != chooses[section] else {})
        ]
        gone = [path for path in gone if path in keys() and path not in known]
        arch = Profile().model.arch
        if value_in(before, "model.arch", arch) != value_in(after, "model.arch", arch):
            gone += ["model.options"] if sets(own.data, ("model", "options")) else []
        for path in gone:
            text = toml_text.remove_key(text, tuple(path.split(".")))
        self.left = tuple(gone)
        return text

    def _move(self, path: Path) -> None:
        """Name the parent as it is named from another place, in the former texts too. ProfileError where a file there
        would be its own parent."""
        name = self.extends
        if not name:
            return
        try:
            parent = find(name, relative_to=(self.path or UNNAMED).parent)
        except ProfileError:
            return  # it is told with the other problems
        spelt = spelling(parent, path, name)

        def moved(text: str) -> str:
            if tomllib.loads(text).get("extends") != name:
                return text
            return toml_text.set_key(text, ("extends",), spelt, order=SECTIONS)

        if spelt != name:
            self._text = moved(self._text)
            self._past = [(moved(text), words) for text, words in self._past]
            self._future = [(moved(text), words) for text, words in self._future]

    def _write(self, path: Path, *, broken: bool) -> None:
        if not broken:
            chain, layers = read_chain(path, parse(self._text, label(path)))
            resolve(chain, layers)
        content = (self._on_disk or disk.Content(b"")).with_text(self._text)
        disk.write(path, content)
        self._saved, self._on_disk = self._text, content
