"""From the name of a profile to its file."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.profile.errors import Problem, ProfileError, closest

HERE = Path("profiles")
"""The user's own collection, in the working directory."""


def builtin_folder() -> Path:
    """The profiles that come with the program: inside the package when installed, else the checkout's own."""
    packaged = Path(__file__).parent / "builtin"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "profiles"


def builtin_names() -> list[str]:
    """Names of the built-in profiles, without the suffix; those of a subfolder follow, as `papers/vit`."""
    folder = builtin_folder()
    below = [path for path in sorted(folder.glob("*")) if path.is_dir()]
    return _names(folder) + [f"{path.name}/{name}" for path in below for name in _names(path)]


def find(name: str, *, relative_to: Path | None = None) -> Path:
    """The file that `name` means, with or without `.toml`.

    Looked for in `relative_to` (the folder of the file that extends it), then as a path, then in
    `./profiles`, then among the built-in ones. Raises ProfileError if it is in none of them.
    """
    if not name:
        raise ProfileError([Problem("", "", "the name of a profile is empty")])
    folders = [Path(), HERE, builtin_folder()]
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
    for folder in (HERE.resolve(), builtin_folder().resolve()):
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
    return "." if folder == Path() else label(folder) if folder.is_absolute() else f"./{folder}"


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else []


def _kind(path: Path) -> str:
    """ "folder", "file" (also a pipe, as a shell's `<(...)` gives) or ""."""
    try:
        return "folder" if path.is_dir() else "file" if path.exists() else ""
    except (OSError, ValueError):  # no permission, a name too long for the file system, or a NUL in it
        return ""
