"""The pure parts beside the series that break such parts: NaN, inf, None, none at all, one, equal ones, a million.

Each part has tests of its own where its rules are checked in full; here is that none of them is without one of these.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from summaries import SETTINGS, make_summary

from workbench.base.plot import Line, decimate, line_chart, ticks
from workbench.runs.columns import Columns
from workbench.runs.curves import curve
from workbench.runs.figures import in_words
from workbench.runs.from_base import Base
from workbench.runs.query import compile_query
from workbench.runs.svg import thin
from workbench.training.eta import time_to_go
from workbench.tui.alerts import Seen, alerts
from workbench.tui.compared import Points, best_of, change_words, read_at, spread
from workbench.tui.run_preview import sparkline
from workbench.tui.widgets.chart_view import LABELS, Series, View, bounded, draw, smoothed, thinned
from workbench.tui.widgets.chart_view import readings as read_off

MILLION = np.sin(np.linspace(0.0, 100.0, 1_000_000))
MILLION[500_000] = 9.0
CASES: dict[str, Sequence[float | None]] = {
    "NaN": [1.0, math.nan, 3.0, math.nan],
    "all NaN": [math.nan] * 5,
    "inf": [1.0, math.inf, -math.inf, 2.0],
    "None": [None, 1.0, None],
    "empty": [],
    "one point": [3.0],
    "constant": [2.0] * 300,
    "a million": MILLION.tolist(),
}
each = pytest.mark.parametrize("values", CASES.values(), ids=CASES)
COLUMNS = 40


def series(values: Sequence[float | None]) -> Series:
    y = np.array([math.nan if value is None else value for value in values], dtype=float)
    return Series("train", np.arange(len(y), dtype=float), y)


def finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def ends_of(values: Sequence[float | None]) -> tuple[float, float]:
    return 0.0, float(max(len(values) - 1, 1))


def points_of(values: Sequence[float | None]) -> Points:
    one = series(values)
    return Points(one.x, one.x, one.x, one.y)


@each
def test_decimation_keeps_the_extremes_in_little_room(values: Sequence[float | None]) -> None:
    known = finite(values)
    few = thinned(bounded(series(values)), ends_of(values), COLUMNS)
    assert few.x.size <= max(len(values), 2 * COLUMNS)
    assert few.x.size <= 20 * COLUMNS
    assert [f(few.y[np.isfinite(few.y)].tolist(), default=None) for f in (min, max)] == [
        f(known, default=None) for f in (min, max)
    ]
    places = [(float(x), value) for x, value in enumerate(values) if value is not None and math.isfinite(value)]
    if places:  # the command line's chart splits a line at gaps before it thins it
        kept = [y for _, y in decimate(places, ends_of(values), COLUMNS)]
        assert (min(kept), max(kept), len(kept) <= 2 * COLUMNS + 2) == (min(known), max(known), True)
    gaps = [
        (float(x), value if value is not None and math.isfinite(value) else None)
        for x, value in enumerate(values[:100_000])
    ]
    for_html = [y for _, y in thin(gaps, COLUMNS) if y is not None]
    first = finite(values[:100_000])
    assert [f(for_html, default=None) for f in (min, max)] == [f(first, default=None) for f in (min, max)]


@each
def test_smoothing_invents_nothing(values: Sequence[float | None]) -> None:
    known, smooth = finite(values), smoothed(bounded(series(values)), 0.9, ends_of(values), COLUMNS)
    assert smooth.y.size <= COLUMNS
    assert bool(smooth.y.size) == bool(known)
    assert np.isfinite(smooth.y).all()
    if known:
        assert min(known) - 1e-9 <= smooth.y.min() <= smooth.y.max() <= max(known) + 1e-9


@each
def test_ticks_are_round_numbers_that_hold_what_is_drawn(values: Sequence[float | None]) -> None:
    known = finite(values)
    for log in (False, True):
        picture = draw([series(values)], ends=ends_of(values), log=log, width=80, height=12)
        assert bool(picture.rows) == any(value > 0 or not log for value in known)
        labels = [float(row[:LABELS]) for row in picture.rows[:-2] if row[:LABELS].strip()]
        assert labels == sorted(labels, reverse=True)
        assert bool(labels) == bool(picture.rows)
        assert len(labels) <= 7
        if picture.rows and not log:
            assert labels[-1] <= min(known) <= max(known) <= labels[0]
    if len(set(known)) > 1:
        found = ticks(min(known), max(known), 6)
        assert 1 <= len(found) <= 6
        assert all(min(known) <= place <= max(known) for place in found)
    text = line_chart([Line("a", series(values).x.tolist(), series(values).y.tolist())], width=60, height=12, title="t",
                      x_label="x", y_label="y", color=False)  # fmt: skip
    assert len(text.split("\n")) == 12


@each
def test_values_are_read_off_or_there_is_none(values: Sequence[float | None]) -> None:
    known, points = finite(values), points_of(values)
    assert [name for name, _, _ in read_off([series(values)], 1.2)] == ["train"] * bool(values)
    reading = read_at(points, "epoch", 1e9)
    assert (reading is None) == (not values)
    best = best_of(points, "high")
    assert (best is None) == (not known)
    if best:
        assert best[0] == max(known)
    records = [{"kind": "epoch", "epoch": place, "loss": value} for place, value in enumerate(values[:10_000])]
    assert len(curve(records, "loss").y) == len(records)
    assert View().zoomed(0.5, ends_of(values), ends_of(values)[1]).window is not None


@each
def test_a_filter_finds_only_figures(values: Sequence[float | None]) -> None:
    columns = Columns(base=Base(SETTINGS, keys=tuple(SETTINGS)))
    above, below, has = (compile_query(text, columns).match for text in ("loss>0.5", "loss<=0.5", "has:loss"))
    for value in values[:1_000]:
        run = replace(make_summary(0), test_loss=value)
        number = value is not None and not math.isnan(value)
        assert above(run) == (number and value is not None and value > 0.5)
        assert below(run) == (number and value is not None and value <= 0.5)
        assert has(run) == (value is not None)
    assert compile_query("has:seed", columns).match(make_summary(0, seed=0))
    assert not compile_query("has:archived", columns).match(make_summary(0, archived=False))


@each
def test_a_difference_is_of_two_figures(values: Sequence[float | None]) -> None:
    few = values[:1_000]
    for value in few:
        told = change_words(value, 1.0, "loss")
        assert bool(told) == (value is not None and math.isfinite(value))
        assert change_words(1.0, value, "loss") != "" if told else change_words(1.0, value, "loss") == ""
    count, mean, deviation = spread(values)
    known = finite(values)
    assert count == len(known)
    assert (mean is None, deviation is None) == (not known, len(known) < 2)
    if mean is not None:
        assert mean == pytest.approx(float(np.mean(known)), abs=1e-9)


@each
def test_alerts_look_at_any_losses(values: Sequence[float | None]) -> None:
    losses = series(values).y.tolist()
    began = time.thread_time()
    told = [alert.kind for alert in alerts(Seen("running", epoch=2, step=9, moved=0.0, losses=losses, classes=10), 1.0)]
    assert time.thread_time() - began < 0.5
    assert ("nan" in told) == bool(losses and not math.isfinite(losses[-1]))
    assert "plateau" not in told or all(loss > 2.2 for loss in losses[-3:])


@each
def test_any_figure_has_words(values: Sequence[float | None]) -> None:
    for value in values[:1_000]:
        for kind in ("loss", "accuracy", "rate", "seconds", "count"):
            if value is not None:
                assert in_words(value, kind)
    assert len(sparkline(values, 30)) <= 30


ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(images=ANY, speed=st.none() | ANY, evaluations=ANY, seconds=ANY)
@example(images=1e6, speed=None, evaluations=1.0, seconds=1.0)
@example(images=1e6, speed=0.0, evaluations=1.0, seconds=1.0)
@example(images=math.nan, speed=1.0, evaluations=1.0, seconds=1.0)
@example(images=1.0, speed=5e-324, evaluations=1.0, seconds=math.inf)
@example(images=0.0, speed=100.0, evaluations=0.0, seconds=3.0)
def test_a_time_to_go_is_a_time_or_none(images: float, speed: float | None, evaluations: float, seconds: float) -> None:
    found = time_to_go(images, speed, evaluations, seconds)
    assert found is None or (math.isfinite(found) and found >= 0)
    if speed is None or not speed > 0:
        assert found is None


def test_a_time_to_go_counts_images_and_evaluations() -> None:
    assert time_to_go(1000.0, 100.0, 2, 3.0) == 16.0
    assert time_to_go(0.0, 100.0, 0, 3.0) == 0.0
    assert time_to_go(-50.0, 100.0, -1, 3.0) == 0.0  # resumed for fewer epochs than are over
