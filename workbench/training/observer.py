"""What a loop tells whoever started it, and what that one can ask of it."""

from dataclasses import dataclass
from typing import Literal, Protocol

HAND_OVER = "hand-over"
"""Cause of a stop after which a process of its own goes on with the run."""


@dataclass(frozen=True)
class Snapshot:
    """Where a run is. Accuracies are fractions, times are seconds."""

    phase: Literal["train", "val", "test"]
    epoch: int
    """The epoch under way, from 1."""
    epochs: int
    done: int
    """Steps (or evaluation batches) done in this phase."""
    total: int
    loss: float | None
    """Training loss, as of the last flush."""
    top1: float | None
    images_per_second: float | None
    eta: float | None


class Observer(Protocol):
    """Called from the thread that trains; must return at once and not raise."""

    def note(self, text: str) -> None:
        """A line of narration."""

    def progress(self, snapshot: Snapshot) -> None:
        """After every step and every evaluation batch."""

    def epoch_done(self, record: dict[str, float | int | str]) -> None:
        """The epoch's line of metrics.jsonl."""


class Quiet:
    """An observer that says nothing: for every rank but the first."""

    def note(self, text: str) -> None:
        pass

    def progress(self, snapshot: Snapshot) -> None:
        pass

    def epoch_done(self, record: dict[str, float | int | str]) -> None:
        pass


class StopRequest:
    """Set by a signal handler or another thread; the loop looks at it between steps."""

    def __init__(self) -> None:
        self.cause: str | None = None
        """The signal's name or who asked; None while nobody did."""

    def arm(self) -> None:
        """There is a run from here on: whoever asks to stop, the loop will save and end."""

    def settle(self) -> None:
        """How the run ends is being written down: nobody may interrupt that."""

    def requested(self) -> bool:
        return self.cause is not None

    def set(self, cause: str) -> None:
        self.cause = self.cause or cause

    @property
    def preempts(self) -> bool:
        """Whether the run is to go on elsewhere: a scheduler, a lost terminal or a screen that hands it over asked."""
        return self.cause in ("SIGTERM", "SIGUSR2", "SIGHUP", HAND_OVER)
