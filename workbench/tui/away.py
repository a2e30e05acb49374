"""What happened to runs that lived when the last session ended: a line for each, told when the next one begins."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from workbench.base.text import clean
from workbench.runs.units import clock

WORTH_TELLING = {
    "nan": "a loss or gradient that was no number", "oom": "out of memory", "disk_full": "a full disk",
    "rollback": "a step back to a checkpoint", "checkpoint_failed": "a checkpoint that could not be saved",
    "early_stopping": "stopped early",
}  # fmt: skip
"""Events that a person would want to know of, in words."""
MOST_RUNS = 20


def remembered(runs: Sequence[Path], now: float, goes_on: Path | None = None) -> dict[str, Any]:
    """Where runs that live stand now: their paths -> epoch, best accuracy and the time (seconds since 1970).

    `goes_on`: one that is being handed over to a process of its own, and may look as if it were over.
    """
    from workbench.runs.run import Run

    found: dict[str, Any] = {}
    for path in list(dict.fromkeys([*([goes_on] if goes_on else []), *runs]))[:MOST_RUNS]:
        summary = Run(path).summary
        if summary.live or path == goes_on:
            found[str(path.absolute())] = {"epoch": summary.epoch, "best": summary.best_top1, "time": now}
    return found


def news_of(before: Mapping[str, Any], root: Path) -> list[str]:
    """One clean line for each run in `root` that went on since then; none for what cannot be read. Reads files."""
    from workbench.runs.run import Run

    lines = []
    for name, stood in list(before.items())[:MOST_RUNS]:
        path = Path(name)
        if path.parent != root.absolute() or not isinstance(stood, Mapping) or not (path / "run.json").is_file():
            continue
        run = Run(path)
        summary = run.summary
        line = words(stood, summary.epoch, summary.best_top1, summary.state, run.events, time.time())
        if line:
            lines.append(clean(f"{path.name}: {line}", 400))
    return lines


def words(
    stood: Mapping[str, Any],
    epoch: int,
    best: float | None,
    state: str,
    events: Sequence[Mapping[str, Any]],
    now: float,
) -> str:
    """What is new since `stood`; empty where that is no record, or where nothing is.

    `while you were away (1:02:03): epochs 7 to 12, best 82.30 -> 83.10 %, finished; out of memory 2 times`.
    """
    since, was = stood.get("time"), stood.get("epoch")
    if not _is_time(since) or not isinstance(was, int):
        return ""
    parts = [f"epochs {was + 1} to {epoch}" if epoch > was + 1 else f"epoch {epoch}"] if epoch > was else []
    parts += _best(stood.get("best"), best)
    parts += [state] if state != "running" else []
    told = [event.get("event") for event in events if _later(event, since)]
    alerts = [
        what + (f" {told.count(name)} times" if told.count(name) > 1 else "")
        for name, what in WORTH_TELLING.items()
        if name in told
    ]
    if not parts and not alerts:
        return ""
    away = f"while you were away ({clock(max(0.0, now - since))}): "
    return away + "; ".join(filter(None, [", ".join(parts), *alerts]))


def _best(was: Any, now: float | None) -> list[str]:
    if now is None or (isinstance(was, int | float) and now <= was):
        return []
    if not isinstance(was, int | float):
        return [f"best {now:.2%}"]
    return [f"best {was:.2%} -> {now:.2%}"]


def _later(event: Mapping[str, Any], since: float) -> bool:
    moment = event.get("time")
    return _is_time(moment) and moment > since


def _is_time(value: Any) -> TypeGuard[float]:
    """Seconds since 1970, of this age."""
    return isinstance(value, int | float) and 0 <= value < 1e11
