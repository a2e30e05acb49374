"""The pure part of the charts: whatever the numbers, whatever the size; cursor and zoom arithmetic."""

import math
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.tui.widgets.chart import strip_of
from workbench.tui.widgets.chart_view import (
    LABELS,
    MOST_POINTS,
    SMALLEST,
    Picture,
    Series,
    View,
    any_positive,
    bounded,
    dashed,
    draw,
    linear_scale,
    log_scale,
    on_scale,
    readings,
    rising,
    smoothed,
    thinned,
    within,
    x_label,
    x_scale,
    y_label,
)

ESCAPE = re.compile("\x1b\\[[0-9;]*m")
NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308])
WHOLE = (0.0, 10.0)


def series(ys: list[float], xs: list[float] | None = None, style: int = 0) -> Series:
    places = list(map(float, range(len(ys)))) if xs is None else xs
    return Series("train", np.array(places, dtype=float), np.array(ys, dtype=float), style)


def plain(picture: Picture) -> list[str]:
    return [ESCAPE.sub("", row) for row in picture.rows]


def plot(picture: Picture) -> str:
    """The cells right of the axis and above the other."""
    return "\n".join(row[LABELS + 1 :] for row in plain(picture)[:-2])


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40), style=st.integers(0, 2), width=st.integers(0, 100),
    height=st.integers(0, 30), log=st.booleans(), smoothing=st.sampled_from([0.0, 0.6, 0.99]),
)  # fmt: skip
@example(pairs=[], style=0, width=0, height=0, log=False, smoothing=0.0)
@example(pairs=[(1.0, math.nan)], style=1, width=80, height=10, log=False, smoothing=0.9)
@example(pairs=[(1.0, 1.0), (1e300, 2.0), (2.0, 1.0)], style=0, width=80, height=10, log=False, smoothing=0.0)
@example(pairs=[(0.0, 3.0), (9.0, 3.0)], style=0, width=80, height=10, log=True, smoothing=0.6)
@example(pairs=[(1.0, -1.0), (2.0, 0.0)], style=0, width=80, height=10, log=True, smoothing=0.0)
def test_any_numbers_in_any_size_are_drawn_in_that_size_or_not_at_all(
    pairs: list[tuple[float, float]], style: int, width: int, height: int, log: bool, smoothing: float
) -> None:
    one = series([y for _, y in pairs], [x for x, _ in pairs], style)
    picture = draw([one], ends=WHOLE, smoothing=smoothing, log=log, width=width, height=height)
    rows = plain(picture)
    assert all(len(row) == width for row in rows)
    assert len(rows) in (0, height)
    if width < SMALLEST[0] or height < SMALLEST[1]:
        assert not rows


def test_nothing_finite_is_nothing_to_draw() -> None:
    for ys in ([], [math.nan, math.inf], [-math.inf]):
        assert draw([series(ys)], ends=WHOLE, width=80, height=10) == Picture()


def test_a_log_axis_has_nothing_of_what_is_not_positive() -> None:
    assert not any_positive([series([-1.0, 0.0, math.nan])])
    assert any_positive([series([-1.0]), series([math.nan, 1e-9])])
    assert draw([series([-1.0, 0.0])], ends=WHOLE, log=True, width=80, height=10) == Picture()
    np.testing.assert_array_equal(on_scale(series([100.0, 0.0, -1.0]), log=True).y, [2.0, math.nan, math.nan])


def test_one_point_can_be_seen() -> None:
    for style in (0, 1, 2):
        assert plot(draw([series([3.0], [5.0], style)], ends=WHOLE, width=60, height=10)).strip()


def test_a_nan_is_a_gap_and_an_axis_of_constants_has_room_on_both_sides() -> None:
    rows = plot(draw([series([1.0] * 5 + [math.nan] * 3 + [1.0] * 3)], ends=WHOLE, width=60, height=9)).split("\n")
    (drawn,) = [row for row in rows if row.strip()]
    assert rows[0].strip() == rows[-1].strip() == ""
    assert re.fullmatch(r"\S+ {10,}\S+", drawn.strip())


def test_the_end_of_the_axis_is_the_last_column_and_the_picture_knows_it() -> None:
    picture = draw([series([0.0, 1.0], [0.0, 10.0], style=1)], ends=WHOLE, width=60, height=9)
    assert picture.columns == 60 - LABELS - 1
    assert (picture.column(0.0), picture.column(10.0)) == (0, picture.columns - 1)
    assert picture.column(10.1) is None
    assert plain(picture)[0].endswith("•")
    assert Picture().column(5.0) is None


def test_a_picture_as_cells_has_the_colours_and_every_character() -> None:
    picture = draw([series([0.0, 1.0], [0.0, 10.0]), series([0.5], [5.0], style=1)], ends=WHOLE, width=60, height=9)
    strips = [strip_of(row) for row in picture.rows]
    assert [strip.text for strip in strips] == plain(picture)
    colors = {segment.style.color.number for strip in strips for segment in strip if segment.style}
    assert colors == {39, 208}


def test_series_differ_where_there_is_no_colour() -> None:
    falling, xs = [5.0, 4.0, 3.0, 2.0], [1.0, 4.0, 7.0, 10.0]
    pictures = [plot(draw([series(falling, xs, style)], ends=WHOLE, width=60, height=9)) for style in (0, 1, 2)]
    assert len(set(pictures)) == 3
    assert [mark in picture for picture, mark in zip(pictures, ("⠒", "•", "+"), strict=True)] == [True] * 3
    assert pictures[1].count("•") == 4


def test_dashes_have_gaps_and_lie_on_the_line() -> None:
    x, y = dashed(series([0.0, 10.0], [0.0, 10.0], 1), WHOLE, 50, (3, 2))
    known = np.isfinite(y)
    assert known.mean() == pytest.approx(0.6)
    np.testing.assert_allclose(y[known], x[known])


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.003, 0.0031), (-5.0, 1e6), (1e-290, 1e300), (2.0, 2.0), (0.0, 0.0)]
)
def test_axes_hold_the_data_and_end_on_round_numbers(low: float, high: float) -> None:
    scale = linear_scale(low, high, 4)
    room = 1e-9 * max(abs(low), abs(high))
    assert scale.low - room <= low <= high <= scale.high + room
    assert scale.low < scale.high
    assert all(len(label) == LABELS for _, label in scale.ticks)
    assert 2 <= len(scale.ticks) <= 7


@pytest.mark.parametrize(("low", "high"), [(0.01, 2.5), (0.5, 0.5), (1e-300, 1e300), (0.011, 0.012)])
def test_log_axes_hold_the_data_with_few_labels(low: float, high: float) -> None:
    scale = log_scale(math.log10(low), math.log10(high), 4)
    assert 10**scale.low <= low * 1.000001
    assert 10**scale.high >= high * 0.999999
    assert 1 <= len(scale.ticks) <= 4
    assert all(scale.low <= place <= scale.high for place, _ in scale.ticks)


def test_a_small_change_of_the_data_leaves_the_axis_where_it_was() -> None:
    assert linear_scale(0.11, 2.31, 4) == linear_scale(0.12, 2.35, 4)
    assert [rising(value) for value in (0.3, 1.0, 1.1, 2.1, 7, 10, 0, math.nan, math.inf)] == [
        0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 1.0, 1.0, 1.0,
    ]  # fmt: skip


@pytest.mark.parametrize("value", [0.0, 1.0, -0.123456, 123456.0, 1234567.0, -1e-7, 1e300, 0.00012345])
def test_labels_are_of_one_width_and_near_the_value(value: float) -> None:
    assert len(y_label(value)) == LABELS
    assert float(y_label(value)) == pytest.approx(value, rel=0.06)


def test_the_x_axis_speaks_its_own_language() -> None:
    assert [label for _, label in x_scale((0.0, 600.0), "seconds", 6).ticks][:3] == ["00:00", "02:00", "04:00"]
    assert [label for _, label in x_scale((0.0, 2000.0), "step", 2).ticks] == ["0", "1,000", "2,000"]
    assert [place for place, _ in x_scale((0.0, 1.5), "step", 9).ticks] == [0.0, 1.0]  # there is no half a step
    assert x_label(2.5, "epoch") == "2.5"


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, max_size=60), st.sampled_from([0.6, 0.9, 0.99]), st.integers(1, 50))
def test_smoothing_stays_between_the_lowest_and_the_highest(ys: list[float], weight: float, columns: int) -> None:
    one = bounded(series(ys))
    smooth = smoothed(one, weight, (0.0, 60.0), columns)
    known = one.y[np.isfinite(one.y)]
    assert len(smooth.x) == len(smooth.y) <= columns
    if known.size:
        room = 1e-9 * max(np.abs(known).max(), 1e-300)
        assert known.min() - room <= smooth.y.min() <= smooth.y.max() <= known.max() + room


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, max_size=300), st.integers(1, 12))
@example([], 5)
@example([math.nan] * 200, 3)
@example([1.0] * 200, 3)
def test_a_line_of_many_points_keeps_the_lowest_and_the_highest_of_each_column(ys: list[float], columns: int) -> None:
    ends = (0.0, float(max(len(ys) - 1, 1)))
    one = bounded(series(ys))
    few = thinned(one, ends, columns)
    if one.x.size <= MOST_POINTS * columns:
        assert few is one
        return
    assert few.x.size <= 2 * columns
    assert (np.diff(few.x) >= 0).all()

    def extremes(of: Series) -> dict[int, tuple[float, float]]:
        found: dict[int, list[float]] = {}
        for x, y in zip(of.x.tolist(), of.y.tolist(), strict=True):
            if math.isfinite(y):
                found.setdefault(min(int(x / ends[1] * columns), columns - 1), []).append(y)
        return {column: (min(values), max(values)) for column, values in found.items()}

    assert extremes(few) == extremes(one)


def test_no_spike_of_a_million_points_is_lost() -> None:
    x = np.linspace(0.0, 10.0, 1_000_000)
    y = np.sin(x)
    y[500_000] = 9.0
    picture = draw([Series("train", x, y)], ends=WHOLE, smoothing=0.6, width=80, height=20)
    assert any("·" in row for row in plain(picture)[:4])  # the spike


def test_a_series_that_turns_back_is_drawn_as_it_is() -> None:
    back = series([1.0] * 100, [float(x) for x in range(50)] * 2)
    assert thinned(back, (0.0, 50.0), 2) is back


def test_smoothing_begins_at_the_first_value_and_calms_what_jumps() -> None:
    jumping = series([1.0, 0.0] * 50)
    smooth = smoothed(jumping, 0.9, (0.0, 100.0), 200)
    assert smooth.y[0] == 1.0
    assert np.ptp(smooth.y[-20:]) < 0.1 < np.ptp(jumping.y)


def test_the_raw_curve_stays_under_the_smoothed_one() -> None:
    picture = draw([series([1.0, 0.0] * 20)], ends=(0.0, 40.0), smoothing=0.9, width=80, height=12)
    assert "38;5;245m" in "".join(picture.rows)
    assert "38;5;39m" in "".join(picture.rows)


def test_what_is_outside_the_window_is_cut_off_but_lines_run_to_its_edges() -> None:
    cut = within(series([float(y) for y in range(11)]), (3.5, 6.5))
    assert cut.x.tolist() == cut.y.tolist() == [3.5, 4.0, 5.0, 6.0, 6.5]
    marks = within(series([float(y) for y in range(11)]), (3.5, 6.5), edges=False)
    assert marks.x.tolist() == [4.0, 5.0, 6.0]
    between = within(series([0.0, 10.0], [0.0, 10.0]), (2.0, 3.0))
    assert between.x.tolist() == between.y.tolist() == [2.0, 3.0]
    assert within(series([1.0, 2.0]), (50.0, 60.0)).x.size == 0


def test_the_cursor_begins_at_the_newest_point_and_stays_on_the_axis() -> None:
    view = View().moved(-1, WHOLE, last=8.0, columns=11)
    assert view.cursor == 8.0
    assert view.moved(-1, WHOLE, 8.0, 11).cursor == 7.0
    assert view.moved(-99, WHOLE, 8.0, 11).cursor == 0.0
    assert view.moved(99, WHOLE, 8.0, 11).cursor == 10.0


def test_the_cursor_takes_the_window_along() -> None:
    view = View(window=(4.0, 6.0), cursor=6.0)
    assert view.moved(1, WHOLE, 8.0, 11).window == pytest.approx((4.2, 6.2))
    assert view.to(0.0, WHOLE).window == (0.0, 2.0)
    assert view.to(5.0, WHOLE).window == (4.0, 6.0)


def test_zoom_keeps_the_cursor_in_its_column_and_ends_at_both_ends() -> None:
    near = View(cursor=2.5).zoomed(0.5, WHOLE, last=10.0)
    assert near.window == (1.25, 6.25)
    assert near.zoomed(2.0, WHOLE, 10.0).window is None
    for _ in range(100):
        near = near.zoomed(0.5, WHOLE, 10.0)
    assert near.window is not None
    assert near.window[1] - near.window[0] == pytest.approx(1e-3)
    assert near.window[0] <= 2.5 <= near.window[1]


def test_zoom_without_a_cursor_keeps_the_newest_point() -> None:
    window = View().zoomed(0.5, WHOLE, last=10.0).window
    assert window == (5.0, 10.0)


def test_another_axis_begins_anew() -> None:
    assert View("epoch", 0.6, (1.0, 2.0), 1.5).next_axis() == View("step", 0.6)
    assert [view.smoothing for view in (View(), View().next_smoothing(), View(smoothing=0.99).next_smoothing())] == [
        0.0, 0.6, 0.0,
    ]  # fmt: skip


def test_values_are_read_off_the_nearest_point() -> None:
    found = readings([series([1.0, 2.0, math.nan]), series([], style=1), series([9.0], [7.0], 1)], 1.4)
    assert found[0] == ("train", 1.0, 2.0)
    assert found[1] == ("train", 7.0, 9.0)
