"""Every screen at four sizes, as text, beside what it was: `golden/<screen>-<columns>x<rows>.txt`.

After a change that is meant, write them anew, look at the difference with `git diff`, and commit it with the change:

    CNNWB_TEST_GOLDEN=write pytest -n 0 tests/tui/test_golden_screens.py

A new screen is one line in `SCENES`. Nothing on these pictures may depend on the machine, the hour or torch.
"""

import asyncio
import difflib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from scripted_runs import scripted_runs

from workbench.profile import builtin_folder, files
from workbench.tui import usage, watching
from workbench.tui.app import Workbench
from workbench.tui.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
SIZES = ((80, 24), (100, 30), (160, 45), (20, 5))
PATIENCE = 30.0
STILL = 0.4
"""Seconds without a change after which a screen is as it stays."""


@dataclass(frozen=True)
class Scene:
    """A screen, and what one does there before the picture is taken."""

    mode: str
    ready: str
    """What it shows when it has read the runs; then the keys are pressed."""
    keys: tuple[str, ...] = ()
    shows: str = ""
    """What it shows after them. Both at any size that the screens are made for."""


SCENES = {
    "models": Scene("models", "82.71"),
    "models-card": Scene("models", "82.71", ("/", *"resnet18", "enter", "z"), "Deep Residual Learning"),
    "train": Scene("train", "epoch 4 of 8", ("left", "left", "left"), "at epoch 3."),
    "runs": Scene("runs", "82.71", ("space", "down", "down"), "* 1 mark"),
    "runs-groups": Scene("runs", "82.71", ("g",), "3 groups"),
    "profiles": Scene("profiles", "quick"),
    "compare": Scene("runs", "82.71", ("space", "space", "c"), "[5 Compare]"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("golden") / "runs"
    shutil.copytree(builtin_folder(), root.with_name("builtin"))
    end = scripted_runs(root)
    yield root
    end()


@pytest.fixture(autouse=True)
def one_place_and_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """UTC, English, no figures of this machine, and a folder that is called `runs`."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(folder.parent)
    for name in ("LC_ALL", "LC_CTYPE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for module in (
        sys.modules["workbench.profile.find"],
        files,
    ):  # a path of this machine would be on the screen, and cut where it is long
        monkeypatch.setattr(module, "builtin_folder", lambda: Path("builtin"))
        monkeypatch.setattr(module, "user_folder", lambda: Path("config"))
    monkeypatch.setattr(usage.Meter, "look", lambda meter: None)
    monkeypatch.setattr(watching, "_free", lambda path: None)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def dump(app: Workbench) -> str:
    """What the terminal shows, without styles and without blanks at the ends of lines."""
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in row).rstrip() for row in rows) + "\n"


async def settled(app: Workbench, pilot: Any, there: Callable[[str], bool]) -> str:
    """The picture, once it is what is waited for and has not changed for a while."""
    deadline = time.monotonic() + PATIENCE
    before, since = "", time.monotonic()
    while time.monotonic() < deadline:
        await pilot.pause(0.02)
        now = dump(app)
        if now != before or not there(now):
            before, since = now, time.monotonic()
        elif time.monotonic() - since > STILL:
            return now
    raise AssertionError(f"never there, or never still:\n{before}")


def picture(scene: Scene, size: tuple[int, int]) -> str:
    async def play() -> str:
        app = Workbench(Path("runs"), Settings(screen=scene.mode, hz=10), preload=False)
        tiny = size[0] < 60 or size[1] < 16

        def there(words: str) -> Callable[[str], bool]:
            return lambda text: ("needs 60x16" if tiny else words) in text

        async with app.run_test(size=size) as pilot:
            found = await settled(app, pilot, there(scene.ready))
            if scene.keys:
                await pilot.press(*scene.keys)
                found = await settled(app, pilot, there(scene.shows))
            return found

    return asyncio.run(play())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCENES)
def test_the_screen_is_as_it_was(name: str, size: tuple[int, int]) -> None:
    found = picture(SCENES[name], size)
    path = GOLDEN / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("CNNWB_TEST_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
        return
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), str(path.name), "now", lineterm="", n=1)
    assert found == wanted, "\n".join(["", *lines, "", "if this is meant: see the module's docstring"])


def test_no_picture_tells_of_the_machine_or_the_day() -> None:
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    for path in sorted(GOLDEN.iterdir()):
        text = path.read_text(encoding="utf-8")
        _, rows = path.stem.rpartition("-")[2].split("x")
        assert len(text.splitlines()) == int(rows), path.name
        assert not any(word in text for word in ("/tmp", os.uname().nodename)), path.name
        assert today == "2026-11-23" or today not in text, path.name
    known = {f"{name}-{columns}x{rows}.txt" for name in SCENES for columns, rows in SIZES}
    assert {path.name for path in GOLDEN.iterdir()} == known
