"""What is told of runs that went on while nobody looked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import LiveRun, make_run
from textual.pilot import Pilot

from workbench.tui.app import Workbench
from workbench.tui.away import news_of, remembered, words
from workbench.tui.settings import load_settings

STOOD = {"epoch": 6, "best": 0.823, "time": 1000.0}


def test_epochs_best_end_and_alerts_in_one_line() -> None:
    events = [
        {"event": "oom", "time": 999.0},
        {"event": "nan", "time": 1500.0},
        {"event": "oom", "time": 2000.0},
        {"event": "oom", "time": 3000.0},
        {"event": "epoch", "time": 3000.0},
        {"event": "nan"},
    ]
    assert words(STOOD, 12, 0.831, "finished", events, 4723.0) == (
        "while you were away (1:02:03): epochs 7 to 12, best 82.30% -> 83.10%, finished; "
        "a loss or gradient that was no number; out of memory 2 times"
    )
    assert words(STOOD, 7, 0.5, "running", [], 1060.0) == "while you were away (01:00): epoch 7"
    assert words(STOOD, 6, 0.823, "running", [], 1060.0) == ""
    assert words({**STOOD, "best": None}, 6, 0.1, "running", [], 900.0).endswith("(00:00): best 10.00%")


@given(
    st.dictionaries(st.sampled_from(["epoch", "best", "time"]), st.none() | st.text() | st.floats() | st.integers()),
    st.integers(0, 10**9),
    st.none() | st.floats(),
)
def test_whatever_was_kept_it_is_a_line_or_nothing(stood: dict[str, object], epoch: int, best: float | None) -> None:
    assert "\n" not in words(stood, epoch, best, "crashed", [], 1e9)


def test_a_run_that_lived_is_remembered_and_told_of_later(tmp_path: Path) -> None:
    live = LiveRun(tmp_path)
    live.epoch()
    over = make_run(tmp_path)
    kept = json.loads(json.dumps(remembered([live.path, over], 0.0)))
    assert list(kept) == [str(live.path)]
    assert news_of(kept, tmp_path) == []
    live.epoch()
    live.epoch()
    live.end()
    [line] = news_of(kept, tmp_path)
    assert line.startswith(f"{live.path.name}: while you were away (")
    assert "epochs 2 to 3, best " in line
    assert line.endswith(", finished")


def test_a_run_that_is_handed_over_is_remembered_though_it_looks_as_if_it_were_over(tmp_path: Path) -> None:
    over, handed = make_run(tmp_path), make_run(tmp_path, state="preempted", epochs=2)
    kept = remembered([over, handed], 0.0, handed)
    assert list(kept) == [str(handed)]
    assert kept[str(handed)]["epoch"] == 2


@pytest.mark.parametrize("kept", [{"/nowhere/x": {}}, {"": 3}, {"/etc": {"epoch": 1, "time": 1}}, {"\0": {}}])
def test_what_is_not_ours_is_left_alone(tmp_path: Path, kept: dict[str, object]) -> None:
    assert news_of(kept, tmp_path) == []
    assert news_of(kept, Path("/")) == []


def test_the_next_session_says_it(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    live = LiveRun(tmp_path / "runs")
    live.epoch()
    settings = tmp_path / "settings.toml"

    async def first(app: Workbench, pilot: Pilot[None]) -> None:
        app.watch_run(live.path)
        await pilot.press("q")

    async def second(app: Workbench, pilot: Pilot[None]) -> None:
        for _ in range(200):
            if app._notifications:
                break
            await pilot.pause(0.02)
        assert "epochs 2 to 3" in "\n".join(notice.message for notice in app._notifications)

    for story in (first, second):
        app = Workbench(tmp_path / "runs", load_settings(settings), settings_path=settings, preload=False)
        asyncio.run(_play(app, story))
        if story is first:
            live.epoch()
            live.epoch()
    live.end()


async def _play(app: Workbench, story: Callable[[Workbench, Pilot[None]], Awaitable[None]]) -> None:
    async with app.run_test() as pilot:
        await pilot.pause()
        await story(app, pilot)
