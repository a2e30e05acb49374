"""What `cnn-workbench evaluate` has left in a run directory, read back: figures, classes, confusions. No torch.

    <run>/evaluation/<data set>-<split>-<weights>/report.json

Whatever is damaged is named in a line and left out. Every string has passed `clean`.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.base.text import clean
from workbench.runs.curves import number
from workbench.runs.run import read_clean_json

FOLDER = "evaluation"
REPORT = "report.json"
MOST = 20
"""Evaluations of a run that are read, the newest first."""
LARGEST = 64_000_000
"""Bytes of a report beyond which it is not read: one of 1,000 classes has about 3,000,000."""
MOST_CONFUSIONS = 100


@dataclass(frozen=True)
class Confusion:
    """A wrong answer: how many images of class `true`, `of` so many, were taken for `predicted`."""

    true: str
    predicted: str
    count: int
    of: int


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a run."""

    name: str
    """Its folder: `digits-test-best`."""
    epoch: int | None
    """Of the weights."""
    images: int
    top1: float
    """A fraction; NaN where the report does not tell."""
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """A row a true class, a column a predicted one."""
    confusions: tuple[Confusion, ...]
    """The most frequent first."""


@dataclass(frozen=True)
class Evaluations:
    """Those of a run, the newest first, and a line for each that cannot be read."""

    found: tuple[Evaluation, ...] = ()
    problems: tuple[str, ...] = ()

    def named(self, name: str) -> Evaluation | None:
        return next((one for one in self.found if one.name == name), None)


class EvaluationReader:
    """Reads those of some runs, and each report again only when it was replaced. For one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int], Evaluation | str]] = {}

    def read(self, run: Path) -> Evaluations:
        """What is there now."""
        found: list[Evaluation] = []
        problems: list[str] = []
        for path, signature in sorted(_reports(run), key=lambda entry: -entry[1][0])[:MOST]:
            known = self._known.get(path)
            if known is None or known[0] != signature:
                known = self._known[path] = signature, _read(Path(path), signature[1])
            if isinstance(known[1], Evaluation):
                found.append(known[1])
            else:
                problems.append(known[1])
        return Evaluations(tuple(found), tuple(problems))


def _reports(run: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """The path of each report, and what changes when it is replaced: time, size, inode. Links are not followed."""
    try:
        with os.scandir(run / FOLDER) as entries:
            folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for folder in folders:
        path = f"{folder}/{REPORT}"
        try:
            seen = os.stat(path, follow_symlinks=False)
        except OSError:
            continue
        yield path, (seen.st_mtime_ns, seen.st_size, seen.st_ino)


def _read(path: Path, size: int) -> Evaluation | str:
    """A report, or what is wrong with it."""
    name = clean(path.parent.name, 80)
    if size > LARGEST:
        return f"evaluation {name}: the report is too large to be shown"
    report = read_clean_json(path)
    classes = _names(report.get("classes"))
    counts = _counts(report.get("confusion"), len(classes))
    if not classes or counts is None:
        return f"evaluation {name}: the report cannot be read"
    weights = report.get("weights")
    epoch = weights.get("epoch") if isinstance(weights, dict) else None
    images = report.get("images")
    return Evaluation(
        name=name,
        epoch=epoch if isinstance(epoch, int) else None,
        images=images if isinstance(images, int) else sum(map(sum, counts)),
        top1=number(report.get("top1")),
        classes=classes,
        counts=counts,
        confusions=confusions(classes, counts),
    )


def confusions(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> tuple[Confusion, ...]:
    """The most frequent wrong answers, `MOST_CONFUSIONS` at most; of equal ones the earlier class first."""
    wrong = [
        (-count, true, said)
        for true, row in enumerate(counts)
        for said, count in enumerate(row)
        if count and true != said
    ]
    wrong.sort()
    chosen = wrong[:MOST_CONFUSIONS]
    return tuple(Confusion(classes[true], classes[said], -less, sum(counts[true])) for less, true, said in chosen)


def _names(rows: Any) -> tuple[str, ...]:
    """The classes; empty for what is no list of them."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return ()
    return tuple(clean(str(row.get("class", "")), 80) for row in rows)


def _counts(rows: Any, classes: int) -> tuple[tuple[int, ...], ...] | None:
    """The matrix; None for what is no square one of counts."""
    if not isinstance(rows, list) or len(rows) != classes:
        return None
    for row in rows:
        if not isinstance(row, list) or len(row) != classes:
            return None
        if not all(type(count) is int and 0 <= count < 2**53 for count in row):
            return None
    return tuple(map(tuple, rows))
