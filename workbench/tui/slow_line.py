"""Whether the line to the terminal is slow: judged by how late the terminal answers a question put behind the drawing.

What the program writes is no measure: sshd and the kernel take in megabytes for a line that is full, and everything
that is drawn afterwards comes minutes late. Only the terminal's answer has passed all of it. How late the quickest of
all answers was is the line's own latency, and no reason to draw less.
"""

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 2.0
"""Seconds between two questions, at least; none is asked where nothing has been drawn since the last one."""
LATE = 0.5
"""Seconds beyond the quickest answer: so much drawing waits in the line. Twice in a row, and it is slow."""
LOST = 3.0
"""Seconds that no answer takes on a line that is any good."""
SOON = 0.2
"""Seconds beyond the quickest answer, at most: nothing to speak of waits."""
ENOUGH = 3
"""So many answers that soon, one after the other, and the line is quick again, if it has been for `CALM` seconds."""
CALM, MOST_CALM = 10.0, 320.0
"""It doubles whenever the line is found slow again within `AGAIN` seconds of being taken for quick."""
AGAIN = 60.0
GAP = 5.0
"""Seconds between two looks after which it was this program that stood still, or the machine that slept."""
BLOCKED = 0.5
"""Seconds that writing may take between two looks: for terminals that answer nothing."""
LAST_WAIT = 1.0
"""Seconds that an answer is waited for at the end: later it would be typed into the shell."""


class SlowLine:
    """The judge. Times are seconds of a monotonic clock; only `answered` may be called from another thread."""

    def __init__(self, setting: str = "auto") -> None:
        """`setting`: `auto`, or `slow` or `fast` for a line that is so whatever is measured."""
        self.setting = setting
        self.slow = setting == "slow"
        self.ask: Callable[[], None] | None = None
        """Puts the question to the terminal; None where there is none."""
        self.asked_at: float | None = None
        """When the question was put that is not answered yet."""
        self._last = -math.inf
        self._looked = math.inf
        self._drawn = False
        self._blocked = 0.0
        self._answers: deque[float] = deque()
        self._best = math.inf
        self._answers_at_all = False
        self._late = self._soon = 0
        self._calm = CALM
        self._bad_at = self._fast_at = -math.inf

    def wrote(self, seconds: float) -> None:
        """Something was drawn, and handing it over took so long."""
        self._drawn = True
        self._blocked += seconds

    def asked(self, now: float) -> None:
        """The question has been put."""
        self.asked_at = self._last = now
        self._drawn = False

    def answered(self, now: float) -> None:
        """The terminal has answered; of what nobody asked, nothing is thought."""
        if self.asked_at is not None:
            self._answers.append(now - self.asked_at)
            self._answers_at_all = True
            self.asked_at = None

    def last_wait(self, now: float) -> float:
        """Seconds that the answer to the last question is worth waiting for, before somebody else reads the terminal.

        One that has never answered, and was asked a while ago, will not.
        """
        if self.asked_at is None:
            return 0.0
        return LAST_WAIT if self._answers_at_all else max(0.0, self.asked_at + LAST_WAIT - now)

    def look(self, now: float) -> bool:
        """Judge by what is known now; whether to ask anew. To be called about once a second."""
        if self.setting != "auto":
            return False
        blocked, self._blocked = self._blocked, 0.0
        if now - self._looked > GAP and blocked < BLOCKED and self.asked_at is not None:
            self.asked_at = now
        self._looked = now
        while self._answers:
            self._hear(self._answers.popleft(), now)
        waits = now - self.asked_at if self.asked_at is not None and self._best < math.inf else 0.0
        if blocked > BLOCKED or waits > LOST:
            self._is_slow(now)
        elif self.slow and now - self._bad_at >= self._calm and (self._soon >= ENOUGH or self._best == math.inf):
            self.slow, self._fast_at = False, now
        return self._drawn and self.asked_at is None and now - self._last >= EVERY

    def _hear(self, seconds: float, now: float) -> None:
        self._best = min(self._best, seconds)
        late = seconds - self._best
        self._late = self._late + 1 if late > LATE else 0
        self._soon = self._soon + 1 if late <= SOON else 0
        if self._late >= 2 or seconds > LOST:
            self._is_slow(now)

    def _is_slow(self, now: float) -> None:
        if not self.slow:
            again = now - self._fast_at < AGAIN
            self._calm = min(self._calm * 2, MOST_CALM) if again else CALM
        self.slow, self._bad_at, self._soon = True, now, 0
