"""A program in a real pseudo-terminal, read through a terminal emulator, as a person would see it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from select import select

import pyte

CHECKOUT = Path(__file__).parents[2]
"""What is tested is the workbench of this checkout, whatever is installed."""

_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")


def _surroundings() -> dict[str, str]:
    """Without a size: whoever runs the tests may have one, and that of the terminal is to count."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


class Terminal:
    """A program in a pseudo-terminal of `columns` x `rows`."""

    def __init__(
        self, command: list[str], folder: Path, columns: int, rows: int, environ: Mapping[str, str] | None = None
    ) -> None:
        """`environ`: variables besides those of this process."""
        self.screen = pyte.HistoryScreen(columns, rows)
        self.screen.write_process_input = self._answer
        self.stream = pyte.ByteStream(self.screen)
        self.controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(terminal)
        self.raw = b""
        path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**_surroundings(), "TERM": "xterm-256color", "PYTHONPATH": path, **(environ or {})},
        )  # fmt: skip
        os.close(terminal)

    def _answer(self, words: str) -> None:
        """As terminals do that are asked where the cursor is."""
        with suppress(OSError):
            os.write(self.controller, words.encode())

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, words: str, seconds: float = 60) -> str:
        """The screen as soon as it shows `words`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if words in self.text():
                return self.text()
            if select([self.controller], [], [], 0.1)[0] and not self.read():  # the program is gone
                break
        assert words in self.text(), self.text()
        return self.text()

    def read(self) -> bool:
        """Take in what there is; False when the program is gone."""
        try:
            data = os.read(self.controller, 65536)
        except OSError:
            return False
        self.raw += data
        self.stream.feed(data)
        return bool(data)

    def listen(self, seconds: float) -> None:
        """Take in what comes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select([self.controller], [], [], left)[0] and not self.read():
                return

    @property
    def said(self) -> str:
        """Everything that was written so far, without escape sequences."""
        return _SEQUENCE.sub("", self.raw.decode("utf-8", errors="replace"))

    @property
    def codes(self) -> set[str]:
        """What colours and styles were asked for: `38;5;160` of `ESC [ 38;5;160 m`."""
        return set(re.findall(r"\x1b\[([0-9;]*)m", self.raw.decode("utf-8", errors="replace")))

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as when somebody pulls at the window's corner."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self) -> None:
        """Whatever became of the program, it is gone afterwards."""
        self.process.kill()
        self.process.wait()
        self.close()

    def settle(self, quiet: float = 0.25, seconds: float = 3.0) -> None:
        """Take in what there is until nothing has come for a moment, or a live screen has gone on for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and select([self.controller], [], [], quiet)[0] and self.read():
            pass

    def close(self) -> None:
        os.close(self.controller)
