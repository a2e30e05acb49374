"""The Compare screen, driven by keys, on runs as a trainer leaves them and on ones that grow meanwhile."""

import asyncio
import json
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import driving
import pytest
from made_runs import LiveRun, make_run

from workbench.base.plot import canvas
from workbench.runs.evaluations import EvaluationReader
from workbench.tui import compare_draw, compare_out
from workbench.tui.app import Workbench
from workbench.tui.comparing import Comparer, Sight, Wish
from workbench.tui.screens.compare import CompareScreen
from workbench.tui.screens.compare_actions import ACTIONS
from workbench.tui.settings import Settings
from workbench.tui.widgets.chart_view import View
from workbench.tui.widgets.run_table import RunTable

EVIL = "\x1b]52;c;aGk=\x07\x1b[2J[/oops]\u202e"


class Host(driving.Host):
    """With what the screen asks of an app."""

    def __init__(self, root: Path, runs: list[str]) -> None:
        super().__init__()
        self.root = root
        self.opened: list[str] = []
        self.compare = CompareScreen(hz=20)
        self.compare.open_runs(runs)

    def on_mount(self) -> None:
        self.push_screen(self.compare)

    def open_run(self, run_id: str) -> None:
        self.opened.append(run_id)


class Driver(driving.Driver):
    def row(self, letter: str) -> str:
        """The line of the table about a run."""
        lines = driving.screen_text(self.app).split("\n")
        return next((line for line in lines if re.match(rf"[▸ ][Δ ]  {letter} ", line)), "")


def drive(
    root: Path, runs: list[Path], story: Callable[[Driver], Awaitable[None]], size: tuple[int, int] = (100, 30)
) -> None:
    driving.drive(Host(root, [path.name for path in runs]), story, size, Driver)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """resnet18 of three seeds, a ViT that stopped early, one that diverged, one that has not begun."""
    root = tmp_path_factory.mktemp("made")
    for seed, last in ((0, 0.90), (1, 0.92), (2, 0.94)):
        make_run(
            root, name=f"base-s{seed}", seed=seed, test_top1=[0.2, 0.5, last], facts={"created": f"2026-01-0{seed + 1}"}
        )
    make_run(root, arch="vit_b_16", epochs=2, planned=30, state="stopped", test_top1=[0.3, 0.40],
             facts={"parameters": 22_350_740, "created": "2026-01-04"}, settings={"optim.lr": 0.1})  # fmt: skip
    make_run(root, arch="vgg11", state="failed", test_top1=[0.5, float("nan"), float("nan")],
             test_loss=[2.0, float("nan"), float("inf")], facts={"created": "2026-01-05"})  # fmt: skip
    make_run(root, arch="alexnet", epochs=0, planned=3, state="", facts={"created": "2026-01-06"})
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of them: making one takes the time of several `fsync`."""
    return Path(shutil.copytree(made, tmp_path / "runs"))


def named(root: Path, *words: str) -> list[Path]:
    """The runs whose ids hold these words, in their order."""
    return [next(path for path in sorted(root.iterdir()) if word in path.name) for word in words]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRun]:
    run = LiveRun(tmp_path)
    yield run
    run.end()


def evaluate(run: Path, name: str, counts: list[list[int]], classes: list[str] | None = None, **more: Any) -> Path:
    """A report as `cnn-workbench evaluate` writes it, as far as the screen reads it."""
    names = classes or [str(place) for place in range(len(counts))]
    right, total = sum(row[place] for place, row in enumerate(counts)), sum(map(sum, counts))
    report = {
        "schema": 1, "run": run.name, "weights": {"kind": "best", "epoch": 2}, "images": total, "top1": right / total,
        "classes": [{"class": name, "images": sum(row)} for name, row in zip(names, counts, strict=True)],
        "confusion": counts, **more,
    }  # fmt: skip
    path = run / "evaluation" / name / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report))
    return path


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 45), (60, 16), (20, 5)], ids=str)
def test_runs_are_side_by_side_at_every_size(root: Path, size: tuple[int, int]) -> None:
    runs = named(root, "base-s0", "vit", "base-s2")

    async def story(see: Driver) -> None:
        if size == (20, 5):
            await see.see("needs 60x16")
            await see.press("m", "x", "left", "plus", "tab", "tab", "tab", "z", "b", "d", "space", "f", "end", "escape")
            await see.see("needs 60x16")
            return
        text = await see.see("[curves]", "test top-1, %", "aligned at epoch 2", "@2")
        assert see.row("A").startswith("▸Δ  A ━━━━━━ resnet18")
        assert "50.00" in see.row("A")
        assert re.search(r"40\.00 +-10\.00 ", see.row("B"))
        assert ("×2.00" in see.row("B")) == (size == (160, 45))  # its parameters
        assert ("differs: optim.lr 0.001|0.1|0.001" in text) == (size != (60, 16))
        await see.press("tab")
        await see.see("[keys]", "optim.lr", "0.001", "0.1")
        await see.press("tab")
        await see.see("[confusion]", "None of these runs has an evaluation", f"cnn-workbench evaluate {runs[0].name}")

    drive(root, runs, story, size)


def test_the_cursor_aligns_the_table_and_says_who_has_not_got_there(root: Path) -> None:
    runs = named(root, "base-s0", "vit", "alexnet")

    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 2")  # the farthest that both with a curve have got to
        assert "so far" in see.app.text()  # for the run that has none
        assert "nothing yet" in see.row("C")
        assert "ep 2" not in see.row("B")
        await see.press("right")
        await see.see("aligned at epoch 3", "at epoch 3")
        assert "90.00" in see.row("A")
        assert re.search(r"40\.00 +-50\.00 +ep 2 of 30", see.row("B"))
        assert "00:04" in see.row("B")  # the time of the value that is shown, not of the cursor
        await see.press("home")
        await see.see("aligned at epoch 1")
        assert re.search(r"30\.00 +\+10\.00 ", see.row("B"))
        assert "40.00      2" in see.row("B")  # the best and its epoch do not depend on it
        await see.press("left")
        await see.see("aligned at epoch 0")
        assert re.search(r"resnet18 seed 0|resnet18 +–", see.row("A"))
        await see.press("l", "l", "escape")
        await see.see(lambda: see.app.compare.wish.view.cursor is None, "aligned at epoch 2")

    drive(root, runs, story)


def test_a_value_that_is_no_number_is_shown_as_it_was(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("✗ failed", "aligned at epoch 3")
        assert " nan " in see.row("B")
        assert "50.00      1" in see.row("B")
        await see.press("m", "g")
        await see.see("test loss", "log")
        assert " inf " in see.row("B")

    drive(root, named(root, "base-s0", "vgg"), story, (160, 45))


def test_another_baseline_and_hidden_runs(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 2")
        await see.press("j", "p")
        await see.see(lambda: see.row("B").startswith("▸Δ") and "+10.00" in see.row("A"))
        await see.press("space")
        await see.see("B hidden vit_b_16", "aligned at epoch 3")  # what is hidden holds nobody back
        assert "B" not in {letter for line in see.app.text().split("\n")[3:12] for letter in line}
        await see.press("space")
        await see.see("aligned at epoch 2", lambda: "hidden" not in see.app.text())
        await see.press("k", "enter")
        assert see.app.opened == [named(root, "base-s0")[0].name]

    drive(root, named(root, "base-s0", "vit"), story)


def test_seeds_become_a_band_with_mean_and_deviation(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 2", "C ━ ━ ━  resnet18 base-s1")
        await see.press("b", "end")
        text = await see.see("seeds as bands", "resnet18, 3 seeds", "aligned at epoch 3")
        assert "92.00 ±2.00" in see.row("A")
        assert "-52.00" in see.row("B")
        assert "░" in text
        assert not see.row("C")
        await see.press("home", "p", "enter")
        await see.told("a band stands for several runs")
        assert not see.app.opened
        await see.press("b")
        await see.see(lambda: bool(see.row("C")) and "░" not in see.app.text())

    drive(root, named(root, "base-s0", "vit", "base-s1", "base-s2"), story)


def test_without_two_seeds_there_is_no_band_and_a_line_says_so(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 2")
        await see.press("b")
        await see.see("no two of these runs differ by seed alone")

    drive(root, named(root, "base-s0", "vit"), story, (80, 24))


def test_charts_obey_their_keys(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("x epoch")
        await see.press("x")
        await see.see("x step", "aligned at step 8")
        await see.press("x")
        await see.see("x time", "aligned at time 00:04")
        await see.press("x", "s")
        await see.see("smooth 0.6", "x epoch")
        await see.press("plus")
        await see.see("zoom")
        await see.press("0")
        await see.see(lambda: "zoom" not in see.app.text())
        await see.press("m", "m", "m", "m", "m")
        await see.see("learning rate" if "learning rate" in see.app.text() else " lr ")
        await see.press("m")
        await see.see("images per second")
        await see.press("m")
        await see.see("test top-1, %")
        await see.press("f")
        await see.see("params", "×2.00", "22.35M")
        await see.press("z")
        text = await see.see("A ━━━━━━ resnet18", lambda: not see.row("A"))
        assert "B ━━━━   vit_b_16" in text
        await see.press("escape")
        await see.see(lambda: bool(see.row("A")))

    drive(root, named(root, "base-s0", "vit"), story)


def test_log_is_refused_with_the_reason(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=seed, test_top1=0.0) for seed in (0, 1)]

    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 3")
        await see.press("g")
        await see.told("no value is positive")
        assert not see.app.compare.wish.log

    drive(tmp_path, runs, story)


def test_keys_that_differ_or_all_of_them(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("aligned at")
        await see.press("tab")
        text = await see.see("[keys]", "keys differ", "ΔA resnet18", "B vit_b_16")
        assert "data.dataset" not in text
        await see.press("d")
        await see.see("all are shown", "data.dataset")
        await see.press("escape")
        await see.see("[curves]")

    drive(root, named(root, "base-s0", "vit"), story)


def test_keys_of_eight_runs_are_reached_one_after_the_other(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, arch=f"net{seed}", epochs=1, seed=seed, facts={"created": f"2026-01-0{seed + 1}"})
            for seed in range(8)]  # fmt: skip

    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 1")
        await see.press("tab")
        await see.see("ΔA net0", lambda: "H net7" not in see.app.text(), "←→ other runs")
        await see.press(*["right"] * 4)
        await see.see("E net4", "H net7", lambda: "B net1" not in see.app.text())

    drive(tmp_path, runs, story, (60, 16))


def test_equal_profiles_are_said_to_be_equal(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, epochs=1), make_run(tmp_path, epochs=1)]

    async def story(see: Driver) -> None:
        await see.see("the profiles are equal: 12 keys")
        await see.press("tab")
        await see.see("[keys]", "the profiles are equal: 12 keys")
        await see.press("d")
        await see.see("the profiles are equal", "data.dataset")

    drive(tmp_path, runs, story)


def test_confusions_side_by_side_or_one_at_a_time(root: Path) -> None:
    runs = named(root, "base-s0", "vit", "vgg")
    evaluate(runs[0], "digits-test-best", [[9, 1], [0, 10]], ["cat", "dog"])
    evaluate(runs[1], "digits-test-best", [[3, 7], [5, 5]], ["cat", "dog"])
    evaluate(runs[1], "digits-val-last", [[1, 0], [0, 1]], ["cat", "dog"])

    async def wide(see: Driver) -> None:
        await see.see("aligned at")
        await see.press("tab", "tab")
        text = await see.see("A resnet18", "B vit_b_16", "C without an evaluation", "90█", "70▓", "30▒")
        assert "digits-test-best: top-1 95.00% of 20 images, weights of epoch 2" in text
        assert f"cnn-workbench evaluate {runs[2].name} --runs" in text
        await see.press("e")
        await see.see("has no evaluation digits-val-last", "100█")
        evaluate(runs[2], "digits-test-best", [[2, 8], [1, 9]], ["cat", "dog"])  # while one looks
        await see.press("e", "right_square_bracket")
        await see.see("C vgg11", "80█", lambda: "without" not in see.app.text())

    async def narrow(see: Driver) -> None:
        await see.see("aligned at")
        await see.press("tab", "tab")
        await see.see("A resnet18", "90█", lambda: "B vit" not in see.app.text())
        await see.press("right_square_bracket")
        await see.see("B vit_b_16", "70▓", lambda: "A resnet" not in see.app.text())
        await see.press("left_square_bracket")
        await see.see("A resnet18")

    drive(root, runs, narrow, (80, 24))
    drive(root, runs, wide, (160, 45))


def test_of_many_classes_the_worst_confusions_are_listed(root: Path) -> None:
    runs = named(root, "base-s0", "vit")
    counts = [[10 if true == said else 0 for said in range(200)] for true in range(200)]
    counts[7][9] = 30
    for place in range(20, 50):
        counts[place][3] = 4
    evaluate(runs[0], "many-test-best", counts, [f"class {place} {EVIL}" for place in range(200)])
    damaged = evaluate(runs[1], "many-test-best", [[1, 2], [3, 4]])
    damaged.write_text(damaged.read_text().replace("[3, 4]", "[3]"))

    async def story(see: Driver) -> None:
        await see.see("aligned at")
        await see.press("tab", "tab")
        text = await see.see("the worst confusions of 200 classes", "30 of 40", "4 of 14")
        assert re.search(r"30 of 40  class 7 .*▸ class 9 ", text)
        assert "\x1b" not in text
        await see.press("down", "down")
        await see.see(lambda: "A resnet18" not in see.app.text())
        await see.press("end")
        await see.see("B: evaluation many-test-best: the report cannot be read")
        await see.press("home")
        await see.see("A resnet18")

    drive(root, runs, story, (80, 24))


def test_evaluations_are_read_anew_only_when_they_are_replaced(tmp_path: Path) -> None:
    path = evaluate(tmp_path, "digits-test-best", [[1, 0], [0, 1]])
    (tmp_path / "evaluation" / "link").symlink_to(path.parent)
    reader = EvaluationReader()
    (first,) = reader.read(tmp_path).found
    assert reader.read(tmp_path).found[0] is first
    evaluate(tmp_path, "digits-test-best", [[1, 0], [1, 1]])
    (second,) = reader.read(tmp_path).found
    assert (second.images, second.confusions[0].count, second.confusions[0].of) == (3, 1, 2)
    for content in ("", "[]", '{"classes": [1], "confusion": [[1]]}', '{"classes": [{}], "confusion": [[true]]}'):
        path.write_text(content)
        assert reader.read(tmp_path).problems == ("evaluation digits-test-best: the report cannot be read",)


def test_a_run_that_grows_is_followed_and_nothing_else_is_drawn(live: LiveRun, tmp_path: Path) -> None:
    other = make_run(tmp_path, arch="vit_b_16")

    async def story(see: Driver) -> None:
        await see.see("● running", "aligned at epoch 3")
        live.epoch()
        await see.see("aligned at epoch 1", lambda: bool(re.search(r"1[678]\.\d\d", see.row("A"))))
        live.epoch()
        await see.see("aligned at epoch 2")
        table, chart = see.app.compare.query_one(RunTable), see.app.compare.query_one("#chart")
        refreshed: list[object] = []
        for widget in (table, chart):
            widget.refresh = lambda *regions, **_: refreshed.append(regions)  # type: ignore[assignment]
        await asyncio.sleep(0.3)
        assert not refreshed  # ticks without news
        live.end("stopped")
        await see.see(lambda: any(row.state == "■ stopped" for row in see.app.compare.rows))

    drive(tmp_path, [live.path, other], story)


def test_a_hidden_screen_asks_for_nothing(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 2")
        asker = see.app.compare._asker
        assert asker is not None
        asked: list[Wish] = []
        asker.ask = asked.append  # type: ignore[method-assign]
        see.app.push_screen("other")
        await see.pilot.pause()
        del asked[:]
        await asyncio.sleep(0.3)
        see.app.compare.ask(again=True)  # as a terminal of another size would have it do
        assert not asked
        see.app.pop_screen()
        await see.see(lambda: bool(asked))

    Host.SCREENS = {"other": lambda: CompareScreen(hz=20)}  # type: ignore[dict-item]
    drive(root, named(root, "base-s0", "vit"), story)


def test_a_run_that_is_deleted_keeps_its_figures_and_a_line_says_so(root: Path) -> None:
    runs = named(root, "base-s0", "vit")

    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 2")
        await asyncio.sleep(0.2)  # looks without news
        runs[1].rename(root / ".gone")
        await see.see(f"B {runs[1].name} was deleted", "✗ deleted", "optim.lr 0.001|0.1", "22.35M")
        assert "40.00" in see.row("B")
        await see.press("o", "enter")
        await see.told("was deleted, so there is nothing to write of it")
        (root / ".gone").rename(runs[1])
        await see.see(lambda: "was deleted:" not in see.app.text())

    drive(root, runs, story)


def test_files_and_the_command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = named(root, "base-s0", "vit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    async def story(see: Driver) -> None:
        await see.see("aligned at epoch 2")
        await see.press("j", "p", "x", "m", "m")
        await see.see("x step", "train top-1, %")
        await see.press("o", "enter")
        await see.told("2 runs written to")
        await see.press("y")
        await see.told("copied, if the terminal takes it")

    drive(root, runs, story)
    (page,) = tmp_path.glob("compare-*.html")
    text = page.read_text()
    assert text.index(runs[1].name) < text.index(runs[0].name)  # the baseline first
    assert "train top-1" in text
    command = (tmp_path / "cache" / "cnn-workbench" / "copied.txt").read_text().strip()
    expected = f"cnn-workbench compare {runs[1].name} {runs[0].name} --x step --metric train_top1 --runs {root}"
    assert command == expected


@pytest.mark.parametrize("form", [name for name, _ in compare_out.FORMATS])
def test_a_file_is_never_written_over(root: Path, tmp_path: Path, form: str) -> None:
    from datetime import UTC, datetime

    ids = [path.name for path in named(root, "base-s0", "vit")]
    for _ in range(2):
        compare_out.export(root, ids, form, "lr", "seconds", tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    files = sorted(tmp_path.glob(f"*.{form}"))
    assert [path.name for path in files] == [f"compare-20260101-000000-2.{form}", f"compare-20260101-000000.{form}"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert all(run_id in files[0].read_text() for run_id in ids)


def test_what_is_on_disk_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, seed=seed, name="x", facts={"arch": EVIL * (1 + 900 * seed)}, tags=("a",), note=EVIL,
                 settings={"data.dataset": f"{EVIL}{seed}", EVIL.replace(".", ""): "1"}, **{EVIL: 1.0})
        for seed in (0, 1)
    ]  # fmt: skip
    live = LiveRun(tmp_path)
    live.step(**{EVIL: 1.0})
    live.end("failed", error=EVIL)

    async def story(see: Driver) -> None:
        await see.see("aligned at")
        for key in ("m", "m", "z", "z", "tab", "d", "tab", "tab", "b"):
            await see.press(key)
            await see.pilot.pause(0.05)
            text = see.app.text()
            assert "\x1b" not in text
            assert "\u202e" not in text
        assert "[/oops]" in text

    drive(tmp_path, [*runs, live.path], story, (160, 45))


def test_with_no_color_runs_differ_by_letter_and_dashes() -> None:
    assert len({compare_draw.sample(number, 12) for number in range(8)}) == 8
    assert len(set(compare_draw.RUN_COLORS)) == 8


def test_the_whole_way_by_keys(root: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("Nothing to compare yet", "In Runs (key 4)")
        await see.press("m", "z", "tab", "4")
        await see.see("6 runs")
        await see.press("c")
        await see.told("compare takes 2 to 8 runs, none marked")
        await see.press("space", "c")
        await see.told("compare takes 2 to 8 runs, 1 marked")
        await see.press("space", "c")
        await see.see("[5 Compare]", "2 runs", "[curves]")
        await see.press("enter")
        await see.see("[3 Train]")
        await see.press("5")  # the comparison is still there
        await see.see("[5 Compare]", "2 runs", "[curves]")

    driving.drive(Workbench(root, Settings(screen="compare"), preload=False), story, (100, 30))


def test_the_last_comparison_comes_back_in_the_next_session(root: Path, tmp_path: Path) -> None:
    place = tmp_path / "settings.toml"
    runs = [path.name for path in named(root, "base-s0", "vit", "base-s1")]

    def session(story: Callable[[Driver], Awaitable[None]]) -> None:
        app = Workbench(root, Settings(screen="compare", markers="ascii"), settings_path=place, preload=False)
        driving.drive(app, story, (100, 30), Driver)

    async def first(see: Driver) -> None:
        await see.see("Nothing to compare yet")
        see.app.compare(runs)
        await see.see("3 runs")
        await see.press("j", "p", "m", "x", "b")
        await see.see("test loss", "x step", "seeds as bands")
        await see.press("ctrl+q")

    async def second(see: Driver) -> None:
        text = await see.see("3 runs", "test loss", "x step", "seeds as bands")
        assert see.row("B").startswith(" Δ")
        assert not set(text) & set("⠒⠤⠉")
        shutil.rmtree(root / runs[2])
        await see.press("ctrl+q")

    async def third(see: Driver) -> None:
        await see.see("2 runs", "test loss")
        shutil.rmtree(root / runs[1])
        await see.press("ctrl+q")

    async def fourth(see: Driver) -> None:
        await see.see("Nothing to compare yet")

    for story in (first, second, third, fourth):
        session(story)


def test_every_action_works_before_there_is_anything_to_see(root: Path) -> None:
    """No key may fail while the thread still reads, nor on what is empty."""

    async def story(see: Driver) -> None:
        screen = see.app.compare
        for action in ACTIONS:
            if action.id not in ("compare.export", "compare.copy"):
                await screen.action_do(action.id)
        shown = ("2 runs", "[curves]") if screen.wish.runs else ("Nothing to compare yet",)
        await see.see(*shown)
        assert not [toast for toast in see.app._notifications if toast.severity == "error"]

    drive(root, named(root, "alexnet", "vgg"), story)
    drive(root, [], story)


def test_nothing_new_is_no_answer_and_no_drawing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def counted(*args: Any, **options: Any) -> list[str]:
        drawn.append(1)
        return canvas(*args, **options)

    monkeypatch.setattr(compare_draw, "canvas", counted)
    comparer = Comparer(root)
    ids = tuple(path.name for path in named(root, "base-s0", "vit"))
    wish = Wish(runs=ids, width=80, height=12)
    first = comparer.look(wish)
    assert isinstance(first, Sight)
    assert first.picture.rows
    assert comparer.look(wish) is None
    again = comparer.look(Wish(runs=ids, width=80, height=12, again=True))
    assert isinstance(again, Sight)
    assert again.picture is first.picture
    assert len(drawn) == 1


def test_a_long_run_is_thinned_zoomed_into_and_said_to_be_near(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, epochs=3, steps=1200, seed=seed) for seed in (0, 1)]
    comparer = Comparer(tmp_path)
    ids = tuple(path.name for path in runs)
    sight = comparer.look(Wish(runs=ids, metric="lr", width=60, height=10, view=View("step")))
    assert isinstance(sight, Sight)
    points = sight.runs[0].points
    assert points.thinned
    assert 10 < points.y.size < 700
    near = comparer.look(
        Wish(runs=ids, metric="lr", width=60, height=10, view=View("step", window=(100.0, 140.0)), again=True)
    )
    assert isinstance(near, Sight)
    close = near.runs[0].points
    assert set(range(100, 141)) <= set(close.step.tolist())
    assert abs(close.epoch[close.step == 120.0][0] - 0.1) < 0.1
    short = comparer.look(Wish(runs=ids, metric="test_top1", width=60, height=10, again=True))
    assert isinstance(short, Sight)
    assert not short.runs[0].points.thinned
