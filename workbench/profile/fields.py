"""The settings of a profile as a form shows them: kinds of editor, values as text, text as values."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.profile.errors import closest, closest_key, did_you_mean, shown_value
from workbench.profile.keys import default_choice, keys
from workbench.profile.lengths import LENGTH, LENGTHS
from workbench.profile.schema import DISCRIMINATED
from workbench.profile.sources import WORDS, scalar, typed
from workbench.profile.validate import validate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.profile.keys import Key
    from workbench.profile.layers import Origin

Kind = Literal["switch", "choice", "integer", "number", "length", "lengths", "path", "network", "table", "text"]
KINDS: tuple[str, ...] = get_args(Kind)
"""Kinds of editor. "length": "5ep", "500step" or "10%"; "lengths": several, with commas; "path": a file or a folder;
"network": `model.arch`, a name of the architectures or module:callable; "table": `model.options`, KEY=VALUE pairs."""

BY_KEY: dict[str, Kind] = {
    "model.arch": "network",
    "model.pretrained": "path",
    "data.root": "path",
    "checkpoint.monitor": "choice",
}
"""Kinds that no type tells."""

MONITORED = tuple(
    f"{part}{average}_{figure}"
    for part, average, figure in itertools.product(("val", "test", "train"), ("", "_ema"), ("top1", "top5", "loss"))
)

WORDS_BY_KEY = {
    "checkpoint.monitor": ("auto", *MONITORED),
    "model.pretrained": ("torchvision", "timm"),
    "train.device": ("auto", "cpu", "cuda", "mps"),
}
"""Words of keys whose type lists none."""


@dataclass(frozen=True)
class Field:
    """One setting of a draft, as a form shows it.

    `value`: what this file and its parents say; None where nothing does and the default is "not set" ([augment]).
    `inherited`: what would hold were it not set in this file, `inherited_from` where that stands (default, or a
    parent's file and line).
    `own`: set in this file. `changed`: set otherwise than on the disk, or set here and not there, or the reverse.
    `overridden`: the environment variable that lies over it, else None; `effective`: the value with it.
    `problem`: what is wrong with it, alone or together with other keys; one line, "" if nothing.
    `words`: words that it takes: all of them for "choice"; those beside a number ("auto") for unions; examples for
    other text (train.device, model.pretrained).
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
        return as_text(self.value)


def kind_of(key: Key) -> Kind:
    """Which editor a key has."""
    if key.path in BY_KEY:
        return BY_KEY[key.path]
    if key.kind == "KEY=VALUE":
        return "table"
    if key.choices:
        return "choice"
    if key.pattern in (LENGTH, LENGTHS):
        return "length" if key.pattern == LENGTH else "lengths"
    of_type: dict[Any, Kind] = {bool: "switch", int: "integer", float: "number"}
    return next((of_type[kind] for kind in key.kinds if kind in of_type), "text")


def words_of(key: Key) -> tuple[str, ...]:
    """The words that a key takes, see `Field.words`."""
    return key.choices or WORDS_BY_KEY.get(key.path) or tuple(kind for kind in key.kinds if isinstance(kind, str))


def as_text(value: Any) -> str:
    """A value as a person types it: true, 0.001, words without quotes, KEY=VALUE pairs."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join(f"{_quoted(name)}={_item(item)}" for name, item in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _item(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value) if scalar(value) == value else json.dumps(value)
    return as_text(value)


def _quoted(text: str) -> str:
    """The text, in quotes where it would be read otherwise without."""
    return text if re.fullmatch(r"[^\s,=\"'{}]+", text) and text.isprintable() else json.dumps(text)


def read_value(key: Key, value: Any) -> Any:
    """What a person typed for `key` (a str) as the key's type; what is none comes back as it is, for the schema to
    refuse. ValueError, one line, for pairs that are none."""
    kind = kind_of(key)
    if kind == "table":
        return read_pairs(value) if isinstance(value, str) else value
    if isinstance(value, str) and kind not in ("text", "path"):
        value = value.strip()
        if kind == "switch":
            return WORDS.get(value.lower(), value)
        if kind in ("integer", "number") and value.lower() in words_of(key):
            value = value.lower()
    value = typed(value, key.kinds)
    if float in key.kinds and type(value) is int and abs(value) < 2**53:
        return float(value)
    return value


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PAIR = re.compile(
    rf"""\s*({_QUOTED}|[^\s,="'{{}}]+)\s*=\s*({_QUOTED}|'[^']*'|[^\s,"'{{}}]+)(?:\s*,|(?=\s)|$)\s*""", re.DOTALL
)


def read_pairs(text: str) -> dict[str, Any]:
    """KEY=VALUE pairs, with blanks or commas between, or a TOML table in braces. ValueError, one line, for others.

    >>> read_pairs('width=0.5, stem="7 x 7" norm=true')
    {'width': 0.5, 'stem': '7 x 7', 'norm': True}
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            table: dict[str, Any] = tomllib.loads(f"k = {text}\n")["k"]
        except ValueError:
            raise ValueError(f"must be KEY=VALUE pairs (got {shown_value(text)})") from None
        return table
    found: dict[str, Any] = {}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            raise ValueError(f"must be KEY=VALUE pairs (got {shown_value(text[at:].strip())})")
        name, value = pair[1], pair[2]
        read: Any = scalar(value)
        if value[0] == '"':
            read = _unquoted(value)
        elif value[0] == "'":
            read = value[1:-1]
        found[_unquoted(name) if name[0] == '"' else name] = read
        at = pair.end()
    return found


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        raise ValueError(f"must be KEY=VALUE pairs (got {shown_value(text)})") from None
    return str(value)


def refused(key: str, value: Any, chosen: Mapping[str, Any], networks: Sequence[str] = ()) -> str:
    """Why the schema does not take this value, looked at alone; "" if it does.

    `chosen`: the choice of each section that has one. `networks`: the names of networks there are, () for any.
    """
    if key not in keys():
        return "unknown key" + did_you_mean(closest_key(key, list(keys())))
    section, _, name = key.rpartition(".")
    data: dict[str, Any] = {name: value}
    if section in DISCRIMINATED and name != "name":
        data["name"] = chosen.get(section, default_choice(section))
    profile, faults = validate({section: data} if section else data)
    if profile is None:
        return faults[0][1]
    if key == "model.arch" and networks and ":" not in value and value not in networks:
        return f"unknown network {shown_value(value)}{did_you_mean(closest(value, networks))}"
    return ""
