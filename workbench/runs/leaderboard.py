"""The leaderboard: runs or groups of runs in order, with differences to one of them.

Everything here works on columns of rows; a row is a `Summary`, or a `Group` of them over seeds.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.base.errors import UserError, did_you_mean
from workbench.base.text import clean
from workbench.runs.columns import Column, Columns, Row, UnknownColumnError
from workbench.runs.summary import Summary
from workbench.runs.tables import Cell, Heading, Table
from workbench.runs.units import Kind, show

SPREAD: tuple[Kind, ...] = ("accuracy", "loss")
"""Kinds of which a group tells mean, standard deviation and best."""

MIXED = "mixed"
"""What a group shows where its runs do not agree."""


@dataclass(frozen=True)
class Order:
    """A sort key: a column and its direction."""

    column: Column[Any]
    descending: bool


def read_order(text: str, find: Callable[[str], Column[Row]]) -> list[Order]:
    """`acc,-time,created:asc`: `-` and `:desc` put the largest first, `+` and `:asc` the smallest.

    Without either, accuracies, speeds and dates descend and everything else ascends. UserError for what is no key.
    """
    order = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, colon, direction = word.lstrip("+-").partition(":")
        if colon and direction not in ("asc", "desc"):
            raise UserError(f'--sort {clean(word, 80)}: after ":" comes asc or desc')
        column = find(name)
        if word[0] in "+-":
            direction = "desc" if word[0] == "-" else "asc"
        order.append(Order(column, direction == "desc" if direction else column.descends))
    if not order:
        raise UserError("--sort names no column")
    return order


def in_order(rows: Iterable[Row], order: Sequence[Order]) -> list[Row]:
    """Sorted by the first key, equal ones by the next; rows without a value come last whatever the direction."""
    ordered = list(rows)
    for key in reversed(order):
        get = key.column.value
        known: list[tuple[tuple[int, Any], Row]] = []
        unknown: list[tuple[tuple[int, Any], Row]] = []
        rank = _as_it_is if key.column.kind == "date" else _rank  # ISO 8601 is in order as text
        for row in ordered:
            value = get(row)
            (unknown if _is_missing(value) else known).append((rank(value), row))
        known.sort(key=lambda entry: entry[0], reverse=key.descending)
        ordered = [row for _, row in known] + [row for _, row in unknown]
    return ordered


def _is_missing(value: Any) -> bool:
    return value is None or value in ("", (), {}) or (isinstance(value, float) and math.isnan(value))


def _as_it_is(value: Any) -> tuple[int, Any]:
    return 1, value


def _rank(value: Any) -> tuple[int, Any]:
    """Comparable with that of any other value: numbers before texts, `resnet9` before `resnet18`."""
    if isinstance(value, (int, float)):
        return 0, value
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return 1, [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _parts(text.casefold())]


def _parts(text: str) -> list[str]:
    return re.findall(r"[0-9]{1,18}|[^0-9]+", text)


@dataclass(frozen=True)
class Group:
    """Runs that agree in what the table is grouped by."""

    key: tuple[Any, ...]
    """The values that they agree in, as their columns give them."""
    runs: tuple[Summary, ...]


def grouped(runs: Iterable[Summary], by: Sequence[Column[Summary]]) -> list[Group]:
    """The groups, in the order in which their first runs come."""
    found: dict[tuple[Any, ...], list[Summary]] = {}
    for run in runs:
        found.setdefault(tuple(_hashable(column.value(run)) for column in by), []).append(run)
    return [Group(tuple(column.value(members[0]) for column in by), tuple(members)) for members in found.values()]


def _hashable(value: Any) -> Any:
    """A value as a key: a table of settings by its items, a list by its members."""
    if isinstance(value, dict):
        return tuple((key, _hashable(inner)) for key, inner in sorted(value.items()))
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple)) else value


class GroupColumns:
    """The columns of a table of groups: `n`, the keys, and of a figure its mean, `_sd` and `_best`."""

    def __init__(self, columns: Columns, by: Sequence[Column[Summary]]) -> None:
        self._columns = columns
        self._by = list(by)

    def find(self, name: str) -> Column[Group]:
        """The column that `name` means: a key, n, a figure's mean, acc_sd, acc_best. UnknownColumnError for none."""
        if name == "n":
            return Column("n", "n", "number", lambda group: len(group.runs), 92)
        base, _, part = name.rpartition("_")
        if base and part in ("sd", "best"):
            try:
                column = self._columns.find(base)
            except UnknownColumnError:
                column = None
            if column is not None and column.kind in SPREAD:
                return _deviation(column) if part == "sd" else _best(column)
        try:
            column = self._columns.find(name)
        except UnknownColumnError:
            spread = [f"acc_{part}" for part in ("sd", "best")]
            raise UnknownColumnError(name, did_you_mean(name, ["n", *spread, *self._columns.names()])) from None
        for place, key in enumerate(self._by):
            if key.name == column.name:
                return _key_column(key, place)
        return _mean(column) if column.is_figure and column.name != "seed" else _common(column)

    def spread(self, column: Column[Group]) -> list[Column[Group]]:
        """A mean with its standard deviation and its best behind it, where it has them; else the column alone."""
        if column.kind not in SPREAD or column.name.endswith(("_sd", "_best")):
            return [column]
        return [column, self.find(f"{column.name}_sd"), self.find(f"{column.name}_best")]


def _key_column(key: Column[Summary], place: int) -> Column[Group]:
    return Column(
        key.name,
        key.title,
        key.kind,
        lambda group: group.key[place],
        150 - place,
        lambda group: key.text(group.runs[0]),
    )


def figures_of(column: Column[Summary], group: Group) -> list[float]:
    """The figures of the runs that have one."""
    return [figure for run in group.runs if (figure := column.value(run)) is not None]


def mean(figures: Sequence[float]) -> float | None:
    """None of nothing."""
    return math.fsum(figures) / len(figures) if figures else None


def deviation(figures: Sequence[float]) -> float | None:
    """The sample standard deviation (n - 1); None of fewer than two, of which it says nothing."""
    if len(figures) < 2:
        return None
    middle = math.fsum(figures) / len(figures)
    return math.sqrt(math.fsum((figure - middle) ** 2 for figure in figures) / (len(figures) - 1))


def _mean(column: Column[Summary]) -> Column[Group]:
    counts = column.kind == "count"  # parameters and MACs do not differ by the seed
    title = column.title if counts else f"{column.title} mean"

    def value(group: Group) -> float | None:
        figures = figures_of(column, group)
        return figures[0] if figures and min(figures) == max(figures) else mean(figures)

    return Column(column.name, title, column.kind, value, column.rank)


def _deviation(column: Column[Summary]) -> Column[Group]:
    title = f"{column.title} sd"
    return Column(f"{column.name}_sd", title, column.kind, lambda g: deviation(figures_of(column, g)), column.rank - 2)


def _best(column: Column[Summary]) -> Column[Group]:
    choose = max if column.descends else min
    title = f"{column.title} best"
    return Column(
        f"{column.name}_best",
        title,
        column.kind,
        lambda g: choose(figures_of(column, g), default=None),
        column.rank - 4,
    )


def _common(column: Column[Summary]) -> Column[Group]:
    """What all runs of a group say, else that they differ."""

    def agree(group: Group) -> bool:
        first = repr(_hashable(column.value(group.runs[0])))
        return all(repr(_hashable(column.value(run))) == first for run in group.runs[1:])

    return Column(
        column.name,
        column.title,
        column.kind,
        lambda group: column.value(group.runs[0]) if agree(group) else MIXED,
        column.rank - 10,
        lambda group: column.text(group.runs[0]) if agree(group) else MIXED,
    )


def with_differences(columns: Iterable[Column[Row]], baseline: Row) -> list[Column[Row]]:
    """Behind each figure its difference to the baseline's: points of accuracy, ratios of sizes, times and speeds."""
    found: list[Column[Row]] = []
    for column in columns:
        found.append(column)
        if not column.name.endswith("_sd") and (difference := _difference(column, column.value(baseline))):
            found.append(difference)
    return found


def _difference(column: Column[Row], against: Any) -> Column[Row] | None:
    rank, title, get = column.rank - 12, column.title, column.value

    def ratio(row: Row) -> float | None:
        figure = get(row)
        return None if figure is None or not against else figure / against

    def change(row: Row) -> float | None:
        figure = get(row)
        return None if figure is None or against is None else figure - against

    match column.kind:
        case "accuracy":
            return Column(f"{column.name}_diff", f"Δ {title}", "points", change, rank)
        case "loss":
            return Column(f"{column.name}_diff", f"Δ {title}", "change", change, rank)
        case "count" | "seconds" | "rate" | "memory":
            return Column(f"{column.name}_ratio", f"× {title}", "factor", ratio, rank - 20)
        case _:
            return None


def make_table(rows: Iterable[Row], columns: Sequence[Column[Row]], notes: Iterable[str] = ()) -> Table:
    """The rows as they are to stand, each column's value beside its text."""
    headings = tuple(Heading(column.name, column.title, column.kind, column.rank) for column in columns)
    cells = tuple(tuple(_cell(column, row) for column in columns) for row in rows)
    return Table(headings, cells, tuple(notes))


def _cell(column: Column[Row], row: Row) -> Cell:
    value = column.value(row)
    if column.words:
        return Cell(value, column.words(row))
    return Cell(value, show(column.kind, value))
