"""A person's own keys: what holds, what is refused, and what they are told."""

import asyncio
from pathlib import Path

import pytest
from textual.pilot import Pilot

from workbench.tui.app import Workbench
from workbench.tui.keys import all_actions
from workbench.tui.own_keys import checked, is_key
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.settings import Settings, load_settings


def told(keys: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    return checked(keys, all_actions())


def test_what_can_be_holds() -> None:
    wanted = {"models.sort": "o", "train.stop": "ctrl+x,f8", "train.axis": "o"}  # two screens may share a key
    assert told(wanted) == (wanted, [])
    assert told({"models.filter": "!, /"}) == ({"models.filter": "exclamation_mark,slash"}, [])
    assert told({"models.sort": "S", "models.reverse": "s"})[1] == []  # two that change places


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"models.sorted": "o"}, 'unknown action "models.sorted" (did you mean "models.sort"?)'),
        ({"models.sort": "ctlr+o"}, 'models.sort: unknown key "ctlr+o" (did you mean "ctrl+o"?)'),
        ({"models.sort": "escap"}, 'models.sort: unknown key "escap" (did you mean "escape"?)'),
        ({"models.sort": "o,"}, 'models.sort: unknown key ""'),
        ({"models.sort": "r"}, 'models.sort: the key "r" is that of models.runs already'),
        ({"models.sort": "question_mark"}, 'models.sort: the key "?" is that of app.help already'),
        ({"app.quit": "s"}, 'app.quit: the key "s" is that of models.sort already'),
        ({"runs.sort": "j"}, 'runs.sort: the key "j" is that of table.down already'),
        ({"profiles.new": "j"}, 'profiles.new: the key "j" is that of rows.down already'),
        ({"form.undo": "k"}, 'form.undo: the key "k" is that of rows.up already'),
        ({"runs.sort": "\x1b[2J"}, 'runs.sort: unknown key "\ufffd[2J"'),
    ],
)
def test_what_cannot_be_is_told_and_the_action_keeps_its_keys(keys: dict[str, str], problem: str) -> None:
    assert told(keys) == ({}, [problem])


def test_of_two_that_were_moved_to_one_key_the_first_has_it() -> None:
    chosen, problems = told({"models.sort": "o", "models.card": "o"})
    assert chosen == {"models.sort": "o"}
    assert problems == ['models.card: the key "o" is that of models.sort already']


def test_every_key_of_our_own_tables_is_one() -> None:
    assert [key for action in all_actions() for key in action.keys if not is_key(key)] == []


def test_the_example_of_the_docs_is_read_without_a_complaint(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    path = tmp_path / "settings.toml"
    path.write_text(example)
    settings = load_settings(path)
    assert settings.problems == []
    assert len(settings.keys) >= 2
    assert told(settings.keys) == (settings.keys, [])


def test_in_the_app_the_default_stays_where_a_key_is_refused(tmp_path: Path) -> None:
    app = Workbench(tmp_path, Settings(keys={"models.sort": "r", "models.card": "C"}), preload=False)

    async def play() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await story(pilot)

    async def story(pilot: Pilot[None]) -> None:
        await pilot.pause(0.1)
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        assert [note.message for note in app._notifications] == [
            'models.sort: the key "r" is that of models.runs already'
        ]
        await pilot.press("s")
        assert screen.models.sort == "params"
        await pilot.press("v", "C")
        assert screen.pane.view == "card"
        await pilot.press("v", "c")
        assert screen.pane.view == "source"

    asyncio.run(play())


def test_nothing_moves_unless_it_is_asked_to(tmp_path: Path) -> None:
    assert Workbench(tmp_path).animation_level == "none"
    assert Workbench(tmp_path, Settings(animation="full")).animation_level == "full"
