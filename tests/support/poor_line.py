"""A terminal behind a poor line: so many bytes a second, and each of them some time later. As ssh carries it.

The program is never held up, as it is not by sshd, which takes in some megabytes for a line that is full: it can know
of a poor line only by what the terminal answers, and when.
"""

import os
import threading
import time
from collections import deque
from pathlib import Path
from select import select

from terminal import Terminal

RATE = 8000.0
"""Bytes a second: 64 kbit/s."""
DELAY = 0.1
"""Seconds each way: 200 ms there and back."""
QUESTION, ANSWER = b"\x1b[6n", b"\x1b[1;1R"
"""Where the cursor is; every terminal answers that."""


class Wire:
    """One direction of a line, on whatever clock: what is put on it waits for what was put on it before."""

    def __init__(self, rate: float = RATE, delay: float = DELAY) -> None:
        self.rate, self.delay = rate, delay
        self.free = float("-inf")

    def carry(self, now: float, count: int) -> float:
        """When the last of `count` bytes that are put on it now is at the other end."""
        self.free = max(self.free, now) + count / self.rate
        return self.free + self.delay


class PoorLine(Terminal):
    """A terminal at the far end: what it shows, and the answers that it gives, are late by the line."""

    def __init__(self, command: list[str], folder: Path, columns: int, rows: int, rate: float = RATE) -> None:
        self.wire, self.back = Wire(rate), Wire(rate)
        self._coming: deque[tuple[float, bytes]] = deque()
        self._going: deque[tuple[float, bytes]] = deque()
        self.sent: list[tuple[float, int]] = []
        """When the program has written, and how many bytes."""
        self.asked = 0
        """How often it has asked the terminal something."""
        self._over = threading.Event()
        super().__init__(command, folder, columns, rows)
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self._carrier.start()

    def _carry(self) -> None:
        while not self._over.is_set():
            try:
                if select([self.controller], [], [], 0.01)[0]:
                    data = os.read(self.controller, 65536)
                    now = time.monotonic()
                    self.sent.append((now, len(data)))
                    self._coming.append((self.wire.carry(now, len(data)), data))
                while self._going and self._going[0][0] <= time.monotonic():
                    os.write(self.controller, self._going.popleft()[1])
            except OSError:  # the program is gone
                return

    def press(self, keys: bytes) -> None:
        """Type; it is there when the line has carried it."""
        self._going.append((self.back.carry(time.monotonic(), len(keys)), keys))

    def listen(self, seconds: float) -> None:
        """Show what arrives for a while, and answer what is asked."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            while self._coming and self._coming[0][0] <= now:
                data = self._coming.popleft()[1]
                self.raw += data
                self.stream.feed(data)
                for _ in range(data.count(QUESTION)):
                    self.asked += 1
                    self.press(ANSWER)
            time.sleep(0.01)

    def wait_for(self, words: str, seconds: float = 60) -> str:
        """The screen as soon as it shows `words`."""
        end = time.monotonic() + seconds
        while words not in self.text():
            assert time.monotonic() < end, self.text()
            self.listen(0.05)
        return self.text()

    def bytes_within(self, seconds: float) -> int:
        """How many bytes the program writes within a time that begins now."""
        began = time.monotonic()
        self.listen(seconds)
        return sum(count for when, count in list(self.sent) if began <= when < began + seconds)

    def end(self) -> None:
        """Whatever became of the program, it is gone afterwards."""
        self._over.set()
        self._carrier.join()
        super().end()
