"""What ends the screen from outside, without a real terminal: signals at odd moments, a terminal that takes nothing."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from workbench.tui import signals as module
from workbench.tui.app import Workbench
from workbench.tui.main import Terminal
from workbench.tui.signals import Signals, ending_on_signals


def test_a_signal_that_comes_before_the_screen_ends_it_as_soon_as_it_is_there(tmp_path: Path) -> None:
    app = Workbench(tmp_path, preload=False)
    app.end_soon()

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            for _ in range(100):
                if app._exit:
                    return
                await pilot.pause(0.02)

    asyncio.run(run())
    assert app._exit


def test_signals_that_come_when_the_screen_is_gone_are_no_trouble(tmp_path: Path) -> None:
    app = Workbench(tmp_path, preload=False)

    async def run() -> None:
        async with app.run_test(size=(80, 24)):
            for _ in range(3):
                app.end_soon()

    asyncio.run(run())
    with ending_on_signals(app, lambda signals: None) as signals:
        for name in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(name)
        signals.screen_is_over()
    assert (signals.name, signals.exit_code) == ("SIGHUP", 75)  # what came first counts


def test_a_place_that_cannot_be_kept_does_not_keep_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Workbench(tmp_path, preload=False)

    def full(self: Any, app: Any) -> None:
        raise OSError("No space left on device")

    async def run() -> None:
        async with app.run_test(size=(80, 24)):
            monkeypatch.setattr(Workbench, "_keep_place", full)
            with pytest.raises(OSError, match="No space"):
                app.leave()

    asyncio.run(run())
    assert app._exit


@pytest.mark.parametrize("ends", [True, False])
def test_a_screen_that_does_not_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    called = threading.Event()
    signals = Signals(Workbench(tmp_path, preload=False), lambda signals: called.set())
    signals.handle(signal.SIGTERM, None)
    if ends:
        signals.screen_is_over()
    assert called.wait(0.6) != ends
    assert signals.exit_code == 75


def test_a_terminal_that_has_gone_takes_what_is_written_and_says_so_once() -> None:
    controller, end = pty.openpty()
    told: list[str] = []
    with Terminal(os.fdopen(end, "wb"), encoding="utf-8", line_buffering=True) as terminal:
        terminal.lost = lambda: told.append("lost")
        terminal.write("there\n")
        assert os.read(controller, 100) == b"there\r\n"
        os.close(controller)
        for _ in range(3):
            assert terminal.write("gone\n" * 5000) == 25000
            terminal.flush()
    assert told == ["lost"]


def test_on_a_hung_up_terminal_nobody_turns_round_and_round(tmp_path: Path) -> None:
    """As a program of its own: descriptor 0 is what this is about."""
    code = (
        "import os, pty, signal, select\n"
        "from pathlib import Path\n"
        "from workbench.tui.app import Workbench\n"
        "from workbench.tui.signals import ending_on_signals\n"
        "controller, end = pty.openpty()\n"
        "os.dup2(end, 0)\n"
        f"with ending_on_signals(Workbench(Path({str(tmp_path)!r}), preload=False), print) as signals:\n"
        "    os.close(controller)\n"
        "    assert select.select([0], [], [], 0)[0], 'at its end it is always there to be read'\n"
        "    while signals.number is None:\n"
        "        signal.pause()\n"
        "    assert len(os.read(0, 100)) == 1, 'who was about to read is not held'\n"
        "    assert not select.select([0], [], [], 0.2)[0]\n"
        "    signals.screen_is_over()\n"
        "print(signals.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("SIGHUP\n", "")
