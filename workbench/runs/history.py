"""The metrics of a run however long it is: epochs as they are, steps thinned into buckets that keep every spike.

A bucket stands for 256 step lines and holds each column's lowest and highest value and where in it they lie, so a chart
of a million points reads four thousand, and a single bad step is still on it. Buckets are kept in a file beside the
index: opening a run again reads that file and the lines that are new. Like the index it may be deleted at any time.
"""

import io
import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.runs import journal
from workbench.runs.files import open_regular, write_atomically
from workbench.runs.follow import Follower
from workbench.runs.reading import apply_rewinds, stands

VERSION = 1
BUCKET = 256
"""Step lines to a bucket."""
SAVE_EVERY = 64
"""Full buckets after which the file is written again; fewer are made anew in a few milliseconds."""
RAW_BUCKETS = 32
"""A window of at most so many buckets is shown line by line."""
_NOT_COLUMNS = ("kind", "crc")

Floats = NDArray[np.float64]
Record = dict[str, Any]


@dataclass(frozen=True)
class Curve:
    """Points of a curve in drawing order; of many lines the lowest and the highest of each few."""

    x: Floats
    y: Floats
    lines: int
    """How many lines it was made from."""


@dataclass
class Buckets:
    """The full buckets, as columns of equal length."""

    starts: list[int] = field(default_factory=list)
    """Byte of metrics.jsonl where the first line of each begins."""
    ends: list[int] = field(default_factory=list)
    low: dict[str, list[float]] = field(default_factory=dict)
    high: dict[str, list[float]] = field(default_factory=dict)
    low_at: dict[str, list[int]] = field(default_factory=dict)
    """Line within the bucket at which the lowest value lies."""
    high_at: dict[str, list[int]] = field(default_factory=dict)
    _arrays: dict[tuple[str, str], Floats] = field(default_factory=dict)
    _arrays_of: int = -1

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, records: list[Record], start: int, end: int) -> None:
        """One more bucket. A column that is new is not known for the buckets before."""
        names = {name for record in records for name in record} | self.low.keys()
        for name in sorted(names - set(_NOT_COLUMNS)):
            values = _numbers([record.get(name) for record in records])
            known = np.isfinite(values)
            first = int(np.argmin(np.where(known, values, np.inf)))
            last = int(np.argmax(np.where(known, values, -np.inf)))
            for table, value in ((self.low, values[first]), (self.high, values[last])):
                table.setdefault(name, [math.nan] * len(self)).append(float(value) if known.any() else math.nan)
            for places, place in ((self.low_at, first), (self.high_at, last)):
                places.setdefault(name, [0] * len(self)).append(place)
        self.starts.append(start)
        self.ends.append(end)

    def array(self, table: str, column: str) -> Floats:
        """A column as an array, kept until a bucket is added or taken away."""
        if len(self) != self._arrays_of:
            self._arrays, self._arrays_of = {}, len(self)
        key = (table, column)
        if key not in self._arrays:
            self._arrays[key] = np.array(getattr(self, table)[column], dtype=float)
        return self._arrays[key]

    def cut(self, count: int) -> None:
        """Keep the first `count`."""
        self._arrays_of = -1
        for table in (self.low, self.high, self.low_at, self.high_at):
            for column in table.values():
                del column[count:]
        del self.starts[count:], self.ends[count:]


class History:
    """The metrics of the run in `run`, or what its machine did meanwhile. `cache`: folder for its buckets, or None.

    A line of metrics.jsonl is a point where its kind is step; one of system.jsonl, where it is system.
    """

    def __init__(self, run: Path, cache: Path | None = None, *, kind: Literal["step", "system"] = "step") -> None:
        self.path = run / ("metrics.jsonl" if kind == "step" else "system.jsonl")
        self.rewinds = 0
        """How many times lines were taken back: full buckets may then be others."""
        self._kind = kind
        self.epochs: list[Record] = []
        """Lines of kind epoch that stand, non-finite figures as floats."""
        suffix = "" if kind == "step" else f"-{kind}"
        self._cache = cache / f"{run.name}-{VERSION}{suffix}.npz" if cache else None
        self._begin_anew()
        self._follower = Follower(self.path)
        self._saved = 0
        self._load()

    @property
    def damaged(self) -> int:
        """Lines whose checksum does not fit."""
        return self._follower.damaged

    @property
    def columns(self) -> list[str]:
        """Figures that the step lines have."""
        return sorted(
            self._buckets.low.keys() | {name for record, _, _ in self._loose for name in record} - set(_NOT_COLUMNS)
        )

    @property
    def last_step(self) -> Record | None:
        """The newest step line."""
        return self._last

    def refresh(self) -> bool:
        """Take in what is new. True if anything is."""
        news = self._follower.look()
        if news.restarted:
            self._begin_anew()
        for record, (start, end) in zip(news.records, news.places, strict=True):
            self._take(record, start, end)
        if len(self._buckets) - self._saved >= SAVE_EVERY:
            self._save()
        return news.restarted or bool(news.records)

    def curve(
        self, column: str, *, x: str = "step", window: tuple[float, float] | None = None, points: int = 1000
    ) -> Curve:
        """A column of the step lines over `x` (step, epoch or seconds), in `window` of it, as about `points` points."""
        first, last = self._range(x, window)
        if last - first <= RAW_BUCKETS and window is not None:
            return self._line_by_line(column, x, first, last, window)
        xs, ys = self._thinned(column, x, first, last, max(1, points // 2))
        loose = [record for record, _, _ in self._loose] if last == len(self._buckets) else []
        xs = np.concatenate([xs, [_number(record.get(x)) for record in loose]])
        ys = np.concatenate([ys, [_number(record.get(column)) for record in loose]])
        return Curve(xs, ys, (last - first) * BUCKET + len(loose))

    def _begin_anew(self) -> None:
        self.epochs = []
        self._buckets = Buckets()
        self._loose: list[tuple[Record, int, int]] = []
        self._last: Record | None = None
        self._saved = 0

    def _take(self, record: Record, start: int, end: int) -> None:
        kind = record.get("kind")
        if kind == "epoch":
            self.epochs.append({key: _figure(value) for key, value in record.items()})
        elif kind == self._kind:
            self._last = record
            self._loose.append((record, start, end))
            if len(self._loose) == BUCKET:
                self._buckets.add([kept for kept, _, _ in self._loose], self._loose[0][1], end)
                self._loose = []
        elif kind == "rewind":
            self._rewind(record)

    def _rewind(self, rewind: Record) -> None:
        """Drop the lines that it takes back; a bucket that it cuts through becomes loose lines again."""
        self.rewinds += 1
        self.epochs = [record for record in self.epochs if stands(record, rewind)]
        self._loose = [entry for entry in self._loose if stands(entry[0], rewind)]
        limit = _number(rewind.get("to_step"))
        highest = self._buckets.high.get("step", [])
        whole = sum(1 for step in highest if step <= limit)
        if whole < len(self._buckets) and not self._loose:
            start, end = self._buckets.starts[whole], self._buckets.ends[whole]
            self._loose = [entry for entry in self._read(start, end) if stands(entry[0], rewind)]
        self._buckets.cut(whole)
        self._saved = min(self._saved, whole)
        before = self._loose or (self._read(self._buckets.starts[-1], self._buckets.ends[-1]) if whole else [])
        self._last = before[-1][0] if before else None

    def _read(self, start: int, end: int) -> list[tuple[Record, int, int]]:
        """The step lines between two bytes of the file, rewinds among them applied."""
        try:
            with open_regular(self.path) as file:
                content = os.pread(file.fileno(), end - start, start)
        except OSError:
            return []
        found: list[Record] = []
        places: dict[int, tuple[int, int]] = {}
        for line in content.split(b"\n"):
            record = journal.decode(line) if line else None
            if record is not None and record.get("kind") in (self._kind, "rewind"):
                places[id(record)] = (start, start + len(line) + 1)
                found.append(record)
            start += len(line) + 1
        return [(record, *places[id(record)]) for record in apply_rewinds(found)]

    def _range(self, x: str, window: tuple[float, float] | None) -> tuple[int, int]:
        """The buckets that a window of x touches, as the first and one past the last."""
        count = len(self._buckets)
        if window is None or x not in self._buckets.low:
            return 0, count
        inside = [
            number
            for number, (low, high) in enumerate(zip(self._buckets.low[x], self._buckets.high[x], strict=True))
            if high >= window[0] and low <= window[1]
        ]
        last = inside[-1] + 1 if inside else 0
        reaches_end = not count or window[1] >= self._buckets.high[x][-1]
        return (inside[0] if inside else count, count) if reaches_end else (inside[0] if inside else 0, last)

    def _line_by_line(self, column: str, x: str, first: int, last: int, window: tuple[float, float]) -> Curve:
        entries = [
            entry for n in range(first, last) for entry in self._read(self._buckets.starts[n], self._buckets.ends[n])
        ]
        entries += self._loose if last == len(self._buckets) else []
        pairs = [(_number(record.get(x)), _number(record.get(column))) for record, _, _ in entries]
        inside = [pair for pair in pairs if window[0] <= pair[0] <= window[1]]
        xs, ys = zip(*inside, strict=True) if inside else ((), ())
        return Curve(np.array(xs, dtype=float), np.array(ys, dtype=float), len(inside))

    def _thinned(self, column: str, x: str, first: int, last: int, most: int) -> tuple[Floats, Floats]:
        """Two points for each few buckets: the lowest and the highest value, in the order in which they came."""
        count = last - first
        if not count or column not in self._buckets.low or x not in self._buckets.low:
            return np.empty(0), np.empty(0)
        begin, end = (self._buckets.array(table, x)[first:last] for table in ("low", "high"))
        size = -(-count // most)
        sides = []
        for side, best in (("low", np.argmin), ("high", np.argmax)):
            values = self._buckets.array(side, column)[first:last]
            places = self._buckets.array(f"{side}_at", column)[first:last]
            where = begin + places / (BUCKET - 1) * (end - begin)
            worst = np.inf if side == "low" else -np.inf
            groups = _in_groups(np.where(np.isnan(values), worst, values), size, worst)
            chosen = best(groups, axis=1) + np.arange(len(groups)) * size
            sides.append((where[chosen], values[chosen]))
        (low_x, low), (high_x, high) = sides
        low_first = low_x <= high_x
        xs = np.stack([np.where(low_first, low_x, high_x), np.where(low_first, high_x, low_x)], axis=1).ravel()
        ys = np.stack([np.where(low_first, low, high), np.where(low_first, high, low)], axis=1).ravel()
        return xs, ys

    # The file beside the index

    def _save(self) -> None:
        """Keep the buckets; trouble with it costs the next opening some time and nothing else."""
        if self._cache is None:
            return
        self._saved = len(self._buckets)
        offset, inode, before, damaged = self._follower.place
        arrays: dict[str, Any] = {"starts": self._buckets.starts, "ends": self._buckets.ends}
        for prefix in ("low", "high", "low_at", "high_at"):
            arrays |= {f"{prefix}.{name}": column for name, column in getattr(self._buckets, prefix).items()}
        rest = {"offset": offset, "inode": inode, "before": before.hex(), "damaged": damaged}
        rest |= {"epochs": journal.finite(self.epochs), "loose": journal.finite([list(entry) for entry in self._loose])}
        rest |= {"last": journal.finite(self._last)}
        text = np.frombuffer(json.dumps(rest).encode(), dtype=np.uint8)
        content = io.BytesIO()
        np.savez(content, rest=text, **arrays)
        with suppress(OSError):
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._cache, content.getvalue(), durable=False)

    def _load(self) -> None:
        if self._cache is None or not self._cache.is_file():
            return
        try:
            with np.load(self._cache, allow_pickle=False) as found:
                rest = json.loads(found["rest"].tobytes())
                buckets = Buckets(found["starts"].tolist(), found["ends"].tolist())
                for name in found.files:
                    prefix, _, column = name.partition(".")
                    if column:
                        getattr(buckets, prefix)[column] = found[name].tolist()
            self.epochs = [{key: _figure(value) for key, value in record.items()} for record in rest["epochs"]]
            self._loose = [(record, int(start), int(end)) for record, start, end in rest["loose"]]
            self._last = rest["last"]
            place = (int(rest["offset"]), int(rest["inode"]), bytes.fromhex(rest["before"]), int(rest["damaged"]))
        except Exception:  # noqa: BLE001  # whatever is wrong with a cache, it is made anew
            self._begin_anew()
            return
        self._buckets, self._saved = buckets, len(buckets)
        self._follower = Follower(self.path, *place)


def _number(value: Any) -> float:
    """A figure for a chart: what is none, or not finite, is a gap."""
    value = _figure(value)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def _numbers(values: list[Any]) -> Floats:
    """Many figures; what is none is NaN."""
    try:
        return np.array(values, dtype=float)
    except (ValueError, TypeError, OverflowError):
        return np.array([_number(value) for value in values])


def _in_groups(values: Floats, size: int, fill: float) -> Floats:
    """Rows of `size` values; the last is filled up."""
    missing = -len(values) % size
    return np.concatenate([values, np.full(missing, fill)]).reshape(-1, size)


def _figure(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in ("nan", "inf", "-inf") else value
