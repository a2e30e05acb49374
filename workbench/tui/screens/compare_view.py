"""Screen 5 as one sees it: curves of two to eight runs over a table, the keys in which they differ, confusions.

All that is shown is read by a thread (`comparing`), at most `hz` times a second; the screen asks nothing of files. What
the cursor, the baseline and the hidden runs change in the table is worked out here, from what the thread has read.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from workbench.base.text import clean
from workbench.runs.compare import MOST
from workbench.tui.asker import Asker
from workbench.tui.compare_draw import color_of, sample
from workbench.tui.compare_matrix import GAP, beside, missing, names_of, pane
from workbench.tui.compare_rows import (
    CompareRow,
    columns_of,
    differs_line,
    key_columns,
    key_rows,
    keys_note,
    metric_words,
    place_of,
    place_words,
    rows_of,
)
from workbench.tui.comparing import Comparer, Seen, Sight, Wish
from workbench.tui.screens.compare_actions import CSS, EMPTY, PANES, WHERE
from workbench.tui.screens.compare_place import place_of as kept_of
from workbench.tui.screens.compare_place import take_place
from workbench.tui.screens.live import LiveScreen
from workbench.tui.widgets.chart import Chart
from workbench.tui.widgets.chart_view import AXIS_NAMES, Markers, View
from workbench.tui.widgets.frame import Hints, TopLine
from workbench.tui.widgets.lines import TextLines
from workbench.tui.widgets.run_table import RunTable, StillTable
from workbench.tui.widgets.table import Marks

SIDE_BY_SIDE = 120
"""Columns from which two confusion matrices are beside each other."""


class CompareView(LiveScreen[Wish, Sight]):
    """See the module. What the keys do is in `compare`."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (SIDE_BY_SIDE, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (20, "-medium"), (36, "-tall")]  # noqa: RUF012
    DEFAULT_CSS = CSS

    def __init__(self, root: Path | None = None, hz: float | None = None) -> None:
        """`root`: the folder of the runs. `hz`: how often a second to look at most. The app's if none is given."""
        super().__init__(root, hz)
        self.wish = Wish()
        """What is asked for; the cursor of its view is the person's."""
        self.sight: Sight | None = None
        """What is shown."""
        self.rows: list[CompareRow] = []
        self.baseline = ""
        self.finals = False
        self.all_keys = False
        self.first_key_run = 0
        self.turn = 0
        """Which confusion matrix is shown, counted on."""
        self.evaluation = 0
        """Which evaluation, counted on."""
        self.top = 0
        """The first line of the confusion pane."""
        self._room = (0, 0)

    # Building, and going on and off

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield TopLine(WHERE, getattr(self.app, "PLACES", (("5", WHERE),)))
        yield Static(id="tabs")
        with Vertical(id="pane-curves"):
            yield Chart("runs", id="chart")
            yield TextLines(id="legend")
            yield RunTable(id="runs")
            yield Static(id="differs")
        with Vertical(id="pane-keys"):
            yield Static(id="keys-note")
            yield StillTable(lambda column, row, text: "table--strong" if row.differs else "", id="keys")
        yield TextLines(id="pane-confusion")
        yield Static(Text(EMPTY), id="empty")
        yield Static(id="notes")
        yield Hints()

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one("#chart", Chart).can_focus = False
        self.set_class(True, "-quiet", "-curves")
        if not self.wish.runs:
            self.wish, self.baseline = take_place(self._last.get("compare", {}), self.wish, self.root)
        self.set_class(not self.wish.runs, "-empty")
        root = self.root
        self.begin_to_look(Asker("compare-looker", lambda: Comparer(root).look, self.tell, _joined))
        self.show_all()

    @property
    def _last(self) -> dict[str, dict[str, Any]]:
        """Where each screen was in the last session."""
        return getattr(self.app, "last", {})

    def keep_place(self) -> None:
        """For the next session."""
        self._last["compare"] = kept_of(self.wish, self.baseline)

    def on_resize(self) -> None:
        """Other room also for what needs no look. Textual calls this and that of `LiveScreen`."""
        self.call_after_refresh(self.show_all)

    def open_runs(self, runs: Sequence[str]) -> None:
        """Compare these, two to eight, the first as the baseline."""
        chosen = tuple(dict.fromkeys(runs))
        if len(chosen) == 1 or len(chosen) > MOST:
            self.notify(f"compare takes 2 to {MOST} runs (got {len(chosen)})", severity="error", markup=False)
            return
        if chosen != self.wish.runs:
            view = replace(self.wish.view, window=None, cursor=None)
            self.wish = replace(self.wish, runs=chosen, view=view, hidden=frozenset(), metric="", log=False, band=False)
            self.sight, self.rows, self.baseline = None, [], chosen[0] if chosen else ""
            self.turn = self.evaluation = self.top = self.first_key_run = 0
        self.set_class(not chosen, "-empty")
        if self.is_mounted:
            self.show_all()
        self.call_after_refresh(self.ask, again=True)

    # Asking the thread, and what comes back

    @property
    def pane(self) -> str:
        """Which of `PANES` is shown."""
        return next((name for name in PANES if self.has_class(f"-{name}")), PANES[0])

    def ask(self, *, again: bool = False) -> None:
        """Have the thread look; `again`: show what it sees even if nothing is new."""
        if self._hidden or self._asker is None or not self.wish.runs:
            return
        room = self.query_one("#chart", Chart).room if self.pane == "curves" else self._room
        again = again or room != self._room  # layout settles in steps, and may do so unasked
        self._room = room
        markers: Markers = getattr(getattr(self.app, "settings", None), "markers", "braille")
        view = replace(self.wish.view, cursor=None, markers=markers)
        self._asker.ask(replace(self.wish, view=view, width=room[0], height=room[1],
                                evaluations=self.pane == "confusion", again=again))  # fmt: skip

    def show_found(self, found: Sight) -> None:
        """Show it, if it is still what one wants to see."""
        if found.wish.runs == self.wish.runs:
            self.sight = found
            if found.wish.view.axis == self.wish.view.axis and not self.wish.view.window:
                self.wish = replace(self.wish, view=_kept(self.wish.view, found.whole))
            self.show_all()

    # Showing

    def show_all(self) -> None:
        """What there is to show, in the pane that is shown."""
        sight = self.sight
        if sight is None:
            self.query_one(TopLine).status = f"reading {len(self.wish.runs)} runs" if self.wish.runs else ""
            return
        self.put("tabs", self._tabs())
        if self.pane == "curves":
            self.show_curves(sight)
        elif self.pane == "keys":
            self._show_keys(sight)
        else:
            self._show_confusion(sight)
        self._show_notes(sight)

    @property
    def cursor(self) -> float | None:
        """Where the person has put it, if that is on the axis that is shown."""
        sight, view = self.sight, self.wish.view
        return view.cursor if sight is not None and sight.wish.view.axis == view.axis else None

    def show_curves(self, sight: Sight) -> None:
        """Chart, legend, table: everything that the cursor, the baseline and hiding change."""
        hidden, axis = self.wish.hidden, sight.wish.view.axis
        place = place_of(sight, hidden, self.cursor)
        self.rows = rows_of(sight, hidden, place, self.baseline)
        aligned = f"aligned at {place_words(place, axis)}" if place is not None else "nothing to align yet"
        self.query_one(TopLine).status = f"{aligned}  {len(sight.runs)} runs"
        chart = self.query_one("#chart", Chart)
        note = "no such figure in these runs yet" if all(one.points.empty for one in sight.runs) else "nothing to draw"
        chart.show(self._title(sight, aligned, chart.size.width), sight.picture, self.cursor, note)
        table = self.query_one(RunTable)
        if table.styles.height is None or table.styles.height.value != len(self.rows) + 1:
            table.styles.height = len(self.rows) + 1
            self.call_after_refresh(self.ask)
        base = next((row.key for row in self.rows if self.baseline in row.ids), "")
        columns = columns_of(self.rows, axis, place, finals=self.finals)
        table.fill(columns, self.rows, [row.key for row in self.rows], marks=Marks(baseline=base))
        self.put("differs", Text(differs_line(sight)))
        self._show_legend()

    def _title(self, sight: Sight, aligned: str, width: int) -> Text:
        wish = sight.wish
        title = Text(no_wrap=True)
        title.append(f" {metric_words(wish.metric)}", style="bold")
        if self.cursor is not None:
            title.append(f"  {aligned.removeprefix('aligned ')}", style="reverse")
        how = [
            "seeds as bands" if wish.band else "", "log" if wish.log else "",
            f"smooth {wish.view.smoothing:g}" if wish.view.smoothing else "", "zoom" if wish.view.window else "",
            f"x {AXIS_NAMES[wish.view.axis]}",
        ]  # fmt: skip
        right = "  ".join(filter(None, how))
        room = width - title.cell_len - len(right) - 1
        return title.append(" " * max(room, 1) + right, style="dim")

    def _show_legend(self) -> None:
        """Who is who, while the table is away."""
        legend = self.query_one("#legend", TextLines)
        lines = [Text(no_wrap=True)]
        for row in self.rows:
            color = Style(color=f"color({color_of(row.number)})")
            words = f"{'ABCDEFGH'[row.number]} {'hidden' if row.hidden else sample(row.number)} {row.name} {row.value}"
            if lines[-1].cell_len and lines[-1].cell_len + len(words) + 3 > self.size.width - 2:
                lines.append(Text(no_wrap=True))
            lines[-1].append("   " if lines[-1].cell_len else "").append(words, style=color)
        if legend.styles.height is None or legend.styles.height.value != len(lines):
            legend.styles.height = len(lines)
        legend.show(lines)

    def _show_keys(self, sight: Sight) -> None:
        self.query_one(TopLine).status = f"{len(sight.runs)} runs"
        width = self.size.width
        rows = key_rows(sight, width, everything=self.all_keys)
        table = self.query_one("#keys", StillTable)
        table.fill(key_columns(sight, rows, width, self.baseline, self.first_key_run), rows, [row.key for row in rows])
        table.display = bool(rows)
        note = keys_note(sight, everything=self.all_keys)
        more = "; ←→ other runs" if table.gone else ""
        self.put("keys-note", Text(note + more))

    def _show_confusion(self, sight: Sight) -> None:
        lines = self.confusion_lines(sight, self.size.width - 2)
        room = max(self.query_one("#pane-confusion", TextLines).content_size.height, 1)
        self.top = min(self.top, max(len(lines) - room, 0))
        self.query_one("#pane-confusion", TextLines).show(lines[self.top :])
        self.query_one(TopLine).status = f"{len(sight.runs)} runs"

    def confusion_lines(self, sight: Sight, width: int) -> list[Text]:
        """The pane: the baseline's matrix beside another run's, or one of them; then who has none."""
        runs = sorted(sight.runs, key=lambda one: one.id != self.baseline)
        there = [one for one in runs if one.evaluations.found]
        where = "" if str(self.root) == "runs" else f" --runs {shlex.quote(clean(str(self.root), 300))}"
        without = missing(sight.runs, where, width)
        if not there:
            return without
        names = names_of(runs)
        name = names[self.evaluation % len(names)]
        chosen, size = _turned(there, self.turn, 2 if width >= SIDE_BY_SIDE - 2 else 1), width
        if len(chosen) == 2:
            size = (width - GAP) // 2
        lines = beside([pane(one, name, size) for one in chosen], size)
        return [*lines, *([Text("")] if without else []), *without]

    def _tabs(self) -> Text:
        """The panes, the one that is shown in brackets."""
        line = Text(no_wrap=True)
        for name in PANES:
            here = name == self.pane
            line.append(f"[{name}]" if here else f" {name} ", style="bold" if here else "")
        return line

    def _show_notes(self, sight: Sight) -> None:
        """What a person should know of the runs; the line is there only if there is any."""
        notes = [f"{one.letter} {one.id} was deleted: its last figures are shown" for one in sight.runs if one.gone]
        notes += [f"{one.letter}: {one.damaged} damaged lines left out" for one in sight.runs if one.damaged]
        if sight.wish.band and all(len(group) == 1 for group in sight.groups):
            notes.append("no two of these runs differ by seed alone, so there is no band")
        if self.pane == "curves" and all(one.points.empty for one in sight.runs):
            notes.append("m shows another figure" if sight.metrics else "no run has a figure yet")
        self.set_class(not notes, "-quiet")
        self.put("notes", Text(clean("; ".join(notes), 500)))


def _joined(older: Wish, newer: Wish) -> Wish:
    return replace(newer, again=newer.again or older.again)


def _kept(view: View, whole: tuple[float, float]) -> View:
    """A cursor stays within what there is."""
    return view if view.cursor is None else replace(view, cursor=min(max(view.cursor, whole[0]), whole[1]))


def _turned(runs: Sequence[Seen], turn: int, most: int) -> list[Seen]:
    """Which of the runs are shown: the first stays where there is room for two, the others take turns."""
    if most == 1 or len(runs) == 1:
        return [runs[turn % len(runs)]]
    others = runs[1:]
    return [runs[0], others[turn % len(others)]]
