"""A comparison as one HTML page that needs nothing else: no network, no other file, and no script but its own.

The policy in the page's head lets a browser run the one script below, known by its hash, and fetch nothing. Whatever
comes from a run is text: cleaned, escaped, and never in an attribute.
"""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Any

from workbench.base.text import clean
from workbench.runs import svg
from workbench.runs.compare import Comparison, letter
from workbench.runs.compare_text import alike_in_words, cell, headline, note_line, standing, value_in_words
from workbench.runs.curves import Chart
from workbench.runs.units import MISSING

LONGEST = 300
"""Characters of a note or a setting; the rest is in the run."""

SCRIPT = """\
"use strict";
for (const svg of document.querySelectorAll("figure svg")) {
  const home = svg.getAttribute("viewBox").split(" ").map(Number);
  let view = [...home], from = null, moved = false;
  const show = () => svg.setAttribute("viewBox", view.join(" "));
  const place = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [point.x, point.y];
  };
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [x, y] = place(event);
    const factor = Math.exp(Math.max(-0.5, Math.min(0.5, event.deltaY / 400)));
    const width = Math.max(home[2] / 200, view[2] * factor), by = width / view[2];
    view = width >= home[2] ? [...home] : [x - (x - view[0]) * by, y - (y - view[1]) * by, width, view[3] * by];
    show();
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => {
    if (event.button === 0) { from = place(event); moved = false; }
  });
  svg.addEventListener("pointermove", (event) => {
    if (!from || !event.buttons) return;
    const [x, y] = place(event);
    if (!moved && Math.hypot(x - from[0], y - from[1]) < view[2] / 200) return;
    if (!moved) { moved = true; svg.setPointerCapture(event.pointerId); }
    view[0] += from[0] - x;
    view[1] += from[1] - y;
    show();
  });
  svg.addEventListener("pointerup", () => { from = null; });
  svg.addEventListener("pointercancel", () => { from = null; });
  svg.addEventListener("dblclick", () => { view = [...home]; show(); });
  for (const legend of svg.querySelectorAll(".legend")) {
    legend.addEventListener("click", () => {
      if (moved) return;
      const off = legend.classList.toggle("off");
      for (const line of svg.querySelectorAll(".series"))
        if (line.dataset.line === legend.dataset.line) line.classList.toggle("off", off);
    });
    legend.addEventListener("dblclick", (event) => event.stopPropagation());
  }
}
"""
"""Wheel: zoom at the pointer. Drag: move. Double click: as it was. A click in the legend hides a line."""

STYLE = """\
:root { color-scheme: light dark; --ink: #24292f; --dim: #59636e; --edge: #d1d9e0; --ground: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d1d7e0; --dim: #9198a1; --edge: #3d444d; --ground: #0d1117; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } div.wide { overflow-x: auto; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--edge); text-align: right; vertical-align: top; }
th:first-child, td:first-child, table.who td { text-align: left; }
td.best { font-weight: 600; } small, p { color: var(--dim); }
figure { margin: 1.5rem 0; border: 1px solid var(--edge); border-radius: 6px; overflow: hidden; }
figure svg { display: block; width: 100%; height: auto; cursor: grab; touch-action: pan-y; user-select: none; }
svg text { font-family: inherit; fill: var(--ink); } svg .axis path { stroke: var(--dim); }
svg .legend { cursor: pointer; } svg .legend.off { opacity: .4; } svg .series.off { display: none; }
"""


def page(comparison: Comparison) -> str:
    """The page: who is who, settings that differ, figures with differences, a chart a metric."""
    title = f"Comparison of {len(comparison.runs)} runs"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{title}</h1>",
        _who(comparison),
        "<h2>Settings that differ</h2>",
        _settings(comparison),
        "<h2>Figures</h2>",
        _figures(comparison),
        "<h2>Curves</h2>",
        "<p>Wheel: zoom. Drag: move. Double click: as it was. Click in a legend: hide or show a line.</p>",
        *(_figure(chart, metric) for metric, chart in zip(comparison.curves, comparison.charts(), strict=True)),
        f"<script>{SCRIPT}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def policy() -> str:
    """What a browser may do with the page: its own style, the one script, nothing from elsewhere."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _text(value: Any) -> str:
    """Text of a run as text of a page."""
    return escape(svg.xml_text(str(value), LONGEST))


def _figure(chart: Chart, metric: str) -> str:
    if not any(line.x for line in chart.lines):
        return f"<p>No run has a value of {_text(metric)} yet.</p>"
    logarithmic = None if metric.endswith("loss") else False
    return f"<figure>{svg.draw(chart, width=960, height=520, log_y=logarithmic, standalone=False)}</figure>"


def _table(kind: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{_text(text)}</th>" for text in heads)
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table class="{kind}">\n<tr>{head}</tr>\n{lines}\n</table></div>'


def _who(comparison: Comparison) -> str:
    rows = []
    for i, (run, damaged) in enumerate(zip(comparison.runs, comparison.damaged, strict=True)):
        note = " · ".join(filter(None, [", ".join(clean(tag, 40) for tag in run.tags), note_line(run, LONGEST)]))
        if damaged:
            note += f" ({damaged} damaged lines are left out)"
        texts = (letter(i), run.id, headline(run), standing(run), note or MISSING)
        rows.append("".join(f"<td>{_text(text)}</td>" for text in texts))
    return _table("who", ["", "run", "what", "state", "tags and note"], rows)


def _settings(comparison: Comparison) -> str:
    said = f"<p>{_text(alike_in_words(comparison))}</p>"
    if not comparison.settings:
        return said
    rows = [
        "".join(f"<td>{_text(text)}</td>" for text in (key, *map(value_in_words, values)))
        for key, values in comparison.settings.items()
    ]
    return _table("settings", ["setting", *map(letter, range(len(comparison.runs)))], rows) + said


def _figures(comparison: Comparison) -> str:
    rows = []
    for row in comparison.figures:
        cells = [f"<td>{_text(row.figure.label)}</td>"]
        for i in range(len(comparison.runs)):
            value, apart = cell(row, i)
            mark = ' class="best"' if i in row.best else ""
            beside = f" <small>{_text(apart)}</small>" if apart else ""
            cells.append(f"<td{mark}>{_text(value)}{beside}</td>")
        rows.append("".join(cells))
    return _table("figures", ["figure", *map(letter, range(len(comparison.runs)))], rows)
