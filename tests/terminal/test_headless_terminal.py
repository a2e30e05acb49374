"""A headless run in a real pseudo-terminal, read through a terminal emulator, as a person would see it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from tiny import tiny


@pytest.fixture(params=[(80, 24), (160, 45)], ids=["80x24", "160x45"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    chosen: tuple[int, int] = request.param
    return chosen


def run(folder: Path, size: tuple[int, int], epochs: int) -> Iterator[Terminal]:
    (folder / "tiny.toml").write_text(tiny(epochs, flush_seconds=0.01))
    command = [sys.executable, "-m", "workbench", "--headless", "--profile", "tiny.toml"]
    terminal = Terminal(command, folder, *size)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.close()


@pytest.fixture
def short_run(tmp_path: Path, size: tuple[int, int]) -> Iterator[Terminal]:
    yield from run(tmp_path, size, epochs=3)


@pytest.fixture
def long_run(tmp_path: Path, size: tuple[int, int]) -> Iterator[Terminal]:
    yield from run(tmp_path, size, epochs=1000)


def test_bars_while_it_runs_and_a_clean_screen_after(short_run: Terminal) -> None:
    while_running = short_run.wait_for("images/s")
    assert "bn_convnet:" in while_running
    text = short_run.wait_for("finished 3 epochs")
    assert short_run.process.wait(timeout=30) == 0
    for epoch in (1, 2, 3):
        assert f"epoch {epoch}  train loss" in text
    assert "━" not in text  # the bars are gone, the lines stay
    assert "run runs/" in text
    assert short_run.screen.cursor.hidden is False


def test_ctrl_c_stops_and_saves(long_run: Terminal) -> None:
    text = long_run.wait_for("epoch 2  train loss")
    assert "━" in text
    rows = [line for line in text.splitlines() if "━" in line]
    assert len(rows) == 2  # one bar for the epochs, one for the steps, each on one line
    os.write(long_run.controller, b"\x03")
    text = long_run.wait_for("--resume")
    assert long_run.process.wait(timeout=30) == 130
    assert "everything is saved" in text
    assert "Traceback" not in text
    assert long_run.screen.cursor.hidden is False
