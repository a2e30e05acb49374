"""From merged settings to a Profile, or to sentences a person can act on.

pydantic finds the faults; its messages are turned into plain ones here, with the nearest correct
spelling where a word is wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from workbench.profile.errors import closest, closest_key, did_you_mean, shown_value
from workbench.profile.keys import default_choice, keys, listed, number, owners_of
from workbench.profile.lengths import LENGTH, LENGTHS, in_epochs, several
from workbench.profile.schema import DISCRIMINATED, SGD, Muon, Profile

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from workbench.profile.layers import KeyPath

Fault = tuple[tuple["KeyPath", ...], str]
"""Keys of which one is to blame (the one set last), and what is wrong."""

PATTERNS = {
    "train.device": "auto, cpu, cuda, cuda:N or mps",
    "checkpoint.monitor": "auto, or a figure such as val_top1, test_loss or test_ema_top1",
    LENGTH: 'a length such as "5ep", "500step" or "10%"',
    LENGTHS: 'lengths such as "5ep, 8ep" or "50%, 75%"',
}
"""What a key with a pattern, or a pattern, takes in words: a regular expression helps nobody."""

TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "string_unicode": "a string of valid characters",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
}

SCALAR = "a number, true or false, or a string"


def validate(data: dict[str, Any]) -> tuple[Profile | None, list[Fault]]:
    """The profile that the settings mean, or None and all that is wrong with them."""
    data = {name: dict(value) if isinstance(value, dict) else value for name, value in data.items()}
    data.pop("extends", None)
    for section in DISCRIMINATED:
        if isinstance(data.get(section), dict):
            data[section].setdefault("name", default_choice(section))
    try:
        profile = Profile.model_validate(data)
    except ValidationError as error:
        faults: dict[KeyPath, str] = {}
        for details in error.errors(include_url=False):
            path = _key_path(details)
            # A value of the options table is refused once for each type it could have had.
            faults.setdefault(path, _message(path, details, data))
        return None, [((path,), message) for path, message in faults.items()]
    return profile, _conflicts(profile)


def _conflicts(profile: Profile) -> list[Fault]:
    """Settings that are right alone and wrong together."""
    optim, sam, train = profile.optim, profile.sam, profile.train
    faults: list[Fault] = []

    def clash(message: str, *keys: str) -> None:
        faults.append((tuple(tuple(key.split(".")) for key in keys), message))

    if isinstance(optim, SGD | Muon) and optim.nesterov and optim.momentum == 0.0:
        clash("nesterov needs a momentum above 0", "optim.nesterov", "optim.momentum")
    if sam.adaptive and sam.rho == 0.0:
        clash("adaptive needs a rho above 0", "sam.adaptive", "sam.rho")
    if train.compile != "off" and train.cuda_graph == "on":
        clash("compile captures its own graphs; leave one of the two", "train.cuda_graph", "train.compile")
    monitor = profile.checkpoint.monitor
    if "_ema" in monitor and train.ema == 0.0:
        clash(f"{monitor} needs train.ema above 0", "checkpoint.monitor", "train.ema")
    if monitor.startswith("val") and profile.data.val_fraction == 0.0:
        clash(f"{monitor} needs data.val_fraction above 0", "checkpoint.monitor", "data.val_fraction")
    return faults + _too_long(profile)


def _too_long(profile: Profile) -> list[Fault]:
    """Lengths of the schedule that the run, counted in epochs, cannot hold."""
    faults: list[Fault] = []
    epochs = profile.train.epochs
    for name in ("warmup", "at"):
        for length in several(getattr(profile.schedule, name, "0%")):
            taken = in_epochs(length, epochs=epochs)
            if taken is not None and taken > 0 and taken >= epochs:
                message = f"{length} must be shorter than the run of {epochs} epoch{'s' * (epochs > 1)}"
                faults.append(((("schedule", name), ("train", "epochs")), message))
    return faults


def _key_path(details: ErrorDetails) -> KeyPath:
    """pydantic's location without what it adds: the choice inside a section, the type inside a union."""
    path = tuple(str(part) for part in details["loc"])
    if path[0] in DISCRIMINATED:
        if details["type"] in ("union_tag_invalid", "union_tag_not_found"):
            return (path[0], "name")
        if len(path) > 1 and len(DISCRIMINATED[path[0]]) > 1:
            path = (path[0], *path[2:])
    longest = 3 if path[:2] == ("model", "options") else 2
    return path[:longest]


def _message(path: KeyPath, details: ErrorDetails, data: dict[str, Any]) -> str:
    kind, value = details["type"], details["input"]
    limits = details.get("ctx", {})
    got = f"(got {shown_value(value)})"
    if kind == "extra_forbidden":
        return _unknown_key(path, data)
    if path[:2] == ("model", "options") and len(path) == 3:
        finite = not isinstance(value, float) or math.isfinite(value)
        return f"must be {SCALAR if finite else TYPES['finite_number']} {got}"
    if path == ("train", "micro_batch"):
        return f"must be auto or a whole number of at least 1 {got}"
    if kind in ("literal_error", "union_tag_invalid"):
        return _unknown_word(path, data[path[0]]["name"] if kind == "union_tag_invalid" else value)
    if kind in TYPES:
        return f"must be {TYPES[kind]} {got}"
    if kind == "greater_than":
        return f"must be greater than {number(limits['gt'])} {got}"
    if kind == "greater_than_equal":
        return f"must be at least {number(limits['ge'])} {got}"
    if kind == "less_than":
        return f"must be less than {number(limits['lt'])} {got}"
    if kind == "less_than_equal":
        return f"must be at most {number(limits['le'])} {got}"
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "string_too_long":
        return f"must be at most {limits['max_length']} characters long (has {len(value)})"
    if kind == "string_pattern_mismatch":
        return f"must be {PATTERNS.get('.'.join(path)) or PATTERNS[limits['pattern']]} {got}"
    return f"{details['msg'].replace('Input should', 'must')} {got}"


def _unknown_word(path: KeyPath, value: Any) -> str:
    entry = keys()[".".join(path)]
    among = ", ".join(entry.choices)
    if not isinstance(value, str):
        return f"must be one of: {among} (got {shown_value(value)})"
    noun = entry.description if path[-1] == "name" else path[-1]
    suggestion = closest(value, entry.choices)
    hint = f'did you mean "{suggestion}"?; ' if suggestion else ""
    return f"unknown {noun} {shown_value(value)} ({hint}one of: {among})"


def _unknown_key(path: KeyPath, data: dict[str, Any]) -> str:
    section, key = path[0], path[-1]
    if len(path) == 1:
        sections = sorted({known.split(".")[0] for known in keys()} | {"extends"})
        return "unknown key" + did_you_mean(closest(key, sections) or closest_key(key, list(keys())))
    if section in DISCRIMINATED:
        chosen = data[section]["name"]
        owners = owners_of(section, key)
        if owners:
            return f"not a setting of {chosen} ({listed(owners)} {'has' if len(owners) == 1 else 'have'} it)"
        model = DISCRIMINATED[section].get(chosen) if isinstance(chosen, str) else None
        siblings = list(model.model_fields) if model else []
    else:
        siblings = [known.split(".")[1] for known in keys() if known.startswith(f"{section}.")]
    meant = closest(key, siblings) or closest_key(".".join(path), list(keys()))
    return "unknown key" + did_you_mean(meant.removeprefix(f"{section}."))
