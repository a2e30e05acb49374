"""The Profiles screen: find a profile, change it, save it, never lose a draft; and what it costs before it runs."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from driving import said, screen_text, until
from made_runs import make_run
from textual.pilot import Pilot
from textual.widgets import Input

from workbench.profile import Resolved, find
from workbench.profile.edit import Draft
from workbench.profile.find import user_folder
from workbench.tui import profile_preview
from workbench.tui.app import Workbench
from workbench.tui.new_profile import beginnings
from workbench.tui.path_completion import complete
from workbench.tui.profile_preview import Duration, Memory
from workbench.tui.profile_rows import field_line, fitting, origin_text
from workbench.tui.screens.profile_dialogs import Pick
from workbench.tui.screens.profile_form import ProfileForm
from workbench.tui.screens.profile_look import ProfileLook
from workbench.tui.screens.profiles import ProfilesScreen
from workbench.tui.screens.runs_dialogs import Ask, Choose
from workbench.tui.settings import Settings
from workbench.tui.torch_loader import TorchLoader
from workbench.tui.widgets.lines import TextLines

MINE = """\
# My profile: do not lose this line.
extends = "base"

[data]
dataset = "digits"   # embedded
image_size = 32

[optim]
name = "sgd"
lr = 0.05            # found by hand
momentum = 0.9
"""
SIZES = [(80, 24), (100, 30), (160, 45), (60, 16), (20, 5)]

Story = Callable[[Pilot[None], "Launching"], Awaitable[None]]


class Launching(Workbench):
    """Notes what it was asked to launch."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.launched: list[tuple[Resolved, str | None, str]] = []

    def launch(self, resolved: Resolved, *, parent: str | None = None, source: str = "") -> None:
        self.launched.append((resolved, parent, source))

    @property
    def form(self) -> ProfileForm:
        return self.profiles.form

    @property
    def profiles(self) -> ProfilesScreen:
        assert self.drafts is not None
        return self.drafts


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a profile written by hand, and no torch."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.toml").write_text(MINE)
    monkeypatch.setattr(TorchLoader, "_load", lambda self: self.ready.set())
    monkeypatch.setattr(profile_preview, "memory", lambda profile: Memory(2_000_000, 6_000_000))
    monkeypatch.setattr(profile_preview, "learning_rate", lambda profile: ([0.0, 5.0, 10.0], [0.0, 0.05, 0.01]))
    monkeypatch.setattr(profile_preview, "duration", lambda profile, runs: Duration(90.0, 400.0, 3, False))
    return tmp_path


def play(story: Story, size: tuple[int, int] = (80, 24), settings: Settings | None = None, **options: Any) -> None:
    """Play a story on the Profiles screen of the app, once its list is there."""

    async def played() -> None:
        app = Launching(Path("runs"), settings or Settings(screen="profiles"), preload=False, **options)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.drafts is not None and bool(app.profiles.listed.files))
            await story(pilot, app)

    asyncio.run(played())


async def opened(pilot: Pilot[None], app: Launching, name: str = "mine") -> ProfileForm:
    """The form of a profile."""
    app.edit_profile(find(name))
    await until(pilot, lambda: app.form.draft is not None)
    return app.form


def line_of(app: Workbench, words: str) -> str:
    """The first line of the screen with these words."""
    return next((line for line in screen_text(app).splitlines() if words in line), "")


async def choose(pilot: Pilot[None], app: Workbench, place: int) -> None:
    """Take one of the answers of a dialog."""
    await until(pilot, lambda: isinstance(app.screen, Choose))
    assert isinstance(app.screen, Choose)
    await pilot.press(*["down"] * place, "enter")
    await pilot.pause()


# The list


def test_files_stand_under_headings_with_what_differs_and_a_broken_one_with_its_fault(tmp_path: Path) -> None:
    (tmp_path / "profiles" / "broken.toml").write_text("seed = \n")

    async def story(pilot: Pilot[None], app: Launching) -> None:
        text = screen_text(app)
        assert text.index("project  ./profiles") < text.index("mine") < text.index("yours")
        assert "dataset digits" in line_of(app, "mine")
        assert " base " in line_of(app, "mine")
        assert "!" in line_of(app, "broken")
        await pilot.press("slash", *"broken", "enter")
        assert app.profiles.listed.profile is not None
        assert app.profiles.listed.profile.name == "broken"
        assert "broken.toml:1" in app.screen.query_one("#file-pane", TextLines).plain
        await pilot.press("enter")
        await until(pilot, lambda: said(app))
        assert "broken.toml:1" in said(app)
        assert app.form.draft is None
        await pilot.press("slash", *"zzz")
        assert "esc clears" in screen_text(app)
        await pilot.press("enter", "down", "up", "end", "enter", "n")  # on nothing
        await pilot.press("escape")
        app.profiles.listed.rows.select(str(tmp_path / "profiles" / "mine.toml"))
        await pilot.press("enter")
        await until(pilot, lambda: app.form.display)
        assert "profiles/mine.toml  extends base" in screen_text(app)

    play(story)


def test_a_file_is_copied_deleted_after_a_question_and_fetched_back(tmp_path: Path) -> None:
    mine, copy = tmp_path / "profiles" / "mine.toml", tmp_path / "profiles" / "mine-2.toml"

    async def story(pilot: Pilot[None], app: Launching) -> None:
        await pilot.press("slash", *"mine", "enter", "d")
        await until(pilot, copy.exists)
        assert copy.read_text() == MINE
        await until(pilot, lambda: app.profiles.listed.rows.key == str(copy))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("n")
        assert copy.exists()
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: not copy.exists())
        await until(pilot, lambda: "u fetches it back" in said(app))
        await pilot.press("u")
        await until(pilot, copy.exists)
        assert copy.read_text() == MINE
        app.profiles.listed.rows.select(str(copy))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: not copy.exists())
        await pilot.press("U")
        await choose(pilot, app, 0)
        await until(pilot, copy.exists)
        assert copy.read_text() == MINE
        await pilot.press("escape", "slash", *"papers/vit", "enter", "D")
        await pilot.pause()
        assert "built-in" in said(app)
        assert not isinstance(app.screen, Ask)

    play(story)
    assert mine.read_text() == MINE


# The form


def test_a_wrong_value_stays_in_the_line_and_a_right_one_is_saved_with_all_comments(tmp_path: Path) -> None:
    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        await pilot.press("slash", *"optim.lr", "enter", "enter")
        line = form.query_one(Input)
        assert line.value == "0.05"
        line.value = "-1"
        await pilot.press("tab", "enter")
        assert "must be greater than 0" in screen_text(app)
        assert line.value == "-1"
        assert form.draft is not None
        assert not form.draft.dirty
        await pilot.click("#fields", offset=(5, 1))  # a click elsewhere leaves the line
        await until(pilot, lambda: not form.typing)
        assert not form.typing
        await pilot.press("enter")
        line.value = "0.1"
        await pilot.press("enter")
        assert "● 1 not saved" in screen_text(app)
        assert "was 0.05" in line_of(app, "●  lr")
        await pilot.press("u")
        assert "not saved" not in screen_text(app)
        await pilot.press("ctrl+r")
        assert "was 0.05" in screen_text(app)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not form.draft.dirty)
        assert "was" not in line_of(app, "lr")
        await pilot.press("r")
        assert "0.01" in line_of(app, "●  lr")  # what sgd has where nothing says another

    play(story)
    assert (tmp_path / "profiles" / "mine.toml").read_text() == MINE.replace("lr = 0.05 ", "lr = 0.1  ")


def test_a_choice_brings_its_own_settings_and_the_views_show_a_part(tmp_path: Path) -> None:
    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        form.rows.select("optim.name")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        await pilot.press(*"adamw", "enter")
        await pilot.pause()
        assert form.rows.select("optim.beta2")
        assert not form.rows.select("optim.momentum")
        assert "gone with it: optim.lr" in screen_text(app) or "optim.momentum" in screen_text(app)
        await pilot.press("o")
        assert "image_size" in screen_text(app)  # own
        assert "batch_size" not in screen_text(app)
        await pilot.press("o")
        assert "image_size" not in screen_text(app)  # changed
        assert "adamw" in screen_text(app)
        await pilot.press("escape", "v")
        assert "# My profile: do not lose this line." in screen_text(app)
        assert 'name = "adamw"' in screen_text(app)
        await pilot.press("escape")
        form.rows.select("train.tf32")
        await pilot.press("space")
        assert "false" in line_of(app, "tf32")
        await pilot.press("h")
        assert "true" in line_of(app, "tf32")
        form.rows.select("model.arch")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        await pilot.press(*"vit_b_16", "enter")
        await pilot.pause()
        assert form.draft is not None
        assert 'arch = "vit_b_16"' in form.draft.text()

    play(story)


def test_a_built_in_profile_is_saved_under_a_name_and_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    mine = tmp_path / "profiles" / "mine.toml"

    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app, "papers/vit")
        form.rows.select("seed")
        await pilot.press("enter", "7", "ctrl+s")  # the line is taken first
        assert "built-in" in screen_text(app)
        line = form.query_one(Input)
        assert line.value == "profiles/vit-own.toml"
        line.value = "mine"
        await pilot.press("enter")
        await choose(pilot, app, 2)  # nothing
        assert mine.read_text() == MINE
        await pilot.press("W")
        line.value = "other"
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "profiles" / "other.toml").exists())
        await until(pilot, lambda: "other.toml" in line_of(app, "saved"))
        assert "seed = 7" in (tmp_path / "profiles" / "other.toml").read_text()
        await pilot.press("escape")
        await until(pilot, lambda: "other" in screen_text(app))
        assert app.profiles.listed.profile is not None

    play(story)


def test_a_file_that_another_editor_changed_is_noticed_and_neither_version_is_lost(tmp_path: Path) -> None:
    mine = tmp_path / "profiles" / "mine.toml"
    theirs = MINE.replace("image_size = 32", "image_size = 64")

    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        form.rows.select("optim.lr")
        await pilot.press("enter", *"0.07", "enter")
        mine.write_text(theirs)
        form.check_disk()
        await until(pilot, lambda: form.changed_on_disk)
        assert "changed on disk: R takes it" in screen_text(app)
        await pilot.press("w")
        await choose(pilot, app, 3)  # nothing
        assert mine.read_text() == theirs
        await pilot.press("R")
        await until(pilot, lambda: not form.changed_on_disk)
        assert form.draft is not None
        assert form.draft.text() == theirs
        assert "changed on disk" not in screen_text(app)
        await pilot.press("u")
        assert "lr = 0.07" in form.draft.text()
        await pilot.press("w")
        await until(pilot, lambda: "image_size = 32" in mine.read_text())

    play(story)
    assert mine.read_text() == MINE.replace("lr = 0.05 ", "lr = 0.07 ")


def test_a_name_is_typed_in_place_of_the_suggestion_and_one_that_cannot_be_written_stays_in_the_line(
    tmp_path: Path,
) -> None:
    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        line = form.query_one(Input)
        await pilot.press("W")
        assert line.value == "profiles/mine-2.toml"
        await pilot.press(*"block/x", "enter")  # below a file there is no place for another
        await until(pilot, lambda: form.typing == "name" and not form.busy)
        await pilot.pause()
        assert line.value == "block/x"
        assert "block/x.toml: cannot be written: " in line_of(app, "! ")
        await pilot.press(*"taken", "enter")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert "take what is on the disk" not in screen_text(app)  # that would be of the draft's own file
        await choose(pilot, app, 0)  # another name
        await pilot.press(*"other", "enter")
        await until(pilot, lambda: (tmp_path / "profiles" / "other.toml").exists())

    (tmp_path / "block").write_text("")
    (tmp_path / "profiles" / "taken.toml").write_text("seed = 1\n")
    play(story)
    assert sorted(path.name for path in (tmp_path / "profiles").glob("*")) == ["mine.toml", "other.toml", "taken.toml"]
    assert (tmp_path / "profiles" / "taken.toml").read_text() == "seed = 1\n"


def test_a_file_that_is_gone_is_said_to_be_gone_and_can_be_written_anew(tmp_path: Path) -> None:
    mine = tmp_path / "profiles" / "mine.toml"

    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        mine.unlink()
        form.check_disk()
        await until(pilot, lambda: form.changed_on_disk)
        assert "gone from the disk: w asks and writes it anew" in screen_text(app)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.pause()
        assert "take what is on the disk" not in screen_text(app)
        assert "write it anew" in screen_text(app)
        await choose(pilot, app, 1)
        await until(pilot, mine.exists)
        await until(pilot, lambda: "gone" not in screen_text(app))
        assert "gone" not in screen_text(app)

    play(story)
    assert mine.read_text() == MINE


def test_a_network_that_there_is_not_is_refused_where_it_was_typed(tmp_path: Path) -> None:
    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        form.rows.select("model.arch")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        dialog = app.screen.query_one("Pick > Vertical")
        assert line_of(app, "enter takes it") == screen_text(app).splitlines()[dialog.region.bottom - 2]
        await pilot.press(*"zzz", "enter")
        await pilot.pause()
        assert isinstance(app.screen, Pick)
        assert '! no network is called "zzz"' in screen_text(app)
        await pilot.press(*":net", "enter")
        await until(pilot, lambda: not isinstance(app.screen, Pick))
        assert form.draft is not None
        assert 'arch = "zzz:net"' in form.draft.text()
        form.rows.select("optim.name")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        await pilot.press(*"zzz", "enter")
        await pilot.pause()
        assert "! nothing fits" in screen_text(app)

    play(story, size=(80, 24))


def test_a_problem_that_no_key_is_to_blame_for_says_what_to_press(tmp_path: Path) -> None:
    (tmp_path / "profiles" / "round.toml").write_text('extends = "round"\n')

    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app, "round")
        await pilot.press("home")
        await pilot.pause()
        assert "extends forms a cycle" in screen_text(app)
        assert "e chooses another profile to extend" in screen_text(app)
        await pilot.press("r")
        await pilot.pause()
        assert "nothing to take out" in screen_text(app)
        assert not said(app)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        await pilot.press(*"base", "enter")
        await until(pilot, lambda: not form.problems)
        assert not form.problems

    play(story)


def test_a_draft_is_kept_over_a_visit_elsewhere_and_asked_about_before_it_is_lost(tmp_path: Path) -> None:
    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        form.rows.select("train.tf32")
        await pilot.press("space", "1")
        await until(pilot, lambda: app.current_mode == "models")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.current_mode == "profiles")
        await choose(pilot, app, 2)  # stay
        assert not app._exit
        await pilot.press("escape")
        await choose(pilot, app, 2)
        assert form.draft is not None
        app.edit_profile(Path("profiles/mine.toml"))  # opening another
        await choose(pilot, app, 2)
        assert form.draft.dirty
        await pilot.press("q")
        await choose(pilot, app, 0)  # save
        await until(pilot, lambda: form.draft is None)
        assert app.profiles.listed.display

    play(story)
    assert "tf32 = false" in (tmp_path / "profiles" / "mine.toml").read_text()


def test_a_launch_gets_what_holds_and_a_wrong_draft_shows_its_first_fault(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    run = make_run(tmp_path / "runs", arch="resnet18", settings={"data.image_size": 8})

    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        form.rows.select("optim.lr")
        await pilot.press("enter", *"0.07", "enter", "G")
        resolved, parent, source = app.launched.pop()
        assert resolved.profile.optim.lr == 0.07
        assert (parent, source) == (None, "profiles/mine.toml")
        assert app.profiles.listed.profile is not None
        app.profiles.listed.act_launch()  # of the file as it is on the disk
        await until(pilot, lambda: app.launched)
        resolved, _, source = app.launched.pop()
        assert (resolved.profile.optim.lr, source) == (0.05, "mine")
        app.fork_into_form(run.name)
        await choose(pilot, app, 1)  # discard
        await until(pilot, lambda: form.run == run.name)
        await pilot.press("slash", *"lr", "enter", "G")
        assert not app.launched
        assert "at least 32 px" in said(app)
        assert form.rows.key == "data.image_size"
        await pilot.press("enter", *"32", "enter", "G")
        assert [(parent, resolved.profile.data.image_size) for resolved, parent, _ in app.launched] == [(run.name, 32)]

    play(story)


def test_a_network_begins_a_profile_from_its_recipe_or_from_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[None], app: Launching) -> None:
        await pilot.press("1")
        await until(pilot, lambda: app.current_mode == "models")
        await pilot.press("slash", *"resnet50", "enter", "n")
        await choose(pilot, app, 0)
        await until(pilot, lambda: app.form.draft is not None)
        assert app.form.draft is not None
        assert app.form.draft.extends == "papers/resnet"
        assert app.form.draft.resolved().profile.model.arch == "resnet50"
        app.new_profile("alexnet")
        await choose(pilot, app, 1)
        await choose(pilot, app, 1)  # the one before is discarded
        await until(pilot, lambda: app.form.draft is not None and app.form.draft.extends == "base")
        assert app.form.draft.resolved().profile.model.arch == "alexnet"
        app.form.draft = None
        monkeypatch.setattr(Draft, "open", lambda path, **_: time.sleep(0.2) or open_now(path))
        app.profiles.open(Path("profiles/mine.toml"))
        app.profiles.new("quick")  # of two that were asked for the newest is shown, however long the other takes
        await asyncio.sleep(0.3)
        await until(pilot, lambda: app.form.draft is not None)
        assert app.form.draft.extends == "quick"

    open_now = Draft.open
    play(story)


def test_what_no_setting_shows_is_listed_and_taken_out(tmp_path: Path) -> None:
    (tmp_path / "profiles" / "odd.toml").write_text('extends = "base"\n[train]\nepocs = 3\n"[/x]\\u001b[2J" = 1\n')

    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app, "odd")
        assert "! 2 problems" in screen_text(app)
        assert 'did you mean "epochs"' in screen_text(app)
        assert "\x1b" not in screen_text(app)
        await pilot.press("w")
        form.rows.act_first()
        await pilot.press("r")
        assert "! 1 problem" in screen_text(app)

    play(story)


# What it costs


def test_the_preview_follows_the_draft_and_says_when_torch_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def load(self: TorchLoader) -> None:
        release.wait(10)
        self.ready.set()

    monkeypatch.setattr(TorchLoader, "_load", load)

    async def story(pilot: Pilot[None], app: Launching) -> None:
        form = await opened(pilot, app)
        look = form.query_one(ProfileLook)
        await until(pilot, lambda: look.seen.waiting)
        assert "loading torch" in screen_text(app)
        assert "12 steps/epoch, 120 steps" in screen_text(app)
        release.set()
        await until(pilot, lambda: look.seen.memory is not None)
        assert "≈8 MB" in line_of(app, "steps/epoch")
        assert "01:30" in line_of(app, "steps/epoch")
        form.rows.select("train.epochs")
        await pilot.press("enter", "3", "enter")
        await until(pilot, lambda: "36 steps" in screen_text(app))
        assert "12 steps/epoch, 36 steps" in screen_text(app)
        await pilot.press("c")
        await until(pilot, lambda: "learning rate, constant" in screen_text(app))
        assert "⠤" in screen_text(app) or "⠔" in screen_text(app) or "⣀" in screen_text(app)

    play(story)


def test_the_profile_that_was_open_comes_back_in_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "settings.toml"

    async def first(pilot: Pilot[None], app: Launching) -> None:
        await opened(pilot, app)
        await pilot.press("ctrl+q")

    async def second(pilot: Pilot[None], app: Launching) -> None:
        await until(pilot, lambda: app.form.draft is not None)
        assert "profiles/mine.toml" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.profiles.listed.display)
        assert app.last["profiles"] == {}
        await opened(pilot, app)
        await pilot.press("ctrl+q")

    async def elsewhere(pilot: Pilot[None], app: Launching) -> None:
        assert app.profiles.listed.display
        assert app.form.draft is None

    for story in (first, second):
        play(story, settings_path=place)
    (tmp_path / "another project").mkdir()
    monkeypatch.chdir(tmp_path / "another project")
    play(elsewhere, settings_path=place)


def test_list_and_form_at_every_size() -> None:
    async def story(pilot: Pilot[None], app: Launching) -> None:
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert ("needs 60x16" if size == (20, 5) else "dataset digits") in screen_text(app)
        await pilot.resize_terminal(*SIZES[0])
        form = await opened(pilot, app)
        form.rows.select("optim.lr")
        await until(pilot, lambda: form.query_one(ProfileLook).seen.memory)
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.press("enter", "escape")
            text = screen_text(app)
            assert len(text.splitlines()) == size[1]
            if size == (20, 5):
                assert "optim" not in text
                continue
            for words in ("? help", "optim.lr = 0.05", "Learning rate", "profiles/mine.toml", "steps/epoch"):
                assert words in text, (size, words)

    play(story)


# Without a screen


def test_a_path_is_completed_as_far_as_it_is_clear(tmp_path: Path) -> None:
    for name in ("images/train", "images/test", "other"):
        (tmp_path / name).mkdir(parents=True)
    assert complete("ima") == ("images/", "")
    assert complete("images/t") == ("images/t", "test/  train/")
    assert complete(f"{tmp_path}/images/tr") == (f"{tmp_path}/images/train/", "")
    assert complete("nothing/x")[1].endswith("no such file or directory")


def test_a_profile_begins_with_the_network_that_was_asked_for() -> None:
    assert [(begin.extends, begin.settings) for begin in beginnings("resnet18")] == [
        ("papers/resnet", ()),
        ("base", ()),
    ]
    assert beginnings("resnet18 + SAM")[0].extends == "papers/resnet_sam"
    assert [begin.settings for begin in beginnings("vit_b_16")] == [(("model.arch", "vit_b_16"),)] * 2
    assert [begin.settings for begin in beginnings("mine:Net")] == [(("model.arch", "mine:Net"),)]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("seed", "integer 0 or more"), ("data.image_size", "integer 8 to 4096, px"), ("optim.lr", "number above 0"),
        ("optim.beta1", "number 0 to below 1"), ("augment.crop_scale", "number above 0, up to 1"),
        ("schedule.warmup", "5ep, 500step or 10%"), ("train.tf32", "true or false"), ("data.root", "path"),
        ("model.freeze", "none|backbone"), ("data.dataset", "choice of 8"),
    ],
)  # fmt: skip
def test_what_may_be_written_is_told_in_words_that_every_terminal_has(key: str, kind: str) -> None:
    draft = Draft.new("base")
    draft.set("schedule.name", "one_cycle")
    lines = {field.key.path: field_line(field, {}, 200).plain for field in draft.fields()}
    assert lines[key].endswith(kind)
    assert not any(sign in line for line in lines.values() for sign in "≥≤")


def test_what_is_not_set_says_what_decides() -> None:
    draft = Draft.new("base")
    fields = {field.key.path: field for field in draft.fields()}
    assert origin_text(fields["augment.crop"]) == "not set: the preset that data.augment names decides"
    assert origin_text(fields["model.freeze"]) == "inherited from default"
    draft.set("augment.crop", "pad")
    fields = {field.key.path: field for field in draft.fields()}
    assert origin_text(fields["augment.crop"]).startswith("set in this file")


def test_fields_are_found_by_name_and_description() -> None:
    fields = Draft.open(Path("profiles/mine.toml"), environ={}).fields()
    assert [field.key.path for field in fitting(fields, "all", "moving average")] == ["train.ema"]
    assert "optim.lr" in [field.key.path for field in fitting(fields, "own", "")]
    assert fitting(fields, "changed", "") == []


def test_a_terminal_that_goes_away_takes_no_draft_with_it(project: Path) -> None:
    settings = project / "settings.toml"

    async def edit(pilot: Pilot[None], app: Launching) -> None:
        app.edit_profile(project / "profiles" / "mine.toml")
        await until(pilot, lambda: app.drafts is not None and app.form.draft is not None)
        assert app.form.draft is not None
        app.form.draft.set("optim.lr", "0.125")
        app.end_soon()
        await until(pilot, lambda: app._exit)

    play(edit, settings_path=settings)
    [kept] = user_folder().glob("rescued-*.toml")
    assert "lr = 0.125           # found by hand" in kept.read_text()
    assert (project / "profiles" / "mine.toml").read_text() == MINE

    async def look(pilot: Pilot[None], app: Launching) -> None:
        await until(pilot, lambda: app._notifications)
        assert kept.name in said(app)

    play(look, settings_path=settings)
