"""Changing one key in a TOML text and leaving every other letter as it is.

The text is cut into statements (a header, or a pair with its key) with their places; a change replaces, inserts or
removes one of them. Comments are never touched: the one behind a removed pair stays on its line, and a new pair is
put behind the last one of its table, before any comment that leads to the next. tomlkit does the inside of an
inline table; of whole files it would take a comment behind a pair along, put a new key below the comment of the next
header, and end lines with a bare newline in a file of Windows.

The text must be valid TOML; so is what comes back, and it says the same but for the one key (`_checked`).
"""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tomli_w

from workbench.profile.lines import Path, _Scanner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.profile.layers import KeyPath


class Untouchable(Exception):  # noqa: N818 - a property of the text
    """The text is laid out in a way in which this change cannot be made; str() is one line."""


@dataclass(frozen=True)
class Statement:
    """A header (`value` is -1) or a pair. `path` in full, below `table`; offsets of its key, value and end."""

    path: Path
    table: Path
    start: int
    value: int
    end: int

    @property
    def is_header(self) -> bool:
        """Whether it is `[table]`."""
        return self.value < 0


class _Places(_Scanner):
    """The walk that finds lines, keeping offsets; carriage returns stay in the text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text + "\n\0"
        self.statements: list[Statement] = []
        self.depth = 0
        self.last: tuple[Path, int] = ((), 0)

    def skip(self, blanks: str) -> None:
        super().skip(blanks + "\r")

    def header(self) -> Path:
        start = self.at
        path = super().header()
        self.statements.append(Statement(path, path, start, -1, self.at))
        return path

    def pair(self, table: Path) -> None:
        """Note where it stands; what is within an inline table is part of that one."""
        start = self.at
        self.depth += 1
        super().pair(table)
        self.depth -= 1
        if self.depth == 0:
            path, value = self.last
            end = self.at
            while self.text[end - 1] in " \t\r\n":  # the walk leaves a bare value behind the blanks after it
                end -= 1
            self.statements.append(Statement(path, table, start, value, end))

    def value(self, path: Path) -> None:
        start = self.at
        super().value(path)
        self.last = (path, start)

    def line(self) -> int:
        return 0  # not asked for here


def statements(text: str) -> list[Statement]:
    """The headers and pairs of the text, in its order."""
    places = _Places(text)
    places.scan()
    return places.statements


def written(value: Any) -> str:
    """A value as TOML has it on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(_pair(name, item) for name, item in value.items()) + " }" if value else "{}"
    return _pair("k", value).removeprefix("k = ")


def set_key(text: str, path: KeyPath, value: Any, *, order: Sequence[str]) -> str:
    """The text with the key at `path` set; `order`: the sections as the schema has them, for where a new one goes."""
    if isinstance(value, dict):
        return _set_table(text, path, value, order)
    found = _find(text, path)
    if found is None:
        changed = _insert(text, path, value, order)
    elif found.path == path:
        changed = _replaced(text, found, written(value))
    else:
        changed = _inside(text, found, path, value)
    return _checked(text, changed, path, value)


def remove_key(text: str, path: KeyPath) -> str:
    """The text without the key, or the whole table, at `path`; the comments on its lines stay."""
    found = _find(text, path)
    if found is not None and found.path != path:
        return _checked(text, _inside(text, found, path, None), path, None)
    changed = text
    for statement in reversed(statements(text)):
        if statement.path[: len(path)] == path:
            changed = _without(changed, statement)
    return _checked(text, changed, path, None)


def _replaced(text: str, pair: Statement, value: str) -> str:
    """The text with another value in the pair; a comment behind it stays in its column where there is room."""
    rest = text[pair.end :]
    blanks = len(rest) - len(rest.lstrip(" "))
    if rest[blanks : blanks + 1] == "#":
        rest = " " * max(1, blanks + pair.end - pair.value - len(value)) + rest[blanks:]
    return text[: pair.value] + value + rest


def _set_table(text: str, path: KeyPath, table: dict[str, Any], order: Sequence[str]) -> str:
    """Make the table at `path` hold exactly these keys, in the form that it has."""
    known = _get(tomllib.loads(text), path)
    if not isinstance(known, dict):
        text = remove_key(text, path)
        return _checked(text, _insert(text, path, table, order), path, table)
    for name in [name for name in known if name not in table]:
        text = remove_key(text, (*path, name))
    for name, value in table.items():
        if name not in known or not _same(known[name], value):
            text = set_key(text, (*path, name), value, order=order)
    return text


def _find(text: str, path: KeyPath) -> Statement | None:
    """The pair that holds `path`: its own, or one with an inline table around it."""
    for statement in statements(text):
        if not statement.is_header and path[: len(statement.path)] == statement.path:
            return statement
    return None


def _inside(text: str, pair: Statement, path: KeyPath, value: Any) -> str:
    """Set (or remove, for None) a key inside an inline table."""
    import tomlkit

    if text[pair.value] != "{":
        raise Untouchable(f"{'.'.join(map(str, pair.path))} is not a table in this file")
    document = tomlkit.parse("k = " + text[pair.value : pair.end])
    table: Any = document["k"]
    for part in path[len(pair.path) : -1]:
        table = table.setdefault(part, tomlkit.inline_table())
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value
    inner = tomlkit.dumps(document).removeprefix("k = ").strip()[1:-1].strip()
    return text[: pair.value] + (f"{{ {inner} }}" if inner else "{}") + text[pair.end :]


def _insert(text: str, path: KeyPath, value: Any, order: Sequence[str]) -> str:
    """Add a pair: to its table where there is one, else with a new header."""
    table, known = path[:-1], statements(text)
    direct = [one for one in known if one.table == table]
    # The table may exist without a header: `optim.lr = 1` at the top, or `options.width = 2` in [model].
    dotted = [one for one in known if one.path[: len(table)] == table and len(one.table) < len(table)]
    if direct:
        return _insert_line(text, direct[-1], _dotted(path[len(table) :], value))
    if dotted:
        return _insert_line(text, dotted[-1], _dotted(path[len(dotted[-1].table) :], value))
    if not table:
        return _insert_first(text, known, _dotted(path, value))
    return _insert_section(text, known, f"[{'.'.join(table)}]", _dotted(path[len(table) :], value), order)


def _insert_line(text: str, after: Statement, line: str) -> str:
    """A line below a statement, indented as that is."""
    newline = _newline(text)
    begin = text.rfind("\n", 0, after.start) + 1
    indent = text[begin : after.start]
    at, text = _line_end(text, after.end)
    return text[:at] + (indent if not indent.strip() else "") + line + newline + text[at:]


def _insert_first(text: str, known: list[Statement], line: str) -> str:
    """A line at the top level of a text that has no pair there: above the first header and the comment that leads to
    it, below what stands over them."""
    newline = _newline(text)
    if not known:
        at, text = _line_end(text, len(text))
        return text[:at] + line + newline + text[at:]
    at = text.rfind("\n", 0, known[0].start) + 1
    above = at
    while above and text[:above].splitlines()[-1].lstrip().startswith("#"):
        above -= len(text[:above].splitlines(keepends=True)[-1])
    if above:  # else the comment begins the file, and is about all of it
        at = above
    return text[:at] + line + newline + newline + text[at:]


def _insert_section(text: str, known: list[Statement], header: str, line: str, order: Sequence[str]) -> str:
    """A header with one pair: behind the sections that come before it in `order`, else behind the keys of the top
    level, else at the end."""
    newline = _newline(text)
    place = {name: number for number, name in enumerate(order)}
    own = place.get(header[1:-1].split(".")[0], len(order))
    before = [one for one in known if one.table and place.get(str(one.table[0]), len(order)) < own]
    top = [one for one in known if not one.table]
    if before or top:
        at, text = _line_end(text, (before or top)[-1].end)
        at = _past_comments(text, at)
    else:
        at, text = _line_end(text, len(text))
    above = newline if text[:at].strip() and not text[:at].endswith(newline * 2) else ""
    below = newline if text[at:].strip() and not text[at:].startswith(("\n", "\r\n")) else ""
    return text[:at] + above + header + newline + line + newline + below + text[at:]


def _past_comments(text: str, at: int) -> int:
    """Past comment lines directly below, where a blank line or the end follows: they belong to what is above."""
    start = at
    for line in text[at:].splitlines(keepends=True):
        if not line.strip():
            return at
        if not line.lstrip().startswith("#"):
            return start  # they lead to what follows
        at += len(line)
    return at


def _without(text: str, statement: Statement) -> str:
    """The text without the lines of a statement; a comment behind it stays, alone on its line."""
    begin = text.rfind("\n", 0, statement.start) + 1
    stop = text.find("\n", statement.end)
    stop = len(text) if stop < 0 else stop + 1
    rest = text[statement.end : stop]
    if rest.strip():
        return text[: statement.start] + rest.lstrip(" \t") + text[stop:]
    return text[:begin] + text[stop:]


def _line_end(text: str, at: int) -> tuple[int, str]:
    """Where the line of `at` ends, behind its newline, which the text is given where it has none."""
    stop = text.find("\n", at)
    if stop >= 0 and at < len(text):
        return stop + 1, text
    if text and not text.endswith("\n"):
        text += _newline(text)
    return len(text), text


def _newline(text: str) -> str:
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _dotted(path: KeyPath, value: Any) -> str:
    key = ".".join(_pair(part, 0).removesuffix(" = 0") for part in path)
    return f"{key} = {written(value)}"


def _pair(key: str, value: Any) -> str:
    return tomli_w.dumps({key: value}).rstrip("\n")


def _checked(before: str, after: str, path: KeyPath, value: Any) -> str:
    """`after`, where it says what `before` says with the one key changed. Untouchable if not: nothing is written
    that was not asked for."""
    wanted = copy.deepcopy(tomllib.loads(before))
    table = wanted
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise Untouchable(f"{part} is not a table in this file")
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value
    try:
        found = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        found = {"": None}
    if not _same(_pruned(found), _pruned(wanted)):
        raise Untouchable(f"cannot be changed in the way this file writes {'.'.join(path)}; change it in the text")
    return after


def _get(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _pruned(data: Any) -> Any:
    """Without empty tables, which say nothing."""
    if not isinstance(data, dict):
        return data
    kept = {name: _pruned(value) for name, value in data.items()}
    return {name: value for name, value in kept.items() if value != {}}


def _same(one: Any, other: Any) -> bool:
    """Equal in type too: 1, 1.0 and true are three values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return repr(one) == repr(other)
