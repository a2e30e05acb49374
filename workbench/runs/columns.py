"""The columns of the leaderboard: what each is called, where its value comes from, how it is shown.

A column is found by its name, by one of its other names, by a key of the profile (`optim.lr`), or by the last part of
one where no other key ends in it (`lr`). Filters, sorting and grouping take the same names.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar

from workbench.base.errors import UserError, did_you_mean
from workbench.base.text import clean
from workbench.runs.from_base import Base, lookup, short_names
from workbench.runs.settings import Settings
from workbench.runs.summary import Summary
from workbench.runs.units import FIGURES, Kind, show

Row = TypeVar("Row")

DESCENDING: tuple[Kind, ...] = ("accuracy", "rate", "date", "flag", "points")
"""Kinds whose largest comes first where a sort key does not say."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column of a table whose rows are `Row`: a run, or a group of runs."""

    name: str
    """What a person types."""
    title: str
    """What stands above it."""
    kind: Kind
    value: Callable[[Row], Any]
    """The raw value: fractions, seconds, bytes; None where there is none."""
    rank: int = 10
    """A narrow terminal lets the columns of lowest rank go first."""
    words: Callable[[Row], str] | None = None
    """What a screen shows, where the value alone does not say it."""

    def text(self, row: Row) -> str:
        """The value for a screen."""
        return self.words(row) if self.words else show(self.kind, self.value(row))

    @property
    def descends(self) -> bool:
        """Whether the largest comes first by default."""
        return self.kind in DESCENDING

    @property
    def is_figure(self) -> bool:
        return self.kind in FIGURES


class UnknownColumnError(UserError):
    """A name that is no column; `hint` is the did-you-mean, or empty."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__(f'unknown column "{clean(name, 80)}"{hint}')
        self.hint = hint


DEFAULTS = ("arch", "family", "acc", "best", "parameters", "macs", "config", "epochs", "time", "speed", "memory",
            "state", "tags")  # fmt: skip
"""Columns of a table of runs where none are chosen."""

GROUP_DEFAULTS = ("n", "acc", "parameters", "macs", "config", "epochs", "time", "speed", "memory")
"""The same for a table of groups, after what they are grouped by."""

OTHER_NAMES = {
    "architecture": "arch", "accuracy": "acc", "top1": "acc", "test_top1": "acc", "best_top1": "best",
    "test_top5": "top5", "test_loss": "loss", "val_top1": "val", "train_top1": "train", "params": "parameters",
    "configuration": "config", "epoch": "epochs", "wall": "time", "seconds": "time", "images_per_second": "speed",
    "images/s": "speed", "peak_memory": "memory", "tag": "tags", "run": "short", "data": "dataset",
}  # fmt: skip

_PLAIN: tuple[tuple[str, str, Kind, str, int], ...] = (
    ("arch", "architecture", "text", "arch", 100),
    ("dataset", "data set", "text", "dataset", 55),
    ("recipe", "recipe", "text", "recipe", 50),
    ("seed", "seed", "number", "seed", 45),
    ("acc", "test %", "accuracy", "test_top1", 95),
    ("best", "best %", "accuracy", "best_top1", 85),
    ("best_epoch", "best epoch", "number", "best_epoch", 10),
    ("best_split", "best of", "text", "best_split", 10),
    ("top5", "top-5 %", "accuracy", "test_top5", 50),
    ("loss", "test loss", "loss", "test_loss", 50),
    ("val", "val %", "accuracy", "val_top1", 50),
    ("val_loss", "val loss", "loss", "val_loss", 40),
    ("train", "train %", "accuracy", "train_top1", 40),
    ("train_loss", "train loss", "loss", "train_loss", 40),
    ("parameters", "params", "count", "parameters", 70),
    ("macs", "MACs", "count", "macs", 68),
    ("time", "time", "seconds", "seconds", 62),
    ("eta", "ETA", "seconds", "eta", 30),
    ("speed", "images/s", "rate", "images_per_second", 35),
    ("memory", "memory", "memory", "peak_memory", 25),
    ("state", "state", "text", "state", 75),
    ("detail", "detail", "text", "detail", 15),
    ("tags", "tags", "words", "tags", 40),
    ("note", "note", "text", "note", 15),
    ("id", "run", "text", "id", 90),
    ("name", "name", "text", "name", 30),
    ("created", "created", "date", "created", 30),
    ("device", "device", "text", "device", 20),
    ("host", "host", "text", "host", 20),
    ("parent", "parent", "text", "parent", 15),
    ("pinned", "pinned", "flag", "pinned", 10),
    ("archived", "archived", "flag", "archived", 10),
    ("live", "live", "flag", "live", 10),
)
"""Columns that are a field of the summary: name, title, kind, field, rank."""

COLUMN_NAMES = (*(name for name, *_ in _PLAIN), "family", "config", "epochs", "step", "short")
"""Every column besides the keys of the profile."""


class Columns:
    """Every column there is for some runs."""

    def __init__(
        self,
        *,
        base: Base | None = None,
        families: Mapping[str, str] | None = None,
        ids: Callable[[], Iterable[str]] = tuple,
        keys: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`families`: of each architecture. `ids`: of all runs, to shorten them. `keys`: of the runs' own profiles,
        asked for when a name is neither a column nor a key of base."""
        self.base = base or Base()
        self._families = families or {}
        self._ids = ids
        self._shortened: dict[str, str] | None = None
        self._more_keys: Callable[[], Iterable[str]] | None = keys
        self._keys = {*self.base.keys, *self.base.settings}
        self._shorts = {short: key for key, short in short_names(self._keys).items()}
        made: list[Column[Summary]] = [
            Column(name, title, kind, attrgetter(field), rank) for name, title, kind, field, rank in _PLAIN
        ]
        made += [
            Column("family", "family", "text", self._family, 30),
            Column("config", "configuration", "config", self._differences, 80, self._config_words),
            Column("epochs", "epochs", "number", _done("epoch", "epochs"), 45, _progress("epoch", "epochs")),
            Column("step", "step", "number", _done("step", "steps"), 20, _progress("step", "steps")),
            Column("short", "run", "text", self._short_id, 88),
        ]
        self._columns = {column.name: column for column in made}

    def find(self, name: str) -> Column[Summary]:
        """The column that `name` means. UnknownColumnError, with the nearest name, for none."""
        wanted = OTHER_NAMES.get(name.lower(), name.lower())
        if wanted in self._columns:
            return self._columns[wanted]
        key = self._key(name)
        if key is None:
            raise UnknownColumnError(name, did_you_mean(name, self.names()))
        return Column(key, self._title(key), "setting", lambda run: lookup(run.settings, key), 58)

    def names(self) -> list[str]:
        """Everything `find` knows: columns, their other names, keys of profiles and the short names of those."""
        return [*self._columns, *OTHER_NAMES, *sorted(self._keys), *sorted(self._shorts)]

    def _key(self, name: str) -> str | None:
        for _ in range(2):
            if name in self._keys or name in self._shorts:
                return self._shorts.get(name, name)
            if self._more_keys is None:
                break
            self._keys.update(self._more_keys())
            self._shorts = {short: key for key, short in short_names(self._keys).items()}
            self._more_keys = None
        return None

    def _title(self, key: str) -> str:
        short = key.removesuffix(".name") if key.endswith(".name") else key.rpartition(".")[2]
        return short if self._shorts.get(short) == key else key

    def _family(self, run: Summary) -> str:
        return self._families.get(run.arch, "")

    def _differences(self, run: Summary) -> dict[str, Any]:
        if isinstance(run.settings, Settings):
            return run.settings.once(self.base.differences)
        return self.base.differences(run.settings)

    def _config_words(self, run: Summary) -> str:
        return show("text", self.base.text(self._differences(run)))

    def _short_id(self, run: Summary) -> str:
        if self._shortened is None:
            self._shortened = short_ids(self._ids())
        return self._shortened.get(run.id, run.id)


def chosen(
    text: str | None, defaults: Iterable[str], find: Callable[[str], Column[Row]], rank: int = 200
) -> list[Column[Row]]:
    """The columns that `--columns` asks for: `a,b,c` names all of them, `+c` and `-d` change the defaults.

    Those that are named have at least `rank`, the first the most: a narrow terminal lets them go last.
    """
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    changes = [word for word in words if word[0] in "+-"]
    if changes and len(changes) != len(words):
        raise UserError("--columns: either name all columns (a,b,c) or change the usual ones (+c,-d)")
    usual = {column.name: column for column in map(find, () if words and not changes else defaults)}
    for place, word in enumerate(words):
        column = find(word.lstrip("+-"))
        if word.startswith("-"):
            usual.pop(column.name, None)
        elif column.name not in usual:
            usual[column.name] = _ranked(column, rank + len(words) - place)
    if not usual:
        raise UserError("--columns leaves no column")
    return list(usual.values())


def _ranked(column: Column[Row], rank: int) -> Column[Row]:
    from dataclasses import replace

    return replace(column, rank=rank)


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The shortest beginning of each id that no other has: at least its date and time, without a hyphen at the end."""
    ordered = sorted(set(ids))
    short = {}
    for place, name in enumerate(ordered):
        around = ordered[max(0, place - 1) : place] + ordered[place + 1 : place + 2]
        length = max([15, *(_common(name, other) + 1 for other in around)])
        short[name] = name[:length] if length < len(name) and name[length - 1] != "-" else name[: length + 1]
    return short


def _common(one: str, other: str) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


def _done(done: str, planned: str) -> Callable[[Summary], int | None]:
    """What is over; None for a run that does not even say what was planned."""

    def value(run: Summary) -> int | None:
        count: int = getattr(run, done)
        return count if count or getattr(run, planned) is not None else None

    return value


def _progress(done: str, planned: str) -> Callable[[Summary], str]:
    """`10`, or `3/10` where there is more to come."""
    value = _done(done, planned)

    def text(run: Summary) -> str:
        count, goal = value(run), getattr(run, planned)
        return f"{count}/{goal}" if count is not None and goal and count < goal else show("number", count)

    return text
