"""The Models screen: find a network, read its card, unfold its layers, see its code and what one's own runs reached."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from driving import screen_text, until
from made_runs import make_run
from textual.pilot import Pilot
from textual.widgets import Input, Static

from workbench.base.errors import UserError
from workbench.inspect.layer import Layer
from workbench.runs.store import RunStore
from workbench.tui.app import Workbench
from workbench.tui.model_rows import arrange, best_of, filter_of, own_results, rows
from workbench.tui.screens.model_list import fitting
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.widgets.frame import Hints
from workbench.tui.widgets.layer_tree import LayerTree, heading, lines_inside

ROWS = rows()
SIZES = [(80, 24), (160, 45), (60, 16), (20, 5)]


def small_network(name: str, image_size: int) -> Layer:
    """A network of two equal blocks and a head, as the shape walk would tell of it."""
    if image_size > 300:
        raise UserError(f"{name} at {image_size} px: too large")
    side = image_size // 2
    conv = Layer("conv", "Conv2d", (1, 8, side, side), True, 224, 1000 * side)
    blocks = tuple(Layer(key, "Block", (1, 8, side, side), True, 224, 1000 * side, children=(conv,)) for key in "01")
    head = Layer("head", "Linear", (1, 1000), True, 9000, 8000)
    scale = (("scale", (8, 1)),)
    return Layer(name, "Small", (1, 1000), True, 9456, 5, scale, 5, (*blocks, head))


def on_screen(
    root: Path,
    size: tuple[int, int],
    story: Callable[[Pilot[None], ModelsScreen], Awaitable[None]],
    walk: Callable[[str, int], Layer] = small_network,
) -> None:
    """Play a story on the Models screen of the app."""

    async def play() -> None:
        app = Workbench(root, walk=walk, preload=False)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            screen = app.screen
            assert isinstance(screen, ModelsScreen)
            await story(pilot, screen)

    asyncio.run(play())


def text_of(widget: Static) -> str:
    """What a widget shows."""
    return "\n".join("".join(segment.text for segment in line) for line in widget.render_lines(widget.size.region))


def names_of(screen: ModelsScreen) -> list[str]:
    return [row.name for row in screen.models.shown]


def hints(screen: ModelsScreen) -> list[str]:
    """The hints of the last line."""
    return [f"{key} {action.label}" for key, action, _ in screen.query_one(Hints)._fitting()]


def test_all_rows_of_the_seed_come_first_and_no_network_is_missing() -> None:
    labelled = [row.label for row in ROWS if row.label]
    assert len(labelled) == 23
    assert [row.label for row in ROWS[:23]] == labelled
    assert len({row.name for row in ROWS}) == len(ROWS) == 76


def test_groups_keep_their_order_while_their_rows_are_sorted() -> None:
    groups = arrange(ROWS, "", "params", False, {})
    assert [group for group, _ in groups][:4] == ["CNN based", "Transformer based", "MLP based", "Other"]
    for _, members in groups:
        counts = [row.count("params") for row in members]
        assert counts == sorted(counts)
    backwards = dict(arrange(ROWS, "", "params", True, {}))
    assert backwards["CNN based"] == list(reversed(dict(groups)["CNN based"]))


def test_a_filter_takes_every_word_wherever_it_stands() -> None:
    found = arrange(ROWS, "he 2016 residual", "year", False, {})
    assert "resnet18" in [row.name for _, members in found for row in members]
    assert arrange(ROWS, "resnet [/oops]", "year", False, {}) == []


def test_own_results_are_by_row_and_data_set(tmp_path: Path) -> None:
    make_run(tmp_path, arch="resnet18", test_top1=[0.5, 0.9, 0.8])
    make_run(tmp_path, arch="resnet18", seed=1, test_top1=0.7)
    make_run(tmp_path, arch="resnet18", dataset="mnist", test_top1=0.99)
    make_run(tmp_path, arch="resnet18", settings={"sam.rho": 0.05}, test_top1=0.6)
    own = own_results(RunStore(tmp_path).runs())
    plain, mnist = own["resnet18"]
    assert (plain.dataset, plain.best, plain.epoch, plain.runs) == ("digits", 0.9, 2, 2)
    assert (mnist.dataset, mnist.best) == ("mnist", 0.99)
    assert best_of(own["resnet18"]) == 0.99
    assert [result.best for result in own["resnet18 + SAM"]] == [0.6]
    by_best = arrange(ROWS, "", "best", False, own)[0][1]
    assert by_best[0].name == "resnet18"


def test_the_filter_for_runs_is_exact() -> None:
    by_name = {row.name: row for row in ROWS}
    assert filter_of(by_name["resnet18"]) == "arch=resnet18"
    assert filter_of(by_name["resnet18 + SAM"]) == "arch=resnet18 sam.rho>0"


@pytest.mark.parametrize(
    ("width", "columns"), [(24, ["year"]), (31, ["year", "best"]), (49, ["year", "params", "MACs", "best"])]
)
def test_the_sorted_column_stays_where_there_is_little_room(width: int, columns: list[str]) -> None:
    assert fitting(width, "year") == columns
    assert "MACs" in fitting(width, "MACs")


def test_equal_neighbours_are_one_line_and_own_weights_come_first() -> None:
    inside = lines_inside(small_network("small", 32))
    assert [line.name for line in inside] == ["scale", "(forward)", "0 … 1  ×2", "head"]
    assert inside[0].figures == ("8×1", "8", "-")
    assert inside[2].figures == ("8×16×16", "224", "16.00k")
    assert [heading(width).plain.split() for width in (20, 46, 60)] == [
        ["module"], ["module", "output", "params"], ["module", "output", "params", "MACs"],
    ]  # fmt: skip


def test_find_sort_and_read_a_card(tmp_path: Path) -> None:
    make_run(tmp_path, arch="gmlp", test_top1=0.875, epochs=2)

    async def story(pilot: Pilot[None], screen: ModelsScreen) -> None:
        assert len(names_of(screen)) == 76
        await pilot.press("s")
        assert screen.models.sort == "params"
        assert names_of(screen)[0] == "densenet40_k12_bc"
        await pilot.press("slash", *"gml")
        assert names_of(screen) == ["gmlp", "gmlp_ti16", "gmlp_s16", "gmlp_b16"]
        await until(pilot, lambda: bool(screen.models.own))
        await pilot.press("enter")
        await pilot.pause()
        assert screen.focused is screen.models.listed
        card = text_of(screen.query_one("#card-text", Static))
        assert "Pay Attention to MLPs" in card
        assert "best 87.50 %" in card
        await pilot.press("slash", *"zzz")
        assert names_of(screen) == []
        assert "nothing fits" in text_of(screen.query_one("#heading", Static))
        await pilot.press("escape")
        assert len(names_of(screen)) == 76

    on_screen(tmp_path, (80, 24), story)


def test_the_walk_unfolds_at_a_chosen_size(tmp_path: Path) -> None:
    release = threading.Event()

    def walk(name: str, image_size: int) -> Layer:
        release.wait(10)
        return small_network(name, image_size)

    async def story(pilot: Pilot[None], screen: ModelsScreen) -> None:
        tree = screen.query_one(LayerTree)
        await pilot.press("w")
        assert text_of(screen.query_one("#layers-note", Static)).strip() == "loading torch"
        release.set()
        await until(pilot, lambda: tree.display)
        names = [node.data.name for node in tree.root.children if node.data]
        assert names == ["scale", "(forward)", "0 … 1  ×2", "head"]
        await pilot.press("enter", "j", "j", "j", "l")
        await pilot.pause()
        block = tree.root.children[2]
        assert block.is_expanded
        assert [node.data.name for node in block.children if node.data] == ["conv"]
        await pilot.press("i")
        screen.query_one("#size", Input).value = "64"
        await pilot.press("enter")
        await until(pilot, lambda: bool(tree.root.children) and "8×32×32" in str(tree.root.children[2].data))
        assert screen.image_size == 64
        screen.query_one("#size", Input).value = ""
        for _ in range(8):
            await pilot.press("plus")
        await until(pilot, lambda: not tree.display)
        assert "too large" in text_of(screen.query_one("#layers-note", Static))

    on_screen(tmp_path, (80, 24), story, walk)


def test_the_keys_go_to_the_view_and_come_back_and_are_never_nowhere(tmp_path: Path) -> None:
    release = threading.Event()

    def walk(name: str, image_size: int) -> Layer:
        release.wait(10)
        return small_network(name, image_size)

    async def story(pilot: Pilot[None], screen: ModelsScreen) -> None:
        tree, listed = screen.query_one(LayerTree), screen.models.listed
        assert hints(screen)[0] == "→ read"
        await pilot.press("w", "right")
        assert screen.focused is not None  # the walk is not there yet, and the keys wait in its place
        assert screen.focused.id == "layers"
        assert "→ read" not in hints(screen)
        assert hints(screen)[0] == "esc back"
        release.set()
        await until(pilot, lambda: screen.focused is tree)
        assert screen.focused is tree
        release.clear()
        await pilot.press("plus")
        assert screen.focused is not tree
        release.set()
        await until(pilot, lambda: screen.focused is tree)
        assert screen.focused is tree
        await pilot.press("escape")
        assert screen.focused is listed
        for key in ("l", "enter", "tab", "greater_than_sign"):
            await pilot.press(key)
            assert screen.focused is tree
            await pilot.press("shift+tab")
            assert screen.focused is listed
        await pilot.press("slash", *"resnet18", "down")
        assert screen.models.row is not None
        assert screen.models.row.name == "se_resnet18"
        await pilot.press("enter", "right", "escape")
        assert screen.models.filtered
        assert screen.focused is listed
        await pilot.press("escape")
        assert not screen.models.filtered

    on_screen(tmp_path, (80, 24), story, walk)


def test_a_wrong_image_size_stays_in_the_line_with_the_reason(tmp_path: Path) -> None:
    async def story(pilot: Pilot[None], screen: ModelsScreen) -> None:
        field, note = screen.query_one("#size", Input), screen.query_one("#layers-note", Static)
        await pilot.press("w")
        await until(pilot, lambda: screen.query_one(LayerTree).display)
        await pilot.press("i")
        assert "image size in pixels" in text_of(note)
        for wrong in ("7", "4097", "99999", "-5", ""):
            field.value = wrong
            await pilot.press("enter")
            await pilot.pause()
            assert field.display
            assert "a whole number from 8 to 4096" in text_of(note)
        assert screen.image_size == 224
        await pilot.press("escape")
        await pilot.pause()
        assert not field.display
        assert "module" in text_of(note)
        assert screen.focused is screen.query_one(LayerTree)

    on_screen(tmp_path, (80, 24), story)


def test_a_network_that_cannot_be_walked_does_not_end_the_app(tmp_path: Path) -> None:
    def walk(name: str, image_size: int) -> Layer:
        raise RuntimeError("\x1b[2Jbroken [/oops]")

    async def story(pilot: Pilot[None], screen: ModelsScreen) -> None:
        await pilot.press("w")
        note = screen.query_one("#layers-note", Static)
        await until(pilot, lambda: "broken" in text_of(note))
        assert "broken [/oops]" in text_of(note)
        assert "\x1b" not in text_of(note)
        await pilot.press("v")
        await pilot.pause()
        source = screen.query_one("#source-text", Static)
        assert "AlexNet" in text_of(source)
        shown = [segment.style for line in source.render_lines(source.size.region) for segment in line if segment.style]
        assert len({style.color for style in shown}) > 3  # words, texts, comments and names differ

    on_screen(tmp_path, (80, 24), story, walk)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_view_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[None], screen: ModelsScreen) -> None:
        for key in ("w", "v", "c", "z", "escape"):
            await pilot.press(key)
        await pilot.pause()
        shown = screen_text(screen.app)
        if size == (20, 5):
            assert "needs 60x16" in shown
            assert "alexnet" not in shown
        else:
            assert "alexnet" in shown
            assert "filter" in shown
            assert "? help" in shown

    on_screen(tmp_path, size, story)
