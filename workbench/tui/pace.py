"""How often a screen may look: at most `hz` times a second, less often where looking would take from the training.

A run that trains in a thread of this process shares the interpreter's lock with the screen. So while one does, the
screen measures what it takes itself, and lengthens its interval until that is under 3 % of a core.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

SHARE = 0.03
"""Of a core, at most, while a run trains in this process."""
LONGEST = 5.0
"""Seconds: a screen that is looked at less often than this is not live any more, whatever it costs."""
MOST_AT_ONCE = 4.0
"""A window in which somebody typed, or a chart was opened, says little: the interval changes by at most so much."""
WINDOW_SECONDS = 4.0
"""Over which the cost is measured: some ticks, so that one dear one is not taken for the rule."""
AWAY = 4.0
"""How much more rarely a terminal that has lost the focus is drawn."""
SLOW = 2.0
"""Seconds between two looks, at least, where the line to the terminal is slow."""


class Pace:
    """The interval between two looks. Its cost is taken to be the looks': twice the interval, half the cost."""

    def __init__(self, hz: float, share: float = SHARE) -> None:
        """`hz`: looks a second at most; `share`: of a core, at most."""
        self.usual = 1 / hz
        self.seconds = self.usual
        self._share = share

    def interval(self, busy_seconds: float, wall_seconds: float) -> float:
        """Seconds between two looks from now on, after a window of `wall_seconds` that took `busy_seconds` of a core.

        What cannot have been measured (no time passed, no number) leaves it as it is.
        """
        if math.isfinite(busy_seconds) and math.isfinite(wall_seconds) and busy_seconds >= 0 and wall_seconds > 0:
            over = busy_seconds / wall_seconds / self._share
            longer = self.seconds * min(max(over, 1 / MOST_AT_ONCE), MOST_AT_ONCE)
            self.seconds = min(max(longer, self.usual), max(LONGEST, self.usual))
        return self.seconds

    def again(self) -> None:
        """Nothing has to be spared any more."""
        self.seconds = self.usual


@dataclass(frozen=True)
class Moment:
    """When a screen asks whether to look."""

    now: float
    """Seconds of a monotonic clock."""
    busy: float
    """Seconds of a core that the screen has taken so far, by its own clocks."""
    spare: bool = False
    """Whether a run trains in this process."""
    away: bool = False
    """Whether the terminal has lost the focus."""
    slow: bool = False
    """Whether the line to the terminal is."""


def moment_of(app: Any, beside: float) -> Moment:
    """This moment for a screen of `app`; to be called in the thread that draws.

    `beside`: seconds of a core that the screen's other threads have taken so far.
    """
    spare = bool(getattr(app, "has_threaded_run", False))
    slow = bool(getattr(app, "slow_line", False))
    return Moment(time.monotonic(), time.thread_time() + beside, spare=spare, away=not app.app_focus, slow=slow)


class Beat:
    """Says at each tick of a clock whether it is time to look. The clock ticks `hz` times a second."""

    def __init__(self, hz: float) -> None:
        self._pace = Pace(hz)
        self._looked = float("-inf")
        self._window: Moment | None = None

    def seconds(self, moment: Moment) -> float:
        """Between two looks, as things are."""
        return max(self._pace.seconds * (AWAY if moment.away else 1.0), SLOW if moment.slow else 0.0)

    def due(self, moment: Moment) -> bool:
        """Whether to look now; it is taken for done."""
        self._measure(moment)
        # Half a tick early is in time: a clock that ticks a little early would else lose every second one.
        if moment.now - self._looked < self.seconds(moment) - self._pace.usual / 2:
            return False
        self._looked = moment.now
        return True

    def _measure(self, moment: Moment) -> None:
        if not moment.spare:
            self._window = None
            self._pace.again()
        elif self._window is None or self._window.away != moment.away:
            self._window = moment  # what was cheap while nobody looked says nothing of now
        elif moment.now - self._window.now >= max(WINDOW_SECONDS, 2 * self.seconds(moment)):
            self._pace.interval(moment.busy - self._window.busy, moment.now - self._window.now)
            self._window = moment
