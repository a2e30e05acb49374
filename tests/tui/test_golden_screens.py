"""Every screen at four sizes, as text, beside what it was; how to write the files anew: `pictures`.

A new screen is one line in `SCENES`.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pictures import GOLDEN, Size, difference, dump, folder, one_place_and_machine

from workbench.tui.app import Workbench
from workbench.tui.settings import Settings

__all__ = ["folder", "one_place_and_machine"]

pytestmark = pytest.mark.usefixtures("one_place_and_machine")

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


def picture(scene: Scene, size: Size) -> str:
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
def test_the_screen_is_as_it_was(name: str, size: Size) -> None:
    changed = difference(name, size, picture(SCENES[name], size))
    assert not changed, changed


def test_no_picture_tells_of_the_machine_or_the_day() -> None:
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    for path in sorted(GOLDEN.iterdir()):
        text = path.read_text(encoding="utf-8")
        _, rows = path.stem.rpartition("-")[2].split("x")
        assert len(text.splitlines()) == int(rows), path.name
        assert not any(word in text for word in ("/tmp", os.uname().nodename)), path.name
        assert today == "2026-11-23" or today not in text, path.name
    known = {f"{name}-{columns}x{rows}.txt" for name in SCENES for columns, rows in SIZES}
    assert {path.name for path in GOLDEN.iterdir() if not path.name.startswith("ask-")} == known
