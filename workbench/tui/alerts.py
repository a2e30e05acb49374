"""What a person who watches a run should be told: rules over what is known of it, with the clock passed in.

Each rule is one sentence about one state of things. It holds or it does not; who shows it remembers what it has shown.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.base.gpu import Gpu
from workbench.runs.liveness import WATCHING
from workbench.runs.summary import LIVE
from workbench.runs.units import clock, short_memory

PLATEAU_SHARE = 0.97
"""A loss above this share of ln(classes) is that of guessing: networks that learn at all leave it within an epoch."""
PLATEAU_POINTS = 3
"""Newest figures that must all be there: one bad stretch is none."""
STALL_SECONDS = 30.0
"""Within an epoch status.json is replaced every second or with each step; no step of a sensible run takes so long."""
START_SECONDS = 300.0
"""Before the first step: data are read, a network is compiled."""
EVALUATION_SECONDS = 120.0
"""At the end of an epoch nothing is written until the test images are through; at least so long, or an epoch's time."""
LEAST_FREE = 10**9
"""Bytes below which a disk is nearly full, whatever a checkpoint takes."""
CHECKPOINTS_FREE = 3
"""Checkpoints for which there should be room: a new one is written whole before an old one goes."""

GOES_ON = "screen 4, R goes on with it"

HOT = 90.0
"""°C from which a GPU is hot where it does not say itself. Under full load 80 to 85 is usual, in a closed case as in a
server; from about 90 on nearly all of them slow down."""
BELOW_SLOWDOWN = 2.0
"""°C below its own limit at which one that names it is hot: it holds itself there by going slower."""


@dataclass(frozen=True)
class Seen:
    """What the rules look at. Times are of one monotonic clock, in seconds."""

    state: str
    detail: str = ""
    epoch: int = 0
    """Epochs that are over."""
    step: int = 0
    steps_per_epoch: float = 0.0
    epoch_seconds: float = 0.0
    """What an epoch took so far, on average; 0 before the first is over."""
    moved: float = 0.0
    """When the run last wrote anything, by the reader's clock."""
    losses: Sequence[float] = ()
    """Newest training losses, the last one last."""
    classes: int = 0
    free: int | None = None
    """Bytes free where the run is."""
    checkpoint: int = 0
    """Bytes of its largest checkpoint."""
    events: Sequence[dict[str, Any]] = ()
    gpu: Gpu | None = None


@dataclass(frozen=True)
class Alert:
    """Something to be told. `kind` is the rule's name: it is told once for each."""

    kind: str
    text: str
    serious: bool = True


def alerts(seen: Seen, now: float) -> list[Alert]:
    """All that hold, the gravest first."""
    rules = (_ended_badly(seen), _nan(seen), _disk(seen), _stalled(seen, now), _frozen(seen), _hot(seen),
             _plateau(seen), _stopping(seen))  # fmt: skip
    return [alert for rule in rules for alert in rule]


def _ended_badly(seen: Seen) -> Iterator[Alert]:
    if seen.state in ("failed", "crashed"):
        on = f"; {GOES_ON}" if seen.state == "crashed" else ""  # what failed would fail again
        yield Alert(seen.state, f"the run has {seen.state}{_because(seen.detail)}{on}")
    elif seen.state in ("stopped", "preempted"):
        yield Alert("over", f"it was {seen.state} before its end; {GOES_ON}", serious=False)
    elif seen.state == "unknown":
        yield Alert("unknown", f"nobody can say how it stands{_because(seen.detail)}")


def _nan(seen: Seen) -> Iterator[Alert]:
    last = _last(seen.events, ("nan",), ("started",))
    if last is not None:
        where = f" in step {last['step']:,}" if isinstance(last.get("step"), int) else ""
        yield Alert("nan", f"loss or gradient was not a number{where} (on_nan = {last.get('on_nan', '?')})")
    elif seen.losses and not math.isfinite(seen.losses[-1]):
        yield Alert("nan", "the training loss is not a number")


def _disk(seen: Seen) -> Iterator[Alert]:
    if seen.state not in LIVE:
        return
    refused = _last(seen.events, ("disk_full",), ("disk_ok", "started", "resumed"))
    if refused is not None:
        yield Alert("disk", "the disk is full: what the run has to say waits in memory")
        return
    wanted = max(LEAST_FREE, CHECKPOINTS_FREE * seen.checkpoint)
    if seen.free is not None and seen.free < wanted:
        yield Alert("disk", f"the disk is nearly full: {short_memory(seen.free)} left, {short_memory(wanted)} wanted")


def _stalled(seen: Seen, now: float) -> Iterator[Alert]:
    quiet = now - seen.moved
    if seen.state in ("silent", "lost") and not seen.detail.endswith(WATCHING):
        yield Alert("stalled", f"nothing new{_because(seen.detail)}")
    elif seen.state == "running" and quiet > patience(seen):
        yield Alert("stalled", f"nothing new for {clock(quiet)}; its process lives")


def patience(seen: Seen) -> float:
    """Seconds of silence that are nothing unusual where the run stands."""
    if not seen.step:
        return START_SECONDS
    between = seen.steps_per_epoch > 0 and abs(seen.step % seen.steps_per_epoch) < 0.5
    return max(EVALUATION_SECONDS, seen.epoch_seconds) if between else STALL_SECONDS


def _frozen(seen: Seen) -> Iterator[Alert]:
    if seen.state == "frozen":
        yield Alert("frozen", seen.detail or "its process is stopped")


def _hot(seen: Seen) -> Iterator[Alert]:
    gpu = seen.gpu
    if seen.state not in LIVE or gpu is None or gpu.temperature is None:
        return
    limit = HOT if gpu.slowdown is None else min(HOT, gpu.slowdown - BELOW_SLOWDOWN)
    if gpu.temperature >= limit:
        slows = f", it slows itself down from {gpu.slowdown:.0f} °C on" if gpu.slowdown is not None else ""
        yield Alert("hot", f"the GPU is hot: {gpu.temperature:.0f} °C{slows}")


def _plateau(seen: Seen) -> Iterator[Alert]:
    if seen.epoch < 1 or seen.classes < 2 or seen.state not in LIVE:
        return
    guessing = math.log(seen.classes)
    newest = list(seen.losses)[-PLATEAU_POINTS:]
    if len(newest) == PLATEAU_POINTS and all(loss >= PLATEAU_SHARE * guessing for loss in newest):
        yield Alert(
            "plateau",
            f"no better than guessing: the training loss is {newest[-1]:.3f}, ln({seen.classes}) = {guessing:.3f}",
            serious=False,
        )


def _stopping(seen: Seen) -> Iterator[Alert]:
    if seen.state in LIVE and _last(seen.events, ("stop_after_epoch",), ("started", "resumed")) is not None:
        yield Alert("stopping", "it stops when this epoch is over, as was asked", serious=False)


def _last(events: Sequence[dict[str, Any]], wanted: Iterable[str], ending: Iterable[str]) -> dict[str, Any] | None:
    """The newest of the wanted events that none of the ending ones follows."""
    chosen, after = set(wanted), set(ending)
    for event in reversed(events):
        name = str(event.get("event"))
        if name in chosen or name in after:
            return event if name in chosen else None
    return None


def _because(detail: str) -> str:
    return f": {detail}" if detail else ""
