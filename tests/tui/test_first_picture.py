"""What the first picture costs, in counts: `tests/bench/screen.py` measures the time, which the machine changes."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.tui.app import Workbench
from workbench.tui.screens.model_list import ModelList

HEAVY = {
    "torch", "torchvision", "numpy", "plotext", "pydantic", "pydantic_settings", "psutil", "pynvml", "orjson", "lark",
    "sqlite3", "pygments", "rich.syntax", "rich.markdown", "tomlkit", "tomli_w", "PIL", "scipy", "hashlib",
    "secrets", "email", "http.client", "urllib.request", "multiprocessing", "unittest.mock",
}  # fmt: skip
LATER = {
    "workbench.profile", "workbench.runs.store", "workbench.tui.board", "workbench.tui.help", "workbench.tui.keys",
    "workbench.tui.launching", "workbench.tui.screens.runs", "workbench.tui.screens.train", "workbench.tui.watching",
    "workbench.tui.widgets.chart", "workbench.tui.widgets.table",
}  # fmt: skip

PROGRAM = """
import asyncio, sys
import workbench.cli, workbench.tui.main
from pathlib import Path
from workbench.tui.app import Workbench

class Seen(Workbench):
    modules = ()
    def post_display_hook(self):
        self.modules = self.modules or tuple(sys.modules)
        super().post_display_hook()

async def show():
    app = Seen(Path("nowhere"), preload=False)
    async with app.run_test(size=(80, 24)):
        print(*app.modules)

asyncio.run(show())
"""


def test_the_first_picture_needs_no_module_that_only_later_ones_do(tmp_path: Path) -> None:
    """At most as many modules as it takes: a careless import anywhere in its way is seen here."""
    command = [sys.executable, "-c", PROGRAM]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    modules = set(found.stdout.split())
    assert "workbench.tui.screens.models" in modules
    assert sorted(modules & (HEAVY | LATER)) == []
    ours = {name for name in modules if name.partition(".")[0] in ("workbench", "architectures")}
    assert len(ours) <= 42, sorted(ours)


class Drawn(Workbench):
    """Notes what the list of networks shows in the first picture, and whether the runs had been asked for by then."""

    shown: tuple[int, bool, bool] | None = None
    pictures = 0

    def post_display_hook(self) -> None:
        self.pictures += 1
        if self.shown is None:
            models = self.screen.query_one(ModelList)
            lines = "\n".join("".join(part.text for part in row) for row in self.screen._compositor.render_strips())
            begun = bool(getattr(self.screen, "_reading", False))
            self.shown = (len(models.shown), "alexnet" in lines, begun)
        super().post_display_hook()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 45)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_first_picture_has_the_networks_and_is_there_before_the_runs_are_read(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def show() -> Drawn:
        app = Drawn(tmp_path, preload=False)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            models = app.screen.query_one(ModelList)
            assert models._filled_for == models.content_size.width  # what was guessed before the layout was right
        return app

    app = asyncio.run(show())
    assert app.shown == (76, True, False)
    assert app.pictures <= 6
