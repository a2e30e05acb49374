"""Filters over runs: `arch:resnet* acc>90 state=finished tag:baseline`.

A filter is compiled once and then asked about each run. The syntax is in `query_syntax`, the fields are the columns
of the leaderboard and the keys of the profile, docs/leaderboard.md tells it to people.
"""

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from workbench.base.errors import did_you_mean
from workbench.runs.columns import Column, Columns, UnknownColumnError
from workbench.runs.query_syntax import And, Compare, Node, Not, Or, QueryError, Word, parse_query
from workbench.runs.summary import STATES, Summary
from workbench.runs.units import read_date, read_period, read_quantity, show_setting

__all__ = ["Query", "QueryError", "compile_query"]

Test: TypeAlias = Callable[[Summary], bool]

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@dataclass(frozen=True)
class Query:
    """A filter ready for use."""

    tree: Node | None
    """None matches every run."""
    fields: frozenset[str]
    """Names of the columns and keys that it looks at."""
    match: Test

    def __str__(self) -> str:
        return str(self.tree) if self.tree else ""


def compile_query(text: str, columns: Columns) -> Query:
    """The filter that `text` says. QueryError for a mistake in it: syntax, unknown fields, values of a wrong kind."""
    tree = parse_query(text)
    if tree is None:
        return Query(None, frozenset(), lambda run: True)
    compiler = _Compiler(text, columns)
    test = compiler.test(tree)
    return Query(tree, frozenset(compiler.fields), test)


class _Compiler:
    """Makes a function of a tree; remembers the fields that it met."""

    def __init__(self, text: str, columns: Columns) -> None:
        self.text = text
        self.columns = columns
        self.fields: set[str] = set()

    def test(self, node: Node) -> Test:
        """What says of a run whether the node chooses it. QueryError for a field or a value that has no meaning."""
        match node:
            case Word():
                return _anywhere(self._pattern(node.text, node.literal, node.at))
            case Compare():
                return self._comparison(node)
            case Not():
                inner = self.test(node.inner)
                return lambda run: not inner(run)
            case And():
                every = tuple(self.test(part) for part in node.parts)
                return lambda run: all(test(run) for test in every)
            case Or():
                some = tuple(self.test(part) for part in node.parts)
                return lambda run: any(test(run) for test in some)

    def _comparison(self, node: Compare) -> Test:
        if node.field.lower() == "has":
            if node.operator not in (":", "="):
                raise QueryError(self.text, node.at, 'has goes with ":", as in has:note,')
            get = self._column(node.value, node.value_at).value
            return lambda run: (value := get(run)) is not False and value not in (None, "", (), [], {})  # 0 is a figure
        column = self._column(node.field, node.at)
        if node.operator == "!=":
            equal = self._test_of(column, Compare(node.field, "=", node.value, node.literal, node.at, node.value_at))
            return lambda run: not equal(run)
        return self._test_of(column, node)

    def _test_of(self, column: Column[Summary], node: Compare) -> Test:
        if column.name == "state":
            return self._state(column, node)
        if column.is_figure:
            return self._figure(column, node)
        if column.kind == "date":
            return self._date(column, node)
        if column.kind == "flag":
            return self._flag(column, node)
        if column.kind == "setting":
            return self._setting(column, node)
        return self._in_text(column, node)

    def _column(self, name: str, at: int) -> Column[Summary]:
        try:
            column = self.columns.find(name)
        except UnknownColumnError as error:
            hint = error.hint or "; quotes make it text to search for"
            raise QueryError(self.text, at, f'unknown field "{name[:80]}"', hint) from None
        self.fields.add(column.name)
        return column

    def _figure(self, column: Column[Summary], node: Compare) -> Test:
        try:
            asked = read_quantity(column.kind, node.value)
        except ValueError as error:
            raise self._wrong(node, str(error)) from None
        get = column.value
        if node.operator in (":", "="):
            return lambda run: (figure := get(run)) is not None and asked.is_written_for(figure)
        compare, limit = _ORDER[node.operator], asked.value
        return lambda run: (figure := get(run)) is not None and compare(figure, limit)

    def _date(self, column: Column[Summary], node: Compare) -> Test:
        try:
            start, end = read_period(node.value)
        except ValueError as error:
            raise self._wrong(node, str(error)) from None
        get = column.value
        if node.operator in (":", "="):
            return lambda run: (moment := read_date(get(run))) is not None and start <= moment < end
        # A day is a stretch of time: > is after it, >= from its start, < before it, <= until its end.
        compare = operator.ge if node.operator in (">", ">=") else operator.lt
        limit = end if node.operator in (">", "<=") else start
        return lambda run: (moment := read_date(get(run))) is not None and compare(moment, limit)

    def _flag(self, column: Column[Summary], node: Compare) -> Test:
        word = node.value.lower()
        if word not in (*_YES, *_NO) or node.operator not in (":", "="):
            raise self._wrong(node, f"does not fit: {column.name} is yes or no")
        wanted, get = word in _YES, column.value
        return lambda run: bool(get(run)) is wanted

    def _state(self, column: Column[Summary], node: Compare) -> Test:
        if node.value.lower() == "live" and node.operator in (":", "="):
            return lambda run: run.live
        test = self._in_text(column, node)
        holds = self._text_test(node)
        if not any(holds(state) for state in STATES):
            hint = did_you_mean(node.value, STATES) or f" (states are: {', '.join(STATES)})"
            raise QueryError(self.text, node.value_at, f'no state is "{node.value[:80]}"', hint)
        return test

    def _in_text(self, column: Column[Summary], node: Compare) -> Test:
        holds = self._text_test(node)
        get, shown = column.value, column.text
        if column.kind == "words":
            return lambda run: any(holds(word) for word in get(run)) or (not get(run) and holds(""))
        if column.kind == "config":
            return lambda run: holds(shown(run) if get(run) else "")
        return lambda run: holds(get(run))

    def _setting(self, column: Column[Summary], node: Compare) -> Test:
        get = column.value
        try:
            number = read_quantity("setting", node.value).value
        except ValueError as error:
            if node.operator in _ORDER:
                raise self._wrong(node, str(error)) from None
            number = None
        if node.operator in _ORDER:
            compare = _ORDER[node.operator]
            return lambda run: _is_number(value := get(run)) and compare(value, number)
        holds = self._text_test(node)

        def test(run: Summary) -> bool:
            value = get(run)
            if number is not None and _is_number(value):
                return math.isclose(value, number, rel_tol=1e-9)
            return value is not None and holds(show_setting(value))

        return test

    def _text_test(self, node: Compare) -> Callable[[str], bool]:
        """`:` looks for a part, or holds * and ? against the whole; `=` wants the whole. Case does not matter."""
        if node.operator == ":":
            return self._pattern(node.value, node.literal, node.value_at)
        if node.operator != "=":
            raise QueryError(
                self.text, node.at, f'"{node.operator}" compares figures, and {node.field[:80]} is text; use : or =,'
            )
        wanted = node.value.casefold()
        return lambda text: text.casefold() == wanted

    def _pattern(self, pattern: str, literal: bool, at: int) -> Callable[[str], bool]:
        folded = pattern.casefold()
        if literal or not re.search(r"[*?]", pattern):
            return lambda text: folded in text.casefold()
        try:
            whole = re.compile(fnmatch.translate(folded)).match
        except re.error:
            raise QueryError(self.text, at, "this pattern cannot be read") from None
        return lambda text: whole(text.casefold()) is not None

    def _wrong(self, node: Compare, what: str) -> QueryError:
        return QueryError(self.text, node.value_at, f'{node.field[:80]}: "{node.value[:80]}" {what},')


def _anywhere(holds: Callable[[str], bool]) -> Test:
    """A bare word: in what a person would recognise a run by."""
    return lambda run: (
        holds(run.arch)
        or holds(run.id)
        or holds(run.name)
        or holds(run.dataset)
        or holds(run.recipe)
        or holds(run.note)
        or any(holds(tag) for tag in run.tags)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
