"""The one-line texts of the Train screen, whatever a run says of itself and however narrow the terminal."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_runs import make_run
from rich.cells import cell_len
from rich.text import Text

from workbench.base.gpu import Gpu
from workbench.runs.liveness import State
from workbench.tui.alerts import Alert
from workbench.tui.run_lines import alert_lines, chart_title, facts, fitted, head, progress
from workbench.tui.settings import read_settings
from workbench.tui.usage import Usage
from workbench.tui.watching import Drawn, Job, Look, Wanted, Watch
from workbench.tui.widgets.chart_view import MARKERS, Picture, Series, View

KEYS = ("epoch", "epochs", "step", "steps", "eta", "images_per_second", "seconds", "peak_memory")
ANYTHING = (
    st.none() | st.booleans() | st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.text(max_size=5)
    | st.sampled_from(["nan", "inf", "-inf", 10**400, [], {}, {"epoch": None}])
)  # fmt: skip
FIGURE = st.none() | st.floats(0, 1e15)


@cache
def look() -> Look:
    with TemporaryDirectory() as folder:
        make_run(Path(folder))
        found = Watch(Path(folder)).look(Job())
    assert isinstance(found, Look)
    return found


def one_line(text: Text, width: int) -> None:
    assert "\n" not in text.plain
    assert "\x1b" not in text.plain
    if width >= 40:  # below it the terminal is too small for any screen, and what sticks out is cut off
        assert cell_len(text.plain) <= width


@settings(max_examples=150, deadline=None)
@given(
    status=st.dictionaries(st.sampled_from(KEYS), ANYTHING), best=ANYTHING | st.dictionaries(st.just("top1"), ANYTHING),
    width=st.integers(0, 200), state=st.sampled_from(["running", "paused", "finished", "?"]),
    usage=st.none() | st.builds(Usage, FIGURE, FIGURE, st.none() | st.builds(Gpu, *[FIGURE] * 7)), paused=st.booleans(),
)  # fmt: skip
@example(status={"eta": math.nan, "epochs": 3, "epoch": 1, "steps": 0}, best={}, width=80, state="running", usage=None,
         paused=False)  # fmt: skip
def test_whatever_a_run_says_each_line_is_one(
    status: dict[str, Any], best: Any, width: int, state: str, usage: Usage | None, paused: bool
) -> None:
    seen = replace(look(), status={**status, "best": best}, state=State(state, "x" * 50), usage=usage)
    one_line(head(seen, width, paused=paused), width)
    one_line(progress(seen, width), width)
    one_line(facts(seen, width), width)


@pytest.mark.parametrize("eta", [None, math.nan, math.inf, -1.0, "nan", 1e12, "soon"])
def test_a_time_to_go_that_is_none_is_not_shown(eta: Any) -> None:
    seen = replace(look(), status={"eta": eta}, state=State("running", ""))
    assert "ETA" not in head(seen, 120, paused=False).plain
    seen = replace(seen, status={"eta": 75.0})
    assert "ETA 01:15" in head(seen, 120, paused=False).plain


def test_how_far_a_run_is_matters_more_than_when_it_was_begun() -> None:
    status = {"epochs": 60, "epoch": 53, "step": 1230, "steps": 1380, "eta": 32.0}
    seen = replace(look(), run="20261123-111425-long-vte4pz", status=status, state=State("running", ""))
    assert head(seen, 80, paused=False).plain == (
        " ● running  20261123-111425-long-vte4pz  epoch 54 of 60, 48%  ETA 00:32"
    )
    assert head(seen, 60, paused=False).plain == " ● running  long-vte4pz  epoch 54 of 60, 48%  ETA 00:32"
    assert "P goes on" in head(replace(seen, state=State("paused", "")), 60, paused=False).plain
    assert "p goes on" in head(seen, 60, paused=True).plain


def test_what_a_key_has_changed_is_in_the_title_before_the_best_values() -> None:
    curve = Series("test", np.array([1.0, 2.0]), np.array([0.5, 0.5492]), 1)
    drawn = Drawn(Wanted("loss", True, 80, 8), Picture(), (Series("train", curve.x, curve.y), curve))
    view = View(smoothing=0.6)
    wide = chart_title(drawn, view, 100, focused=True).plain
    assert "(best 0.5 @1)" in wide
    narrow = chart_title(drawn, view, 76, focused=True).plain
    assert narrow.endswith("log  smooth 0.6  x epoch")
    assert "best" not in narrow
    none = replace(drawn, series=(Series("train", curve.x, -curve.y),))  # nothing has a logarithm: it is drawn as it is
    assert "log" not in chart_title(none, view, 100, focused=True).plain


@given(st.lists(st.tuples(st.integers(0, 5), st.text("ab", max_size=9)), max_size=8), st.integers(-3, 60))
def test_what_is_least_important_goes_first(pieces: list[tuple[int, str]], width: int) -> None:
    line = fitted(pieces, width)
    assert len(line) <= max(width, 0)
    whole = "  ".join(text for _, text in pieces if text)
    assert line == whole or len(whole) > width


def test_the_gpu_is_told_as_far_as_it_is_known() -> None:
    gpu = Gpu(0.934, 11_200_000_000, 24_000_000_000, 71.2, 318.4, 450.0)
    line = facts(replace(look(), usage=Usage(1.94, 809e6, gpu)), 160).plain
    assert "gpu 93 % 71 °C  11.2 of 24.0 GB  318 of 450 W  cpu 1.9 cores, 809 MB" in line
    line = facts(replace(look(), usage=Usage(None, 809e6, Gpu(memory=10**10))), 160).plain  # a part of a GPU
    assert "gpu  10.0 GB  cpu 809 MB" in line
    assert "°C" not in line
    assert " W" not in line


def test_why_a_run_has_failed_is_not_cut_off_at_the_width_of_a_terminal() -> None:
    why = Alert(
        "failed", "the run has failed: the training loss or gradient is not finite at step 2 (epoch 1), lr 1e30"
    )
    seen = replace(look(), alerts=(why, Alert("nan", "x" * 200)))
    first, second, third = alert_lines(seen, 80, 3).plain.split("\n")
    assert f"{first.strip()} {second.strip()}" == f"! {why.text}"
    assert len(third) == 80
    assert alert_lines(replace(seen, alerts=()), 80, 3).plain == ""
    assert alert_lines(replace(seen, alerts=(why,) * 5), 0, 3).plain.endswith("\n")


def test_markers_go_round_and_are_a_setting() -> None:
    view = View()
    seen = [view.markers]
    for _ in MARKERS:
        view = view.next_markers()
        seen.append(view.markers)
    assert tuple(seen[:-1]) == MARKERS
    assert seen[-1] == seen[0]
    assert read_settings({"markers": "ascii"}, "x").markers == "ascii"
    wrong = read_settings({"markers": "dots"}, "x")
    assert wrong.markers == "braille"
    assert wrong.problems == ["x: markers: must be one of braille, block, ascii (got 'dots')"]
