"""Reading a run directory back: facts, status, metrics with rewinds applied, how it ended."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.runs import journal

TERMINAL_EVENTS = ("finished", "failed", "stopped", "preempted")


@dataclass(frozen=True)
class Metrics:
    """The lines of metrics.jsonl that stand."""

    records: list[dict[str, Any]]
    damaged: int


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from disk; empty where there is none or it is not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
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
        step, epochs = record["to_step"], record["to_epochs"]
        kept = [r for r in kept if (r["epoch"] <= epochs if r["kind"] == "epoch" else r["step"] <= step)]
    return kept


def last_ending(run: Path) -> str | None:
    """The terminal event that the last attempt wrote: finished, failed, stopped or preempted; None if it wrote none."""
    ending: str | None = None
    for record in journal.read(run / "events.jsonl").records:
        if record.get("event") in ("started", "resumed"):
            ending = None
        elif record.get("event") in TERMINAL_EVENTS:
            ending = str(record["event"])
    return ending


def read_attempts(run: Path) -> int:
    """How many times the run was started or resumed so far."""
    events = journal.read(run / "events.jsonl").records
    return sum(record.get("event") in ("started", "resumed") for record in events)
