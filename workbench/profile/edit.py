"""Editing one profile: what a form shows and changes, without the form.

    draft = Draft.open(Path("profiles/mine.toml"))
    draft.set("optim.lr", "0.01")          # "" or why not
    draft.undo()                           # "optim.lr = 0.01"
    draft.save()

The draft is a TOML text. Each change makes a new text, so undoing is going back to the former one, letter by letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.profile.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from workbench.profile.errors import Problem
    from workbench.profile.keys import Key
    from workbench.profile.layers import Origin
    from workbench.profile.load import Resolved

Kind = Literal["switch", "choice", "integer", "number", "length", "lengths", "path", "network", "table", "text"]
KINDS: tuple[str, ...] = get_args(Kind)
"""Kinds of editor. "length": "5ep", "500step" or "10%"; "lengths": several, with commas; "path": a file or a folder;
"network": `model.arch`, a name of the architectures or module:callable; "table": `model.options`, KEY=VALUE pairs."""


class ChangedOnDisk(Exception):  # noqa: N818 - what happened, not what went wrong
    """The file is another than the one that was read; str() is one line. `save(force=True)` writes over it."""


@dataclass(frozen=True)
class Field:
    """One setting of the draft, as a form shows it.

    `value`: what this file and its parents say; None where nothing does and the default is "not set" ([augment]).
    `inherited`: what would hold were it not set in this file, `inherited_from` where that stands (default, or a
    parent's file and line).
    `own`: set in this file. `changed`: set otherwise than on the disk, or set here and not there, or the reverse.
    `overridden`: the environment variable that lies over it, else None; `effective`: the value with it.
    `problem`: what is wrong with it, alone or together with other keys; one line, "" if nothing.
    `words`: words that it takes: all of them for "choice"; those beside a number ("auto") for unions; examples for a
    text with a pattern (train.device, checkpoint.monitor).
    """

    key: Key
    kind: Kind
    value: Any
    inherited: Any
    inherited_from: Origin
    own: bool
    changed: bool
    overridden: Origin | None
    effective: Any
    problem: str
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The value as an editor line begins with it; `Draft.set(key, text)` gives the value back. "" for None."""
        raise NotImplementedError


class Draft:
    """One profile being edited, saved or not.

    `path`: its file, None for a new one that was never saved. `left`: the keys that the last `set`, `reset` took out
    with it, since the new choice does not have them; undoing brings them back.
    """

    path: Path | None
    left: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, *, environ: Mapping[str, str] | None = None, networks: Sequence[str] = ()) -> Draft:
        """The profile in a file. ProfileError where it cannot be read or is no TOML; wrong values are `problems()`.

        `environ`: the environment, os.environ by default. `networks`: the names that `model.arch` may have beside
        module:callable; () takes any.
        """
        raise NotImplementedError

    @classmethod
    def new(
        cls, extends: str, name: str = "", *, environ: Mapping[str, str] | None = None, networks: Sequence[str] = ()
    ) -> Draft:
        """A profile that extends another ("base", "papers/vit"), not saved yet; `name` is its key `name`.

        ProfileError where there is no such parent.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    @property
    def title(self) -> str:
        """The file as a person knows it ("profiles/mine.toml"), or "new, extends papers/vit", "fork of <run>"."""
        raise NotImplementedError

    @property
    def extends(self) -> str:
        """The parent as this file names it, "" for none. `set("extends", name)` and `reset("extends")` change it."""
        raise NotImplementedError

    @property
    def read_only(self) -> str:
        """Why `save()` cannot write in place (a built-in profile, no permission), one line; "" if it can."""
        raise NotImplementedError

    def fields(self) -> list[Field]:
        """Every setting that the chosen optimiser and schedule have, in the schema's order."""
        raise NotImplementedError

    def set(self, key: str, value: Any) -> str:
        """Set a key in this file; a str is read as a person types it. "" or, in one line, why it was not taken.

        A value that is wrong alone (type, bounds, word) is not taken; one that clashes with another key is, and is
        told by `problems()`. A new `optim.name`, `schedule.name` or `model.arch` takes what belonged to the old one
        out of this file (`left`).
        """
        raise NotImplementedError

    def reset(self, key: str) -> str:
        """Take a key out of this file: what it inherits holds. Also an unknown key that a problem names.

        "" or, in one line, why not.
        """
        raise NotImplementedError

    def undo(self) -> str:
        """Go back one change; returns what was undone ("optim.lr = 0.01"), "" if there is nothing to undo."""
        raise NotImplementedError

    def redo(self) -> str:
        """Do again what was undone last; returns what, "" if there is nothing."""
        raise NotImplementedError

    @property
    def changed(self) -> tuple[str, ...]:
        """Keys that are set otherwise in the draft than in its file (for a new one: than at its beginning)."""
        raise NotImplementedError

    @property
    def dirty(self) -> bool:
        """Whether leaving the draft would lose a change."""
        raise NotImplementedError

    def problems(self) -> list[Problem]:
        """All that is wrong, environment included, as `load` tells it; `Problem.key` is the key that is to blame."""
        raise NotImplementedError

    def resolved(self) -> Resolved:
        """The profile under all layers as the command line would have it. ProfileError if something is wrong."""
        raise NotImplementedError

    def text(self) -> str:
        """The TOML as it would be saved."""
        raise NotImplementedError

    def save(self, *, force: bool = False, broken: bool = False) -> None:
        """Write the draft to its file, in one piece or not at all.

        ChangedOnDisk where the file changed since it was read, unless `force`. ProfileError where the draft does not
        load, unless `broken`; and where it cannot be written (`read_only`, no file yet, a full disk): one line.
        """
        raise NotImplementedError

    def save_as(self, path: Path, *, force: bool = False, broken: bool = False) -> None:
        """Write it to another file, which is the draft's from then on; folders are made. Errors as for `save`.

        ".toml" is added where it lacks. A file that is there already is written over only with `force` (ChangedOnDisk).
        """
        raise NotImplementedError

    def changed_on_disk(self) -> bool:
        """Whether the file is another than the one that was read or saved last; also when it vanished. False for a
        draft without a file."""
        raise NotImplementedError

    def reload(self) -> None:
        """Take what is on the disk; one change, which can be undone. ProfileError where it cannot be read."""
        raise NotImplementedError


__all__ = ["KINDS", "ChangedOnDisk", "Draft", "Field", "Kind", "ProfileError"]
