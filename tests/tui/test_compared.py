"""The arithmetic of the Compare screen, whatever the numbers: alignment, the best, differences, seeds and bands."""

import math
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.runs.evaluations import confusions
from workbench.tui.compare_draw import PATTERNS, SHADES, RunLine, draw_runs, sample
from workbench.tui.compared import (
    NO_POINTS,
    Points,
    Reading,
    band,
    best_of,
    better_of,
    between,
    change_words,
    common_place,
    kind_of,
    last_place,
    moved,
    read_at,
    seed_groups,
    spread,
    spread_words,
    value_words,
)
from workbench.tui.terminal import in_ascii
from workbench.tui.widgets.chart_view import LABELS, SMALLEST, Axis

ESCAPE = re.compile("\x1b\\[[0-9;]*m")
NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308])
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30)
KINDS = st.sampled_from(["test_top1", "test_loss", "images_per_second", "lr", "grad_norm", ""])
AXES: tuple[Axis, ...] = ("epoch", "step", "seconds")


def points(ys: list[float], epochs: list[float] | None = None) -> Points:
    """A value an epoch, of 4 steps and 2 seconds each."""
    x = np.array(range(1, len(ys) + 1) if epochs is None else epochs, dtype=float)
    return Points(x, x * 4, x * 2, np.array(ys, dtype=float))


def arrays(pairs: list[tuple[float, float]]) -> tuple["np.ndarray", "np.ndarray"]:
    return np.array([x for x, _ in pairs], dtype=float), np.array([y for _, y in pairs], dtype=float)


# Alignment


def test_the_last_value_at_or_before_the_place_is_read() -> None:
    one = points([0.1, 0.2, 0.3])
    assert read_at(one, "epoch", 2.0) == Reading(0.2, 2.0, 4.0, reached=True)
    assert read_at(one, "epoch", 2.9) == Reading(0.2, 2.0, 4.0, reached=True)
    assert read_at(one, "step", 8.0) == Reading(0.2, 2.0, 4.0, reached=True)
    assert read_at(one, "seconds", 5.99) == Reading(0.2, 2.0, 4.0, reached=True)
    assert read_at(one, "epoch", 30.0) == Reading(0.3, 3.0, 6.0, reached=False)
    assert read_at(one, "epoch", 0.5) is None
    assert read_at(NO_POINTS, "epoch", 3.0) is None
    assert read_at(one, "epoch", math.nan) is None


def test_a_place_between_two_floats_still_holds_its_own_point() -> None:
    reading = read_at(points([0.5], [0.1 + 0.2]), "epoch", 0.3)
    assert reading is not None
    assert reading.reached


def test_the_common_place_is_the_farthest_that_all_with_a_curve_have_got_to() -> None:
    assert common_place([points([1.0] * 30), points([1.0] * 7), NO_POINTS], "epoch") == 7.0
    assert common_place([points([1.0] * 30), points([1.0] * 7)], "step") == 28.0
    assert common_place([NO_POINTS, NO_POINTS], "epoch") is None
    assert common_place([], "epoch") is None
    assert last_place(points([1.0, 2.0, 3.0], [1.0, math.nan, math.inf]), "epoch") == 1.0


@settings(max_examples=150, deadline=None)
@given(pairs=PAIRS, place=NUMBERS, axis=st.sampled_from(AXES))
@example(pairs=[(1.0, math.nan)], place=1.0, axis="epoch")
@example(pairs=[(math.nan, 1.0), (math.inf, 2.0)], place=3.0, axis="epoch")
def test_a_reading_is_a_point_of_the_curve_that_is_not_ahead(
    pairs: list[tuple[float, float]], place: float, axis: Axis
) -> None:
    x, y = arrays(pairs)
    one = Points(x, x, x, y)
    reading = read_at(one, axis, place)
    room = 1e-6 * max(1.0, abs(place)) if math.isfinite(place) else 0.0
    before = [at for at, where in enumerate(x.tolist()) if where <= place]
    if before and math.isfinite(place):
        assert reading is not None
    if reading is None:
        assert not before or not math.isfinite(place)
        return
    assert reading.epoch <= place + room
    places = [at for at in range(x.size) if x[at] == reading.epoch or x[at] == reading.seconds]
    assert any(y[at] == reading.value or (math.isnan(y[at]) and math.isnan(reading.value)) for at in places)
    if any(where >= place for where in x.tolist()):
        assert reading.reached
    if reading.reached:
        assert any(where >= place - room for where in x.tolist())


@settings(max_examples=150, deadline=None)
@given(pairs=PAIRS)
@example(pairs=[])
@example(pairs=[(1.0, 3.0), (2.0, 3.0), (3.0, 3.0)])
def test_the_best_is_finite_the_first_and_beaten_by_none(pairs: list[tuple[float, float]]) -> None:
    x, y = arrays(pairs)
    one = Points(x, x, x, y)
    known = [value for value in y.tolist() if math.isfinite(value)]
    assert best_of(one, "") is None
    for better, choose in (("high", max), ("low", min)):
        best = best_of(one, better)  # type: ignore[arg-type]
        if not known:
            assert best is None
            continue
        assert best is not None
        assert best[0] == choose(known)
        first = y.tolist().index(best[0])
        assert best[1] == x[first] or math.isnan(x[first])


def test_what_is_better_is_known_of_each_figure() -> None:
    names = ("test_top1", "train_top5", "val_loss", "images_per_second", "lr", "grad_norm")
    assert [better_of(name) for name in names] == ["high", "high", "low", "high", "", ""]


# The cursor


@settings(max_examples=100, deadline=None)
@given(
    place=st.floats(0, 1e6), by=st.integers(-100, 100), axis=st.sampled_from(AXES), low=st.floats(0, 1e6),
    size=st.floats(0, 1e6), columns=st.integers(0, 300),
)  # fmt: skip
@example(place=0.0, by=-1, axis="epoch", low=0.0, size=0.0, columns=0)
def test_the_cursor_moves_in_its_direction_by_whole_epochs_and_not_below_the_beginning(
    place: float, by: int, axis: Axis, low: float, size: float, columns: int
) -> None:
    after = moved(place, by, axis, (low, low + size), columns)
    assert after >= 0.0
    if axis != "seconds" and by:
        assert after == round(after)
        assert (after > place) if by > 0 else (after < place or after == 0.0)


def test_a_key_moves_by_an_epoch_or_by_a_column_where_that_is_more() -> None:
    assert moved(3.0, 1, "epoch", (0.0, 30.0), 70) == 4.0
    assert moved(3.0, -1, "epoch", (0.0, 30.0), 70) == 2.0
    assert moved(3.4, 1, "epoch", (0.0, 30.0), 70) == 4.0
    assert moved(3.4, -1, "epoch", (0.0, 30.0), 70) == 3.0
    assert moved(100.0, 1, "step", (0.0, 1380.0), 70) == 120.0
    assert moved(1.0, 1, "seconds", (0.0, 6.9), 70) == pytest.approx(1.1)


# Differences


@settings(max_examples=200, deadline=None)
@given(value=NUMBERS | st.none(), base=NUMBERS | st.none(), metric=KINDS)
@example(value=None, base=None, metric="test_top1")
@example(value=1e308, base=-1e308, metric="test_loss")
@example(value=1.0, base=0.0, metric="images_per_second")
def test_a_difference_is_told_only_of_two_finite_numbers(value: float | None, base: float | None, metric: str) -> None:
    words = change_words(value, base, kind_of(metric))
    both = value is not None and base is not None and math.isfinite(value) and math.isfinite(base)
    if not both:
        assert words == ""
        return
    assert value is not None
    assert base is not None
    if value == base:
        assert words == "="
    elif metric != "images_per_second" and math.isfinite(value - base):
        assert words[0] == ("+" if value > base else "-")


def test_differences_are_points_changes_or_factors() -> None:
    assert change_words(0.81, 0.80, "accuracy") == "+1.00"
    assert change_words(0.5, 0.75, "loss") == "-0.2500"
    assert change_words(2e6, 1e6, "count") == "×2.00"
    assert change_words(3.0, 2.0, "number") == "+1"
    assert change_words(1e-3, 1e-4, kind_of("lr")) == "+0.0009"
    assert change_words(-1.0, 1.0, "seconds") == ""


@settings(max_examples=200, deadline=None)
@given(values=st.lists(NUMBERS | st.none(), max_size=8), metric=KINDS)
@example(values=[], metric="test_top1")
@example(values=[math.nan], metric="test_top1")
@example(values=[1e308, 1e308, -1e308], metric="lr")
def test_a_mean_counts_what_is_finite_and_lies_within_it(values: list[float | None], metric: str) -> None:
    count, middle, apart = spread(values)
    known = [value for value in values if value is not None and math.isfinite(value)]
    assert count == len(known)
    if middle is not None and math.isfinite(middle):
        room = 1e-9 * max(map(abs, known))
        assert min(known) - room <= middle <= max(known) + room
    assert apart is None or len(known) >= 2
    assert apart is None or apart >= 0 or math.isnan(apart)
    words = spread_words(values, kind_of(metric))
    assert words
    assert "\n" not in words


def test_a_mean_and_its_deviation_are_those_of_the_leaderboard() -> None:
    assert spread([0.90, 0.92, 0.94]) == (3, pytest.approx(0.92), pytest.approx(0.02))
    assert spread_words([0.90, 0.92, 0.94], "accuracy") == "92.00 ±2.00"
    assert spread_words([0.9], "accuracy") == "90.00"
    assert spread_words([math.nan, 0.9], "accuracy") == "90.00"
    assert spread_words([math.nan, None], "accuracy") == "nan"
    assert spread_words([], "accuracy") == value_words(None, "loss") == "–"


# Seeds and bands


def test_runs_that_differ_by_seed_alone_are_together() -> None:
    base = {"seed": 0, "name": "a-s0", "optim.lr": 0.1, "model.arch": "vit"}
    runs = [base, {**base, "optim.lr": 0.2}, {**base, "seed": 1, "name": "a-s1"}, {**base, "optim.lr": True}, {}, {}]
    assert seed_groups(runs) == ((0, 2), (1,), (3,), (4,), (5,))
    assert seed_groups([]) == ()
    assert seed_groups([{**base, "optim.lr": 1}, {**base, "optim.lr": 1.0}]) == ((0,), (1,))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["seed", "name", "a", "b"]), st.sampled_from([0, 1, 1.0, True, "x"]))))
def test_each_run_is_in_one_group(runs: list[dict[str, object]]) -> None:
    groups = seed_groups(runs)
    assert sorted(number for group in groups for number in group) == list(range(len(runs)))
    assert [group[0] for group in groups] == sorted(group[0] for group in groups)


@settings(max_examples=200, deadline=None)
@given(st.lists(PAIRS, max_size=4))
@example([])
@example([[]])
@example([[(1.0, 2.0)], [(1.0, 4.0)]])
@example([[(0.0, 1e308), (2.0, 1e308)], [(0.0, 1e308), (1.0, math.nan), (2.0, -1e308)]])
def test_the_mean_of_a_band_lies_between_its_edges_and_counts_who_is_there(
    curves: list[list[tuple[float, float]]],
) -> None:
    made = band([arrays(pairs) for pairs in curves])
    assert made.x.shape == made.low.shape == made.mean.shape == made.high.shape == made.count.shape
    assert np.all(made.x[1:] > made.x[:-1])
    there = made.count > 0
    assert np.all(made.count <= len(curves))
    assert np.array_equal(there, np.isfinite(made.mean))
    assert np.all(made.low[there] <= made.mean[there])
    assert np.all(made.mean[there] <= made.high[there])
    assert np.all(np.isnan(made.low[~there]))


def test_a_band_knows_who_has_got_how_far_and_fills_in_between() -> None:
    full, short = (np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 3.0])), (np.array([0.0, 2.0]),) * 2
    made = band([full, (short[0], short[1] + 2.0)])
    np.testing.assert_array_equal(made.x, [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(made.low, [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(made.high, [2.0, 3.0, 4.0, 3.0])
    np.testing.assert_array_equal(made.mean, [1.0, 2.0, 3.0, 3.0])
    np.testing.assert_array_equal(made.count, [2.0, 2.0, 2.0, 1.0])


def test_equal_curves_are_a_band_without_width() -> None:
    one = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.1, 0.7])
    made = band([one, one, one])
    np.testing.assert_array_equal(made.low, made.high)
    np.testing.assert_allclose(made.mean, one[1], rtol=1e-12)


def test_a_value_beside_a_gap_is_still_a_value() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, math.nan, 7.0, 8.0])
    np.testing.assert_array_equal(
        between(np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0]), x, y),
        [math.nan, 5.0, math.nan, math.nan, math.nan, 7.0, 7.5, 8.0, math.nan],
    )


# Drawing


@settings(max_examples=60, deadline=None)
@given(
    curves=st.lists(PAIRS, max_size=8), as_band=st.booleans(), width=st.integers(0, 100), height=st.integers(0, 30),
    log=st.booleans(), smoothing=st.sampled_from([0.0, 0.6]),
)  # fmt: skip
@example(curves=[], as_band=True, width=80, height=10, log=False, smoothing=0.0)
@example(curves=[[(1.0, math.nan)], [(2.0, 5.0)]], as_band=False, width=80, height=10, log=False, smoothing=0.6)
@example(curves=[[(1.0, 1.0), (1e300, 2.0)], [(0.0, 1e308)]], as_band=True, width=80, height=9, log=True, smoothing=0.0)
def test_any_curves_in_any_size_are_drawn_in_that_size_or_not_at_all(
    curves: list[list[tuple[float, float]]], as_band: bool, width: int, height: int, log: bool, smoothing: float
) -> None:
    lines = [RunLine("ABCDEFGH"[number], number, *arrays(pairs)) for number, pairs in enumerate(curves)]
    if as_band:
        made = band([arrays(pairs) for pairs in curves])
        lines = [RunLine("A", 0, made.x, made.mean, made)]
    picture = draw_runs(lines, ends=(0.0, 10.0), axis="epoch", log=log, smoothing=smoothing, width=width, height=height)
    rows = [ESCAPE.sub("", row) for row in picture.rows]
    assert all(len(row) == width for row in rows)
    assert len(rows) in (0, height)
    if width < SMALLEST[0] or height < SMALLEST[1]:
        assert not rows


def plot(lines: list[RunLine]) -> str:
    picture = draw_runs(lines, ends=(0.0, 30.0), axis="epoch", width=90, height=20)
    return "\n".join(ESCAPE.sub("", row)[LABELS + 1 :] for row in picture.rows[:-2])


def test_every_run_has_its_letter_on_its_curve_and_at_its_end() -> None:
    x = np.arange(1.0, 31.0)
    lines = [RunLine("ABCDEFGH"[number], number, x, x + 10.0 * number) for number in range(8)]
    drawn = plot(lines)
    assert all(drawn.count(letter) >= 4 for letter in "ABCDEFGH")
    assert [row[-1] for row in drawn.split("\n") if row[-1].isalpha()] == list("HGFEDCBA")


def test_curves_alike_in_all_but_their_number_look_different_without_colour() -> None:
    x = np.arange(1.0, 31.0)
    drawn = {plot([RunLine("A", number, x, x)]) for number in range(len(PATTERNS))}
    assert len(drawn) == len(PATTERNS) == len({sample(number) for number in range(8)}) == 8


def test_in_ascii_there_is_nothing_else_and_all_of_it_still_differs() -> None:
    x = np.arange(1.0, 31.0)
    made = band([(x, x), (x, x + 5.0)])
    lines = [RunLine("A", 0, made.x, made.mean, made), RunLine("B", 1, x, x + 9.0)]
    picture = draw_runs(lines, ends=(0.0, 30.0), axis="epoch", width=90, height=20, markers="ascii")
    text = ESCAPE.sub("", "".join(picture.rows))
    assert text.isascii()
    assert all(sign in text for sign in "AB*.")
    assert len({in_ascii(shade) for shade in SHADES}) == len(SHADES)


def test_one_point_and_points_between_gaps_can_be_seen() -> None:
    assert plot([RunLine("B", 1, np.array([5.0]), np.array([1.0]))]).count("B") == 1
    gaps = np.array([1.0, math.nan, 2.0, math.nan, 3.0])
    assert plot([RunLine("B", 1, np.array([5.0, 6.0, 7.0, 8.0, 9.0]), gaps)]).count("B") == 3


def test_a_band_is_shaded_between_its_edges() -> None:
    x = np.arange(0.0, 31.0)
    made = band([(x, np.full(31, 1.0)), (x, np.full(31, 2.0)), (x[:10], np.full(10, 3.0))])
    rows = plot([RunLine("A", 0, made.x, made.mean, made)]).split("\n")
    widths = [row.count("░") for row in rows if "░" in row]
    assert max(widths[1:-1]) > 60
    assert widths[0] < 30  # where only the third run was, until its end


def test_a_smoothed_mean_stays_within_its_smoothed_band() -> None:
    x = np.arange(0.0, 31.0)
    made = band([(x, x * x), (x, x * x + 1.0)])
    none = RunLine("B", 1, np.empty(0), np.empty(0))  # with three of them nothing is drawn below smoothed curves
    line = RunLine("A", 0, made.x, made.mean, made)
    picture = draw_runs([line, none, none, none], ends=(0.0, 30.0), axis="epoch", smoothing=0.99, width=90, height=20)
    last = [ESCAPE.sub("", row)[-1] for row in picture.rows[:-2]]
    marked = [row for row, mark in enumerate(last) if mark in "A░"]
    assert "A" in last
    assert max(marked) - min(marked) <= 1


def test_no_spike_of_eight_long_runs_is_lost() -> None:
    x = np.linspace(0.0, 30.0, 1_000_000)
    lines = [RunLine("ABCDEFGH"[number], number, x, np.sin(x) + number) for number in range(8)]
    lines[0].y[500_000] = 100.0
    picture = draw_runs(lines, ends=(0.0, 30.0), axis="epoch", width=80, height=12)
    assert "100┤" in ESCAPE.sub("", picture.rows[0])
    (column,) = np.flatnonzero([mark != " " for mark in ESCAPE.sub("", picture.rows[4])[LABELS + 1 :]])
    assert abs(column - 36) <= 1


# Confusions


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 9), min_size=n, max_size=n), min_size=n, max_size=n)
    )
)
def test_the_worst_confusions_come_first_and_are_off_the_diagonal(counts: list[list[int]]) -> None:
    names = [f"c{place}" for place in range(len(counts))]
    found = confusions(names, counts)
    assert [one.count for one in found] == sorted((one.count for one in found), reverse=True)
    assert all(one.true != one.predicted and 0 < one.count <= one.of for one in found)
    wrong = sum(1 for true, row in enumerate(counts) for said, count in enumerate(row) if count and true != said)
    assert len(found) == min(wrong, 100)
