"""The leaderboard behind the Runs screen: which rows, in which order, with which columns.

`View` is what a person has asked for, `make_board` makes the rows of it. No widget and no file in here: it may run in a
thread beside the screen, which shows the `Board` that comes out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from workbench.runs.columns import DEFAULTS, GROUP_DEFAULTS, Column, Columns, UnknownColumnError
from workbench.runs.from_base import Base, items
from workbench.runs.leaderboard import Group, GroupColumns, Order, grouped, in_order, make_table, with_differences
from workbench.runs.query import Query, compile_query
from workbench.runs.summary import Summary
from workbench.runs.tables import Table
from workbench.tui.last_place import text_of, texts_of

Row = Summary | Group

GROUP_BY = ("arch", "recipe")
"""What `g` groups over seeds by."""

CHOSEN_RANK = 200
"""Columns that a person has added give way on a narrow terminal after all of the usual ones."""

SORTED_RANK = 96
"""Columns that the rows are sorted by give way only before the network: without them the order says nothing."""

WRITTEN_OUT = 500
"""Groups whose texts are made before they are shown; with more of them each has few runs."""

SHAPES = {
    "running": "●", "paused": "‖", "silent": "?", "lost": "?", "frozen": "‖", "crashed": "✗", "finished": "✓",
    "stopped": "■", "preempted": "■", "failed": "✗", "unknown": "?",
}  # fmt: skip
"""Before the word of a state, which is never told by its colour alone."""


@dataclass(frozen=True)
class View:
    """What of the runs is to be seen."""

    filter: str = ""
    order: tuple[tuple[str, bool], ...] = ()
    """Columns to sort by, with whether the largest comes first; none is the usual order."""
    columns: tuple[str, ...] = ()
    """Names of the columns; none are the usual ones."""
    by: tuple[str, ...] = ()
    """Columns in which the runs of a row agree; none makes a row a run."""
    baseline: str = ""
    """Id of the run that differences are to."""
    archived: bool = False
    """Whether archived runs are there too."""

    @property
    def sorting(self) -> tuple[tuple[str, bool], ...]:
        """The order that holds: the usual one is by accuracy."""
        return self.order or (("acc", True),)

    def sorted_by(self, name: str) -> "View":
        """The next in turn of descending, ascending, off for a column; a first choice takes the usual order's place."""
        name = name.removesuffix("_diff").removesuffix("_ratio")  # a difference sorts as its figure does
        order = dict(self.sorting if self.order or name == "acc" else ())
        if name not in order:
            order[name] = True
        elif order[name]:
            order[name] = False
        else:
            del order[name]
        return replace(self, order=tuple(order.items()))

    def arrows(self) -> dict[str, str]:
        """What stands in the head of each column that is sorted by: an arrow, and its rank where there are several."""
        several = len(self.sorting) > 1
        return {
            name: f"{'▼' if descending else '▲'}{rank if several else ''}"
            for rank, (name, descending) in enumerate(self.sorting, 1)
        }


def view_of(place: Mapping[str, Any]) -> View:
    """The view that a place tells of, as `asdict` and JSON left it; the usual one for what is no such thing."""
    order = place.get("order")
    pairs = [pair for pair in order if isinstance(pair, list | tuple)] if isinstance(order, list | tuple) else []
    fits = all(len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], bool) for pair in pairs)
    return View(
        filter=text_of(place, "filter"), order=tuple((pair[0], pair[1]) for pair in pairs) if fits else (),
        columns=texts_of(place, "columns"), by=texts_of(place, "by"), baseline=text_of(place, "baseline"),
        archived=place.get("archived") is True,
    )  # fmt: skip


@dataclass(frozen=True)
class Board:
    """The rows of a view, in order."""

    view: View = View()
    rows: Sequence[Row] = ()
    keys: Sequence[str] = ()
    """What tells a row from the others, however they move: a run's id, or what a group agrees in."""
    columns: Sequence[Column[Any]] = ()
    notes: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()
    """All runs in the folder."""
    matching: int = 0
    """Runs that the rows stand for."""
    book: Columns = field(default_factory=Columns)
    """Every column there is for these runs."""

    def runs_of(self, row: Row) -> tuple[Summary, ...]:
        """The runs that a row stands for."""
        return row.runs if isinstance(row, Group) else (row,)

    def as_table(self, form: str) -> Table:
        """All rows for a file of a format; one that a program reads begins with the id, as that of the command does."""
        columns = list(self.columns)
        if form in ("csv", "json") and not self.view.by and all(column.name != "id" for column in columns):
            columns.insert(0, self.book.find("id"))
        unit = "groups" if self.view.by else "runs"
        return make_table(self.rows, columns, [f"{len(self.rows):,} {unit}", *self.notes])


def book_of(runs: Sequence[Summary]) -> Columns:
    """Every column there is for these runs."""
    base, families = _constant()
    return Columns(
        base=base,
        families=families,
        ids=lambda: [run.id for run in runs],
        keys=lambda: {key for run in runs for key, _ in items(run.settings)},
    )


@cache
def _constant() -> tuple[Base, dict[str, str]]:
    """The base profile and the families of the cards: read once, since a board is made at each change."""
    import architectures
    from workbench.commands.runs import base_profile

    return base_profile(), {card.name: card.family for card in architectures.cards()}


def make_board(runs: Sequence[Summary], view: View) -> Board:
    """The rows of `view`. QueryError for a mistake in its filter; columns that there are no more are left out."""
    book = book_of(runs)
    query = compile_query(view.filter, book)
    matching = [run for run in runs if query.match(run)]
    hide = not view.archived and "archived" not in query.fields
    kept = [run for run in matching if not run.archived] if hide else matching
    left_out = len(matching) - len(kept)
    notes = [f"{left_out:,} archived left out (a shows them)"] if left_out else []
    baseline = next((run for run in runs if run.id == view.baseline), None)
    if view.baseline and baseline is None:
        notes.append(f"the baseline {view.baseline} is gone")
    make = _of_groups if view.by else _of_runs
    return replace(make(kept, view, book, query, baseline, notes), ids=frozenset(run.id for run in runs), book=book)


def _of_runs(runs: list[Summary], view: View, book: Columns, query: Query, baseline: Summary | None,
             notes: list[str]) -> Board:  # fmt: skip
    usual = [*DEFAULTS[:1], *(["dataset"] if _several_datasets(runs) else []), *DEFAULTS[1:]]
    columns = _sorted_stay(view, _found(view.columns or usual, book.find, usual))
    if baseline:
        columns = with_differences(columns, baseline)
        notes = [*notes, _differences_to(baseline.id)]
    order = [*_order(view, book.find), Order(book.find("created"), descending=True)]
    rows = sorted(in_order(runs, order), key=lambda run: not run.pinned)  # a stable sort: the order holds within
    return Board(view, rows, [run.id for run in rows], columns, tuple(notes), matching=len(rows))


def _of_groups(runs: list[Summary], view: View, book: Columns, query: Query, baseline: Summary | None,
               notes: list[str]) -> Board:  # fmt: skip
    from workbench.commands.runs import finished_only

    counting, unfinished = finished_only(runs, query)
    by: list[Column[Summary]] = list(_found(view.by, book.find, view.by))
    made = GroupColumns(book, by)
    wanted = ["dataset", *GROUP_DEFAULTS] if _several_datasets(counting) else list(GROUP_DEFAULTS)
    names = [*(column.name for column in by), *(name for name in wanted if name not in view.by)]
    columns = _sorted_stay(view, (part for found in _found(names, made.find, names) for part in made.spread(found)))
    groups = grouped(counting, by)
    notes = [*unfinished, *notes]
    if baseline:
        own = next((g for g in groups if any(run.id == baseline.id for run in g.runs)), None)
        if own is None:
            notes.append(f"no group holds the baseline {baseline.id}")
        else:
            columns = with_differences(columns, own)
            notes.append(_differences_to(f"the group of {baseline.id}"))
    rows = in_order(groups, _order(view, made.find))
    keys = [repr(group.key) for group in rows]
    columns = [_written_out(column, rows[:WRITTEN_OUT]) for column in columns]
    return Board(view, rows, keys, columns, tuple(notes), matching=len(counting))


def _written_out(column: Column[Any], rows: Iterable[Row]) -> Column[Any]:
    """The column with the texts of these rows made now, beside the screen: one cell may look at thousands of runs."""
    texts = {id(row): column.text(row) for row in rows}
    return replace(column, words=lambda row: texts[id(row)] if id(row) in texts else column.text(row))


def _found(names: Iterable[str], find: Any, usual: Sequence[str]) -> Iterator[Column[Any]]:
    """The columns of these names; those that are none of the usual ones are let go last."""
    for place, name in enumerate(names):
        try:
            column = find(name)
        except UnknownColumnError:  # a key that only runs had which are gone now
            continue
        yield column if name in usual else replace(column, rank=CHOSEN_RANK - place)


def _sorted_stay(view: View, columns: Iterable[Column[Any]]) -> list[Column[Any]]:
    names = {name for name, _ in view.sorting}
    return [
        replace(column, rank=max(column.rank, SORTED_RANK)) if column.name in names else column for column in columns
    ]


def _order(view: View, find: Any) -> list[Order]:
    """The sort keys that these columns have; `acc_sd` is one of groups only."""
    order = []
    for name, descending in view.sorting:
        try:
            order.append(Order(find(name), descending))
        except UnknownColumnError:
            continue
    return order


def _several_datasets(runs: Iterable[Summary]) -> bool:
    return len({run.dataset for run in runs if run.dataset}) > 1


def _differences_to(name: str) -> str:
    return f"Δ, ×: against {name}"


def filter_of_group(group: Group, by: Sequence[str]) -> str:
    """A filter that chooses the runs of a group: `arch="resnet18" recipe="base"`."""
    return " ".join(f"{name}={_quoted(value)}" for name, value in zip(by, group.key, strict=True))


def _quoted(value: Any) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
