"""The schema as a flat table: one entry for each dotted key a person can set.

The command line's flags, the names of the environment variables, the did-you-means and the form
are all read from it, so a field added to the schema appears everywhere at once.
"""

from __future__ import annotations

import functools
import json
import types
import typing
from dataclasses import dataclass, replace
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from workbench.profile.schema import DISCRIMINATED, Profile

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Key:
    """A setting: `optim.momentum`.

    `bounds` is text, such as "0 to 0.5"; `choices` are the allowed words, if the setting takes only
    some; `owners` names the choices of the section (`sgd`) that have the key, () for all of them;
    `pattern` is the regular expression of a text that must have a form, "" for none.
    """

    path: str
    annotation: Any
    description: str
    unit: str
    bounds: str
    default: Any
    choices: tuple[str, ...]
    owners: tuple[str, ...]
    pattern: str = ""

    @property
    def kind(self) -> str:
        """What a value looks like: "int", "float", "true|false", "{adam,sgd}", "auto|int", "KEY=VALUE" or "text"."""
        if self.choices:
            return "{" + ",".join(self.choices) + "}"
        if typing.get_origin(self.annotation) is dict:
            return "KEY=VALUE"
        names = {bool: "true|false", int: "int", float: "float"}
        return "|".join(names.get(kind, kind if isinstance(kind, str) else "text") for kind in self.kinds)

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types and words of which a value is one: (float,), ("auto", int)."""
        return alternatives(self.annotation)

    @property
    def help(self) -> str:
        """One line: description, unit, bounds, default and whose setting it is."""
        facts = [self.unit] if self.unit and self.unit not in self.description else []
        facts += [self.bounds] if self.bounds else []
        facts += [f"{listed(self.owners)} only"] if self.owners else []
        if self.default not in ("", None) and self.default != {}:
            facts += [f"default: {_written(self.default)}"]
        return self.description + (f" ({'; '.join(facts)})" if facts else "")


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """What a value may be: the parts of a union, words of a Literal one by one; None, "not set", is left out."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return typing.get_args(annotation)
    if origin is typing.Annotated:
        return alternatives(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(annotation) for kind in alternatives(part))
    return () if annotation is type(None) else (annotation,)


@functools.cache
def keys() -> dict[str, Key]:
    """Every key by its dotted path, in the schema's order; `extends` is not one: only a file can extend."""
    table: dict[str, Key] = {}
    for name, field in Profile.model_fields.items():
        if name == "extends":
            continue
        if name in DISCRIMINATED:
            table |= _chosen_section(name)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner, inner_field in field.annotation.model_fields.items():
                table[f"{name}.{inner}"] = _key(f"{name}.{inner}", inner_field)
        else:
            table[name] = _key(name, field)
    return table


def chosen_keys(chosen: Mapping[str, Any]) -> list[Key]:
    """The keys that a profile has whose sections make these choices ({"optim": "sgd"}), in the schema's order.

    Defaults, bounds and sentences are those of the choice. Of a section whose choice is unknown only `name` is left.
    """
    return list(_chosen_keys(tuple(str(chosen.get(section)) for section in DISCRIMINATED)))


@functools.lru_cache(maxsize=128)
def _chosen_keys(choices: tuple[str, ...]) -> tuple[Key, ...]:
    chosen = dict(zip(DISCRIMINATED, choices, strict=True))
    table: list[Key] = []
    for path, key in keys().items():
        section, _, name = path.rpartition(".")
        model = DISCRIMINATED[section].get(chosen[section]) if section in DISCRIMINATED else None
        if section not in DISCRIMINATED or name == "name":
            table.append(key)
        elif model is not None and name in model.model_fields:
            table.append(replace(_key(path, model.model_fields[name]), owners=key.owners))
    return tuple(table)


def default_choice(section: str) -> str:
    """The `name` a discriminated section has when no layer says one."""
    return next(iter(DISCRIMINATED[section]))


def owners_of(section: str, key: str) -> tuple[str, ...]:
    """Names of the choices of a discriminated section that have `key`."""
    return tuple(name for name, model in DISCRIMINATED[section].items() if key in model.model_fields)


def _chosen_section(section: str) -> dict[str, Key]:
    """Keys of all choices of a section, `name` first; a key of several has the first one's text."""
    choices = DISCRIMINATED[section]
    fields: dict[str, FieldInfo] = {}
    for model in choices.values():
        fields |= {key: field for key, field in model.model_fields.items() if key not in fields}
    if "name" not in fields:
        raise TypeError(f"section {section} is chosen by its name, but has no field of that name")
    table = {}
    for name in sorted(fields, key=lambda key: key != "name"):
        owners = owners_of(section, name)
        path = f"{section}.{name}"
        table[path] = _key(
            path,
            fields[name],
            owners=() if len(owners) == len(choices) else owners,
            choices=tuple(choices) if name == "name" else (),
            differs=len({repr(choices[owner].model_fields[name].default) for owner in owners}) > 1,
        )
    return table


def _key(
    path: str,
    field: FieldInfo,
    *,
    owners: tuple[str, ...] = (),
    choices: tuple[str, ...] = (),
    differs: bool = False,
) -> Key:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    words = alternatives(field.annotation)
    if not choices and words and all(isinstance(word, str) for word in words):
        choices = words
    default = field.get_default(call_default_factory=True, validated_data={})
    if path.endswith(".name") and path.split(".")[0] in DISCRIMINATED:
        default = default_choice(path.split(".")[0])
    elif differs:
        section, _, name = path.partition(".")
        models = DISCRIMINATED[section]
        alike: dict[str, list[str]] = {}
        for owner in owners_of(section, name):
            alike.setdefault(_written(models[owner].model_fields[name].default), []).append(owner)
        default = ", ".join(f"{value} for {listed(names)}" for value, names in alike.items())
    return Key(
        path=path,
        annotation=field.annotation,
        description=field.description or "",
        unit=str(extra.get("unit", "")),
        bounds=_bounds(field),
        default=None if default is PydanticUndefined else default,
        choices=choices,
        owners=owners,
        pattern=next((rule.pattern for rule in field.metadata if getattr(rule, "pattern", None)), ""),
    )


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "sgd, rmsprop and muon"."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def number(value: float) -> str:
    """A bound as text: 0 rather than 0.0, and 2**63 rather than its 19 digits."""
    if value > 2**53 and isinstance(value, int) and value.bit_count() == 1:
        return f"2**{value.bit_length() - 1}"
    return str(int(value)) if value == int(value) else f"{value:g}"


def _written(value: Any) -> str:
    """A default as a person writes it: `true`, `0.1`, and words without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _bounds(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        if isinstance(rule, Ge):
            low = f"at least {number(typing.cast(float, rule.ge))}"
        elif isinstance(rule, Gt):
            low = f"above {number(typing.cast(float, rule.gt))}"
        elif isinstance(rule, Le):
            high = f"at most {number(typing.cast(float, rule.le))}"
        elif isinstance(rule, Lt):
            high = f"below {number(typing.cast(float, rule.lt))}"
    return ", ".join(part for part in (low, high) if part)
