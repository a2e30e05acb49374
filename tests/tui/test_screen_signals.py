"""What ends the screen from outside, without a real terminal: signals at odd moments, a terminal that takes nothing."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal as SeenTerminal
from textual.screen import Screen

from workbench.launch.orders import Order
from workbench.launch.thread import ThreadedRun
from workbench.tui import signals as module
from workbench.tui.app import Workbench
from workbench.tui.main import Terminal
from workbench.tui.settings import Settings
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


@pytest.mark.parametrize("name", ["models", "profiles", "train", "runs", "compare"])
def test_the_end_may_come_while_a_screen_is_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Textual mounts no widget any more by then, and tells the screen all the same that it is mounted."""
    put_together = Screen._compose

    async def ended_meanwhile(self: Screen[object]) -> None:
        app.exit(return_code=3)
        await put_together(self)

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            monkeypatch.setattr(Screen, "_compose", ended_meanwhile)
            app.go(name)
            await pilot.pause(0.2)

    app = Workbench(tmp_path, Settings(screen="runs" if name == "models" else "models"), preload=False)
    asyncio.run(run())
    assert app.return_code == 3
    assert app._exit_renderables == []


def test_interrupted_twice_nobody_waits_for_the_run_and_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception out of waiting would land anywhere: in a finalizer it is printed, and nobody stops waiting."""
    never = threading.Event()
    monkeypatch.setattr(ThreadedRun, "_train", lambda self: never.wait(60))
    monkeypatch.setattr(ThreadedRun, "begun", True)
    app = Workbench(tmp_path, preload=False)
    monkeypatch.setattr(app, "post_message", lambda message: True)
    app.launches.launcher.submit([Order(profile="x = 1\n", label="endless")])
    for _ in range(1000):
        if app.launches.live is not None:
            break
        never.wait(0.01)
    assert app.launches.live is not None
    with ending_on_signals(app, lambda signals: None) as signals:
        signal.raise_signal(signal.SIGTERM)  # what comes first says how it ends
        signals.screen_is_over()
        for seconds in (0.2, 0.4):
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        app.launches.finish(signals.name)
        assert 0.3 < time.monotonic() - began < 20
    assert signals.exit_code == 75
    never.set()


def test_a_signal_that_comes_while_the_last_words_are_said_is_no_trouble(tmp_path: Path) -> None:
    """As a program of its own, in a terminal: what is left by then is Python's own handler, and its traceback."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from workbench.tui import main\n"
        "flush = main._flush\n"
        "main._flush = lambda: (os.kill(os.getpid(), signal.SIGINT), flush())\n"
        "sys.exit(main.run(Path('runs')))\n"
    )
    terminal = SeenTerminal([sys.executable, "-c", code], tmp_path, 80, 24)
    try:
        terminal.wait_for("76 networks")
        os.kill(terminal.process.pid, signal.SIGINT)
        while terminal.read():
            pass
        assert terminal.process.wait(timeout=20) == 130
        assert b"Traceback" not in terminal.raw
    finally:
        terminal.end()


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
