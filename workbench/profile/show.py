"""What `cnn-workbench profile` prints: faults, the resolved profile with its origins, the JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workbench.profile.errors import Problem, ProfileError, printable
from workbench.profile.lines import key_lines
from workbench.profile.load import Resolved, load
from workbench.profile.save import dump
from workbench.profile.schema import Profile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.profile.layers import Layer

WIDEST = 48
"""Columns after which a comment follows its value directly rather than in line with the others."""


def check(name: str | Path, *, options: Layer | None = None, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Everything that is wrong with a profile; [] means it can be trained. Arguments as for `load`."""
    try:
        load(name, options=options, environ=environ)
    except ProfileError as error:
        return error.problems
    return []


def show(resolved: Resolved) -> str:
    """The resolved profile as valid TOML; behind each value a comment says where it came from."""
    text = [_escaped(line) for line in dump(resolved.profile).split("\n")][:-1]
    keys = {line: ".".join(str(part) for part in path) for path, line in key_lines("\n".join(text)).items()}
    column = max((len(line) for line in text if len(line) <= WIDEST), default=0)
    rows = []
    for number, line in enumerate(text, start=1):
        # The last key mapped to a line is the innermost; a header names a table, which has no origin.
        if number in keys and not line.startswith("["):
            origin = printable(str(resolved.origin(keys[number])))
            line = f"{line:<{column}}  # {origin}"
        rows.append(line)
    return "\n".join(rows) + "\n"


def _escaped(line: str) -> str:
    """A line of TOML with what could steer a terminal, which only strings can hold, as TOML's own escapes."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in line)


def schema_json() -> str:
    """The JSON Schema of a profile file, for editors and `taplo check`.

    It has no `$schema`: with an older draft named there taplo ignores `const`. It judges one file
    alone, which may leave the `name` of a section to the file it extends; so such a section is
    any of its choices rather than exactly one. What the choice forbids, `profile check` says.
    """
    return json.dumps(_for_one_file(Profile.model_json_schema()), indent=2, ensure_ascii=False) + "\n"


def _for_one_file(node: Any) -> Any:
    if isinstance(node, list):
        return [_for_one_file(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _for_one_file(value) for key, value in node.items() if key != "discriminator"}
    if "oneOf" in kept:
        kept["anyOf"] = kept.pop("oneOf")
    return kept
