"""The next session begins where the last one ended, and a damaged file is never fatal."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from made_runs import make_run
from textual.pilot import Pilot

from workbench.tui.app import Workbench
from workbench.tui.last_place import place_beside, read_last, write_last
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.train import TrainScreen
from workbench.tui.settings import load_settings


def session(root: Path, settings: Path, story: Callable[[Workbench, Pilot[None]], Awaitable[None]]) -> None:
    async def play() -> None:
        app = Workbench(root, load_settings(settings), settings_path=settings, preload=False)
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            await story(app, pilot)

    asyncio.run(play())


def test_network_runs_and_charts_are_as_they_were(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    make_run(root, arch="resnet18")
    settings = tmp_path / "settings.toml"

    async def before(app: Workbench, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down")
        await pilot.press("4")
        await pilot.pause(0.3)
        assert isinstance(app.screen, RunsScreen)
        app.screen.show_filter("arch=resnet18")
        await pilot.press("a", "right", "s")
        await pilot.press("3")
        await pilot.pause(0.5)
        await pilot.press("x", "s", "m", "l")
        await pilot.pause(0.2)
        assert not place_beside(settings).exists()  # nothing is written while keys are pressed
        assert not settings.exists()
        await pilot.press("ctrl+q")

    async def after(app: Workbench, pilot: Pilot[None]) -> None:
        assert app.current_mode == "train"
        assert isinstance(app.screen, TrainScreen)
        assert (app.screen._view.axis, app.screen._view.smoothing) == ("step", 0.6)
        assert [chart.metric for chart in app.screen.charts] == ["top5", "top1"]
        assert app.screen.has_class("-log")
        await pilot.press("4")
        await pilot.pause(0.3)
        assert isinstance(app.screen, RunsScreen)
        assert (app.screen.view.filter, app.screen.view.archived) == ("arch=resnet18", True)
        assert app.screen.view.order
        await pilot.press("1")
        await pilot.pause(0.2)
        assert isinstance(app.screen, ModelsScreen)
        assert app.screen.models.row is not None
        assert app.screen.models.row.name == json.loads(place_beside(settings).read_text())["models"]["network"]
        assert app.screen.models.row.name != app.screen.models.rows[0].name
        assert app.screen.pane.row is app.screen.models.row

    session(root, settings, before)
    assert set(read_last(place_beside(settings))) == {"models", "runs", "train"}
    session(root, settings, after)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[1]", b"\xff", b"{", b"[" * 100_000, b'{"models": 3, "train": [1], "runs": null}',
        b'{"models": {"network": [1]}, "runs": {"filter": 3, "order": [1, ["acc"]], "columns": "ab", "by": [3]}, '
        b'"train": {"axis": 3, "smoothing": "x", "metrics": ["a"], "log": 3, "panel": {}}}',
        b'{"models": {"network": "gone"}, "runs": {"filter": "no.such.key=3", "order": [["gone", true]], '
        b'"columns": ["gone"], "by": ["gone"], "baseline": "gone"}, "train": {"metrics": ["gone", "too"]}}',
    ],
)  # fmt: skip
def test_whatever_the_file_says_the_screens_come_up(tmp_path: Path, content: bytes) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    make_run(root)
    settings = tmp_path / "settings.toml"
    place_beside(settings).write_bytes(content)

    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await pilot.pause(0.2)
        await pilot.press("3")
        await pilot.pause(0.2)
        assert app.is_running
        await pilot.press("ctrl+q")

    session(root, settings, story)
    assert "models" in read_last(place_beside(settings))


def test_a_place_that_cannot_be_written_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    write_last(tmp_path / "file" / "last.json", {"models": {}})
    path = tmp_path / "last.json"
    write_last(path, {"models": {"network": "vit"}})
    written = path.stat().st_mtime_ns
    write_last(path, {"models": {"network": "vit"}})
    assert path.stat().st_mtime_ns == written
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []
