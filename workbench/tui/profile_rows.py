"""How a setting, a profile file and what is known of them are written in lines. Nothing here knows a screen."""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.text import Text

from workbench.base.text import clean
from workbench.profile import Problem
from workbench.profile.edit import Field
from workbench.profile.files import Difference, Listed

WHICH = ("all", "own", "changed")
"""Which settings are shown; `o` goes from one to the next."""

Line = Field | Problem | str
"""A line of the form: a setting, something wrong that is no setting's, a heading."""

GENERAL = "general"
"""The heading of what is in no section."""

MARKS = {"problem": "!", "changed": "●", "own": "+", "overridden": "^"}
"""What stands before a setting: wrong, not saved yet, set in this file, covered by the environment."""

_NAME = 23
"""Cells of a setting's name: the longest, decay_norms_and_biases, and a space."""
_WORDS = 44
"""Cells up to which the words of a choice are listed rather than counted."""

_KINDS = {
    "switch": "true or false", "integer": "whole number", "number": "number", "length": "5ep, 500step or 10%",
    "lengths": "50%, 75%", "path": "path", "network": "network", "table": "key=value, key=value", "text": "text",
}  # fmt: skip


def shown(value: Any) -> str:
    """A value as a person writes it, on one clean line: `true`, `0.001`, words without quotes."""
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return clean(", ".join(f"{key}={shown(part)}" for key, part in value.items()) or "none", 200)
    if isinstance(value, str):
        return clean(value, 200) or "empty"
    return clean(json.dumps(value) if isinstance(value, bool | list) else str(value), 200)


def section_of(field: Field) -> str:
    """The heading that a setting stands under."""
    section, dot, _ = field.key.path.partition(".")
    return section if dot else GENERAL


def fitting(fields: Sequence[Field], which: str, words: str) -> list[Field]:
    """The settings of one of `WHICH` that have every word in their name or description; a wrong one is among all."""
    chosen = []
    for field in fields:
        there = which == "all" or (field.changed if which == "changed" else field.own or field.changed)
        text = f"{field.key.path} {field.key.description}".lower()
        if (there or field.problem) and all(word in text for word in words.lower().split()):
            chosen.append(field)
    return chosen


def named(fields: Sequence[Field], words: str) -> str:
    """The first setting that has every word in its name: the cursor's place while one filters; empty if none has."""
    wanted = words.lower().split()
    found = (field.key.path for field in fields if all(word in field.key.path for word in wanted))
    return next(found, "") if wanted else ""


def setting_of(key: str) -> str:
    """The setting that a key belongs to: an option of the network belongs to the one setting of all of them."""
    return "model.options" if key.startswith("model.options.") else key


def with_problems(fields: Sequence[Field], problems: Sequence[Problem]) -> list[Field]:
    """The settings with what is wrong with each."""
    told: dict[str, str] = {}
    for problem in problems:
        told.setdefault(setting_of(problem.key), problem.message)
    return [replace(field, problem=told.get(field.key.path, field.problem)) for field in fields]


def under_headings(fields: Sequence[Field], problems: Sequence[Problem] = ()) -> tuple[list[Line], list[str]]:
    """Items and keys for a `RowList`: the name of a section before the first setting of it.

    `problems`: those that no setting has, which come first.
    """
    items: list[Line] = [*(["problems"] if problems else []), *problems]
    keys = [*([""] if problems else []), *(problem_key(problem) for problem in problems)]
    before = None
    for field in fields:
        if section_of(field) != before:
            before = section_of(field)
            items.append(before)
            keys.append("")
        items.append(field)
        keys.append(field.key.path)
    return items, keys


def problem_key(problem: Problem) -> str:
    """What tells a problem's line from a setting's."""
    return f"! {problem}"


def field_line(field: Line, before: Mapping[str, Any], width: int) -> Text:
    """One line of the form. `before`: the values that are on the disk, by path."""
    if isinstance(field, str):
        return Text(field if field in (GENERAL, "problems") else f"[{field}]", no_wrap=True)
    if isinstance(field, Problem):
        return Text(clean(f"!  {field}", 300), no_wrap=True)
    line = Text(no_wrap=True, overflow="ellipsis", end="")
    line.append(_mark(field), "bold")
    line.append(field.key.path.rpartition(".")[2].ljust(_NAME)[:_NAME])
    room = max(10, min(26, (width - len(line)) // 3))
    value = Text(shown(field.value), "bold" if field.own else "", no_wrap=True)
    value.truncate(room, overflow="ellipsis", pad=True)
    line.append_text(value).append(" ")
    if field.problem:
        line.append(clean(field.problem, 200), "italic")
    elif field.overridden is not None:
        line.append(f"{shown(field.effective)} by {clean(str(field.overridden), 100)}", "italic")
    else:
        was = f"was {shown(before[field.key.path])}" if field.key.path in before else "new"
        if field.changed and was != f"was {shown(field.value)}":
            line.append(was.ljust(14) + " ")
        line.append(_compact(kind_text(field)), "dim")
    line.truncate(width, overflow="ellipsis")
    return line


_BOUNDS = (
    (r", below 2\*\*63", ""),
    (r", at least (\S+), at most (\S+?)(,|$)", r" \1 to \2\3"),
    (r", at least (\S+), below (\S+?)(,|$)", r" \1 to below \2\3"),
    (r", above (\S+), below (\S+?)(,|$)", r" above \1, below \2\3"),
    (r", above (\S+), at most (\S+?)(,|$)", r" above \1, up to \2\3"),
    (r", at least (\S+?)(,|$)", r" \1 or more\2"),
    (r", above (\S+?)(,|$)", r" above \1\2"),
    (r"whole number", "integer"),
)


def _compact(kind: str) -> str:
    """Bounds in short, without signs that ASCII lacks: the line below the list has them in full."""
    for words, short in _BOUNDS:
        kind = re.sub(words, short, kind)
    return kind


def _mark(field: Field) -> str:
    marks = [
        MARKS["problem"] if field.problem else "",
        MARKS["changed"] if field.changed else MARKS["own"] if field.own else "",
        MARKS["overridden"] if field.overridden is not None else "",
    ]
    return "".join(marks)[:2].ljust(2) + " "


def kind_text(field: Field) -> str:
    """What may be written there: the words, or the kind of value with its bounds and unit."""
    if field.kind == "choice":
        words = "|".join(field.words)
        return words if len(words) <= _WORDS else f"choice of {len(field.words)}"
    kind = _KINDS[field.kind]
    if field.words and field.kind in ("integer", "number"):
        kind = f"{' or '.join(field.words)} or {kind}"
    elif field.words:
        kind = ", ".join(field.words)
    return ", ".join(part for part in (kind, field.key.bounds, field.key.unit) if part)


def help_lines(field: Field, knobs: Mapping[str, str], width: int) -> list[Text]:
    """What is known of a setting, the most pressing first. `knobs`: the options of the network, for `model.options`."""
    lines: list[tuple[str, str]] = []
    if field.problem:
        lines.append((f"! {field.problem}", "bold"))
    if field.overridden is not None:
        lines.append((f"^ {field.overridden} lies over it: {shown(field.effective)} is what a run takes", "bold"))
    text = field.key.description
    lines.append((text[:1].upper() + text[1:], ""))
    lines.append((origin_text(field), ""))
    facts = [kind_text(field) if field.kind != "choice" else "one of: " + ", ".join(field.words)]
    if field.key.owners:
        facts.append(f"only for {', '.join(field.key.owners)}")
    if facts != ["text"]:
        lines.append(("; ".join(facts), "dim"))
    if field.kind == "table":
        lines += [(f"{name}: {what}", "dim") for name, what in knobs.items()] or [("this network has none", "dim")]
    return [Text(part, style, no_wrap=True) for line, style in lines for part in wrapped(line, width)]


def problem_help(problem: Problem, width: int) -> list[Text]:
    """What is wrong and what to do about it."""
    lines = [Text(part, "bold", no_wrap=True) for part in wrapped(str(problem), width)]
    way = "r takes it out of the file" if problem.key else "e chooses another profile to extend"
    return [*lines, Text(f"{way}; v shows the text", "dim")]


def wrapped(line: str, width: int) -> list[str]:
    """A line that has passed `clean`, on as many lines as it needs."""
    return textwrap.wrap(clean(line, 1000), max(20, width))


def value_line(field: Field) -> Text:
    """The setting below the cursor with its whole value."""
    line = Text(f"{field.key.path} = ", no_wrap=True, overflow="ellipsis").append(shown(field.value), "bold")
    return line.append("  ● not saved" if field.changed else "", "italic")


def origin_text(field: Field) -> str:
    """Where the value comes from, and what would hold without it."""
    default = shown(field.key.default)
    inherited = shown(field.inherited)
    from_default = field.inherited_from.kind == "default"
    if field.value is None and field.key.path.startswith("augment."):
        return "not set: the preset that data.augment names decides"
    if not field.own:
        return f"inherited from {field.inherited_from}" + (f"; default {default}" if not from_default else "")
    below = f"default {inherited}" if from_default else f"inherits {inherited} from {field.inherited_from}"
    return f"set in this file; {below}" + ("" if from_default else f", default {default}")


# The list of files


def listed_head(width: int) -> Text:
    """What the columns of the list are."""
    return _columns("", "name", "extends", width).append("differs from it in")


def listed_line(profile: Listed | str, width: int) -> Text:
    """One line of the list: name, parent, and what differs, or what is wrong."""
    if isinstance(profile, str):
        return Text(profile, no_wrap=True)
    parent = profile.parent.removesuffix(".toml").removeprefix("../")
    line = _columns("!" if profile.problem else "", clean(profile.name, 80), clean(parent, 60) or "-", width)
    if profile.problem:
        line.append(clean(profile.problem, 200), "italic")
    else:
        line.append(", ".join(_short(d) for d in profile.differences if d.key not in _NAMES) or "-", "dim")
    line.truncate(width, overflow="ellipsis")
    return line


_NAMES = ("name", "recipe")
"""Keys that say what a profile is called: the list has its name already."""


def _short(difference: Difference) -> str:
    """`lr 0.05`, and `optim sgd` for optim.name."""
    section, _, key = difference.key.rpartition(".")
    return f"{section if key == 'name' else key} {shown(difference.here)}"


def _columns(mark: str, name: str, parent: str, width: int) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis", end="").append(mark.ljust(2), "bold")
    for text, room, style in ((name, max(16, min(30, width // 3)), "bold"), (parent, 14, "")):
        part = Text(text, style, no_wrap=True)
        part.truncate(room, overflow="ellipsis", pad=True)
        line.append_text(part).append(" ")
    return line


def listed_pane(profile: Listed, path: str, width: int) -> list[Text]:
    """All that is known of a file: where it is, what it extends, its problem, every difference."""
    lines = [Text(clean(profile.name, 200), "bold"), Text(clean(path, 300), "dim")]
    parent = f"extends {profile.parent}" if profile.parent else "extends nothing: the rest are defaults"
    lines.append(Text(clean(parent, 200)))
    if profile.problem:
        wrong = textwrap.wrap(f"! {clean(profile.problem, 600)}", max(20, width))
        return [*lines, Text(""), *(Text(part, "bold") for part in wrong)]
    against = profile.parent or "the defaults"
    lines.append(Text(""))
    if not profile.differences:
        return [*lines, Text(f"nothing differs from {clean(against, 100)}")]
    lines.append(Text(f"differs from {clean(against, 100)}", "underline"))
    wide = min(28, max(len(difference.key) for difference in profile.differences))
    return lines + [_difference_line(difference, wide) for difference in profile.differences]


def _difference_line(difference: Difference, wide: int) -> Text:
    line = Text(clean(difference.key, 60).ljust(wide) + "  ", no_wrap=True)
    line.append(shown(difference.here), "bold")
    return line.append(f"  was {shown(difference.there)}", "dim")
