"""Telling a person who looks elsewhere that a run has ended: off unless their settings ask for it.

    [notify]
    bell = true                                       # the terminal's bell
    osc = 9                                           # a desktop notification by the terminal: 9 or 777
    command = ["notify-send", "{state}", "{text}"]    # a program of theirs; {run}, {path}, {state}, {text}

Each argument of the command stays one argument, whatever is put into it: no shell ever reads it. Headless runs and the
screen read the same settings; bell and OSC need a terminal, the command does not.
"""

import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.base.text import clean

SECONDS = 30.0
"""After so long a command is ended."""
OSC = (9, 777)
KEYS = {"bell": "true or false", "osc": "9 or 777", "command": 'a list of words like ["notify-send", "{text}"]'}
"""Each setting, and what it must be."""
MOST_WORDS = 50


@dataclass(frozen=True)
class Notify:
    """What a person wants."""

    bell: bool = False
    osc: int = 0
    """9, 777, or 0 for none."""
    command: tuple[str, ...] = ()

    @property
    def wanted(self) -> bool:
        """Whether anything is."""
        return bool(self.bell or self.osc or self.command)


@dataclass(frozen=True)
class End:
    """How a run ended: its directory, its state, and a line about it."""

    path: Path
    state: str
    text: str


def read_notify(found: Mapping[str, Any]) -> tuple[Notify, list[str]]:
    """The settings in the table `[notify]`, and a clean line for each thing that was not understood."""
    problems = [f'notify: unknown setting "{clean(key, 60)}"' for key in found if key not in KEYS]
    values: dict[str, Any] = {}
    for key, what in KEYS.items():
        if key in found and _fits(key, found[key]):
            values[key] = tuple(found[key]) if key == "command" else found[key]
        elif key in found:
            problems.append(f"notify.{key}: must be {what} (got {clean(repr(found[key]), 80)})")
    return Notify(**values), problems


def load_notify(path: Path) -> Notify:
    """The settings of a file; none where it cannot be read: the screen says what is wrong with it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("notify", {})
    except (OSError, ValueError):
        return Notify()
    return read_notify(found)[0] if isinstance(found, dict) else Notify()


def settings_path() -> Path:
    """Where a person's settings are."""
    import platformdirs

    return Path(platformdirs.user_config_dir("cnn-workbench", appauthor=False)) / "settings.toml"


def for_terminal(notify: Notify, end: End) -> str:
    """What to write to the terminal; empty for nothing."""
    title, body = _plain(f"cnn-workbench {end.state}"), _plain(end.text)
    sequence = {9: f"\x1b]9;{title}: {body}\x1b\\", 777: f"\x1b]777;notify;{title};{body}\x1b\\"}.get(notify.osc, "")
    return sequence + ("\a" if notify.bell else "")


def run_command(notify: Notify, end: End) -> str:
    """Run the person's command and wait for it; a line about what went wrong, empty where nothing did."""
    if not notify.command:
        return ""
    words = {"run": end.path.name, "path": str(end.path), "state": end.state, "text": end.text}
    arguments = [_filled(argument, words) for argument in notify.command]
    try:
        with tempfile.TemporaryFile() as said:  # and no pipe: what it leaves in the background would hold that open
            code = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=SECONDS,
                                  stderr=said, check=False).returncode  # fmt: skip
            said.seek(0)
            lines = said.read(100_000).decode(errors="replace").strip().splitlines()
    except (OSError, ValueError) as error:
        return clean(f"notify.command: {arguments[0]}: {error}", 300)
    except subprocess.TimeoutExpired:
        return clean(f"notify.command: {arguments[0]}: ended after {SECONDS:g} s", 300)
    if code:
        return clean(f"notify.command: {arguments[0]}: exit code {code} {lines[-1] if lines else ''}", 300)
    return ""


def _filled(argument: str, words: Mapping[str, str]) -> str:
    """Braces that are none of ours stay; what is put in is not looked at again."""
    pieces = argument.split("{")
    filled = pieces[0]
    for piece in pieces[1:]:
        name, brace, rest = piece.partition("}")
        filled += clean(words[name], 300) + rest if brace and name in words else "{" + piece
    return filled


def _plain(text: str) -> str:
    """Without what would end the sequence, or begin another field of it."""
    return clean(text, 200).replace(";", ",")


def _fits(key: str, value: Any) -> bool:
    if key == "bell":
        return isinstance(value, bool)
    if key == "osc":
        return value in OSC and not isinstance(value, bool)
    words = isinstance(value, list) and 0 < len(value) <= MOST_WORDS
    return words and all(isinstance(word, str) and "\0" not in word for word in value) and bool(value[0])
