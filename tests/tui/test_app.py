"""The app around the screens: settings, help, palette, moving between screens, leaving."""

import asyncio
import os
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from driving import screen_text
from made_runs import make_run
from textual.command import CommandPalette
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets._toast import ToastRack

from workbench.tui.app import Workbench
from workbench.tui.help import ActionCommands, HelpScreen
from workbench.tui.main import stderr_aside
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.runs_dialogs import Choose, NoteEditor, Prompt
from workbench.tui.screens.train import TrainScreen
from workbench.tui.settings import Settings, load_settings, remember, with_value
from workbench.tui.widgets.frame import Hints, TopLine


def in_app(app: Workbench, story: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    async def play() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await story(pilot)

    asyncio.run(play())


def hints_of(app: Workbench) -> str:
    return app.screen.query_one(Hints).render().plain


def test_settings_are_read_and_mistakes_told_in_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        'theme = "light"\nhz = 99\nanimation = "wild"\nthem = "dark"\n"\\u001b[2J" = 1\n[keys]\n"models.sort" = "o"\n'
    )
    settings = load_settings(path)
    assert (settings.theme, settings.hz, settings.animation) == ("light", 2.0, "none")
    assert settings.keys == {"models.sort": "o"}
    assert len(settings.problems) == 4
    assert 'unknown setting "them" (did you mean "theme"?)' in "\n".join(settings.problems)
    assert all("\x1b" not in line and "\n" not in line for line in settings.problems)


@pytest.mark.parametrize("content", [b"theme = ", b"\xff\xfe", b"[keys]\nsort = 3\n"])
def test_a_broken_settings_file_is_never_fatal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    settings = load_settings(path)
    assert settings.theme == "dark"
    assert len(settings.problems) == 1


def test_no_settings_file_is_no_problem(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.toml") == Settings()


def test_remembering_keeps_what_a_person_wrote(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "settings.toml"
    assert remember(path, "screen", "runs")
    assert path.read_text() == 'screen = "runs"\n'
    written = '# mine\ntheme = "light"  # for the sun\nscreen="models" # last\n\n[keys]\nscreen = "x"\n'
    path.write_text(written)
    assert remember(path, "screen", "runs")
    assert path.read_text() == written.replace('screen="models" #', 'screen = "runs" #')
    assert tomllib.loads(with_value("[keys]\na = 'b'\n", "theme", "clear")) == {"theme": "clear", "keys": {"a": "b"}}
    path.write_text("theme = ")
    assert not remember(path, "screen", "runs")
    assert path.read_text() == "theme = "


def test_messages_of_native_code_go_to_a_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "screen.log"
    python = sys.__stderr__
    with stderr_aside(log):
        os.write(2, b"a warning of a library\n")
        print("what the screen draws", file=sys.__stderr__, flush=True)
    os.write(2, b"afterwards\n")
    assert log.read_bytes() == b"a warning of a library\n"
    assert capfd.readouterr().err == "what the screen draws\nafterwards\n"
    assert sys.__stderr__ is python


def test_own_keys_replace_those_of_the_table_and_unknown_ones_are_told(tmp_path: Path) -> None:
    settings = Settings(
        theme="claer",
        keys={"models.sort": "o", "models.sorted": "x"},
        problems=['settings.toml: unknown setting "a"'],
    )
    app = Workbench(tmp_path, settings, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        await pilot.press("s")
        assert screen.models.sort == "year"
        await pilot.press("o")
        assert screen.models.sort == "params"
        assert "o sort" in hints_of(app)
        assert "Models: sort  (o)" in [hit.text async for hit in ActionCommands(screen).discover()]
        told = [note.message for note in app._notifications]
        assert told == [
            'settings.toml: unknown setting "a"',
            'unknown theme "claer" (did you mean "clear"?)',
            'unknown action "models.sorted" (did you mean "models.sort"?)',
        ]

    in_app(app, story)


def test_help_palette_and_the_way_out(tmp_path: Path) -> None:
    place = tmp_path / "settings.toml"
    app = Workbench(tmp_path, settings_path=place, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert not app.screen_stack[0].query_one(Hints).render().plain.strip()  # its own line has its keys
        await pilot.press("escape", "colon")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await pilot.press(*"light colours", "enter", "enter")
        await pilot.pause(0.3)
        assert app.theme == "light"
        assert tomllib.loads(place.read_text()) == {"theme": "light"}
        await pilot.press("ctrl+c")
        assert app.is_running
        await pilot.press("q")
        await pilot.pause()
        assert app.return_code == 0

    in_app(app, story)


@pytest.mark.parametrize("opens", [("question_mark",), ("colon",), ("Q",), ("n",), ("slash", "a")], ids=lambda k: k[0])
def test_one_key_quits_from_wherever_one_is(tmp_path: Path, opens: tuple[str, ...]) -> None:
    app = Workbench(tmp_path, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press(*opens)
        await pilot.pause()
        assert (app.screen is not app.screen_stack[0]) == (opens[0] != "slash")
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert app.return_code == 0

    in_app(app, story)


def test_keys_that_arrive_with_an_enter_wait_for_what_it_does(tmp_path: Path) -> None:
    app = Workbench(tmp_path, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        for key in ("slash", *"resnet18", "enter", "j", "s", "j", "v"):
            app.post_message(Key(key, key if len(key) == 1 else None))  # over a slow line they are all there at once
        await pilot.pause(0.1)
        await pilot.pause()
        assert screen.models.words == "resnet18"
        assert screen.models.sort == "params"
        assert screen.models.row is not None
        assert screen.models.row.name == "resnet18 + SAM"
        assert screen.pane.view == "source"

    in_app(app, story)


def test_letters_move_in_dialogs_as_the_arrows_do(tmp_path: Path) -> None:
    app = Workbench(tmp_path, preload=False)
    chosen: list[str | None] = []

    async def story(pilot: Pilot[None]) -> None:
        for keys in ("j", "jjk", "G", "Gkg"):
            app.push_screen(Choose("Which", [("a", "A"), ("b", "B"), ("c", "C")]), chosen.append)
            await pilot.pause()
            await pilot.press(*keys, "enter")
            await pilot.pause()

    in_app(app, story)
    assert chosen == ["b", "b", "c", "a"]


def test_a_note_that_is_being_written_is_not_lost_by_the_key_that_quits(tmp_path: Path) -> None:
    app = Workbench(tmp_path, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        app.push_screen(NoteEditor("20261123-100000-x-aaaaaa", ""))
        await pilot.pause()
        await pilot.press("a", "ctrl+q")
        await pilot.pause()
        assert isinstance(app.screen, NoteEditor)
        assert "^s keeps the note" in [note.message for note in app._notifications][-1]
        await pilot.press("backspace", "ctrl+q")
        await pilot.pause()
        assert not isinstance(app.screen, NoteEditor)

    in_app(app, story)


def test_a_toast_leaves_the_keys_of_a_dialog_free(tmp_path: Path) -> None:
    async def play() -> None:
        app = Workbench(tmp_path, preload=False)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await pilot.press("n")
            await pilot.pause()
            app.notify("saved", markup=False)
            await pilot.pause(0.2)
            toast, keys = app.screen.query_one("Toast"), app.screen.query_one(".hint")
            assert toast.region.area
            assert not toast.region.overlaps(keys.region)
            assert toast.region.bottom <= 5

    asyncio.run(play())


def test_from_a_network_to_its_runs_to_a_run(tmp_path: Path) -> None:
    place = tmp_path / "settings.toml"
    root = tmp_path / "runs"
    root.mkdir()
    wanted = make_run(root, arch="alexnet")
    make_run(root, arch="resnet18")
    app = Workbench(root, settings_path=place, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await pilot.pause(0.3)
        assert isinstance(app.screen, RunsScreen)
        assert app.screen.view.filter == "arch=alexnet"
        app.open_run(wanted.name)
        await pilot.pause(0.3)
        assert isinstance(app.screen, TrainScreen)
        await pilot.press("1")
        await pilot.pause()
        assert isinstance(app.screen, ModelsScreen)
        await pilot.press("4")
        await pilot.pause()
        await pilot.press("ctrl+q")

    in_app(app, story)
    assert tomllib.loads(place.read_text()) == {"screen": "runs"}


@pytest.mark.parametrize("screen", ["train", "runs", "compare"])
@pytest.mark.parametrize("size", [(60, 16), (20, 5)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_last_screen_is_the_first_at_any_size(tmp_path: Path, screen: str, size: tuple[int, int]) -> None:
    app = Workbench(tmp_path, Settings(screen=screen), preload=False)

    async def story(pilot: Pilot[None]) -> None:
        assert app.current_mode == screen
        assert ("needs 60x16" in hints_of(app)) == (size == (20, 5))

    in_app(app, story, size)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_hints_are_whole_and_end_with_help(tmp_path: Path, width: int) -> None:
    app = Workbench(tmp_path, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        line = hints_of(app)
        assert len(line) <= width
        assert line.startswith(" → read  / filter  s sort  c card ")
        assert line.endswith(" ? help ")
        assert width < 80 or line.count("  ") >= 7

    in_app(app, story, (width, 24))


def test_the_mouse_does_what_the_keys_do(tmp_path: Path) -> None:
    app = Workbench(tmp_path, preload=False)

    async def story(pilot: Pilot[None]) -> None:
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        await pilot.click(Hints, offset=(hints_of(app).index("sort"), 0))
        await pilot.pause()
        assert screen.models.sort == "params"
        await pilot.click(TopLine, offset=(screen.query_one(TopLine).render().plain.index("Runs"), 0))
        await pilot.pause(0.3)
        assert app.current_mode == "runs"

    in_app(app, story)


def test_of_many_toasts_the_newest_are_seen_and_fewer_over_a_dialog() -> None:
    app = Workbench(Path("runs"), preload=False)

    async def play() -> None:
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await pilot.pause()
            for number in range(9):
                app.notify(f"toast {number} " + "words " * 20)
            await pilot.pause()
            assert [toast.message[:7] for toast in app._notifications] == [f"toast {number}" for number in range(5, 9)]
            await pilot.press("Q")
            await pilot.pause()
            app.notify("the newest")
            await pilot.pause()
            assert [toast.message for toast in app._notifications][-1:] == ["the newest"]
            assert "the newest" in screen_text(app)

    asyncio.run(play())


def test_no_toast_is_over_a_line_that_is_typed(tmp_path: Path) -> None:
    make_run(tmp_path)
    app = Workbench(tmp_path, Settings(screen="runs"), preload=False)

    async def play() -> None:
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            while not (isinstance(app.screen, RunsScreen) and app.screen.board.rows):
                await pilot.pause(0.02)
            rack, line = app.screen.get_child_by_type(ToastRack), app.screen.query_one(Prompt)
            assert rack.styles.margin.bottom == 1  # above the footer
            await pilot.press("t", *"x!", "enter")
            await pilot.pause()
            assert rack.styles.margin.bottom > app.screen.size.height - line.region.y
            await pilot.press("escape")
            await pilot.pause()
            assert rack.styles.margin.bottom == 1

    asyncio.run(play())
