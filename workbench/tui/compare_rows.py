"""The tables of the Compare screen, made from a `Sight`: a row a run or a band of seeds, a row a key of profiles."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.base.text import clean
from workbench.runs.columns import Column
from workbench.runs.compare_text import value_in_words
from workbench.runs.curves import label, number
from workbench.runs.figures import FIGURES, Figure
from workbench.runs.units import MISSING, clock
from workbench.tui.board import SHAPES
from workbench.tui.compare_draw import sample
from workbench.tui.compared import (
    Reading,
    best_of,
    better_of,
    change_words,
    common_place,
    kind_of,
    read_at,
    spread,
    spread_words,
    value_words,
)
from workbench.tui.comparing import Seen, Sight
from workbench.tui.widgets.chart_view import AXIS_NAMES, Axis

FINAL: tuple[Figure, ...] = tuple(
    figure
    for key in ("parameters", "macs", "images_per_second", "seconds", "peak_memory")
    for figure in FIGURES
    if figure.key == key
)
"""Figures of a whole run."""
_TITLES = {"parameters": "params", "macs": "MACs", "images_per_second": "images/s", "seconds": "time in all",
           "peak_memory": "memory"}  # fmt: skip
VALUES = (8, 40)
"""Characters of a setting that a table shows: at least, where there are many runs, and at most."""


@dataclass(frozen=True)
class CompareRow:
    """A run, or those that differ by seed alone, in words."""

    key: str
    """Id of the run, of a band its first run's."""
    ids: tuple[str, ...]
    number: int
    """Of its dashes and its colour."""
    name: str
    hidden: bool
    state: str
    value: str
    note: str
    """What there is to know about the value: how far a run is that has not got to the place."""
    apart: str
    best: str
    best_at: str
    best_apart: str
    time: str
    finals: Mapping[str, tuple[str, str]]
    """Each of `FINAL`, and how it differs from the baseline's."""


@dataclass(frozen=True)
class KeyRow:
    """A key of the profiles, and what each run says."""

    key: str
    values: tuple[str, ...]
    differs: bool


def place_of(sight: Sight, hidden: frozenset[str], cursor: float | None) -> float | None:
    """Where the runs are aligned: at the cursor, else at the farthest place that all of those shown have got to."""
    if cursor is not None:
        return cursor
    return common_place([one.points for one in sight.runs if one.id not in hidden], sight.wish.view.axis)


def place_words(place: float | None, axis: Axis, *, name: bool = True) -> str:
    """`epoch 7`, `step 1,200`, `time 01:30`."""
    if place is None or not math.isfinite(place):
        return MISSING
    words = clock(place) if axis == "seconds" else f"{place:,.0f}" if axis == "step" else f"{place:.4g}"
    return f"{AXIS_NAMES[axis]} {words}" if name else words


def rows_of(sight: Sight, hidden: frozenset[str], place: float | None, baseline: str) -> list[CompareRow]:
    """A row a group, in the order of the runs. Differences are to the row that `baseline` is in, else to the first."""
    members = [[sight.runs[number] for number in group] for group in sight.groups]
    base = next((group for group in members if any(one.id == baseline for one in group)), members[0] if members else [])
    return [_row(sight, group, hidden, place, base) for group in members]


def _shown(group: Sequence[Seen], hidden: frozenset[str]) -> Sequence[Seen]:
    """Those that count: of a band whose runs are hidden in part, the others."""
    return [one for one in group if one.id not in hidden] or group


def _row(
    sight: Sight, group: Sequence[Seen], hidden: frozenset[str], place: float | None, base: Sequence[Seen]
) -> CompareRow:
    metric, axis = sight.wish.metric, sight.wish.view.axis
    kind, better = kind_of(metric), better_of(metric)
    shown, is_base = _shown(group, hidden), group is base
    base = _shown(base, hidden)
    readings = _readings(shown, axis, place)
    values = [reading.value for reading in readings if reading is not None]
    bests = [best for one in shown if (best := best_of(one.points, better)) is not None]
    near = "≈" if any(one.points.thinned for one in shown) and values else ""
    base_values = [reading.value for reading in _readings(base, axis, place) if reading is not None]
    base_bests = [best[0] for one in base if (best := best_of(one.points, better)) is not None]
    times = [reading.seconds for reading in readings if reading is not None]
    return CompareRow(
        key=group[0].id,
        ids=tuple(one.id for one in group),
        number=sight.runs.index(group[0]),
        name=_name(group),
        hidden=all(one.id in hidden for one in group),
        state=_state(group),
        value=near + spread_words(values, kind),
        note=_note(shown, readings),
        apart="" if is_base else change_words(spread(values)[1], spread(base_values)[1], kind),
        best=spread_words([value for value, _ in bests], kind),
        best_at=_span([epoch for _, epoch in bests]),
        best_apart=""
        if is_base
        else change_words(spread([value for value, _ in bests])[1], spread(base_bests)[1], kind),
        time=clock(seconds) if (seconds := spread(times)[1]) is not None and 0 <= seconds < 1e10 else MISSING,
        finals={figure.key: _final(figure, group, None if is_base else base) for figure in FINAL},
    )


def _readings(group: Sequence[Seen], axis: Axis, place: float | None) -> list[Reading | None]:
    return [read_at(one.points, axis, math.nan if place is None else place) for one in group]


def _name(group: Sequence[Seen]) -> str:
    """`resnet18`; of a band `resnet18 base, 3 seeds`."""
    if len(group) == 1:
        return clean(group[0].label, 40)
    shared = [{one.summary.arch for one in group}, {one.summary.recipe for one in group}]  # one may tell the seed
    words = " ".join(dict.fromkeys(name for names in shared if len(names) == 1 for name in names if name))
    return clean(f"{words or group[0].label}, {len(group)} seeds", 60)


def _state(group: Sequence[Seen]) -> str:
    """A shape and a word each, alike ones once."""
    states = dict.fromkeys("✗ deleted" if one.gone else _with_shape(one.summary.state) for one in group)
    return ", ".join(states)


def _with_shape(state: str) -> str:
    return f"{SHAPES.get(state, '?')} {state}"


def _note(group: Sequence[Seen], readings: Sequence[Reading | None]) -> str:
    """Of a run that has not got to the place, how far it is; of a band, how many have."""
    if len(group) > 1:
        there = sum(reading is not None and reading.reached for reading in readings)
        return "" if there == len(group) else f"{there} of {len(group)} there"
    one, reading = group[0], readings[0]
    if reading is None:
        return "nothing yet" if one.points.empty else ""
    if reading.reached:
        return ""
    planned = f" of {one.summary.epochs}" if one.summary.epochs else ""
    return f"ep {reading.epoch:.4g}{planned}" if math.isfinite(reading.epoch) else "not there"


def _span(epochs: Sequence[float]) -> str:
    """`7`, or from the earliest to the latest."""
    known = [epoch for epoch in epochs if math.isfinite(epoch)]
    if not known:
        return MISSING
    low, high = f"{min(known):.4g}", f"{max(known):.4g}"
    return low if low == high else f"{low}–{high}"


def _final(figure: Figure, group: Sequence[Seen], base: Sequence[Seen] | None) -> tuple[str, str]:
    value = spread([_figure(one, figure) for one in group])[1]
    against = spread([_figure(one, figure) for one in base])[1] if base is not None else None
    return value_words(value, figure.kind), change_words(value, against, figure.kind)


def _figure(one: Seen, figure: Figure) -> float | None:
    value = getattr(one.summary, figure.key)
    return None if value is None else number(value)


def columns_of(rows: Sequence[CompareRow], axis: Axis, place: float | None, *, finals: bool) -> list[Column[Any]]:
    """The columns; a narrow screen lets the last ones go. `finals`: those of whole runs come first."""
    at = place_words(place, axis, name=False)
    aligned = [
        _column("value", f"@{at}", lambda row: row.value),
        _column("apart", "Δ", lambda row: row.apart),
        _column("note", "so far", lambda row: row.note),
        _column("best", "best", lambda row: row.best),
        _column("best_at", "in ep", lambda row: row.best_at),
        _column("time", f"time@{at}" if axis != "seconds" else "time", lambda row: row.time),
        _column("state", "state", lambda row: row.state, right=False),
        _column("best_apart", "Δ best", lambda row: row.best_apart),
    ]
    if all(not row.note for row in rows):
        aligned = [column for column in aligned if column.name != "note"]
    whole = [column for figure in FINAL for column in _final_columns(figure)]
    chosen = [*whole, *aligned] if finals else [*aligned, *whole]
    first = Column[Any]("run", "run", "text", lambda row: row.name, 1000, _run_words)
    return [first, *(_ranked(column, 900 - place) for place, column in enumerate(chosen))]


def _run_words(row: CompareRow) -> str:
    return f"{'ABCDEFGH'[row.number]} {'hidden' if row.hidden else sample(row.number)} {row.name}"


def _final_columns(figure: Figure) -> list[Column[Any]]:
    key = figure.key
    return [
        _column(key, _TITLES[key], lambda row: row.finals[key][0]),
        _column(f"{key}_apart", "×", lambda row: row.finals[key][1]),
    ]


def _column(name: str, title: str, words: Any, *, right: bool = True) -> Column[Any]:
    return Column(name, title, "number" if right else "text", words, 0, lambda row: words(row) or " ")


def _ranked(column: Column[Any], rank: int) -> Column[Any]:
    return Column(column.name, column.title, column.kind, column.value, rank, column.words)


def key_rows(sight: Sight, width: int, *, everything: bool) -> list[KeyRow]:
    """The keys that are not alike in all runs, or all keys; the values as short as it takes in `width` columns."""
    keys = dict.fromkeys(key for one in sight.profiles for key in one) if everything else dict.fromkeys(sight.settings)
    names = [clean(key, 60) for key in keys]
    limit = _room(width - max(map(len, names), default=0), len(sight.runs))
    return [
        KeyRow(name, tuple(clean(value_in_words(one.get(key)), limit) for one in sight.profiles), key in sight.settings)
        for name, key in zip(names, keys, strict=True)
    ]


def key_columns(sight: Sight, rows: Sequence[KeyRow], width: int, baseline: str, first: int) -> list[Column[Any]]:
    """The key, then a column a run; where there is no room for all, the runs from `first` on stay."""
    count = len(sight.runs)
    limit = _room(width - max((len(row.key) for row in rows), default=0), count)
    # of this kind: at the left, and never narrower than what is in it
    columns = [Column[Any]("key", "key", "flag", lambda row: row.key, 1000, lambda row: row.key)]
    for place, one in enumerate(sight.runs):
        title = f"{'Δ' if one.id == baseline else ''}{one.letter} {one.label}"
        rank = 900 - (place - first) % max(count, 1)
        columns.append(Column(one.letter, clean(title, limit), "flag", _value_at(place), rank, _value_at(place)))
    return columns


def _room(width: int, runs: int) -> int:
    """Characters for a value, beside the other runs'; 7 are the table's own edges and the first gap."""
    return min(max((width - 7) // max(runs, 1) - 2, VALUES[0]), VALUES[1])


def _value_at(place: int) -> Any:
    return lambda row: row.values[place]


def keys_note(sight: Sight, *, everything: bool) -> str:
    """What is said above the keys."""
    apart, alike = len(sight.settings), sight.alike
    if not apart and not alike:
        return "no profile can be read"
    if not apart:
        return f"the profiles are equal: {alike} keys"
    said = f"{apart} key{'s' if apart != 1 else ''} differ{'' if apart != 1 else 's'}, {alike} are alike"
    return f"{said}; all are shown" if everything else f"{said} (d shows all)"


def differs_line(sight: Sight) -> str:
    """`differs: optim.lr 0.05|0.001  model.arch resnet18|vit`, the name and the network last: the table has them."""
    if not sight.settings:
        return keys_note(sight, everything=False)
    told = ("model.arch", "name", "seed")
    keys = sorted(sight.settings, key=lambda key: key in told)
    words = [f"{key} {'|'.join(value_in_words(value)[:20] for value in sight.settings[key])}" for key in keys]
    return clean(f"differs: {'  '.join(words)}", 400)


def metric_words(metric: str) -> str:
    """`test top-1, %`."""
    return clean(label(metric), 40) + (", %" if kind_of(metric) == "accuracy" else "")
