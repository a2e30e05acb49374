"""Charts in a terminal: the right size whatever the data, the curve where it belongs, nothing left behind."""

import itertools
import math
import re
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.base.plot import SMALLEST, Line, Scale, Stroke, decimate, line_chart, ticks
from workbench.base.plot import canvas as draw_on_canvas

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
NAN, INF = math.nan, math.inf


def chart(*lines: Line, width: int = 60, height: int = 12, color: bool = False, **how: float) -> str:
    return line_chart(lines, width=width, height=height, title="T", x_label="epoch", y_label="loss", color=color, **how)


def canvas(text: str) -> list[str]:
    """The rows inside the frame."""
    return [re.split("[┤│]", row, maxsplit=1)[1].rstrip("│") for row in text.splitlines() if re.search("[┤│]", row)]


def drawn_columns(text: str) -> set[int]:
    return {column for row in canvas(text) for column, char in enumerate(row) if char != " "}


NUMBERS = st.one_of(st.floats(), st.integers(-5, 5).map(float), st.floats(0.5, 0.5000001))
LINES = st.lists(st.tuples(st.text(max_size=30), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30)), max_size=9).map(
    lambda drawn: [Line(label, [x for x, _ in points], [y for _, y in points]) for label, points in drawn]
)


@settings(max_examples=80, deadline=None)
@given(LINES, st.integers(-1, 120), st.integers(-1, 40), st.booleans(), st.text(max_size=200))
@example([Line("a", [0.0, 1.0], [5e-324, 1e-323])], 40, 10, False, "")
@example([Line("a", [0.0, 1.0], [-1.7e308, 1.7e308])], 40, 10, False, "")
@example([Line("a", [1e15, 1e15 + 1], [1e-5, 123456789.123456789])], 24, 8, True, "")
def test_any_data_make_a_chart_of_the_size_asked_for(
    lines: list[Line], width: int, height: int, color: bool, title: str
) -> None:
    text = line_chart(lines, width=width, height=height, title=title, x_label=title, y_label=title, color=color)
    rows = text.split("\n")
    assert len(rows) == max(height, SMALLEST[1])
    assert all(len(ESCAPE.sub("", row)) <= max(width, SMALLEST[0]) for row in rows)
    # Colours are the only escape sequences, and only where they are asked for.
    rest = ESCAPE.sub("", text) if color else text
    assert not any(unicodedata.category(char) == "Cc" for char in rest.replace("\n", ""))


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    text = chart(Line("a", range(100), range(100)))
    rows = canvas(text)
    assert rows[-1][0] != " "
    assert rows[0][-1] != " "
    assert rows[0][0] == rows[-1][-1] == " "
    assert drawn_columns(text) == set(range(len(rows[0])))
    starts = [re.search("[^ ]", row).start() for row in rows]
    assert starts == sorted(starts, reverse=True)


def test_axes_are_named_and_have_round_numbers() -> None:
    text = chart(Line("a", [0, 10], [0.0, 0.001]))
    assert text.splitlines()[0].strip() == "T"
    assert text.splitlines()[-1].split() == ["loss", "epoch"]
    assert text.splitlines()[-2].split() == ["0", "5", "10"]
    assert [row.split("┤")[0].strip() for row in text.splitlines() if "┤" in row] == ["0.001", "0.0005", "0"]


def test_a_title_that_is_too_long_is_cut() -> None:
    text = line_chart([TWO[0]], width=40, height=10, title="long " * 20, x_label="e", y_label="l", color=False)
    assert text.split("\n")[0].strip().startswith("long long")
    assert text.split("\n")[0].endswith("…")


def test_small_numbers_keep_their_digits() -> None:
    assert "3e-7┤" in chart(Line("a", [0, 1], [0.0, 3e-7]))


def test_the_axis_begins_where_asked_unless_the_data_go_lower() -> None:
    assert "0┤" not in chart(Line("a", [0, 1], [5.0, 5.5]))
    assert "\n0┤" in chart(Line("a", [0, 1], [5.0, 5.5]), y_low=0.0)
    assert chart(Line("a", [0, 1], [-4.0, 4.0]), y_low=0.0) == chart(Line("a", [0, 1], [-4.0, 4.0]))


@pytest.mark.parametrize("hole", [NAN, INF, -INF, 1e301])
def test_a_value_that_is_no_number_is_a_gap_and_moves_no_axis(hole: float) -> None:
    ys = [1.0] * 40 + [hole] * 20 + [2.0] * 40
    text = chart(Line("a", range(100), ys))
    columns, wide = drawn_columns(text), len(canvas(text)[0])
    assert max(columns) == wide - 1
    assert min(columns) == 0
    assert columns.isdisjoint(range(int(wide * 0.43), int(wide * 0.57)))
    assert "2┤" in text
    assert "1┤" in text


@pytest.mark.parametrize("ys", [[], [NAN, NAN], [INF]])
def test_nothing_to_draw_is_said(ys: list[float]) -> None:
    text = chart(Line("a", range(len(ys)), ys))
    assert "nothing to draw yet" in text
    assert len(text.split("\n")) == 12


def test_a_single_point_and_a_flat_line_are_drawn() -> None:
    assert len(drawn_columns(chart(Line("a", [3], [7.0])))) == 1
    flat = chart(Line("a", range(50), [0.1] * 50))
    assert len({row for row in canvas(flat) if row.strip()}) == 1
    assert drawn_columns(flat) == set(range(len(canvas(flat)[0])))


def test_a_spike_among_many_points_is_seen() -> None:
    # A hundred thousand points take milliseconds, not seconds: all but a few a column are left out before plotext.
    ys = [0.0] * 100_000
    ys[61_803] = 1.0
    rows = canvas(chart(Line("a", range(len(ys)), ys)))
    (column,) = (index for index, char in enumerate(rows[0]) if char != " ")
    assert column / len(rows[0]) == pytest.approx(0.618, abs=0.03)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(1, 40))
def test_thinning_keeps_the_extremes_of_each_column_and_both_ends(ys: list[float], columns: int) -> None:
    points = [(float(x), y) for x, y in enumerate(ys)]
    span = (0.0, float(max(1, len(ys) - 1)))
    kept = decimate(points, span, columns)
    assert kept == sorted(set(kept))  # in order, nothing twice
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert len(kept) <= 2 * (columns + 1) + 2  # the last point alone may begin one more column
    found: dict[int, list[float]] = {}
    left: dict[int, list[float]] = {}
    for into, some in ((found, points), (left, kept)):
        for x, y in some:
            into.setdefault(int(x * columns / (span[1] - span[0])), []).append(y)
    assert {c: (min(v), max(v)) for c, v in found.items()} == {c: (min(v), max(v)) for c, v in left.items()}


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), st.integers(2, 20))
@example(0.0, 10.0, 2)
@example(0.31, 0.08, 2)
@example(0.0, 1e-290, 5)
@example(-1e300, 2e300, 5)
def test_ticks_are_few_round_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    places = ticks(low, high, most)
    assert 1 <= len(places) <= most
    assert all(low <= place <= high for place in places)
    assert places == sorted(set(places))
    gaps = [after - before for before, after in itertools.pairwise(places)]
    assert all(gap == pytest.approx(gaps[0], rel=0.01) for gap in gaps)


def test_ticks_on_the_ends_are_not_lost_to_rounding() -> None:
    assert ticks(0.0, 0.001, 6) == pytest.approx([0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001])
    assert ticks(0.1, 0.7, 7) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


TWO = (Line("first", range(20), range(20)), Line("second", range(20), range(20, 0, -1)))


def test_several_lines_have_a_legend_that_covers_none_of_them() -> None:
    text = chart(*TWO)
    assert text.splitlines()[-1] == "• first   × second"
    assert {"•", "×"} <= set("".join(canvas(text)))
    assert canvas(text)[0][0] == "×"  # the corner where plotext would have put its legend
    colored = chart(*TWO, color=True)
    assert ESCAPE.sub("", colored.splitlines()[-1]) == "── first   ── second"
    colors = re.findall(r"38;5;(\d+)", colored.splitlines()[-1])
    assert len(set(colors)) == 2
    assert set(re.findall(r"38;5;(\d+)", colored)) == set(colors)


def test_a_legend_takes_more_lines_where_it_must_but_leaves_the_chart_its_room() -> None:
    many = [Line(f"run number {n}", [0, 1], [n, n + 1]) for n in range(30)]
    rows = line_chart(many, width=40, height=20, title="T", x_label="e", y_label="l", color=False).split("\n")
    assert len(rows) == 20
    legend = [row for row in rows if "run number" in row]
    assert 1 < len(legend) <= 20 - SMALLEST[1]
    assert "run number 0" in legend[0]


def test_a_run_name_cannot_steer_the_terminal() -> None:
    text = chart(Line("\x1b[2J\u202eevil\n", [0, 1], [0, 1]), TWO[0])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.split("\n")) == 12


def test_without_colour_the_line_is_the_same_one() -> None:
    plain, colored = (chart(TWO[0], color=color) for color in (False, True))
    assert "\x1b" in colored
    assert [row.rstrip() for row in ESCAPE.sub("", colored).split("\n")] == plain.split("\n")


def test_a_chart_leaves_nothing_for_the_next_one() -> None:
    fresh = chart(TWO[0])
    assert chart(*TWO, width=100, height=30, color=True, y_low=-50.0) != fresh
    assert chart(TWO[0]) == fresh
    import plotext

    assert "T" not in plotext.uncolorize(plotext.build())  # nor for another user of plotext's one figure


def test_charts_drawn_at_once_do_not_mix() -> None:
    lines = [Line("a", range(50), [((n + 1) * x) % 17 for x in range(50)]) for n in range(8)]
    alone = [chart(line) for line in lines]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(chart, lines * 3)) == alone * 3


def test_a_chart_may_be_larger_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    rows = chart(TWO[0], width=150, height=50).split("\n")
    assert len(rows) == 50
    assert max(map(len, rows)) == 150


def test_plotext_waits_until_a_chart_is_drawn() -> None:
    code = (
        "import sys, workbench.base.plot as plot; before = 'plotext' in sys.modules\n"
        "plot.line_chart([plot.Line('a', [0, 1], [0, 1])], width=40, height=9, title='', x_label='', y_label='', "
        "color=False)\nprint(before, 'plotext' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_a_canvas_keeps_its_axes_whatever_is_drawn_on_it() -> None:
    x, y = Scale(0.0, 10.0, [(0.0, "0"), (10.0, "10")]), Scale(0.0, 1.0, [(0.0, "  0"), (1.0, "  1")])
    curve = Stroke([0.0, 3.0, 6.0, 10.0], [0.0, math.nan, 1.0, 0.5], "braille", 39)
    marks = Stroke([10.0], [1.0], "+", 208, joined=False)
    empty, drawn = ([ESCAPE.sub("", row) for row in draw_on_canvas(strokes, width=40, height=8, x=x, y=y)]
                    for strokes in ([], [curve, marks]))  # fmt: skip
    assert all(len(row) == 40 for row in [*empty, *drawn])
    assert [row[:4] for row in drawn] == [row[:4] for row in empty]
    assert drawn[-2:] == empty[-2:]
    assert drawn[0].endswith("+")
