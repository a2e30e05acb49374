"""From the name of a profile to its file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from workbench.profile.errors import Problem, ProfileError, closest

HERE = Path("profiles")
"""The project's profiles, in the working directory."""

SHIPPED = ("base", "mnist", "quick")
SHIPPED_FOLDERS = ("papers", "seed")
"""The built-in profiles: in a checkout they lie in ./profiles, where a person's own may stand beside them."""


def builtin_folder() -> Path:
    """The profiles that come with the program: inside the package when installed, else the checkout's own."""
    packaged = Path(__file__).parent / "builtin"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "profiles"


def user_folder() -> Path:
    """Profiles of the person, for all projects: `profiles` in their configuration folder. It need not exist."""
    import platformdirs

    return Path(platformdirs.user_config_dir("cnn-workbench", appauthor=False)) / "profiles"


def is_builtin(path: Path) -> bool:
    """Whether a file came with the program, and so is not to be changed."""
    folder = builtin_folder().resolve()
    full = path.resolve()
    if not full.is_relative_to(folder):
        return False
    first = full.relative_to(folder).parts[0]
    return folder.name == "builtin" or first in SHIPPED_FOLDERS or first.removesuffix(".toml") in SHIPPED


def builtin_names() -> list[str]:
    """Names of the built-in profiles, without the suffix; those of a subfolder follow, as `papers/vit`."""
    folder = builtin_folder()
    below = [path for path in sorted(folder.glob("*")) if path.is_dir()]
    return _names(folder) + [f"{path.name}/{name}" for path in below for name in _names(path)]


def find(name: str, *, relative_to: Path | None = None) -> Path:
    """The file that `name` means, with or without `.toml`.

    Looked for in `relative_to` (the folder of the file that extends it), then as a path, then in
    `./profiles`, then in the person's own folder (`user_folder`), then among the built-in ones. Raises ProfileError if
    it is in none of them.
    """
    if not name:
        raise ProfileError([Problem("", "", "the name of a profile is empty")])
    folders = [Path(), HERE, user_folder(), builtin_folder()]
    if relative_to is not None:
        folders.insert(0, relative_to)
    wanted = Path(os.path.expanduser(name))  # Path.expanduser raises where there is no such user
    directory = None
    for folder in folders:
        for candidate in (folder / wanted, folder / f"{wanted}.toml"):
            kind = _kind(candidate)
            if kind == "file":
                return candidate
            if kind == "folder":
                # A data folder may well share a profile's name: go on looking.
                directory = directory or candidate
    if directory is not None:
        raise ProfileError([Problem("", "", f"profile {name}: {directory} is a folder, not a file")])
    raise ProfileError([Problem("", "", _not_found(name, wanted, folders))])


def spelling(parent: Path, place: Path, name: str) -> str:
    """How a profile at `place` names the file `parent`: as `name` where that leads there, else by the name of a
    built-in or a person's own profile, else by the way to it.

    ProfileError where each of them would lead to `place` itself.
    """
    full = parent.resolve()
    folders = [folder.resolve() for folder in (builtin_folder(), user_folder())]
    short = [full.relative_to(folder).with_suffix("").as_posix() for folder in folders if full.is_relative_to(folder)]
    way = os.path.relpath(full, place.parent.resolve()).replace(os.sep, "/")
    for spelt in (name, *short, *([] if short else [way])):
        here = {place.parent / spelt, place.parent / f"{spelt}.toml"}
        if place.resolve() in {path.resolve() for path in here}:
            continue  # what is to be written there would be found
        with contextlib.suppress(ProfileError):
            if find(spelt, relative_to=place.parent).resolve() == full:
                return spelt
    raise ProfileError([Problem("", "", f"{label(place)} would extend itself; save it under another name")])


def label(path: Path) -> str:
    """A file as an error names it: relative to the working directory if inside, so that it can be clicked."""
    full = path.resolve() if ".." in path.parts else path.absolute()
    if full.is_relative_to(Path.cwd()):
        return str(full.relative_to(Path.cwd()))
    if full.is_relative_to(builtin_folder().absolute()):
        return f"built-in {full.relative_to(builtin_folder().absolute()).as_posix()}"
    return str(path)


def recipe_label(path: Path) -> str:
    """A profile's name without folder and suffix: `quick`, `papers/vit`; what its runs are labelled with."""
    full = path.resolve()
    for folder in (HERE.resolve(), user_folder().resolve(), builtin_folder().resolve()):
        if full.is_relative_to(folder):
            return full.relative_to(folder).with_suffix("").as_posix()
    return path.stem


def _not_found(name: str, wanted: Path, folders: list[Path]) -> str:
    if wanted.is_absolute():
        folders = [wanted.parent]
    builtin = builtin_names()
    short = wanted.as_posix().removesuffix(".toml")
    below = [known for known in builtin if known.endswith(f"/{wanted.name.removesuffix('.toml')}")]
    nearby = {known for folder in folders for known in _names(folder)} | set(builtin)
    meant = " or ".join(below) or closest(short, sorted(nearby)) or closest(Path(short).name, sorted(nearby))
    places = dict.fromkeys(_place(folder) for folder in folders)
    hints = [f"did you mean {meant}?"] if meant else []
    own = [known for known in builtin if "/" not in known]
    groups = dict.fromkeys(f"{known.split('/')[0]}/..." for known in builtin if "/" in known)
    hints += [f"looked in: {', '.join(places)}", f"built-in: {', '.join([*own, *groups])}"]
    return f"profile not found: {name} ({'; '.join(hints)})"


def _place(folder: Path) -> str:
    if folder == builtin_folder():
        return "the built-in ones"
    home = os.path.expanduser("~")  # Path.home raises where there is none
    if folder == user_folder() and folder.is_relative_to(home):
        return f"~/{folder.relative_to(home).as_posix()}"
    return "." if folder == Path() else label(folder) if folder.is_absolute() else f"./{folder}"


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else []


def _kind(path: Path) -> str:
    """ "folder", "file" (also a pipe, as a shell's `<(...)` gives) or ""."""
    try:
        return "folder" if path.is_dir() else "file" if path.exists() else ""
    except (OSError, ValueError):  # no permission, a name too long for the file system, or a NUL in it
        return ""
