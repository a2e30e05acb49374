"""The screen in a real pseudo-terminal: it comes up, it goes by a key, and the terminal is as it was."""

import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal

ALTERNATE_SCREEN_OFF, CURSOR_ON, MOUSE_OFF = b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l"


@pytest.fixture(params=[(80, 24), (160, 45)], ids=["80x24", "160x45"])
def screen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "cnn-workbench" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('theme = "light"\nthem = "dark"\n')
    terminal = Terminal([sys.executable, "-m", "workbench", "--runs", "somewhere"], tmp_path, *request.param)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.close()


def test_it_comes_up_finds_a_network_and_leaves_the_terminal_as_it_was(screen: Terminal, tmp_path: Path) -> None:
    screen.wait_for("76 networks")
    text = screen.wait_for("unknown setting")
    assert "[1 Models]" in text
    assert "? help" in text
    assert termios.tcgetattr(screen.controller)[3] & (termios.ICANON | termios.ECHO) == 0
    os.write(screen.controller, b"/gmlp\r")  # all at once, as a slow line delivers it
    screen.wait_for("Pay Attention to MLPs")
    os.write(screen.controller, b"\x11")
    while screen.read():
        pass
    assert screen.process.wait(timeout=20) == 0
    assert termios.tcgetattr(screen.controller) == screen.before
    assert screen.raw.rindex(ALTERNATE_SCREEN_OFF) > screen.raw.rindex(b"MLPs")
    for ending in (CURSOR_ON, MOUSE_OFF):
        assert screen.raw.rindex(ending) > screen.raw.rindex(b"MLPs")
    assert not (tmp_path / "somewhere").exists()  # looking makes nothing


def test_q_quits_while_torch_is_being_loaded(screen: Terminal) -> None:
    screen.wait_for("76 networks")
    os.write(screen.controller, b"w")
    screen.wait_for("loading torch")
    os.write(screen.controller, b"q")
    while screen.read():
        pass
    assert screen.process.wait(timeout=20) == 0
    assert b"Traceback" not in screen.raw
    assert termios.tcgetattr(screen.controller) == screen.before


SLOW_TO_END = """
import atexit, sys, threading, time
from pathlib import Path
from workbench.tui.main import run

atexit.register(time.sleep, 600)
threading.Thread(target=time.sleep, args=(600,)).start()
sys.exit(run(Path("runs")))
"""


def test_nobody_waits_at_the_end_for_what_libraries_have_left_to_do(tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, "-c", SLOW_TO_END], tmp_path, 80, 24)
    try:
        terminal.wait_for("76 networks")
        os.write(terminal.controller, b"q")
        assert terminal.process.wait(timeout=60) == 0  # what it writes last is small enough to wait in the terminal
        assert termios.tcgetattr(terminal.controller) == terminal.before
    finally:
        terminal.end()


def test_without_a_terminal_there_is_help_and_an_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workbench"]
    found = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "--headless" in found.stdout
    assert "\x1b" not in found.stdout + found.stderr
