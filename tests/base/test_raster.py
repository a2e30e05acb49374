"""Curves as characters: every dot of a line, no other, and nothing that a value could do to the rest."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.base.plot import Scale, Stroke, canvas
from workbench.base.raster import Sheet

ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def plain(sheet: Sheet) -> list[str]:
    return [ESCAPE.sub("", line) for line in sheet.lines()]


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("marker", "rows"),
    [("braille", ["  ⢀⠤⠊", "⡠⠒⠁  "]), ("hd", ["  ▗▄▀", "▄▀▘  "]), ("*", ["   **", "***  "])],
)
def test_dots_and_quarters_and_marks(marker: str, rows: list[str]) -> None:
    sheet = Sheet(5, 2)
    sheet.draw(array(0.0, 1.0), array(0.0, 1.0), marker, 39)
    assert plain(sheet) == rows


@given(
    st.lists(
        st.tuples(st.floats(-1, 2) | st.just(float("nan")), st.floats(-1, 2) | st.just(float("inf"))), max_size=12
    ),
    st.integers(1, 12),
    st.integers(1, 6),
    st.booleans(),
)
@settings(max_examples=200)
def test_as_one_who_walks_along_each_line(
    points: list[tuple[float, float]], columns: int, rows: int, joined: bool
) -> None:
    """The same dots as a plain loop finds, for any points."""
    sheet = Sheet(columns, rows)
    sheet.draw(array(*(x for x, _ in points)), array(*(y for _, y in points)), "#", 39, joined=joined)
    expected = walked(points, columns, rows, joined)
    found = {(row, column) for row, line in enumerate(plain(sheet)) for column, mark in enumerate(line) if mark == "#"}
    assert found == expected


def walked(points: list[tuple[float, float]], columns: int, rows: int, joined: bool) -> set[tuple[int, int]]:
    dots = set()

    def put(x: float, y: float) -> None:
        row, column = rows - 1 - int(np.rint(y)), int(np.rint(x))
        if 0 <= row < rows and 0 <= column < columns:
            dots.add((row, column))

    scaled = [(x * (columns - 1), y * (rows - 1)) for x, y in points]
    finite = [bool(np.isfinite(x) and np.isfinite(y)) for x, y in points]
    for (x, y), known in zip(scaled, finite, strict=True):
        if known:
            put(x, y)
    for number in range(len(points) - 1 if joined else 0):
        if finite[number] and finite[number + 1]:
            (x, y), (to_x, to_y) = scaled[number : number + 2]
            steps = max(math.ceil(max(abs(to_x - x), abs(to_y - y))), 1)
            for step in range(steps):
                put(x + step / steps * (to_x - x), y + step / steps * (to_y - y))
    return dots


def test_a_line_has_no_holes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        sheet = Sheet(60, 20)
        sheet.draw(rng.random(2), rng.random(2), "#", 39)
        dots = sorted((c, r) for r, line in enumerate(plain(sheet)) for c, mark in enumerate(line) if mark == "#")
        for column, row in dots[1:]:
            assert any((column + a, row + b) in dots for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b)


def test_what_is_drawn_later_lies_on_top_in_its_own_colour() -> None:
    sheet = Sheet(4, 1)
    sheet.draw(array(0.0, 1.0), array(0.0, 0.0), "braille", 39)
    sheet.draw(array(1 / 3), array(0.0), "x", 208)
    [line] = sheet.lines()
    assert line == "\x1b[38;5;39m⣀\x1b[0m\x1b[38;5;208mx\x1b[0m\x1b[38;5;39m⣀⣀\x1b[0m"


@pytest.mark.parametrize("places", [[], [0.5], [float("nan")] * 3, [1e308, -1e308, 1e300], [5e-324, 0.0]])
def test_a_canvas_keeps_its_shape_whatever_is_drawn(places: list[float]) -> None:
    for scale in (Scale(0.0, 1.0), Scale(-1e308, 1e308), Scale(3.0, 3.0)):
        stroke = Stroke(places, list(reversed(places)), "braille", 39)
        rows = canvas(
            [stroke, stroke], width=40, height=9, x=scale, y=Scale(scale.low, scale.high, [(scale.low, "  low")])
        )
        assert [len(ESCAPE.sub("", row)) for row in rows] == [40] * 9


def test_a_million_points_cost_no_more_than_their_dots() -> None:
    x = np.linspace(0.0, 1.0, 1_000_000)
    rows = canvas([Stroke(x, x, "braille", 39)], width=60, height=20, x=Scale(0.0, 1.0), y=Scale(0.0, 1.0))
    plot = [ESCAPE.sub("", row)[1:] for row in rows[:-2]]
    assert all(row.strip() for row in plot)
    assert all(any(row[column] != " " for row in plot) for column in range(59))
