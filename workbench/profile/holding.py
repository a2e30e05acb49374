"""What holds in a profile being edited, and what would hold without a key of its own: the fields of a form."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from workbench.profile.errors import printable
from workbench.profile.fields import Field, kind_of, words_of
from workbench.profile.keys import chosen_keys, default_choice
from workbench.profile.layers import DEFAULT, Layer, Origin, merge
from workbench.profile.schema import DISCRIMINATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.profile.errors import Problem
    from workbench.profile.layers import KeyPath


def show_fields(
    below: Sequence[Layer], own: Layer, environment: Layer, problems: Sequence[Problem], changed: Sequence[str]
) -> list[Field]:
    """Every setting that the chosen optimiser and schedule have, in the schema's order.

    `below`: the layers of the parents, lowest first; `own` the file's; `changed`: keys that differ from the disk.
    """
    here, all_over = merge([*below, own]), merge([*below, own, environment])
    complaints: dict[str, str] = {}
    for problem in problems:
        # An option of the network belongs to the one field of all of them.
        key = "model.options" if problem.key.startswith("model.options.") else problem.key
        complaints.setdefault(key, printable(problem.message))
    fields = []
    for entry in chosen_keys(choices(here)):
        path = tuple(entry.path.split("."))
        is_own = sets(own.data, path)
        under = merge([*below, less(own, path)]) if is_own else here
        over = _overriding(all_over, here, path)
        value = value_in(here, entry.path, entry.default)
        fields.append(
            Field(
                key=entry,
                kind=kind_of(entry),
                value=value,
                inherited=value_in(under, entry.path, entry.default),
                inherited_from=under.origins.get(path, DEFAULT),
                own=is_own,
                changed=entry.path in changed,
                overridden=over,
                effective=value if over is None else value_in(all_over, entry.path, entry.default),
                problem=complaints.get(entry.path, ""),
                words=words_of(entry),
            )
        )
    return fields


def get_in(data: Any, path: KeyPath) -> Any:
    """The value at a path of nested tables, None where there is none."""
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def sets(data: dict[str, Any], path: KeyPath) -> bool:
    """Whether a layer sets a key; an empty table sets nothing."""
    return get_in(data, path) not in (None, {})


def value_in(layer: Layer, key: str, default: Any) -> Any:
    """The layer's value of a dotted key."""
    value = get_in(layer.data, tuple(key.split(".")))
    return copy.deepcopy(default if value is None else value)


def less(layer: Layer, path: KeyPath) -> Layer:
    """The layer without one key."""
    data = copy.deepcopy(layer.data)
    parent = get_in(data, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)
    return Layer(data, {at: origin for at, origin in layer.origins.items() if at[: len(path)] != path})


def choices(layer: Layer) -> dict[str, Any]:
    """What the layers choose for each section that has a choice."""
    return {section: value_in(layer, f"{section}.name", default_choice(section)) for section in DISCRIMINATED}


def _overriding(over: Layer, here: Layer, path: KeyPath) -> Origin | None:
    """The variable that lies over a key: its own, or the one that makes another choice for its section."""
    origin = over.origins.get(path)
    if origin is None or origin.kind != "environment":
        choice = (path[0], "name")
        origin = over.origins.get(choice) if len(path) > 1 else None
        if get_in(over.data, choice) == get_in(here.data, choice):
            return None
    return origin if origin is not None and origin.kind == "environment" else None
