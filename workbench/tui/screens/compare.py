"""Screen 5: two to eight runs side by side. What the keys do; `CompareView` is what one sees."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.message import Message

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.tui import compare_out as out
from workbench.tui.compare_rows import CompareRow, metric_words, place_of
from workbench.tui.compared import last_place, moved
from workbench.tui.comparing import Sight
from workbench.tui.desk import keep_copy
from workbench.tui.screens.compare_actions import ACTIONS, PANE_OF, PANES
from workbench.tui.screens.compare_view import CompareView
from workbench.tui.screens.cursor_keys import CursorKeys
from workbench.tui.screens.runs_dialogs import Choose
from workbench.tui.widgets.chart import Chart
from workbench.tui.widgets.chart_view import View
from workbench.tui.widgets.lines import TextLines
from workbench.tui.widgets.run_table import RunTable, StillTable

if TYPE_CHECKING:
    from workbench.tui.app import Workbench


class CompareScreen(CursorKeys, CompareView):
    """The runs that `open_runs` was given, until it is given others."""

    ACTIONS = ACTIONS

    class Done(Message):
        """What became of a file or a copy."""

        def __init__(self, line: str, wrong: bool) -> None:
            super().__init__()
            self.line, self.wrong = line, wrong

    def may(self, action_id: str) -> bool | None:
        """What means something in this pane; without runs, nothing."""
        return bool(self.wish.runs) and PANE_OF.get(action_id, self.pane) == self.pane

    # What is compared

    def act_metric(self) -> None:
        if self.sight is not None and self.sight.metrics:
            names, here = self.sight.metrics, self.sight.wish.metric
            after = names[(names.index(here) + 1) % len(names)] if here in names else names[0]
            self.wish = replace(self.wish, metric=after, log=False)
            self.ask(again=True)

    def act_axis(self) -> None:
        self._see(self.wish.view.next_axis())

    def act_smooth(self) -> None:
        self._see(self.wish.view.next_smoothing())

    def act_log(self) -> None:
        if not self.wish.log and self.sight is not None and not self.sight.positive:
            self._say(f"{metric_words(self.sight.wish.metric)}: no value is positive, so it has no logarithm")
            return
        self.wish = replace(self.wish, log=not self.wish.log)
        self.ask(again=True)

    def act_band(self) -> None:
        self.wish = replace(self.wish, band=not self.wish.band)
        self.ask(again=True)

    def act_hide(self) -> None:
        row = self._row
        if row is not None:
            hidden = self.wish.hidden - set(row.ids) if row.hidden else self.wish.hidden | set(row.ids)
            self.wish = replace(self.wish, hidden=hidden)
            self.ask(again=True)

    def act_pin(self) -> None:
        row = self._row
        if row is not None:
            self.baseline = row.key
            self.show_all()

    def act_figures(self) -> None:
        self.finals = not self.finals
        self.show_all()

    def act_all_keys(self) -> None:
        self.all_keys = not self.all_keys
        self.show_all()

    def act_before(self) -> None:
        self._turn(-1)

    def act_after(self) -> None:
        self._turn(1)

    def act_evaluation(self) -> None:
        self.evaluation += 1
        self.show_all()

    def _turn(self, by: int) -> None:
        self.turn += by
        self.show_all()

    # Moving about

    def act_pane(self) -> None:
        self._go(PANES[(PANES.index(self.pane) + 1) % len(PANES)])

    def _go(self, pane: str) -> None:
        for name in PANES:
            self.set_class(name == pane, f"-{name}")
        self.top = 0
        self.refresh_bindings()
        self.show_all()
        self.call_after_refresh(self.ask, again=True)

    def act_large(self) -> None:
        self.toggle_class("-max")
        self.call_after_refresh(self.ask, again=True)

    def act_up(self) -> None:
        self._scroll(-1)

    def act_down(self) -> None:
        self._scroll(1)

    def act_page_up(self) -> None:
        self._scroll(-max(self.query_one("#pane-confusion", TextLines).size.height - 1, 5))

    def act_page_down(self) -> None:
        self._scroll(max(self.query_one("#pane-confusion", TextLines).size.height - 1, 5))

    def _scroll(self, by: int) -> None:
        if self.pane == "confusion":
            self.top = max(self.top + by, 0)
            self.show_all()
        else:
            table = self._table
            table.go_to(table.cursor + by)

    @property
    def _table(self) -> StillTable:
        return self.query_one(RunTable) if self.pane == "curves" else self.query_one("#keys", StillTable)

    def act_first(self) -> None:
        self._to_end(0)

    def act_last(self) -> None:
        self._to_end(-1)

    def _to_end(self, end: int) -> None:
        """The first or the last value of those shown; among rows, the first or the last."""
        sight = self.sight
        if sight is None:
            return
        if self.pane != "curves":
            self._scroll(-(10**6) if end == 0 else 10**6)
            return
        axis = sight.wish.view.axis
        shown = [one.points for one in sight.runs if one.id not in self.wish.hidden]
        lasts = [last for points in shown if (last := last_place(points, axis)) is not None]
        firsts = [float(min(points.on(axis))) for points in shown if not points.empty]
        places = firsts if end == 0 else lasts
        if places:
            self._see(self.wish.view.to(min(places) if end == 0 else max(places), sight.whole))

    def move_cursor(self, by: int) -> None:
        """The cursor, from where the runs are aligned; among the keys, the runs that have room."""
        sight = self.sight
        if sight is None:
            return
        if self.pane != "curves":
            self.first_key_run = (self.first_key_run + (1 if by > 0 else -1)) % max(len(sight.runs), 1)
            self.show_all()
            return
        view, axis = self.wish.view, sight.wish.view.axis
        place = place_of(sight, self.wish.hidden, self.cursor)
        if place is not None and axis == view.axis:
            columns = self.query_one("#chart", Chart).picture.columns
            self._see(view.to(moved(place, by, axis, view.shown(sight.whole), columns), sight.whole))

    def act_closer(self) -> None:
        self._zoom(0.5)

    def act_farther(self) -> None:
        self._zoom(2.0)

    def act_whole(self) -> None:
        self._see(replace(self.wish.view, window=None))

    def _zoom(self, factor: float) -> None:
        sight = self.sight
        if sight is not None and sight.wish.view.axis == self.wish.view.axis:
            last = place_of(sight, self.wish.hidden, self.cursor)
            if last is not None:
                self._see(self.wish.view.zoomed(factor, sight.whole, last))

    def _see(self, view: View) -> None:
        """Another view. A cursor that moves needs no drawing: it lies on what is there."""
        before = self.wish.view
        self.wish = replace(self.wish, view=view)
        if replace(before, cursor=None) != replace(view, cursor=None):
            self.ask(again=True)
        elif self.sight is not None:
            self.show_curves(self.sight)

    def act_out(self) -> None:
        """One step out."""
        if self.pane != "curves":
            self._go("curves")
        elif self.wish.view.cursor is not None:
            self._see(replace(self.wish.view, cursor=None))
        elif self.wish.view.window is not None:
            self.act_whole()
        elif self.has_class("-max"):
            self.act_large()

    # Other screens and files

    @property
    def _row(self) -> CompareRow | None:
        row = self.query_one(RunTable).row
        return row if isinstance(row, CompareRow) else None

    def on_virtual_table_opened(self) -> None:
        if self.pane == "curves":
            self.act_open()

    def act_open(self) -> None:
        row = self._row
        if row is not None and len(row.ids) > 1:
            self._say("a band stands for several runs: b shows them one by one")
        elif row is not None:
            cast("Workbench", self.app).open_run(row.ids[0])

    def _order(self, sight: Sight) -> list[str]:
        """The runs, the baseline first: it is what files and the command measure by."""
        return sorted((one.id for one in sight.runs), key=lambda run_id: run_id != self.baseline)

    def act_export(self) -> None:
        sight = self.sight
        if sight is None:
            return
        runs, metric, axis = self._order(sight), sight.wish.metric, sight.wish.view.axis

        def write(form: str | None) -> None:
            if form is not None:
                now, folder = datetime.now().astimezone(), Path.cwd()
                self._in_thread(lambda: out.export(self.root, runs, form, metric, axis, folder, now))

        self.app.push_screen(Choose(f"Write the comparison of {len(runs)} runs as", out.FORMATS), write)

    def act_copy(self) -> None:
        sight = self.sight
        if sight is not None:
            text = out.command(self.root, self._order(sight), sight.wish.metric, sight.wish.view.axis)
            self.app.copy_to_clipboard(text)
            self._in_thread(lambda: f"copied, if the terminal takes it; also in {keep_copy(text)}: {text}")

    def _in_thread(self, work: Callable[[], str]) -> None:
        """Do what may wait for a disk; its sentence, or what went wrong, is a toast."""

        def run() -> None:
            try:
                done = self.Done(work(), wrong=False)
            except (UserError, OSError) as error:
                done = self.Done(str(error), wrong=True)
            with suppress(RuntimeError):  # the screen is gone
                self.post_message(done)

        threading.Thread(target=run, name="compare-out", daemon=True).start()

    def on_compare_screen_done(self, message: Done) -> None:
        self._say(message.line, wrong=message.wrong, serious=message.wrong)

    def _say(self, line: str, *, wrong: bool = True, serious: bool = False) -> None:
        severity = "error" if serious else "warning" if wrong else "information"
        self.app.notify(clean(line, 600), severity=severity, markup=False)  # type: ignore[arg-type]  # it is one of these
