"""Reading a run directory back: facts, status, metrics with rewinds applied, how it ended."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.runs import journal
from workbench.runs.files import read_regular
from workbench.runs.liveness import Ending

TERMINAL_EVENTS = ("finished", "failed", "stopped", "preempted")

_TAIL_BYTES = 4096
_NOT_THERE = object()


@dataclass(frozen=True)
class Metrics:
    """The lines of metrics.jsonl that stand."""

    records: list[dict[str, Any]]
    damaged: int


def read_json(path: Path | str) -> dict[str, Any]:
    """A JSON object from disk; empty where there is none or it is not one."""
    try:
        value = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_metrics(run: Path) -> Metrics:
    """Every line that stands: a rewind takes back the steps after the one it names."""
    lines = journal.read(run / "metrics.jsonl")
    return Metrics(apply_rewinds(lines.records), lines.damaged)


def apply_rewinds(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop what each `rewind` overrides: earlier lines past its step, and earlier epochs past its epoch count."""
    kept: list[dict[str, Any]] = []
    for record in records:
        if record.get("kind") != "rewind":
            kept.append(record)
            continue
        kept = [r for r in kept if stands(r, record)]
    return kept


def stands(record: dict[str, Any], rewind: dict[str, Any]) -> bool:
    """Whether a line still counts after a rewind. A line without the number it is judged by does."""
    key, limit = (
        ("epoch", rewind.get("to_epochs")) if record.get("kind") == "epoch" else ("step", rewind.get("to_step"))
    )
    number = record.get(key)
    return not isinstance(number, int | float) or not isinstance(limit, int | float) or number <= limit


def last_ending(run: Path) -> str | None:
    """The terminal event that the last attempt wrote: finished, failed, stopped or preempted; None if it wrote none."""
    ending = read_ending(run)
    return ending.state if ending else None


def read_ending(run: Path | str) -> Ending | None:
    """How the last attempt ended; None if it wrote no ending. Of events.jsonl the end is read, if that tells."""
    try:
        descriptor = os.open(f"{run}/events.jsonl", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        for length in (_TAIL_BYTES, size):
            found = _ending_in(os.pread(descriptor, length, max(0, size - length)), whole=length >= size)
            if found is not _NOT_THERE:
                return found if isinstance(found, Ending) else None
    except OSError:  # a folder or a pipe in its place
        return None
    finally:
        os.close(descriptor)
    return None


def ending_after(records: Iterable[dict[str, Any]], before: Ending | None = None) -> Ending | None:
    """The ending that stands after these events, `before` having stood before them."""
    for record in records:
        if record.get("event") in ("started", "resumed"):
            before = None
        elif record.get("event") in TERMINAL_EVENTS:
            before = Ending(str(record["event"]), str(record.get("error") or ""))
    return before


def _ending_in(tail: bytes, *, whole: bool) -> object:
    """The ending in the last bytes of a journal: an Ending, None where an attempt goes on, else `_NOT_THERE`."""
    lines = tail[: tail.rfind(b"\n") + 1].split(b"\n")
    for line in reversed(lines if whole else lines[1:]):
        record = journal.decode(line) if line else None
        if record is not None and record.get("event") in ("started", "resumed", *TERMINAL_EVENTS):
            return ending_after([record])
    return None if whole else _NOT_THERE


def read_attempts(run: Path) -> int:
    """How many times the run was started or resumed so far."""
    events = journal.read(run / "events.jsonl").records
    return sum(record.get("event") in ("started", "resumed") for record in events)
