"""How a person looked at charts in the last session, for the next one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from textual.dom import DOMNode

from workbench.tui.last_place import text_of, texts_of
from workbench.tui.widgets.chart import Chart
from workbench.tui.widgets.chart_view import AXES, SMOOTHINGS, View

PANELS = {"events": "-events", "log": "-log", "none": "-no-panel"}
"""What is below the charts, and the class of the screen that says so."""


def place_of(view: View, charts: Sequence[Chart], screen: DOMNode) -> dict[str, Any]:
    """What is worth keeping; a zoom and a cursor belong to one run."""
    panel = next((name for name in ("none", "log") if screen.has_class(PANELS[name])), "events")
    return {
        "axis": view.axis, "smoothing": view.smoothing, "metrics": [chart.metric for chart in charts],
        "log": [chart.metric for chart in charts if chart.log_y], "panel": panel,
    }  # fmt: skip


def take_place(place: Mapping[str, Any], view: View, charts: Sequence[Chart], screen: DOMNode) -> View:
    """The view as it was, and the charts and the panel with it; what is not understood stays as it is."""
    metrics, log = texts_of(place, "metrics"), texts_of(place, "log")
    if len(metrics) == len(charts) == len(set(metrics)):
        for chart, metric in zip(charts, metrics, strict=True):
            chart.metric, chart.log_y = metric, metric in log
    panel = text_of(place, "panel")
    if panel in PANELS:
        screen.set_class(panel == "none", "-no-panel")
        screen.set_class(panel == "log", "-log")
        screen.set_class(panel != "log", "-events")
    axis = next((axis for axis in AXES if axis == place.get("axis")), view.axis)
    smoothing = place.get("smoothing")
    return replace(view, axis=axis, smoothing=smoothing if smoothing in SMOOTHINGS else view.smoothing)
