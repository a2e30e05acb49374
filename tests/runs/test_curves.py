"""Curves of a run and the SVG made of them: every value where it belongs, nothing fetched, nothing that is no XML."""

import math
import random
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.base.plot import Line
from workbench.runs import svg
from workbench.runs.curves import Chart, chart, curve, label, metrics_of

NAN, INF = math.nan, math.inf


def epoch(number: int, **figures: object) -> dict[str, object]:
    return {"kind": "epoch", "epoch": number, "step": number * 10, "seconds": number * 60.0, **figures}


def step(number: int, **figures: object) -> dict[str, object]:
    return {"kind": "step", "step": number, "epoch": number / 10, "seconds": number * 6.0, **figures}


def drawing(*lines: Line, title: str = "T", x_label: str = "epoch", y_label: str = "loss") -> Chart:
    return Chart(title, x_label, y_label, lines)


def elements(text: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(text).iter(f"{{{svg.NAMESPACE}}}{name}"))


def paths_of(text: str, line: int) -> list[list[tuple[float, float]]]:
    """The stretches of a line, each as its points in pixels."""
    stretches = []
    for group in ElementTree.fromstring(text).iter(f"{{{svg.NAMESPACE}}}g"):
        if "series" in group.get("class", "").split() and group.get("data-line") == str(line):
            for path in group.iter(f"{{{svg.NAMESPACE}}}path"):
                numbers = [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path.get("d", ""))]
                stretches.append(pairs(numbers))
    return stretches


def pairs(numbers: list[float]) -> list[tuple[float, float]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))


# Curves


def test_an_epochs_figure_is_taken_from_the_epoch_lines_over_the_axis_asked_for() -> None:
    records = [step(5, train_loss=9.0), epoch(1, train_loss=2.0), epoch(2, train_loss=1.0)]
    assert curve(records, "train_loss").x == (1.0, 2.0)
    assert curve(records, "train_loss", "step").x == (10.0, 20.0)
    assert curve(records, "train_loss", "time").x == (60.0, 120.0)
    assert curve(records, "train_loss").y == (2.0, 1.0)


def test_what_changes_within_an_epoch_is_taken_from_the_step_lines() -> None:
    records = [step(5, lr=0.1), step(10, lr=0.2), epoch(1, lr=0.2)]
    assert curve(records, "lr").x == (0.5, 1.0)
    assert curve([epoch(1, lr=0.2)], "lr").y == (0.2,)
    assert curve([step(5, train_loss=1.0)], "train_loss").y == (1.0,)  # the first epoch is not over


def test_what_is_no_number_is_a_gap_and_a_line_without_a_place_is_left_out() -> None:
    values = [1, NAN, "nan", "-inf", None, "words", True, [1], 10**400]
    records = [epoch(i, test_loss=value) for i, value in enumerate(values, 1)] + [
        {"kind": "epoch", "test_loss": 1.0},
        {"kind": "epoch", "epoch": NAN, "test_loss": 1.0},
        {"test_loss": 1.0},
    ]
    found = curve(records, "test_loss")
    assert found.x == tuple(range(1, 10))
    assert [math.isfinite(y) for y in found.y] == [True] + [False] * 8
    assert curve(records, "no_such") == curve([], "no_such")


def test_accuracies_are_drawn_in_percent_and_long_times_in_hours() -> None:
    records = [epoch(i, test_top1=i / 10) for i in (1, 2, 300)]
    drawn = chart("t", "y", [("a", curve(records, "test_top1", "time"))], "time")
    assert drawn.x_label == "hours"
    assert list(drawn.lines[0].x) == pytest.approx([1 / 60, 2 / 60, 5.0])
    assert list(drawn.lines[0].y) == pytest.approx([10, 20, 3000])
    assert chart("t", "y", [("a", curve(records[:2], "test_top1", "time"))], "time").x_label == "seconds"


def test_the_figures_of_lines_are_named_in_order_and_in_words() -> None:
    assert metrics_of([step(1, lr=1), epoch(1, test_top1=1), {"kind": "rewind", "to_step": 1, "to_epochs": 0}]) == [
        "lr",
        "test_top1",
    ]
    assert label("test_ema_top5") == "test ema top-5"


# SVG


NUMBERS = st.one_of(st.floats(), st.integers(-5, 5).map(float), st.floats(0.5, 0.5000001))
LINES = st.lists(st.tuples(st.text(max_size=40), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20)), max_size=9).map(
    lambda drawn: [Line(label, [x for x, _ in points], [y for _, y in points]) for label, points in drawn]
)


@settings(max_examples=60, deadline=None)
@given(LINES, st.sampled_from([True, False, None]), st.booleans(), st.text(max_size=150))
@example([Line("a", [1.0], [0.0])], False, True, "")
@example([Line("a", [0.0, 1.0], [5e-324, 1e-323])], True, True, "")
@example([Line("a", [0.0, 1.0], [-1.7e308, 1.7e308])], None, True, "")
@example([Line("a", [0.0, 1e300], [-1e300, 1e300])], False, True, "\x00\ud800\ufffe]]>&<script>")
@example([Line("a", [1e15, 1e15 + 1], [1e-5, 123456789.123456789])], False, False, "")
def test_any_data_and_any_words_make_xml_that_fetches_and_runs_nothing(
    lines: list[Line], log_y: bool | None, standalone: bool, words: str
) -> None:
    text = svg.draw(drawing(*lines, title=words, x_label=words, y_label=words), log_y=log_y, standalone=standalone)
    root = ElementTree.fromstring(text.encode())
    assert root.tag == f"{{{svg.NAMESPACE}}}svg"
    for element in root.iter():
        assert element.tag.rpartition("}")[2] in ("svg", "style", "title", "g", "path", "circle", "text", "rect")
        assert not [name for name in element.attrib if "href" in name or name.startswith("on") or name == "id"]
        assert not any("nan" in value or "inf" in value for value in element.attrib.values())
    bare = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "url(" not in bare.replace(words, "")
    assert "http:" not in bare.replace("http:", "", words.count("http:"))


def test_a_chart_has_no_date_and_no_address() -> None:
    lines = Line("train", [1, 2, 3], [3.0, 2.0, 1.0]), Line("test", [1, 2, 3], [3.0, 2.5, 2.0])
    text = svg.draw(drawing(*lines))
    assert text == svg.draw(drawing(*lines))
    assert re.findall(r"https?://[^\s\"'<]*", text) == [svg.NAMESPACE]
    assert "pygal" not in text.lower()
    assert "@import" not in text


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    [path] = paths_of(svg.draw(drawing(Line("a", [1, 2, 3], [1.0, 2.0, 4.0]))), 0)
    (x1, y1), (x2, y2), (x3, y3) = path
    assert x1 < x2 < x3
    assert y1 > y2 > y3
    assert x2 - x1 == pytest.approx(x3 - x2, rel=0.01)
    assert y2 - y3 == pytest.approx(2 * (y1 - y2), rel=0.01)


def test_gaps_interrupt_a_line_and_a_lone_point_is_still_seen() -> None:
    line = Line("a", range(7), [1.0, 2.0, NAN, 3.0, INF, 4.0, 5.0])
    text = svg.draw(drawing(line))
    assert [len(path) for path in paths_of(text, 0)] == [2, 2]
    assert len(elements(text, "circle")) == 5
    # Where a line has too many points for dots, one between two gaps is a path of no length with round ends.
    many = Line("a", range(600), [NAN if i in (300, 302) else float(i) for i in range(600)])
    lone = [path for path in paths_of(svg.draw(drawing(many)), 0) if len({*path}) == 1]
    assert len(lone) == 1
    assert not elements(svg.draw(drawing(many)), "circle")


def test_on_a_logarithmic_axis_equal_ratios_are_equally_far_apart() -> None:
    loss = Line("a", [1, 2, 3, 4], [100.0, 10.0, 0.0, 1.0])
    text = svg.draw(drawing(loss), log_y=True)
    dots = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in elements(text, "circle")]
    assert len(dots) == 3  # zero has no place
    assert dots[1][1] - dots[0][1] == pytest.approx(dots[2][1] - dots[1][1], rel=0.01)
    said = [element.text for element in elements(text, "text")]
    assert "loss (log scale)" in said
    assert {"1", "2", "5", "10", "20", "50", "100"} <= {*said}
    wide = svg.draw(drawing(Line("a", [1, 2], [1e-6, 100.0])), log_y=True)
    assert {"1e-6", "0.0001", "0.01", "1", "100"} <= {element.text for element in elements(wide, "text")}


def test_whether_the_axis_is_logarithmic_can_be_left_to_the_data() -> None:
    def logarithmic(*ys: float) -> bool:
        return "log scale" in svg.draw(drawing(Line("a", range(len(ys)), ys)), log_y=None)

    assert logarithmic(63.95, 0.04)
    assert not logarithmic(2.3, 0.04)
    assert not logarithmic(63.95, 0.0)
    assert not logarithmic(NAN)


def test_a_dot_says_its_value() -> None:
    text = svg.draw(drawing(Line("b & c", [1, 2], [0.5, 0.25])))
    tips = [element.text for element in elements(text, "title")]
    assert tips == ["T", "b & c: 0.5 (epoch 1)", "b & c: 0.25 (epoch 2)"]  # and no label says it otherwise


def test_a_million_points_become_about_a_thousand_and_keep_every_spike() -> None:
    draw = random.Random(0)
    ys = [draw.random() for _ in range(1_000_000)]
    ys[123_456], ys[654_321], ys[777_777] = 50.0, -50.0, NAN
    kept = svg.thin([(float(i), None if y != y else y) for i, y in enumerate(ys)])
    assert len(kept) <= 3 * svg.COLUMNS + 5
    assert {(123_456.0, 50.0), (654_321.0, -50.0), (777_777.0, None), (0.0, ys[0]), (999_999.0, ys[-1])} <= {*kept}
    assert kept == sorted(kept, key=lambda point: point[0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 1e6)), min_size=1, max_size=400))
def test_thinning_keeps_the_extremes_whatever_the_order(points: list[tuple[float, float | None]]) -> None:
    kept = svg.thin(points, columns=10)
    assert len(kept) <= max(3 * 10, 3 * 11 + 2)
    assert {*kept} <= {*points}
    values = [y for _, y in points if y is not None]
    drawn = [y for _, y in kept if y is not None]
    assert (min(drawn), max(drawn)) == (min(values), max(values)) if values else not drawn


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#0d1117"])
def test_lines_can_be_seen_on_a_light_and_on_a_dark_ground(ground: str) -> None:
    assert all(contrast(color, ground) >= 3 for color in svg.COLORS)


def test_words_can_be_read_on_a_light_and_on_a_dark_ground() -> None:
    light, dark = svg.STYLE.split("@media (prefers-color-scheme:dark)")
    assert contrast(re.findall(r"text{[^}]*fill:(#\w+)", light)[0], "#ffffff") >= 7
    assert contrast(re.findall(r"text{[^}]*fill:(#\w+)", dark)[0], "#0d1117") >= 7
    assert svg.STYLE in svg.draw(drawing(Line("a", [1], [1.0])))


def test_eight_lines_differ_without_colour() -> None:
    lines = [Line(f"run {i}", [1, 2], [i, i + 1.0]) for i in range(8)]
    text = svg.draw(drawing(*lines))
    looks = {
        (path.get("stroke"), path.get("stroke-dasharray"))
        for path in elements(text, "path")
        if path.get("stroke") in svg.COLORS
    }
    assert len({dash for _, dash in looks}) == 8
    said = [element.text for element in elements(text, "text")]
    assert [f"run {i}" for i in range(8)] == [word for word in said if word and word.startswith("run ")]


def test_a_chart_without_values_says_so() -> None:
    assert "nothing to draw yet" in svg.draw(drawing(Line("a", [1.0], [NAN])))


def test_pygal_is_loaded_for_the_first_chart_only() -> None:
    code = (
        "import sys, workbench.runs.plots, workbench.runs.compare_html\n"
        "print({'pygal', 'plotext', 'torch'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
