"""Which runs a person compared in the last session, and how, for the next one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.runs.compare import MOST
from workbench.runs.directory import is_run_id
from workbench.tui.comparing import Wish
from workbench.tui.last_place import text_of, texts_of
from workbench.tui.widgets.chart_view import AXES, SMOOTHINGS


def place_of(wish: Wish, baseline: str) -> dict[str, Any]:
    """What is worth keeping; a zoom and a cursor belong to one look."""
    return {
        "runs": list(wish.runs), "baseline": baseline, "metric": wish.metric, "axis": wish.view.axis,
        "smoothing": wish.view.smoothing, "band": wish.band,
    }  # fmt: skip


def take_place(place: Mapping[str, Any], wish: Wish, root: Path) -> tuple[Wish, str]:
    """What was wished for, and the baseline; what is not understood stays as it is. Runs that are gone are left out."""
    axis = next((axis for axis in AXES if axis == place.get("axis")), wish.view.axis)
    smoothing = place.get("smoothing")
    view = replace(wish.view, axis=axis, smoothing=smoothing if smoothing in SMOOTHINGS else wish.view.smoothing)
    runs = [name for name in dict.fromkeys(texts_of(place, "runs")) if is_run_id(name) and (root / name).is_dir()]
    if not 2 <= len(runs) <= MOST:
        return replace(wish, view=view), ""
    baseline = text_of(place, "baseline")
    wish = replace(wish, runs=tuple(runs), view=view, metric=text_of(place, "metric"), band=place.get("band") is True)
    return wish, baseline if baseline in runs else runs[0]
