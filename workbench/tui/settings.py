"""A person's settings: a small TOML file in their configuration folder. What is wrong in it is told and never fatal.

theme = "dark"          # dark, light, clear (for every kind of colour vision), or one of Textual's own
animation = "none"      # none, basic, full
hz = 2                  # how often a second a live run is drawn anew
ascii = "auto"          # or true: signs, frames and charts of ASCII alone; false: never
line = "auto"           # slow: draw rarely, and one chart; fast: never; auto: as the line to the terminal is
launch = "thread"       # or "detached": how a run is started unless one says otherwise
markers = "braille"     # what curves are drawn with: braille, block, ascii
screen = "models"       # where the last session ended; kept by the program

[keys]
"models.sort" = "o"     # the keys of an action, by its id in docs/keys.md

[notify]                # what tells of a run's end: workbench/notify.py
bell = true
"""

import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.base.errors import did_you_mean
from workbench.base.text import clean
from workbench.notify import Notify, read_notify

WORDS = {
    "animation": ("none", "basic", "full"),
    "launch": ("thread", "detached"),
    "line": ("auto", "slow", "fast"),
    "markers": ("braille", "block", "ascii"),
}
"""Settings that take only some words."""
HZ = (0.2, 10.0)


@dataclass
class Settings:
    """What the file says, or the defaults."""

    theme: str = "dark"
    animation: str = "none"
    hz: float = 2.0
    """Of 0.2 to 10."""
    ascii: str | bool = "auto"
    """`auto`: as terminal and locale tell."""
    line: str = "auto"
    """`auto`: as late as the terminal answers."""
    launch: str = "thread"
    markers: str = "braille"
    screen: str = "models"
    notify: Notify = field(default_factory=Notify)
    keys: dict[str, str] = field(default_factory=dict)
    """Action id -> keys, separated by commas."""
    problems: list[str] = field(default_factory=list)
    """One clean line for each thing that was not understood."""


def load_settings(path: Path) -> Settings:
    """The settings in a file; the defaults for what is missing, unknown or wrong."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:  # ValueError: no TOML, or no UTF-8
        return Settings(problems=[clean(f"{path}: not read: {error}", 200)])
    return read_settings(found, path.name)


def read_settings(found: Mapping[str, Any], name: str) -> Settings:
    """The settings in a table, `name` before each problem."""
    settings = Settings()
    known = [entry.name for entry in fields(Settings) if entry.name != "problems"]
    for key, value in found.items():
        if key not in known:
            problem = f'unknown setting "{key}"{did_you_mean(key, known)}'
        elif key == "notify" and isinstance(value, Mapping):
            settings.notify, problems = read_notify(value)
            settings.problems += [clean(f"{name}: {problem}", 200) for problem in problems]
            continue
        elif problem := _wrong(key, value):
            problem = f"{key}: {problem} (got {value!r})"
        else:
            setattr(settings, key, float(value) if key == "hz" else value)
            continue
        settings.problems.append(clean(f"{name}: {problem}", 200))
    return settings


def _wrong(key: str, value: Any) -> str:
    """What is wrong with a value; empty if nothing is."""
    if key == "hz":
        fits = isinstance(value, int | float) and not isinstance(value, bool) and HZ[0] <= value <= HZ[1]
        return "" if fits else f"must be a number from {HZ[0]:g} to {HZ[1]:g}"
    if key == "notify":
        return "must be a table of lines like bell = true"
    if key == "ascii":
        return "" if value == "auto" or isinstance(value, bool) else 'must be "auto", true or false'
    if key == "keys":
        fits = isinstance(value, dict) and all(isinstance(keys, str) and keys for keys in value.values())
        return "" if fits else 'must be a table of lines like "models.sort" = "o"'
    if key in WORDS and value not in WORDS[key]:
        return f"must be one of {', '.join(WORDS[key])}"
    return "" if isinstance(value, str) else "must be a text"


def remember(path: Path, key: str, value: str) -> bool:
    """Write one setting and leave every other character of the file as it is; False where that cannot be.

    A file that cannot be read as TOML is left alone.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if tomllib.loads(text).get(key) == value:
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".settings-")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(with_value(text, key, value))
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except (OSError, ValueError):
        return False
    return True


def with_value(text: str, key: str, value: str) -> str:
    """A TOML document with a top-level text set; comments and order stay. `value` has no quotes and no backslashes."""
    head, table, rest = re.match(r"(.*?)(^[ \t]*\[|\Z)(.*)", text, re.DOTALL | re.MULTILINE).groups()  # type: ignore[union-attr]
    line = f'{key} = "{value}"'
    changed, count = re.subn(rf"^[ \t]*{key}[ \t]*=[^#\n]*?(?=[ \t]*(#|$))", line, head, count=1, flags=re.MULTILINE)
    return (changed if count else f"{line}\n{head}") + table + rest
