"""Layers from outside the files: the environment and the command line, both read by pydantic-settings.

pydantic-settings knows how a nested model is spelt in variables and flags. It lets a misspelt
variable pass, prints the wrong defaults for sections with a choice, and leaves values as text; those
three are done here.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from workbench.profile.errors import Problem, closest, closest_key, did_you_mean, shown_value
from workbench.profile.keys import keys
from workbench.profile.layers import Layer, Origin
from workbench.profile.schema import Profile, Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_settings import BaseSettings, CliSettingsSource

PREFIX = "CNNWB_"
RESERVED = frozenset({"CNNWB_RUNS", "CNNWB_RANK_TIMEOUT"})
"""Variables of ours that are no settings of a profile: the runs directory, how long processes wait for each other."""

WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

DEST = "profile:"
"""Before the destination of our flags in the namespace, so that a caller's own `name` or `seed` is safe."""


def variable(key: str) -> str:
    """The environment variable of a key: `optim.lr` -> `CNNWB_OPTIM__LR`."""
    return PREFIX + key.upper().replace(".", "__")


def flag(key: str) -> str:
    """The flag of a key: `optim.lr` -> `--optim.lr`."""
    return f"--{key}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` a flag for every key, `--section.key`, also spelt with hyphens (`--data.batch-size`).

    Read them back with `read_options`. The parser should have `allow_abbrev=False`: an abbreviation
    that works today is ambiguous after the next key.
    """
    _cli_source(parser)


def read_options(namespace: argparse.Namespace) -> Layer:
    """The layer of the flags that were really given; a malformed one is among its `problems`."""
    given = {dest.removeprefix(DEST): value for dest, value in vars(namespace).items() if dest.startswith(DEST)}
    if not given:
        return Layer()
    from pydantic_settings import SettingsError

    source = _cli_source(argparse.ArgumentParser(add_help=False))
    layer = Layer()
    problems = []
    for key, value in given.items():
        origin = Origin("command line", flag(key))
        try:
            _add(layer, key, source(parsed_args={key: value})(), origin)
        except SettingsError:  # only a table can be malformed as such
            shown = shown_value(value[-1] if isinstance(value, list) else value)
            problems.append(origin.problem(key, f"must be KEY=VALUE or a JSON table (got {shown})"))
    return replace(layer, problems=tuple(problems))


def read_environment(environ: Mapping[str, str] | None = None) -> Layer:
    """The layer of the `CNNWB_` variables; an unknown one is among its `problems`."""
    environ = os.environ if environ is None else environ
    ours = {name: text for name, text in environ.items() if name.upper().startswith(PREFIX)}
    ours = {name: text for name, text in ours.items() if name.upper() not in RESERVED}
    if not ours:
        return Layer()  # and pydantic-settings, a tenth of a second, is not imported
    from pydantic_settings import EnvSettingsSource, SettingsError

    source = EnvSettingsSource(_settings(), env_prefix=PREFIX, env_nested_delimiter="__")
    layer = Layer()
    problems = []
    for name, text in ours.items():
        key = _key_of(name)
        if not key:
            problems.append(_unknown(name))
            continue
        origin = Origin("environment", name)
        source.env_vars = {name.lower(): text}
        try:
            _add(layer, key, source(), origin)
        except SettingsError:
            problems.append(origin.problem(key, f"must be a JSON table (got {shown_value(text)})"))
    return replace(layer, problems=tuple(problems))


def suggest_flag(wrong: str) -> str:
    """The flag that `wrong` (`--optim.momntum`, `--lr=0.1`) is probably meant to be, or ""."""
    name = wrong.lstrip("-").partition("=")[0].replace("-", "_")
    if name.startswith("model.options."):
        return f"--model.options {name.removeprefix('model.options.')}=VALUE"
    key = closest_key(name, list(keys()))
    return flag(key) if key else ""


def _add(layer: Layer, key: str, nested: dict[str, Any], origin: Origin) -> None:
    """Put the value that a source read for `key` into the layer, text turned into the key's type."""
    path = tuple(key.split("."))
    value: Any = nested
    for part in path:
        value = value[part]
    table = layer.data
    for part in path[:-1]:
        table = table.setdefault(part, {})
    if isinstance(value, dict):
        value = {name: scalar(item) if isinstance(item, str) else item for name, item in value.items()}
        table.setdefault(path[-1], {}).update(value)
        shown = origin.source if origin.kind == "environment" else ""
        for name in value:
            layer.origins[*path, name] = replace(origin, source=shown or f"{origin.source} {name}")
    else:
        table[path[-1]] = typed(value, keys()[key].kinds)
    layer.origins[path] = origin


def typed(value: Any, kinds: tuple[Any, ...]) -> Any:
    """Text as a value of the first of the kinds that it can be one of; else the text, which the schema will refuse."""
    if not isinstance(value, str) or value in kinds:
        return value
    for kind in kinds:
        try:
            if kind is bool:
                return WORDS.get(value.lower(), value)
            if kind in (int, float):
                return kind(value)
        except ValueError:
            continue
    return value


def scalar(text: str) -> Scalar:
    """Text of no known type: a number if it reads as one, `true` and `false` as such, else a string."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for reads in (int, float):
        try:
            number: int | float = reads(text)
        except ValueError:
            continue
        if math.isfinite(number):  # "inf" and "nan" are more likely words
            return number
    return text


def _key_of(name: str) -> str:
    """The key that a variable sets, or "" for a variable that is none of ours."""
    for key, entry in keys().items():
        known = variable(key)
        if name.upper() == known or (entry.kind == "KEY=VALUE" and name.upper().startswith(known + "__")):
            return key
    return ""


def _unknown(name: str) -> Problem:
    if name.upper() == variable("extends"):
        return Problem("environment", "", f"{name}: only a profile file can extend another")
    meant = closest_key(name[len(PREFIX) :].lower().replace("__", "."), list(keys()))
    names = [variable(meant)] if meant else [closest(name, sorted(RESERVED))]
    return Problem("environment", "", f"unknown variable {name}{did_you_mean(names[0], quote=False)}")


@functools.cache
def _settings() -> type[BaseSettings]:
    """The schema as pydantic-settings wants it: the same fields, on its own base class."""
    from pydantic_settings import BaseSettings

    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in Profile.model_fields.items() if name != "extends"
    }
    return create_model("Settings", __base__=BaseSettings, **fields)


def _cli_source(parser: argparse.ArgumentParser) -> CliSettingsSource[BaseSettings]:
    """pydantic-settings' reader of the command line, its flags added to `parser`."""
    from pydantic_settings import CliSettingsSource

    return CliSettingsSource(
        _settings(),
        root_parser=parser,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        add_argument_method=_add_flag,
    )


def _add_flag(parser: argparse._ActionsContainer, *flags: str, **how: Any) -> None:
    """Called by pydantic-settings for each flag: ours have the schema's own help, and both spellings."""
    entry = keys().get(how["dest"])
    if entry is None:
        return  # a whole section as JSON, `--optim {...}`: one way of saying a thing is enough
    hyphened = [spelling.replace("_", "-") for spelling in flags if "_" in spelling]
    how |= {"dest": DEST + how["dest"], "metavar": entry.kind, "help": entry.help.replace("%", "%%")}
    parser.add_argument(*flags, *hyphened, **how)
