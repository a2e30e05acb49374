"""The keys of the Train screen that change what is seen: axes, smoothing, markers, cursor, zoom, figures, panels."""

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path

from textual.widgets import Log

from workbench.tui.run_series import title_of
from workbench.tui.screens.cursor_keys import CursorKeys
from workbench.tui.screens.runs_dialogs import Choose, Prompt
from workbench.tui.screens.train_steer import Steering
from workbench.tui.watching import Drawn
from workbench.tui.widgets.chart import Chart
from workbench.tui.widgets.chart_view import View, any_positive


class Looking(CursorKeys, Steering):
    """A screen with two charts, `#first` and `#second`, a `#panel` of logs, and a `Prompt`."""

    def __init__(self, root: Path | None = None, hz: float | None = None) -> None:
        """See `LiveScreen`."""
        super().__init__(root, hz)
        self._view = View()
        self._marked = 0
        """Which chart, 0 or 1, or which log, from 2 on, the keys are for."""
        self._paused = False

    @abstractmethod
    def ask(self, *, again: bool = False, by: tuple[int, ...] = ()) -> None:
        """As every live screen; `by`: at the runs so far away."""

    @abstractmethod
    def show_charts(self) -> None:
        """Called when what lies on the charts is another: title, cursor."""

    @abstractmethod
    def show_head(self) -> None:
        """Called when the display is paused, or goes on."""

    @property
    def charts(self) -> list[Chart]:
        """Both of them."""
        return [self.query_one("#first", Chart), self.query_one("#second", Chart)]

    def act_axis(self) -> None:
        self._see(self._view.next_axis())

    def act_smooth(self) -> None:
        self._see(self._view.next_smoothing())

    def act_markers(self) -> None:
        self._see(self._view.next_markers())
        keep = getattr(self.app, "keep_setting", None)
        if keep is not None:
            keep("markers", self._view.markers)

    def act_log_y(self) -> None:
        chart = self.charts[self._marked % 2]
        drawn = self._drawn(chart)
        if not chart.log_y and drawn is not None and drawn.series and not any_positive(drawn.series):
            self.notify(f"{title_of(chart.metric)}: no value is positive, so it has no logarithm", severity="warning",
                        markup=False)  # fmt: skip
            return
        chart.log_y = not chart.log_y
        self.ask(again=True)

    def act_metric(self) -> None:
        names = self._metrics()
        if names:
            metric = self.charts[self._marked % 2].metric
            self._show_metric(names[(names.index(metric) + 1) % len(names)] if metric in names else names[0])

    def act_figure(self) -> None:
        names = self._metrics()
        if names:
            chosen = [(name, title_of(name)) for name in names]
            self.app.push_screen(Choose("Show in the marked chart", chosen), self._show_metric)

    def _metrics(self) -> list[str]:
        """What the marked chart can show: all but what the other one shows."""
        other = self.charts[1 - self._marked % 2].metric
        return [name for name in self.look.metrics if name != other] if self.look else []

    def _show_metric(self, metric: str | None) -> None:
        if metric is not None:
            chart = self.charts[self._marked % 2]
            chart.metric, chart.log_y = metric, False
            self.ask(again=True)

    def act_chart(self) -> None:
        logs = [log for log in self.query(Log) if log.display and self.query_one("#panel").display]
        self._marked = (self._marked + 1) % (2 + len(logs))
        self.set_focus(logs[self._marked - 2] if self._marked >= 2 else None)
        if self._marked < 2:
            self.set_class(self._marked == 0, "-first")
            self.set_class(self._marked == 1, "-second")
        self.show_charts()
        self.call_after_refresh(self.ask, again=True)

    def act_maximise(self) -> None:
        self.toggle_class("-max")
        self._marked %= 2
        self.set_focus(None)
        self.call_after_refresh(self.ask, again=True)

    def act_panel(self) -> None:
        """Events, log, neither; where both have room, both or neither."""
        wide = self.has_class("-wide")
        state = "none" if self.has_class("-no-panel") else "log" if self.has_class("-log") else "events"
        after = {"none": "events", "events": "none" if wide else "log", "log": "none"}[state]
        self.set_class(after == "none", "-no-panel")
        self.set_class(after == "log", "-log")
        self.set_class(after != "log", "-events")
        self._leave_log()
        self.call_after_refresh(self.ask, again=True)

    def act_freeze(self) -> None:
        self._paused = not self._paused
        self.show_head()
        self.ask(again=True)

    def act_first(self) -> None:
        if self.look is not None:
            self._see(self._view.to(self.look.whole[0], self.look.whole))

    def act_last(self) -> None:
        if self.look is not None:
            self._see(self._view.to(self.look.last, self.look.whole))

    def act_closer(self) -> None:
        self._zoom(0.5)

    def act_farther(self) -> None:
        self._zoom(2.0)

    def act_whole(self) -> None:
        self._see(replace(self._view, window=None))

    def act_before(self) -> None:
        self._go(-1)

    def act_after(self) -> None:
        self._go(1)

    def act_out(self) -> None:
        if self.query_one(Prompt).what:
            self.close_prompt()
        elif self.focused is not None:
            self._leave_log()
        elif self._view.cursor is not None:
            self._see(replace(self._view, cursor=None))
        elif self._view.window is not None:
            self.act_whole()
        elif self.has_class("-max"):
            self.act_maximise()

    def _leave_log(self) -> None:
        self._marked = self._marked if self._marked < 2 else int(self.has_class("-second"))
        self.set_focus(None)
        self.show_charts()

    def _go(self, by: int) -> None:
        self._view = replace(self._view, window=None, cursor=None)
        self._paused = False
        self.ask(again=True, by=(by,))

    def move_cursor(self, by: int) -> None:
        if self.look is not None and self.look.view.axis == self._view.axis:
            columns = max((drawn.picture.columns for drawn in self.look.charts), default=0)
            self._see(self._view.moved(by, self.look.whole, self.look.last, columns))

    def _zoom(self, factor: float) -> None:
        if self.look is not None and self.look.view.axis == self._view.axis:
            self._see(self._view.zoomed(factor, self.look.whole, self.look.last))

    def _see(self, view: View) -> None:
        """Another view. A cursor that moves needs no drawing: it lies on what is there."""
        before, self._view = self._view, view
        self.show_charts()
        if replace(before, cursor=None) != replace(view, cursor=None):
            self.ask(again=True)

    def _drawn(self, chart: Chart) -> Drawn | None:
        charts = self.look.charts if self.look else ()
        return next((drawn for drawn in charts if drawn.wanted.metric == chart.metric), None)
