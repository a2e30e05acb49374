"""One run as a row: what lists, filters, tables and comparisons are made of.

Made from run.json, status.json, user.json and the end of events.jsonl, never from the whole history, so that ten
thousand of them are read in a second. Every string in it has passed `clean`. What a run does not tell is None, an
empty string or an empty tuple; older schemas tell less.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STATES = (
    "running", "paused", "silent", "lost", "frozen", "crashed", "finished", "stopped", "preempted", "failed", "unknown",
)  # fmt: skip
"""running: alive. paused: alive, by request. silent: of another host, and nothing new for a while. lost: for so long
that its host or the way there is likely gone. frozen: its process is stopped (SIGSTOP). crashed: its process is gone
and wrote no ending. finished, stopped, preempted, failed: as its last attempt wrote. unknown: too damaged to tell, or
of a newer version."""

LIVE = ("running", "paused", "silent", "lost", "frozen")
"""States of a run that may still change by itself."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One run. Accuracies are fractions, losses means over images, times seconds, memory bytes."""

    id: str
    created: str
    """ISO 8601, UTC."""
    state: str
    """One of `STATES`."""
    detail: str
    """The state in words where the word is not all: `silent for 4 min`, the error of a failed run."""
    name: str
    arch: str
    dataset: str
    recipe: str
    """Label of the recipe: the profile's `recipe`, which is the name of its file unless it says otherwise."""
    seed: int | None
    device: str
    host: str
    parent: str
    """Run that it was forked from."""
    parameters: int | None
    macs: int | None
    """Multiply-accumulates of one image of the run's own size."""
    epoch: int
    """Epochs that are over."""
    epochs: int | None
    """Epochs planned."""
    step: int
    steps: int | None
    test_top1: float | None
    """Last epoch's, as are the other figures but best."""
    test_top5: float | None
    test_loss: float | None
    val_top1: float | None
    val_loss: float | None
    train_top1: float | None
    train_loss: float | None
    best_top1: float | None
    best_epoch: int | None
    best_split: str
    """What best was chosen on: val, or test where there are no validation images."""
    images_per_second: float | None
    peak_memory: int | None
    """Most memory that the run took: of the GPU, or of the process on a CPU."""
    seconds: float | None
    """Wall time of all attempts."""
    eta: float | None
    tags: tuple[str, ...]
    note: str
    pinned: bool
    archived: bool
    settings: Mapping[str, Any]
    """The profile, flat: `{"optim.lr": 0.1, "data.image_size": 32, "seed": 0, ...}`."""

    @property
    def live(self) -> bool:
        return self.state in LIVE
