"""The catalogue as the Models screen lists it: grouped, filtered, sorted, with the best of one's own runs. No torch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.commands.seed_rows import ORDER
from workbench.inspect.catalogue import Entry, entries
from workbench.runs.summary import Summary

SORTS = ("year", "params", "MACs", "best")

_MORE = {"cnn": "More CNNs", "transformer": "More transformers", "mlp": "More MLPs"}


@dataclass(frozen=True)
class Row:
    """One network, or one recipe that trains a network in a special way."""

    entry: Entry
    label: str
    """What the seed document calls it; empty where it has no row."""
    group: str

    @property
    def name(self) -> str:
        return self.entry.name

    def year(self) -> int:
        return self.entry.card.year

    def count(self, which: str) -> int:
        """Parameters or MACs for 1000 classes and an image of 3×224×224."""
        counts = self.entry.card.params if which == "params" else self.entry.card.macs
        return counts[1000]

    def mentions(self, words: str) -> bool:
        """Whether every word is in its name, label, paper, authors, family or year."""
        card = self.entry.card
        text = " ".join((self.name, self.label, card.module, card.title, card.authors, card.family, str(card.year)))
        return all(word in text.lower() for word in words.lower().split())


@dataclass(frozen=True)
class Own:
    """What one's own runs of a row reached on one data set."""

    dataset: str
    best: float | None
    """A fraction."""
    run: str
    """The run that has it."""
    epoch: int | None
    runs: int


def rows() -> list[Row]:
    """The rows of the seed document in its order and groups, then the other networks by family."""
    catalogue = {entry.name: entry for entry in entries()}
    chosen = [Row(catalogue.pop(name), label, group) for group, table in ORDER.items() for label, name in table.items()]
    others = [Row(entry, "", _MORE[entry.card.family]) for entry in catalogue.values()]
    return chosen + sorted(others, key=lambda row: list(_MORE.values()).index(row.group))


def own_results(runs: Iterable[Summary]) -> dict[str, tuple[Own, ...]]:
    """Name of a row -> its runs by data set, the one with the most runs first. Archived runs do not count."""
    found: dict[str, dict[str, list[Summary]]] = {}
    for run in runs:
        if not run.archived:
            found.setdefault(row_of(run), {}).setdefault(run.dataset, []).append(run)
    return {
        name: tuple(sorted((_own(dataset, runs) for dataset, runs in data.items()), key=lambda own: -own.runs))
        for name, data in found.items()
    }


def row_of(run: Summary) -> str:
    """The name of the row that a run belongs to."""
    rho: Any = run.settings.get("sam.rho", 0)
    with_sam = isinstance(rho, int | float) and rho > 0
    return f"{run.arch} + SAM" if with_sam and run.arch == "resnet18" else run.arch


def filter_of(row: Row) -> str:
    """The filter of the Runs screen that leaves this row's runs. Exact: `arch:resnet18` would keep se_resnet18 too."""
    return f"arch={row.entry.architecture}" + (" sam.rho>0" if row.entry.is_recipe else "")


def _own(dataset: str, runs: Sequence[Summary]) -> Own:
    best = max(runs, key=lambda run: -1.0 if run.best_top1 is None else run.best_top1)
    return Own(dataset, best.best_top1, best.id, best.best_epoch, len(runs))


def best_of(own: Iterable[Own]) -> float | None:
    """The highest accuracy on any data set."""
    return max((result.best for result in own if result.best is not None), default=None)


def arrange(
    listed: Iterable[Row], words: str, sort: str, backwards: bool, own: Mapping[str, Sequence[Own]]
) -> list[tuple[str, list[Row]]]:
    """The groups in their order, each with its rows that mention `words`, sorted; groups without any are left out.

    Years and counts begin with the smallest, accuracies with the largest; `backwards` turns that around. Rows without
    an accuracy are last either way.
    """
    groups: dict[str, list[Row]] = {}
    for row in listed:
        if row.mentions(words):
            groups.setdefault(row.group, []).append(row)
    key = _key(sort, own)
    for members in groups.values():
        with_figure = [row for row in members if key(row) is not None]
        without = [row for row in members if key(row) is None]
        with_figure.sort(key=lambda row: key(row) or 0.0, reverse=(sort == "best") != backwards)
        members[:] = with_figure + without
    return list(groups.items())


def _key(sort: str, own: Mapping[str, Sequence[Own]]) -> Callable[[Row], float | None]:
    if sort == "best":
        return lambda row: best_of(own.get(row.name, ()))
    return Row.year if sort == "year" else lambda row: row.count(sort)
