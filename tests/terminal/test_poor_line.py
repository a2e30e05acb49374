"""The screen over a poor line, 64 kbit/s and 200 ms there and back: how soon a key is answered, and what it spares."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest
from made_runs import LiveRun, make_run
from poor_line import DELAY, RATE, PoorLine, Wire
from terminal import Terminal

COMMAND = [sys.executable, "-m", "workbench", "--runs", "runs"]
STEP_SECONDS = 0.25
"""Between two lines that the live run writes: each look at it finds something new."""
ANSWER_SECONDS = 0.6
TRIES = 12


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRun]:
    """A run that goes on all the time, and two that are over."""
    root = tmp_path / "runs"
    root.mkdir()
    make_run(root, arch="gmlp", epochs=5)
    make_run(root, arch="vit_b_16", epochs=5)
    run = LiveRun(root, planned=30, steps=40)
    over = threading.Event()

    def train() -> None:
        while not over.wait(STEP_SECONDS):
            run.step()

    thread = threading.Thread(target=train)
    thread.start()
    settings("")
    yield run
    over.set()
    thread.join()
    run.end("stopped")


def settings(line: str) -> None:
    place = Path(os.environ["XDG_CONFIG_HOME"]) / "cnn-workbench" / "settings.toml"
    place.parent.mkdir(exist_ok=True)
    place.write_text(f'screen = "train"\n{line}\n')


def pieces(terminal: Terminal, until: float) -> Iterator[tuple[float, int]]:
    """What the program writes, when, and how much; shown a few bytes at a time."""
    while (left := until - time.monotonic()) > 0:
        if select([terminal.controller], [], [], left)[0]:
            data = os.read(terminal.controller, 65536)
            now = time.monotonic()
            for start in range(0, len(data), 32):
                terminal.stream.feed(data[start : start + 32])
                yield now, len(data[start : start + 32])


def redraw(terminal: Terminal) -> int:
    """Bytes of the largest redraw of the live run within some seconds."""
    sizes, last = [0], float("-inf")
    for now, count in pieces(terminal, time.monotonic() + 4.0):
        sizes.append(count if now - last > 0.1 else sizes.pop() + count)
        last = now
    return max(sizes)


def seconds_until(terminal: Terminal, keys: bytes, words: str, backlog: int) -> float:
    """From the key's press until its answer is on the screen, where `backlog` bytes are before it in the line."""
    wire = Wire()
    pressed = time.monotonic() - DELAY - len(keys) / RATE  # it is at the program now
    wire.carry(pressed + DELAY, backlog)
    os.write(terminal.controller, keys)
    for now, count in pieces(terminal, time.monotonic() + 10.0):
        arrives = wire.carry(now, count)
        if words in terminal.text():
            return arrives - pressed
    raise AssertionError(terminal.text())


@pytest.mark.slow
def test_a_key_is_answered_within_600_ms_while_a_run_is_live(live: LiveRun, tmp_path: Path) -> None:
    """The line is counted and not waited for: its two ways, every byte at 64 kbit/s, and the program's own time.

    Each key is pressed at the worst moment, when a redraw of the live run has just been put on the line. On a busy
    machine the program's own time is anything, so the best of some tries counts: what is proved is that the bytes that
    an answer needs leave room for it. Before only what is different was sent, no key of these came below a second.
    """
    terminal = Terminal(COMMAND, tmp_path, 80, 24, {"COLORTERM": "truecolor"})
    try:
        terminal.wait_for("● running")
        list(pieces(terminal, time.monotonic() + 1.5))
        backlog = redraw(terminal)
        assert backlog > 50, "it is live"
        for keys, words, back, at_home in (
            (b"\x1b[C", "at epoch", b"\x1b", "▸ loss  ━"),  # the value cursor
            (b"y", " log  x epoch", b"y", "▸ loss  ━"),
            (b"?", "╭─ keys", b"\x1b", "? help"),
            (b"4", "[4 Runs]", b"3", "[3 Train]"),
            (b"1", "[1 Models]", b"3", "[3 Train]"),
        ):
            found = []
            while len(found) < TRIES and min(found, default=9.0) > ANSWER_SECONDS:
                found.append(seconds_until(terminal, keys, words, backlog))
                list(pieces(terminal, time.monotonic() + 0.5))
                os.write(terminal.controller, back)
                terminal.wait_for(at_home)
                list(pieces(terminal, time.monotonic() + 0.5))
            assert min(found) <= ANSWER_SECONDS, (keys, found, backlog)
    finally:
        terminal.end()


@pytest.mark.slow
def test_over_a_line_that_fills_it_draws_less_says_so_once_and_is_itself_again_on_a_good_one(
    live: LiveRun, tmp_path: Path
) -> None:
    settings("hz = 10")
    terminal = PoorLine(COMMAND, tmp_path, 80, 24, rate=20_000.0)
    try:
        terminal.wait_for("● running")
        terminal.wait_for("accuracy, %")
        terminal.listen(4)
        assert terminal.asked, "it asks how late answers are"
        before = terminal.bytes_within(4)
        assert "slow line" not in terminal.text()
        terminal.wire.rate = before / 4 * 0.4  # less than half of what is drawn
        terminal.wait_for("slow line: one chart", 40)
        terminal.wire.rate = 20_000.0
        terminal.listen(6)  # what waits in the line
        assert "accuracy, %" not in terminal.text()
        after = terminal.bytes_within(4)
        assert after < before / 2, (before, after)
        terminal.wait_for("accuracy, %", 60)
        assert terminal.text().count("slow line") == 0
    finally:
        terminal.end()


@pytest.mark.parametrize(("line", "charts"), [('line = "slow"', 1), ('line = "fast"', 2)])
def test_the_setting_forces_it_or_forbids_it_and_nothing_is_asked(
    live: LiveRun, tmp_path: Path, line: str, charts: int
) -> None:
    settings(line)
    terminal = PoorLine(COMMAND, tmp_path, 80, 24)
    try:
        terminal.wait_for("● running")
        terminal.wait_for("loss  ━")
        terminal.listen(3)
        assert ("accuracy, %" in terminal.text()) == (charts == 2)
        if charts == 1:
            terminal.press(b"\t")
            terminal.wait_for("▸ accuracy, %")
            assert "loss  ━" not in terminal.text()
        assert terminal.asked == 0
    finally:
        terminal.end()


def test_an_answer_that_is_on_its_way_at_the_end_is_not_typed_into_the_shell(live: LiveRun, tmp_path: Path) -> None:
    """The program waits for it, a second at most."""
    script = tmp_path / "shell.sh"
    script.write_text(f'{sys.executable} -m workbench --runs runs\nread -t 1.5 -n 20 left; echo "left: <$left>"\n')
    terminal = PoorLine(["bash", str(script)], tmp_path, 80, 24)
    try:
        terminal.wait_for("● running")
        while not terminal.asked:
            terminal.listen(0.01)
        terminal.press(b"q")  # right behind the answer
        terminal.wait_for("left: <")
        assert "left: <>" in terminal.text()
    finally:
        terminal.end()
