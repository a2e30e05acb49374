"""Every dialog and every line to type in as text, beside what it was; how to write the files anew: `pictures`."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from asking_scenes import SCENES, UNSTEADY, nothing_by_the_clock, played
from pictures import GOLDEN, Size, difference, folder, one_place_and_machine, place_of

from workbench.tui.app import Workbench
from workbench.tui.settings import Settings

__all__ = ["folder", "nothing_by_the_clock", "one_place_and_machine"]

PICTURED = tuple(name for name in SCENES if name not in UNSTEADY)
SIZES = ((80, 24), (60, 16))
TINY = (20, 5)
IN_TINY = ("launch", "queue", "leave", "help", "palette", "columns", "filter", "choice")
"""A dialog of each kind. Toasts are seen there too: they pass."""

pytestmark = pytest.mark.usefixtures("one_place_and_machine", "nothing_by_the_clock")


def pictures(size: Size, names: Iterable[str] = PICTURED) -> dict[str, str]:
    """Of one app, by name."""

    async def play() -> dict[str, str]:
        app = Workbench(Path("runs"), Settings(screen="runs", hz=10), preload=False)
        async with app.run_test(size=size, notifications=True) as pilot:
            return {name: shown async for name, shown in played(app, pilot, {name: SCENES[name] for name in names})}

    return asyncio.run(play())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_all_that_asks_is_as_it_was_and_its_frame_and_keys_are_in_sight(size: Size) -> None:
    found = pictures(size)
    changes = [difference(f"ask-{name}", size, shown) for name, shown in found.items()]
    assert not any(changes), "".join(changes)
    for name, shown in found.items():
        assert shown.count("╭") == shown.count("╰"), f"{name}: a frame that is cut off\n{shown}"
        assert any(key in shown for key in ("esc", "enter", "y yes", "q  leave", "help")), (
            f"{name}: which keys?\n{shown}"
        )


def test_nothing_that_asks_is_drawn_over_the_line_of_a_tiny_terminal() -> None:
    line = place_of("models", TINY).read_text(encoding="utf-8")
    assert "needs 60x16" in line.replace("\n", " ")
    assert {name: shown for name, shown in pictures(TINY, IN_TINY).items() if shown != line} == {}


def test_there_is_no_picture_that_nobody_looks_at() -> None:
    assert set(GOLDEN.glob("ask-*")) == {place_of(f"ask-{name}", size) for name in PICTURED for size in SIZES}
