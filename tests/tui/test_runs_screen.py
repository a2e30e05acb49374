"""The Runs screen by keys, on run directories as a trainer leaves them."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import driving
import pytest
from made_runs import make_run
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static, TextArea

from workbench.base.text import clean
from workbench.runs.summary import Summary
from workbench.runs.trash import trashed
from workbench.runs.user import read_user
from workbench.tui.desk import Desk
from workbench.tui.screens import runs_view
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.runs_dialogs import Ask, Choose, ChooseColumns, NoteEditor, Prompt
from workbench.tui.widgets.frame import Hints
from workbench.tui.widgets.lines import TextLines
from workbench.tui.widgets.table import VirtualTable


class Bench(App[None]):
    """As much of the app as the screen asks for."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-normal"), (140, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (30, "-tall")]  # noqa: RUF012

    PLACES = (("4", "Runs"),)

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.opened: list[str] = []
        self.runs = RunsScreen()

    def on_mount(self) -> None:
        self.push_screen(self.runs)

    def open_run(self, run_id: str) -> None:
        self.opened.append(run_id)

    @property
    def table(self) -> VirtualTable:
        return self.runs.query_one(VirtualTable)

    @property
    def archs(self) -> list[str]:
        return [row.arch for row in self.runs.board.rows if isinstance(row, Summary)]

    def lines(self) -> list[str]:
        return [self.table.line(y).rstrip() for y in range(self.table.size.height)]

    def text(self, where: str) -> str:
        return str(self.runs.query_one(where, Static).content)

    def toasts(self) -> str:
        return driving.said(self)


class Story:
    def __init__(self, app: Bench, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, what: Callable[[], object]) -> None:
        await driving.until(self.pilot, what)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)


def told(root: Path, story: Callable[[Story], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = Bench(root)
        async with app.run_test(size=size) as pilot:
            one = Story(app, pilot)
            await one.until(lambda: app.runs.board.ids or "no runs" in app.text("#runs-empty"))
            await story(one)

    asyncio.run(run())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs: ResNet twice, ViT, and an AlexNet that failed."""
    runs = tmp_path_factory.mktemp("made")
    make_run(runs, arch="resnet18", seed=0, name="base", test_top1=[0.2, 0.5, 0.90])
    make_run(runs, arch="resnet18", seed=1, name="base", test_top1=[0.2, 0.5, 0.92])
    make_run(runs, arch="vit_b_16", epochs=2, test_top1=[0.3, 0.40], note="left over", settings={"optim.lr": 0.1})
    make_run(runs, arch="alexnet", epochs=1, planned=9, state="failed", test_top1=0.6)
    return runs


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of them: making one takes the time of several `fsync`."""
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.mark.parametrize("size", [(160, 45), (80, 24), (60, 16), (20, 5)])
def test_the_runs_are_there_in_every_terminal(root: Path, size: tuple[int, int]) -> None:
    async def story(one: Story) -> None:
        app = one.app
        assert app.archs == ["resnet18", "resnet18", "alexnet", "vit_b_16"]
        if size == (20, 5):
            await one.press("down", "s", "g", "slash", "escape", "escape")
            return
        assert "test % ▼" in app.lines()[0]
        assert "✗ failed" in app.lines()[3]
        assert "4 runs" in app.runs.query_one("TopLine").status  # type: ignore[attr-defined]
        assert app.table.gone == () if size == (160, 45) else "memory" in app.text("#runs-notes")
        if size != (60, 16):
            await one.until(lambda: "20.00 ▁▄█ 92.00 %" in app.runs.query_one(TextLines).plain)
            assert "✓ finished" in app.runs.query_one(TextLines).plain

    told(root, story, size)


def test_until_the_first_look_is_over_a_line_says_that_it_is_under_way(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, look = threading.Event(), Desk.look
    monkeypatch.setattr(Desk, "look", lambda *given, **more: go_on.wait(20.0) and look(*given, **more))

    async def play() -> None:
        app = Bench(root)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause(0.1)
            assert app.text("#runs-notes") == "looking at the runs"
            go_on.set()
            await Story(app, pilot).until(lambda: "too narrow for" in app.text("#runs-notes"))

    asyncio.run(play())


def test_an_empty_folder_says_what_makes_a_run_and_shows_it_when_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "none yet"

    async def story(one: Story) -> None:
        text = one.app.text("#runs-empty")
        assert "Press 2, choose a profile" in text
        assert f"cnn-workbench --headless --profile quick.toml --runs {folder}" in text
        assert one.app.text("#runs-notes") == ""
        await one.press("enter", "s", "D", "space", "n", "t", "b", "o", "down")
        folder.mkdir()
        make_run(folder, arch="gmlp_s16_224")
        one.app.runs.look()
        await one.until(lambda: one.app.archs == ["gmlp_s16_224"])
        assert one.app.table.display

    told(folder, story)


def test_a_filter_chooses_runs_and_a_mistake_in_it_is_shown_below_with_the_old_one_kept(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("slash", *"acc>80", "enter")
        await one.until(lambda: app.archs == ["resnet18", "resnet18"])
        assert isinstance(app.focused, VirtualTable)
        await one.press("slash")
        line = app.runs.query_one(Input)
        assert line.value == "acc>80"
        line.value = "acc>80 arhc:vit"
        await one.press("enter")
        mistake = app.text("#prompt-mistake").split("\n")
        assert 'unknown field "arhc" at column 8' in mistake[0]
        assert mistake[2].index("^") == mistake[1].index("arhc")
        assert app.runs.view.filter == "acc>80"
        assert app.focused is line
        await one.press("escape")
        assert app.archs == ["resnet18", "resnet18"]
        await one.press("escape")
        await one.until(lambda: len(app.archs) == 4)

    told(root, story)


def test_a_filter_that_chooses_nothing_says_how_to_get_out(root: Path) -> None:
    async def story(one: Story) -> None:
        one.app.runs.show_filter("arch=vgg16")
        await one.until(lambda: not one.app.archs)
        assert "none of 4 runs is chosen: esc clears the filter" in one.app.text("#runs-empty")
        await one.press("escape")
        await one.until(lambda: len(one.app.archs) == 4)
        await one.press("down")
        assert one.app.table.cursor == 1
        one.app.runs.show_filter("arhc:vit")  # from another screen, where nobody looks at it before
        await one.until(lambda: "unknown field" in one.app.toasts())
        await one.until(lambda: not one.app.runs.view.filter and not one.app.runs._looking)
        assert len(one.app.archs) == 4

    told(root, story)


def test_two_columns_are_sorted_by_with_arrow_and_rank(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("s", "s")  # by network, ascending
        await one.until(lambda: app.archs == ["alexnet", "resnet18", "resnet18", "vit_b_16"])
        await one.press("right", "s")
        await one.until(lambda: "test % ▼2" in app.lines()[0])
        assert "architecture ▲1" in app.lines()[0]
        assert [row.test_top1 for row in app.runs.board.rows] == [0.6, 0.92, 0.9, 0.4]  # type: ignore[union-attr]
        await one.press("s")
        await one.until(lambda: "test % ▲2" in app.lines()[0])
        assert [row.test_top1 for row in app.runs.board.rows] == [0.6, 0.9, 0.92, 0.4]  # type: ignore[union-attr]

    told(root, story)


def test_seeds_are_grouped_and_a_group_opens_into_its_runs(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("g")
        await one.until(lambda: app.runs.board.view.by)
        head, first = app.lines()[:2]
        assert "test % mean" in head
        assert first.split()[:6] == ["▸", "resnet18", "base", "2", "91.00", "1.41"]
        assert app.text("#runs-notes").startswith("1 left out: not finished")
        await one.press("D")
        assert "a group stands for several runs" in app.toasts()
        await one.press("enter")
        await one.until(lambda: not app.runs.board.view.by)
        assert app.archs == ["resnet18", "resnet18"]
        await one.press("enter")
        assert app.opened == [app.table.key]

    told(root, story, (120, 30))


def test_what_to_group_by_is_chosen_and_g_keeps_to_it(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("w")
        await one.until(lambda: isinstance(app.screen, ChooseColumns))
        await one.press("space", "down", "space")  # neither network nor recipe
        names = [name for name, _ in app.screen.names]  # type: ignore[attr-defined]
        for _ in range(names.index("optim.lr") - 1):
            await one.press("down")
        await one.press("space", "v")
        await one.until(lambda: app.runs.board.view.by == ("optim.lr",))
        assert [len(row.runs) for row in app.runs.board.rows] == [2, 1]  # type: ignore[union-attr]
        await one.press("g")
        await one.until(lambda: not app.runs.board.view.by)
        await one.press("g")
        await one.until(lambda: app.runs.board.view.by == ("optim.lr",))
        await one.press("w", "0")
        await one.until(lambda: app.runs.board.view.by == ("arch", "recipe"))

    told(root, story, (120, 30))


def test_a_run_is_resumed_and_forked_by_whoever_does_that(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(Bench, "resume", lambda self, run: asked.append(("resume", run)), raising=False)
    monkeypatch.setattr(Bench, "fork_into_form", lambda self, run: asked.append(("fork", run)), raising=False)

    async def story(one: Story) -> None:
        app = one.app
        await one.press("space")  # marks are for what takes several runs
        key = app.table.key
        await one.press("R", "F", "e")
        assert asked == [("resume", key), ("fork", key), ("fork", key)]
        await one.press("g")
        await one.until(lambda: app.runs.board.view.by)
        await one.press("R", "F")
        assert len(asked) == 3
        assert app.toasts().count("that is for one run") == 2

    told(root, story)


def test_a_pinned_baseline_shows_differences(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("down", "b")
        await one.until(lambda: "Δ test %" in app.lines()[0])
        assert app.lines()[2].startswith("▸Δ")
        assert "+2.00" in app.lines()[1]
        assert "-30.00" in app.lines()[3]
        assert "× time" in app.text("#runs-notes")  # for which there is no room here
        assert "_ratio" not in app.text("#runs-notes")
        await one.press("b")
        await one.until(lambda: "Δ test %" not in app.lines()[0])

    told(root, story, (100, 30))


def test_marked_runs_get_tags_and_a_wrong_tag_is_told_at_the_line(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("space", "space", "t", *"bad!", "enter")
        assert "cannot be a tag" in app.text("#prompt-mistake")
        app.runs.query_one(Input).value = "-"  # takes nothing off
        await one.press("enter")
        assert '"" cannot be a tag' in app.text("#prompt-mistake")
        app.runs.query_one(Input).value = "baseline seeds"
        await one.press("enter")
        await one.until(lambda: [row.tags for row in app.runs.board.rows[:2]] == [("baseline", "seeds")] * 2)  # type: ignore[union-attr]
        assert "tags baseline seeds: 2 runs" in app.toasts()
        assert app.lines()[1].startswith("  *")
        assert "2 marked" in app.runs.query_one("TopLine").status  # type: ignore[attr-defined]
        await one.press("t", *"-seeds", "enter")
        await one.until(lambda: app.runs.board.rows[0].tags == ("baseline",))  # type: ignore[union-attr]
        assert read_user(root / app.runs.board.keys[3]).tags == ()

    told(root, story)


def test_a_note_of_several_lines_is_kept_and_escape_leaves_it(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("n")
        await one.until(lambda: isinstance(app.screen, NoteEditor))
        app.screen.query_one(TextArea).text = "as in the paper\n\x1b]52;c;aGk=\x07"
        await one.press("ctrl+s")
        await one.until(lambda: "note kept" in app.toasts())
        note = read_user(root / app.table.key).note
        assert note.startswith("as in the paper\n")
        assert "\x1b" not in note
        await one.press("n")
        await one.until(lambda: isinstance(app.screen, NoteEditor))
        assert app.screen.query_one(TextArea).text == note
        app.screen.query_one(TextArea).text = ""
        await one.press("escape")
        assert read_user(root / app.table.key).note == note

    told(root, story)


def test_archived_runs_leave_the_list_and_pinned_ones_lead_it(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("A")
        await one.until(lambda: len(app.archs) == 3)
        assert "1 archived left out" in app.text("#runs-notes")
        await one.press("a")
        await one.until(lambda: len(app.archs) == 4)
        await one.press("end", "f")
        await one.until(lambda: app.archs[0] == "vit_b_16")
        assert app.table.cursor == 0  # still on the run that was pinned
        assert app.lines()[1].startswith("▸  ^")

    told(root, story)


def asked(app: Bench) -> str:
    return " ".join(str(part.content) for part in app.screen.query(Static))


def test_delete_asks_and_names_the_run_and_undelete_fetches_it_back(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        gone = app.table.key
        await one.press("D")
        await one.until(lambda: isinstance(app.screen, Ask))
        assert f"Move {gone} to the trash?" in asked(app)
        await one.until(lambda: "kB on the disk" in asked(app))
        await one.press("n")
        assert (root / gone).is_dir()
        await one.press("D")
        await one.until(lambda: isinstance(app.screen, Ask))
        await one.press("y")
        await one.until(lambda: gone not in app.runs.board.keys and app.runs.board.keys)
        assert [entry.name for entry in trashed(root)] == [gone]
        await one.press("u")
        await one.until(lambda: gone in app.runs.board.keys)
        assert trashed(root) == []
        await one.press("u")
        await one.until(lambda: "the trash is empty" in app.toasts())

    told(root, story)


def test_a_run_is_fetched_back_from_the_list_of_the_trash(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        keys = list(app.runs.board.keys)
        await one.press("space", "space", "D")
        await one.until(lambda: isinstance(app.screen, Ask))
        await one.press("y")
        await one.until(lambda: len(app.archs) == 2)
        assert not app.runs.marked
        await one.press("U")
        await one.until(lambda: isinstance(app.screen, Choose))
        await one.press("down", "enter")  # the one that was deleted first
        await one.until(lambda: keys[0] in app.runs.board.keys)
        assert [entry.name for entry in trashed(root)] == [keys[1]]

    told(root, story)


def test_keys_typed_ahead_never_act_on_the_rows_behind_a_dialog(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        for key in ("v", "down", "space", "D"):  # as a slow line delivers them: all at once
            app.simulate_key(key)
        await one.until(lambda: isinstance(app.screen, ChooseColumns))
        await one.press("escape")
        assert not app.runs.marked
        assert app.table.cursor == 0
        for key in ("slash", "D", "A", "v"):
            app.simulate_key(key)
        await one.until(lambda: app.focused is app.runs.query_one(Input))
        assert app.screen is app.runs
        assert len(app.archs) == 4

    told(root, story)


def test_what_cannot_be_done_is_said_and_nothing_ends(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        (root / app.table.key / "user.json").write_text("not json")
        await one.press("f")
        await one.until(lambda: "user.json is damaged" in app.toasts())
        assert len(app.archs) == 4

    told(root, story)


def test_a_run_that_appears_is_shown_and_the_cursor_stays_on_its_own(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_view, "WATCH_SECONDS", 0.05)

    async def story(one: Story) -> None:
        app = one.app
        await one.press("down")
        key = app.table.key
        make_run(root, arch="efficientnet_b0", test_top1=[0.3, 0.5, 0.99])
        await one.until(lambda: len(app.archs) == 5)
        assert app.archs[0] == "efficientnet_b0"
        assert app.table.key == key
        assert app.lines()[app.table.cursor + 1].startswith("▸")

    told(root, story)


def test_nothing_is_looked_at_while_the_screen_is_hidden(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_view, "WATCH_SECONDS", 0.02)

    async def story(one: Story) -> None:
        app = one.app
        from textual.screen import Screen

        await app.push_screen(Screen())
        await one.until(lambda: not app.runs._looking)
        looks: list[object] = []
        monkeypatch.setattr(app.runs, "_look_in_thread", lambda *told: looks.append(told))
        await one.pilot.pause(0.2)
        assert looks == []
        app.pop_screen()
        await one.until(lambda: looks)

    told(root, story)


def test_a_terminal_without_focus_is_looked_for_less_often(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_view, "WATCH_SECONDS", 0.02)

    async def story(one: Story) -> None:
        app = one.app
        looks: list[object] = []
        monkeypatch.setattr(app.runs, "look", lambda **told: looks.append(told))
        await asyncio.sleep(0.5)
        usual = len(looks)
        app.app_focus = False
        del looks[:]
        await asyncio.sleep(0.5)
        assert len(looks) <= usual / 2
        del looks[:]
        app.app_focus = True
        await one.until(lambda: looks)

    told(root, story)


def test_the_rows_are_written_to_a_file_that_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)

    async def story(one: Story) -> None:
        app = one.app
        await one.press("o")
        await one.until(lambda: isinstance(app.screen, Choose))
        await one.press("down", "down", "enter")
        await one.until(lambda: "4 rows written to" in app.toasts())
        path = next(root.parent.glob("leaderboard-*.json"))
        assert str(path) in app.toasts()
        assert [row["arch"] for row in json.loads(path.read_text())] == app.archs

    told(root, story)


def test_the_path_is_copied_and_also_in_a_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(one: Story) -> None:
        app = one.app
        await one.press("y")
        await one.until(lambda: isinstance(app.screen, Choose))
        await one.press("enter")
        await one.until(lambda: "copied" in app.toasts())
        path = str((root / app.table.key).absolute())
        assert app.clipboard == path
        kept = Path(os.environ["XDG_CACHE_HOME"]) / "cnn-workbench" / "copied.txt"
        assert str(kept) in app.toasts()
        assert kept.read_text() == f"{path}\n"

    told(root, story)


def test_columns_are_chosen_with_switches_and_the_usual_ones_come_back(root: Path) -> None:
    async def story(one: Story) -> None:
        app = one.app
        usual = [column.name for column in app.runs.board.columns]
        await one.press("v")
        await one.until(lambda: isinstance(app.screen, ChooseColumns))
        chooser, switches = app.screen, app.screen.query_one(OptionList)
        assert isinstance(chooser, ChooseColumns)
        places = [name for name, _ in chooser.names]
        for name in ("family", "optim.lr"):
            switches.highlighted = places.index(name)
            await one.press("space")
        assert "[ ] family" in str(switches.get_option_at_index(places.index("family")).prompt)
        assert "[x] optim.lr" in str(switches.get_option_at_index(places.index("optim.lr")).prompt)
        await one.press("v")
        await one.until(lambda: app.runs.board.view.columns)
        now = [column.name for column in app.runs.board.columns]
        assert now == [*(name for name in usual if name != "family"), "optim.lr"]
        assert "lr" in app.lines()[0].split()
        await one.press("v")
        await one.until(lambda: isinstance(app.screen, ChooseColumns))
        await one.press("0")
        await one.until(lambda: not app.runs.board.view.columns)

    told(root, story, (160, 45))


def test_hostile_texts_of_a_run_stay_texts_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    bad = "\x1b]52;c;aGk=\x07\x1b[2J[/oops][bold]\u202e"
    run = make_run(folder, arch=bad + "x" * 10_000, dataset=bad, settings={"recipe": bad, "optim.lr": bad})
    (run / "user.json").write_text(json.dumps({"schema": 1, "tags": [bad], "note": bad}))

    async def story(one: Story) -> None:
        app = one.app
        await one.until(lambda: "▁" in app.runs.query_one(TextLines).plain)
        await one.press("g")
        await one.until(lambda: app.runs.board.view.by)
        await one.press("enter")
        await one.until(lambda: not app.runs.board.view.by)
        assert len(app.archs) == 1  # the filter that the group made chooses it
        await one.press("y")
        await one.until(lambda: isinstance(app.screen, Choose))
        await one.press("escape", "slash")
        for strip in app.screen._compositor.render_strips():
            assert clean(strip.text) == strip.text
        assert app.runs.query_one(Prompt).what == "filter"

    told(folder, story, (160, 45))


def test_while_a_line_or_a_text_is_typed_the_footer_has_its_keys(root: Path) -> None:
    async def story(one: Story) -> None:
        hints, mistake = one.app.runs.query_one(Hints), one.app.runs.query_one("#prompt-mistake", Static)
        assert "enter open" in str(hints.render())
        await one.press("t", *"no-tag-at-all!", "enter")
        await one.until(lambda: mistake.size.height > 1)  # as long as it is: nothing of it is cut off
        assert str(hints.render()).startswith(" enter ok  esc leave it ")
        await one.press("escape", "slash", *"acc>", "enter")
        await one.until(lambda: mistake.size.height == 3)  # one that points at a place keeps its lines
        await one.press("escape")
        await one.until(lambda: "enter open" in str(hints.render()))
        await one.press("n")
        await one.until(lambda: isinstance(one.app.screen, NoteEditor) and one.app.focused)
        assert "open" not in str(hints.render())  # `enter` is the text's now, whose dialog has its own line
        await one.press("escape")
        await one.until(lambda: "enter open" in str(hints.render()))

    told(root, story)
