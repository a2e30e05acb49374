"""The leaderboard's rows and the table that shows them."""

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import make_run
from summaries import damaged_summary, make_summary
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from workbench.base.text import clean
from workbench.runs.from_base import Base
from workbench.runs.query import QueryError
from workbench.runs.settings import Settings
from workbench.runs.summary import Summary
from workbench.tui import desk as desk_module
from workbench.tui.board import SORTED_RANK, Board, View, filter_of_group, make_board
from workbench.tui.desk import Desk
from workbench.tui.run_preview import BLOCKS, preview, sparkline
from workbench.tui.widgets.table import Marks, VirtualTable

BELL = "\x1b]52;c;aGk=\x07\x1b[2J[/oops]\u202e"
"""Writes the clipboard, clears the screen, breaks markup, turns text around: if a terminal or a parser gets it."""


def names(board: Board) -> list[str]:
    return [row.arch for row in board.rows if isinstance(row, Summary)]


RUNS = [
    make_summary(0, arch="resnet18", test_top1=0.9, seconds=50.0),
    make_summary(1, arch="vit_b_16", test_top1=0.8, seconds=10.0),
    make_summary(2, arch="alexnet", test_top1=0.9, seconds=70.0),
    make_summary(3, arch="vgg11", test_top1=None, seconds=5.0, state="running"),
    make_summary(4, arch="vgg13", test_top1=0.99, archived=True),
]


# What stands in the rows


def test_the_best_is_first_and_what_is_archived_is_left_out_and_said() -> None:
    board = make_board(RUNS, View())
    assert names(board) == ["alexnet", "resnet18", "vit_b_16", "vgg11"]
    assert board.notes == ("1 archived left out (a shows them)",)
    assert names(make_board(RUNS, View(archived=True)))[0] == "vgg13"
    assert names(make_board(RUNS, View(filter="archived=yes"))) == ["vgg13"]


def test_a_column_is_sorted_by_in_both_directions_and_then_no_more() -> None:
    down = View().sorted_by("time")
    assert down.order == (("time", True),)
    up = down.sorted_by("time")
    assert up.order == (("time", False),)
    assert up.sorted_by("time").order == ()
    assert names(make_board(RUNS, up)) == ["vgg11", "vit_b_16", "resnet18", "alexnet"]


def test_several_keys_hold_in_the_order_in_which_they_were_chosen() -> None:
    view = View().sorted_by("acc").sorted_by("acc").sorted_by("acc")  # ascending, off, descending
    view = View(order=(("acc", True),)).sorted_by("time")
    assert view.arrows() == {"acc": "▼1", "time": "▼2"}
    assert names(make_board(RUNS, view)) == ["alexnet", "resnet18", "vit_b_16", "vgg11"]
    assert names(make_board(RUNS, view.sorted_by("time")))[:2] == ["resnet18", "alexnet"]


def test_what_is_sorted_by_stays_where_there_is_little_room() -> None:
    board = make_board(RUNS, View(order=(("best", True), ("macs", True))))
    ranks = {column.name: column.rank for column in board.columns}
    assert {ranks["best"], ranks["macs"]} == {SORTED_RANK}
    assert [name for name, rank in ranks.items() if rank >= SORTED_RANK] == ["arch", "best", "macs"]
    groups = make_board(RUNS, View(order=(("acc", True),), by=("arch",)))
    assert next(column.rank for column in groups.columns if column.name == "acc") == SORTED_RANK


def test_the_usual_order_can_be_turned_around_at_the_first_press() -> None:
    assert View().sorted_by("acc").order == (("acc", False),)


def test_a_difference_sorts_as_its_figure() -> None:
    assert View().sorted_by("time_ratio").order == (("time", True),)


def test_pinned_runs_are_on_top_in_order_among_themselves() -> None:
    runs = [*RUNS, make_summary(8, arch="low", test_top1=0.1, pinned=True), make_summary(9, arch="mid", pinned=True)]
    assert names(make_board(runs, View()))[:3] == ["mid", "low", "alexnet"]


def test_a_mistake_in_a_filter_is_an_error_with_its_place() -> None:
    with pytest.raises(QueryError) as caught:
        make_board(RUNS, View(filter="acc>90 arhc:resnet"))
    assert caught.value.column == 8


def test_groups_have_n_mean_and_deviation_and_lead_to_their_runs() -> None:
    runs = [make_summary(n, seed=n, test_top1=0.9 + n / 100, recipe='a "b"') for n in range(3)]
    board = make_board([*runs, *RUNS], View(by=("arch", "recipe")))
    table = board.as_table("md")
    first = dict(zip((heading.name for heading in table.headings), table.rows[0], strict=True))
    assert (first["n"].text, first["acc"].text, first["acc_sd"].text) == ("3", "91.00", "1.00")
    assert board.notes[0].startswith("1 left out: not finished")
    group = board.rows[0]
    inside = make_board([*runs, *RUNS], View(filter=filter_of_group(group, ("arch", "recipe"))))  # type: ignore[arg-type]
    assert sorted(inside.keys) == sorted(run.id for run in runs)


def test_a_baseline_adds_differences_and_its_loss_is_said() -> None:
    board = make_board(RUNS, View(baseline=RUNS[0].id))
    column = next(column for column in board.columns if column.name == "acc_diff")
    assert [column.text(row) for row in board.rows] == ["+0.00", "+0.00", "-10.00", "–"]
    gone = make_board(RUNS[1:], View(baseline=RUNS[0].id))
    assert f"the baseline {RUNS[0].id} is gone" in gone.notes


def test_csv_and_json_begin_with_the_id_and_figures_are_raw() -> None:
    table = make_board(RUNS, View(columns=("acc",))).as_table("csv")
    assert [heading.name for heading in table.headings] == ["id", "acc"]
    assert table.rows[0][1].value == 0.9


def test_a_column_that_no_run_knows_any_more_is_left_out() -> None:
    board = make_board(RUNS, View(columns=("arch", "model.options.gone"), order=(("model.options.gone", True),)))
    assert [column.name for column in board.columns] == ["arch"]


def test_runs_beyond_reading_are_rows_too() -> None:
    board = make_board([damaged_summary(1), *RUNS], View())
    assert len(board.as_table("md").rows) == 5


# A run in a few lines


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=300), st.integers(-1, 90))
def test_a_sparkline_is_blocks_and_never_wider_than_asked(values: list[float | None], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == max(0, min(width, len(values)))
    assert set(line) <= {*BLOCKS, " "}


def test_a_sparkline_goes_from_the_lowest_block_to_the_full_one_and_has_gaps() -> None:
    assert sparkline([0.0, float("nan"), None, 0.5, 1.0], 10) == "▁  ▅█"
    assert sparkline([0.3, 0.3], 10) == "▅▅"
    assert sparkline([float(n) for n in range(100)], 4)[-1] == "█"


@given(st.integers(1, 200), st.integers(0, 20))
def test_a_preview_keeps_to_its_room(width: int, height: int) -> None:
    run = make_summary(note="left\nover " + "x" * 3000, tags=("a", "b"), state="failed", detail="out of memory")
    lines = preview(run, Board().book.base, [0.1, 0.5, 0.9], width, height)
    assert len(lines) <= height
    assert width < 12 or all(len(line) <= width for line in lines)


def test_a_preview_tells_the_state_in_words() -> None:
    run = make_summary(state="failed", detail="CUDA out of memory", epoch=3)
    text = "\n".join(line.plain for line in preview(run, Board().book.base, [0.1, 0.5], 80, 12))
    assert "✗ failed, epoch 3 of 10 (CUDA out of memory)" in text
    assert "10.00 ▁█ 50.00 %" in text


# The table


class Shown(App[None]):
    def __init__(self, board: Board) -> None:
        super().__init__()
        self.board = board
        self.heads: list[str] = []

    def on_virtual_table_head_clicked(self, event: VirtualTable.HeadClicked) -> None:
        self.heads.append(event.column)

    def compose(self) -> ComposeResult:
        yield VirtualTable()

    @property
    def table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    def fill(self, board: Board, marks: Marks | None = None) -> None:
        self.table.fill(board.columns, board.rows, board.keys, arrows=board.view.arrows(), marks=marks)

    def on_mount(self) -> None:
        self.fill(self.board)

    def lines(self) -> list[str]:
        return [self.table.line(y) for y in range(self.table.size.height)]


def shown(
    board: Board, story: Callable[[Shown, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> None:
    async def run() -> None:
        app = Shown(board)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await story(app, pilot)

    asyncio.run(run())


def many(count: int) -> list[Summary]:
    draw = random.Random(0)
    return [
        make_summary(n % 600, id=f"20261122-100000-quick-{n:06}", test_top1=draw.random(), seed=n % 5,
                     arch=draw.choice(["resnet18", "vit_b_16", "alexnet"]), settings={"optim.lr": n / 1e5})
        for n in range(count)
    ]  # fmt: skip


def test_ten_thousand_runs_page_down_without_a_stall() -> None:
    board = make_board(many(10_000), View())

    async def story(app: Shown, pilot: Pilot[None]) -> None:
        table, times = app.table, []
        assert table.virtual_size.height == 10_001
        for _ in range(20):
            began = time.perf_counter()
            table.act_page_down()
            lines = app.lines()  # every line of the page, as the screen asks for them
            times.append(time.perf_counter() - began)
        assert sorted(times)[len(times) // 2] < 0.05
        assert any("▸" in line for line in lines)
        assert table.cursor == 20 * (table.size.height - 1)
        await pilot.press("end")
        assert table.cursor == 9_999
        await pilot.pause()
        assert "▸" in app.lines()[-1]
        assert len(table._texts) < 1_500  # those that were seen, and no others

    shown(board, story, (160, 45))


def test_a_group_of_thousands_is_written_out_before_the_screen_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [replace(run, settings=Settings({"optim": {"lr": 0.5}, "data": {"image_size": 8}})) for run in many(3_000)]
    board = make_board(runs, View(by=("arch",)))
    assert sum(len(board.runs_of(row)) for row in board.rows) == 3_000
    asked: list[str] = []
    monkeypatch.setattr(Base, "_differs", lambda self, key, *_: asked.append(key))
    began = time.perf_counter()
    texts = [[column.text(row) for column in board.columns] for row in board.rows]
    assert time.perf_counter() - began < 0.05
    assert not asked
    assert "lr 0.5" in " ".join(texts[0])
    make_board(runs, View(by=("arch",)))
    assert not asked  # what is known of a run's settings is not found out again with each change of another


def test_the_collector_leaves_many_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        make_run(tmp_path, epochs=1)
    frozen = gc.get_freeze_count()
    try:
        desk = Desk(tmp_path)
        desk.look(View())
        assert gc.get_freeze_count() == frozen  # three are not many
        monkeypatch.setattr(desk_module, "MANY", 3)
        desk.look(View(), whole=True)
        settled = gc.get_freeze_count()
        assert settled > frozen
        desk.look(View(), whole=True)
        assert gc.get_freeze_count() <= settled  # once is enough
    finally:
        gc.unfreeze()


def test_the_cursor_stays_on_its_run_and_line_when_rows_move() -> None:
    runs = many(100)

    async def story(app: Shown, pilot: Pilot[None]) -> None:
        table = app.table
        table.go_to(50)
        table.go_to(45)
        await pilot.pause()
        key, line = table.key, [place for place, text in enumerate(app.lines()) if "▸" in text]
        better = [make_summary(700 + n, id=f"20261123-100000-new-{n:06}", test_top1=1.0) for n in range(7)]
        app.fill(make_board([*runs, *better], View()))
        await pilot.pause()
        assert table.key == key
        assert table.cursor == 52
        assert [place for place, text in enumerate(app.lines()) if "▸" in text] == line
        app.fill(make_board([run for run in runs if run.id != key], View()))
        await pilot.pause()
        assert table.cursor == 52
        app.fill(make_board([], View()))
        assert table.key == ""
        assert table.row is None

    shown(make_board(runs, View()), story)


def test_only_lines_that_differ_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = many(10)
    board = make_board(runs, View())

    async def story(app: Shown, pilot: Pilot[None]) -> None:
        drawn: list[tuple[int, ...]] = []
        with monkeypatch.context() as patched:
            patched.setattr(app.table, "refresh", lambda *regions, **_: drawn.append(tuple(r.y for r in regions)))
            app.fill(make_board(runs, View()))
            assert drawn == []
            app.fill(board, Marks(marked={board.keys[3]}))
            assert drawn == [(4,)]

    shown(board, story)


@pytest.mark.parametrize("size", [(160, 45), (80, 24), (60, 16), (20, 5), (3, 2), (1, 1)])
def test_no_line_is_wider_than_the_terminal(size: tuple[int, int]) -> None:
    async def story(app: Shown, pilot: Pilot[None]) -> None:
        from rich.cells import cell_len

        assert all(cell_len(line) == app.table.size.width for line in app.lines())
        if size[0] >= 60:
            assert "architecture" in app.lines()[0]
            assert "test % ▼" in app.lines()[0]
        if size == (60, 16):
            assert {"family", "memory"} <= set(app.table.gone)
        if size == (160, 45):
            assert app.table.gone == ()
        await pilot.press("down", "pagedown", "end", "home", "left", "right")

    shown(make_board(many(50), View()), story, size)


def test_a_run_with_a_hostile_name_is_only_text() -> None:
    hostile = [make_summary(n, arch=BELL + "網絡" * 40, note=BELL, tags=(BELL,), name=BELL) for n in range(3)]
    board = make_board(hostile, View(columns=("arch", "note", "tags", "name")))

    async def story(app: Shown, pilot: Pilot[None]) -> None:
        for line in app.lines():
            assert clean(line) == line
        assert any("[/oops]" in line for line in app.lines())

    shown(board, story, (160, 45))


def pressed(keys: Sequence[str]) -> str:
    column = ""

    async def story(app: Shown, pilot: Pilot[None]) -> None:
        nonlocal column
        await pilot.press(*keys)
        column = app.table.column

    shown(make_board(RUNS, View(columns=("arch", "acc", "time"))), story)
    return column


def test_the_column_under_the_cursor_moves_and_stops_at_the_ends() -> None:
    assert pressed(["left"]) == "arch"
    assert pressed(["l"]) == "acc"
    assert pressed(["right"] * 9) == "time"
    assert pressed(["right", "right", "h"]) == "acc"


def test_a_click_on_a_head_chooses_its_column_and_one_on_a_row_its_row() -> None:
    async def story(app: Shown, pilot: Pilot[None]) -> None:
        await pilot.click(VirtualTable, offset=(18, 0))
        assert app.heads == ["acc"]
        assert app.table.column == "acc"
        await pilot.click(VirtualTable, offset=(6, 3))
        assert app.table.cursor == 2

    shown(make_board(RUNS, View(columns=("arch", "acc", "time"))), story)
