"""The screen in a real pseudo-terminal beside runs that live: resized, two at once, interrupted, and left alone."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_runs import LiveRun, make_run
from terminal import Terminal
from tiny import tiny

Open = Callable[..., Terminal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the screen on `runs`, beginning on a screen, with variables besides the usual ones."""
    place = Path(os.environ["XDG_CONFIG_HOME"]) / "cnn-workbench" / "settings.toml"
    place.parent.mkdir()
    terminals: list[Terminal] = []

    def open_(screen: str = "models", columns: int = 80, rows: int = 24, **environ: str) -> Terminal:
        place.write_text(f'screen = "{screen}"\nhz = 10\n')
        command = [sys.executable, "-m", "workbench", "--runs", "runs"]
        terminals.append(Terminal(command, tmp_path, columns, rows, environ))
        return terminals[-1]

    yield open_
    for terminal in terminals:
        terminal.end()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRun]:
    (tmp_path / "runs").mkdir()
    run = LiveRun(tmp_path / "runs", planned=20)
    run.epoch()
    yield run
    run.end()


def press(terminal: Terminal, keys: bytes) -> None:
    os.write(terminal.controller, keys)


def left(terminal: Terminal, keys: bytes = b"\x11") -> int:
    """Its exit code after the keys that quit."""
    press(terminal, keys)
    while terminal.read():
        pass
    return terminal.process.wait(timeout=20)


def test_a_headless_run_is_seen_live_at_every_size_and_its_terminal_may_be_resized(
    tmp_path: Path, opened: Open
) -> None:
    (tmp_path / "tiny.toml").write_text(tiny(1000, flush_seconds=0.01) + "[checkpoint]\nevery_epochs = 1000\n")
    command = [sys.executable, "-m", "workbench", "--headless", "--profile", "tiny.toml"]
    trainer = Terminal(command, tmp_path, 80, 24)
    try:
        terminal = opened("train")
        terminal.wait_for("cnn-workbench --headless --profile quick.toml")  # no run yet
        terminal.wait_for("● running")  # it shows by itself
        before = terminal.wait_for("train ")
        terminal.resize(160, 45)
        text = terminal.wait_for("m metric")
        assert "● running" in text
        terminal.resize(20, 5)
        terminal.wait_for("needs 60x16")
        terminal.resize(80, 24)
        text = terminal.wait_for("● running")
        terminal.wait_for("┅ test")
        assert text.splitlines()[1] != before.splitlines()[1]  # it has gone on meanwhile
        assert left(terminal) == 0
        assert b"Traceback" not in terminal.raw
        assert trainer.process.poll() is None  # looking ends nothing
    finally:
        trainer.end()


def test_two_screens_on_one_folder_see_what_the_other_does(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "runs").mkdir()
    run = make_run(tmp_path / "runs", arch="alexnet")
    one, other = opened("runs", 160, 45), opened("runs", 160, 45)
    for terminal in (one, other):
        terminal.wait_for("alexnet")
    press(one, b"t")
    one.wait_for("tags to put on")
    press(one, b"mine\r")
    for terminal in (one, other):
        terminal.wait_for("mine")
    make_run(tmp_path / "runs", arch="gmlp_s16")
    for terminal in (one, other):
        terminal.wait_for("gmlp_s16")
        assert left(terminal) == 0
    assert "mine" in (run / "user.json").read_text()


def test_interrupts_and_keys_that_mean_nothing_end_nothing(opened: Open, live: LiveRun) -> None:
    terminal = opened("train")
    terminal.wait_for("● running")
    press(terminal, b"\x03")
    terminal.wait_for("q quits")
    for keys in (b"\x1bOz", b"\xff\xfe", "ü漢🙂".encode(), b"\x00\x1c\x1d\x1f", b"%&$"):
        press(terminal, keys)
        terminal.listen(0.05)
    live.epoch()
    terminal.wait_for("epoch 3 of 20")
    assert left(terminal, b"q") == 0
    assert b"Traceback" not in terminal.raw


def test_a_terminal_that_is_closed_ends_the_screen_within_a_second(opened: Open, live: LiveRun) -> None:
    terminal = opened("train")
    terminal.wait_for("● running")
    controller, terminal.controller = terminal.controller, os.open(os.devnull, os.O_RDONLY)
    os.close(controller)
    began = time.monotonic()
    while terminal.process.poll() is None and time.monotonic() - began < 10:
        time.sleep(0.02)
    assert terminal.process.poll() is not None, "the process lives on without its terminal"
    assert time.monotonic() - began < float(os.environ.get("CNNWB_TEST_PATIENCE", "3"))  # one second on an idle machine
    assert not live.over


@pytest.mark.parametrize("named", [False, True])
def test_attach_shows_a_live_run_and_its_long_history_within_a_second(
    tmp_path: Path, live: LiveRun, named: bool
) -> None:
    for epoch in range(2, 201):
        for step in range(100):
            live.writer.metrics({"kind": "step", "step": epoch * 100 + step, "epoch": epoch - 1 + step / 100,
                                 "seconds": epoch + step / 100, "train_loss": 1 / epoch})  # fmt: skip
        live.writer.metrics({"kind": "epoch", "epoch": epoch, "step": epoch * 100, "seconds": epoch * 2.0,
                             "test_loss": 2 / epoch, "test_top1": 1 - 1 / epoch})  # fmt: skip
    make_run(tmp_path / "runs", arch="newer")
    words = [live.path.name[:-3]] if named else []
    began = time.monotonic()
    terminal = Terminal([sys.executable, "-m", "workbench", "attach", *words, "--runs", "runs"], tmp_path, 80, 24)
    try:
        text = terminal.wait_for("best 0.01 @200")
        took = time.monotonic() - began
        assert f"● running  {live.path.name}" in text
        assert "[3 Train]" in text
        assert took < float(os.environ.get("CNNWB_TEST_PATIENCE", "6"))  # one second on an idle machine
        assert left(terminal) == 0
    finally:
        terminal.end()


TERMINALS = {
    "no colour": ({"NO_COLOR": "1"}, False), "16 colours": ({"TERM": "xterm-16color"}, False),
    "linux": ({"TERM": "linux"}, True), "dumb": ({"TERM": "dumb"}, True),
    "latin 1": ({"LC_ALL": "de_DE.ISO-8859-1"}, True), "C": ({"LC_ALL": "C"}, True),
}  # fmt: skip
"""Variables, and whether only ASCII is drawn."""


@pytest.mark.parametrize("kind", TERMINALS)
def test_it_is_readable_on_any_terminal(kind: str, opened: Open, live: LiveRun) -> None:
    environ, ascii_ = TERMINALS[kind]
    terminal = opened("train", COLORTERM="", **environ)
    text = terminal.wait_for("> running" if ascii_ else "● running")
    assert "epoch 2 of 20" in text
    terminal.wait_for("test ")
    press(terminal, b"1")
    text = terminal.wait_for("76 networks")
    assert ("= 76 networks =" if ascii_ else "━ 76 networks ━") in text
    press(terminal, b"4")
    text = terminal.wait_for("1 runs")
    assert ("> running" if ascii_ else "● running") in text
    assert terminal.raw.isascii() == ascii_
    colours = {code for code in terminal.codes if code.startswith(("38;2", "48;2", "38;5", "48;5"))}
    if kind in ("no colour", "dumb"):
        assert not {code for code in terminal.codes if code[:2] in ("31", "32", "33", "34", "35", "36")}
    if kind in ("16 colours", "linux"):
        assert not colours
    assert left(terminal) == 0
