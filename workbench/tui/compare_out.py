"""What leaves the Compare screen: a file of the comparison, or the command that makes it. May wait for a disk."""

import json
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.compare import DEFAULT_METRICS, Comparison, as_json, compare
from workbench.runs.curves import Axis as FileAxis
from workbench.runs.store import RunStore
from workbench.tui.desk import write_anew
from workbench.tui.widgets.chart_view import Axis

FORMATS = (("html", "HTML, one page with charts that zoom"), ("md", "Markdown, settings and figures"),
           ("csv", "CSV, raw figures"), ("json", "JSON, raw figures and curves"))  # fmt: skip

_AXES: dict[Axis, FileAxis] = {"epoch": "epoch", "step": "step", "seconds": "time"}


def command(root: Path, runs: Sequence[str], metric: str, axis: Axis) -> str:
    """The command line that compares these runs; the first is what the others are measured by."""
    words = ["cnn-workbench", "compare", *runs]
    words += [] if axis == "epoch" else ["--x", _AXES[axis]]
    words += [] if metric in ("", *DEFAULT_METRICS) else ["--metric", clean(metric, 100)]
    return shlex.join([*words, "--runs", str(root.absolute())])


def export(root: Path, runs: Sequence[str], form: str, metric: str, axis: Axis, folder: Path, now: datetime) -> str:
    """Write a comparison as a file of a format; says where. An older file is never written over. UserError if not."""
    store = RunStore(root)
    gone = next((run_id for run_id in runs if not (root / run_id).is_dir()), None)
    if gone is not None:
        raise UserError(f"{clean(gone, 80)} was deleted, so there is nothing to write of it")
    metrics = dict.fromkeys((*filter(None, [metric]), *DEFAULT_METRICS))
    text = _in_format(compare([store.run(run_id) for run_id in runs], metrics=[*metrics], axis=_AXES[axis]), form)
    path = write_anew(folder, f"compare-{now:%Y%m%d-%H%M%S}", form, text)
    return f"{len(runs)} runs written to {clean(str(path.absolute()), 300)}"


def _in_format(comparison: Comparison, form: str) -> str:
    if form == "html":
        from workbench.runs.compare_html import page  # with it comes what draws SVG

        return page(comparison)
    if form == "json":
        return json.dumps(as_json(comparison), indent=1, ensure_ascii=False) + "\n"
    from workbench.runs import compare_text

    return compare_text.markdown(comparison) if form == "md" else compare_text.csv_text(comparison)
