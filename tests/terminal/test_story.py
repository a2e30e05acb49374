"""The whole way by keys alone, in a real terminal: find a network, read it, make a profile, train, compare, quit."""

import os
import sys
import time
import tomllib
from pathlib import Path

import pytest
from made_runs import make_run
from terminal import Terminal

from workbench.runs import journal

SECONDS = 120


class Person:
    """Types, and reads what the screen says."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def types(self, keys: str) -> None:
        os.write(self.terminal.controller, keys.encode())

    def sees(self, *words: str) -> None:
        for word in words:
            self.terminal.wait_for(word, SECONDS)

    def sets(self, field: str, value: str) -> None:
        """Find a field by its name and type a value."""
        self.types(f"/{field}\r")
        self.sees(f"filter: {field}")
        self.types("\r")
        self.sees("enter takes it")
        self.types(f"\x15{value}\r")  # ^u empties the line
        self.sees(f"{field.rpartition('.')[2]} = {value}")
        self.types("\x1b")
        self.gone(f"filter: {field}")

    def chooses(self, field: str, value: str) -> None:
        self.types(f"/{field}\r")
        self.sees(f"filter: {field}")
        self.types("\r")
        self.sees("type to filter")
        self.types(value)
        time.sleep(0.3)  # the list narrows as one types
        self.types("\r")
        self.sees(f"{field.rpartition('.')[2]} = {value}")
        self.types("\x1b")
        self.gone(f"filter: {field}")

    def gone(self, words: str) -> None:
        end = time.monotonic() + SECONDS
        while words in self.terminal.text():
            assert time.monotonic() < end, self.terminal.text()
            self.terminal.read()


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
def test_from_a_name_to_a_comparison(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "runs").mkdir()
    other = make_run(tmp_path / "runs", arch="resnet18", epochs=3)
    terminal = Terminal([sys.executable, "-m", "workbench"], tmp_path, *size)
    person = Person(terminal)
    try:
        person.sees("networks")
        person.types("/vit\r")
        person.sees("An Image is Worth")
        person.types("w")
        person.sees("class_token", "conv_proj")
        person.types("n")
        person.sees("A new profile for vit", "the paper's recipe")
        person.types("\r")
        person.sees("extends papers/vit")
        person.chooses("dataset", "digits")
        person.sets("image_size", "32")
        person.sets("batch_size", "4")
        person.sets("optim.lr", "0.001")
        person.sees("4 not saved")
        person.types("w")
        person.sees("save as")
        person.types("\x15profiles/mine.toml\r")
        person.sees("saved profiles/mine.toml")
        person.types("G")
        person.sees("Train vit-paper", "digits, 32 px, batch 4", "lr 0.001", "enter launch")
        person.types("\r")
        person.sees("● running", "[3 Train]", "images/s")
        [run] = [path.parent for path in (tmp_path / "runs").glob("*/run.json") if path.parent != other]
        person.types("K")
        person.sees("now?", "It finishes its step")
        person.types("y")
        person.sees("■ stopped")
        person.types("4")
        person.sees("[4 Runs]", "2 runs", "■ stopped", "✓ finished")
        person.types("  c")
        person.sees("[5 Compare]", "vit", "resnet18")
        person.types("q")
        while terminal.read():
            pass
        assert terminal.process.wait(timeout=30) == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.close()
    written = tomllib.loads((tmp_path / "profiles" / "mine.toml").read_text())
    assert written == {
        "extends": "papers/vit",
        "data": {"dataset": "digits", "image_size": 32, "batch_size": 4},
        "optim": {"lr": 0.001},
    }
    endings = [line["event"] for line in journal.read(run / "events.jsonl").records]
    assert endings[0] == "started"
    assert endings[-1] == "stopped"
    assert b"Traceback" not in terminal.raw
