"""Screen 3: one run, of this machine or another, as it trains: curves, progress, events, log, and the keys to steer it.

All that is shown is read from the run's directory by a thread (`looker`), at most `hz` times a second; the screen asks
nothing of files itself.
"""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Log, Static

from workbench.base.text import clean
from workbench.tui.log_tail import LOG_LINES
from workbench.tui.looker import Answer, Looker
from workbench.tui.run_lines import alert_lines, chart_title, facts, head, progress
from workbench.tui.screens.runs_dialogs import Prompt
from workbench.tui.screens.train_actions import ACTIONS, CSS, WHERE
from workbench.tui.screens.train_place import place_of, take_place
from workbench.tui.screens.train_steer import Steering
from workbench.tui.watching import Drawn, Job, Look, Nothing, Wanted, title_of
from workbench.tui.widgets.chart import Chart
from workbench.tui.widgets.chart_view import View, any_positive
from workbench.tui.widgets.frame import Hints, TopLine

if TYPE_CHECKING:
    from textual.timer import Timer

HZ = 2.0
"""How often a second to look, where no setting says."""
MOST_ALERTS = 3
FAR = 10
"""Columns that the cursor jumps with shift."""
EMPTY = """\
There is no run in {root} yet.

Start one in another terminal:

    cnn-workbench --headless --profile quick.toml{runs}

It shows here by itself."""


class TrainScreen(Steering):
    """The run that `open_run` was given, else the newest that lives, else the newest."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (20, "-medium"), (36, "-tall")]  # noqa: RUF012
    DEFAULT_CSS = CSS
    ACTIONS = ACTIONS

    class Found(Message):
        """What the thread has seen."""

        def __init__(self, answer: Answer) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, root: Path | None = None, hz: float | None = None) -> None:
        """`root`: the folder of the runs. `hz`: how often a second to look at most. The app's if none is given."""
        super().__init__()
        self._root_given, self._hz_given = root, hz
        self._run = ""
        """Where `open_run` was told to go, until the thread is told."""
        self._view = View()
        self._paused = False
        self._marked = 0
        self._told: set[tuple[str, str]] = set()
        self._problem = ""
        self._room_asked: tuple[Wanted, ...] = ()
        self._timer: Timer | None = None
        self._looker: Looker | None = None
        self._hidden = False

    # Building, and going on and off

    def compose(self) -> ComposeResult:
        """From top to bottom: where one is, how far the run is, charts, facts, alerts, events and log."""
        yield TopLine(WHERE, getattr(self.app, "PLACES", (("3", WHERE),)))
        yield Static(id="head")
        yield Static(id="bar")
        with Vertical(id="charts"):
            yield Chart("loss", id="first")
            yield Chart("top1", id="second")
        yield Static(id="empty")
        yield Static(id="facts")
        yield Static(id="alerts")
        with Horizontal(id="panel"):
            yield Log(max_lines=LOG_LINES, id="events")
            yield Log(max_lines=LOG_LINES, id="log")
        yield Prompt()
        yield Hints()

    def on_mount(self) -> None:
        """Begin to look."""
        self.set_class(True, "-first", "-events", "-well", "-some")
        self._view = take_place(getattr(self.app, "last", {}).get("train", {}), self._view, self.charts, self)
        self._looker = Looker(self.root, self._tell)
        self._looker.start()
        hz: float = self._hz_given or getattr(getattr(self.app, "settings", None), "hz", HZ) or HZ
        self._timer = self.set_interval(1 / hz, self.look_again)
        self.call_after_refresh(self._ask, again=True)

    def on_unmount(self) -> None:
        """No more looking."""
        if self._looker:
            self._looker.end()

    def on_screen_suspend(self) -> None:
        """A screen that nobody sees costs nothing."""
        self.keep_place()
        self._hidden = True
        if self._timer:
            self._timer.pause()

    def keep_place(self) -> None:
        """For the next session."""
        getattr(self.app, "last", {})["train"] = place_of(self._view, self.charts, self)

    def on_screen_resume(self) -> None:
        """Back on the terminal: once at once, then as before."""
        self._hidden = False
        if self._timer:
            self._ask(again=True)
            self._timer.resume()

    def on_resize(self) -> None:
        """Other room for the charts, once it has been shared out."""
        self.call_after_refresh(self._ask, again=True)

    def open_run(self, run_id: str) -> None:
        """Watch another run."""
        if self.look is None or run_id != self.look.run:
            self._view = replace(self._view, window=None, cursor=None)
        self._run, self._paused = run_id, False
        self._ask(again=True)

    # Asking the thread, and what comes back

    @property
    def root(self) -> Path:
        """The folder of the runs."""
        if self._root_given is None:
            self._root_given = Path(getattr(self.app, "root", "runs"))
        return self._root_given

    @property
    def charts(self) -> list[Chart]:
        """Both of them."""
        return [self.query_one("#first", Chart), self.query_one("#second", Chart)]

    def look_again(self) -> None:
        """What the clock asks for; while the display is paused, nothing that is not there already."""
        self._ask()

    def _ask(self, *, again: bool = False, by: tuple[int, ...] = ()) -> None:
        if self._hidden or self._looker is None:
            return
        charts = tuple(
            Wanted(chart.metric, chart.log_y, *chart.room) for chart in self.charts if chart.display and chart.size
        )
        again = again or charts != self._room_asked  # layout settles in steps, and may do so unasked
        self._room_asked = charts
        self._looker.ask(Job(self._run, by, self._view, charts, not self._paused, again))
        self._run = ""

    def _tell(self, answer: Answer) -> None:
        """In the thread. A screen that is being taken down hears nothing."""
        with suppress(RuntimeError):
            self.post_message(self.Found(answer))

    def on_train_screen_found(self, message: Found) -> None:
        """Show it."""
        match message.answer:
            case Look() as look:
                self._problem = ""
                self._show(look)
            case Nothing():
                self._show_none()
            case Exception() as error:
                problem = clean(f"cannot read the run: {type(error).__name__}: {error}", 300)
                if problem != self._problem:
                    self._problem = problem
                    self.notify(problem, severity="error", markup=False)

    def _show(self, look: Look) -> None:
        if self._paused and self.look is not None and look.run == self.look.run:
            self.look = look
            self._show_charts()
            return
        before, self.look = self.look, look
        self.set_class(True, "-some")
        self.set_class(False, "-none")
        if look.view.axis == self._view.axis and self._view.window is None:
            self._view = replace(self._view, cursor=_kept(self._view.cursor, look))
        self._show_lines(look)
        self._show_charts()
        self._show_news(look)
        self._say(look, before)

    def _show_none(self) -> None:
        self.look = None
        self.set_class(False, "-some")
        self.set_class(True, "-none")
        root = clean(str(self.root), 300)
        runs = "" if root == "runs" else f" --runs {root}"
        self._put("empty", Text(EMPTY.format(root=root, runs=runs)), layout=True)

    def _show_lines(self, look: Look) -> None:
        width = self.size.width
        self._put("head", head(look, width, paused=self._paused))
        self._put("bar", progress(look, width))
        self._put("facts", facts(look, width))
        self.set_class(not look.alerts, "-well")
        self._put("alerts", alert_lines(look, width, MOST_ALERTS), layout=True)
        self.query_one(TopLine).status = f"run {look.place[0]} of {look.place[1]}" if look.place[0] else ""

    def _put(self, name: str, text: Text, *, layout: bool = False) -> None:
        """Only what is different goes to the terminal."""
        line = self.query_one(f"#{name}", Static)
        if line.content != text:
            line.update(text, layout=layout)

    def _show_charts(self) -> None:
        look = self.look
        if look is None:
            return
        for number, chart in enumerate(self.charts):
            drawn = next((one for one in look.charts if one.wanted.metric == chart.metric), None)
            if drawn is None:
                continue
            title = chart_title(drawn, self._view, chart.size.width, focused=number == self._marked)
            cursor = self._view.cursor if look.view.axis == self._view.axis else None
            note = "no such figure in this run yet" if not drawn.series else "nothing to draw yet"
            chart.show(title, drawn.picture, cursor, note)

    def _show_news(self, look: Look) -> None:
        for name, lines in (("#events", look.events), ("#log", look.log)):
            log = self.query_one(name, Log)
            if look.anew:
                log.clear()
            if lines:
                log.write(("\n" if log.line_count else "") + "\n".join(lines))  # no empty line at the end

    def _say(self, look: Look, before: Look | None) -> None:
        """Each alert once a run, and the end of a run that was seen alive."""
        for alert in look.alerts:
            if (look.run, alert.kind) not in self._told:
                self._told.add((look.run, alert.kind))
                self.notify(alert.text, title=look.run, severity="warning" if alert.serious else "information",
                            markup=False)  # fmt: skip
        if before is not None and before.run == look.run and before.live and not look.live:
            self.app.bell()
            if not any(alert.kind == look.state.name for alert in look.alerts):  # else that has just been told
                self.notify(f"the run is over: {look.state.name}", title=look.run, markup=False)

    # Looking

    def act_axis(self) -> None:
        self._see(self._view.next_axis())

    def act_smooth(self) -> None:
        self._see(self._view.next_smoothing())

    def act_log_y(self) -> None:
        chart = self.charts[self._marked % 2]
        drawn = self._drawn(chart)
        if not chart.log_y and (drawn is None or not any_positive(drawn.series)):
            self.notify(f"{title_of(chart.metric)}: no value is positive, so it has no logarithm", severity="warning",
                        markup=False)  # fmt: skip
            return
        chart.log_y = not chart.log_y
        self._ask(again=True)

    def act_metric(self) -> None:
        if self.look is None:
            return
        chart, other = self.charts[self._marked % 2], self.charts[1 - self._marked % 2]
        names = [name for name in self.look.metrics if name != other.metric]
        chart.metric = names[(names.index(chart.metric) + 1) % len(names)] if chart.metric in names else names[0]
        chart.log_y = False
        self._ask(again=True)

    def act_chart(self) -> None:
        logs = [log for log in self.query(Log) if log.display and self.query_one("#panel").display]
        self._marked = (self._marked + 1) % (2 + len(logs))
        self.set_focus(logs[self._marked - 2] if self._marked >= 2 else None)
        if self._marked < 2:
            self.set_class(self._marked == 0, "-first")
            self.set_class(self._marked == 1, "-second")
        self._show_charts()
        self.call_after_refresh(self._ask, again=True)

    def act_maximise(self) -> None:
        self.toggle_class("-max")
        self._marked %= 2
        self.set_focus(None)
        self.call_after_refresh(self._ask, again=True)

    def act_panel(self) -> None:
        """Events, log, neither; where both have room, both or neither."""
        wide = self.has_class("-wide")
        state = "none" if self.has_class("-no-panel") else "log" if self.has_class("-log") else "events"
        after = {"none": "events", "events": "none" if wide else "log", "log": "none"}[state]
        self.set_class(after == "none", "-no-panel")
        self.set_class(after == "log", "-log")
        self.set_class(after != "log", "-events")
        self._leave_log()
        self.call_after_refresh(self._ask, again=True)

    def act_freeze(self) -> None:
        self._paused = not self._paused
        if self.look is not None:
            self._put("head", head(self.look, self.size.width, paused=self._paused))
        self._ask(again=True)

    def act_left(self) -> None:
        self._move(-1)

    def act_right(self) -> None:
        self._move(1)

    def act_far_left(self) -> None:
        self._move(-FAR)

    def act_far_right(self) -> None:
        self._move(FAR)

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
        self._show_charts()

    def _go(self, by: int) -> None:
        self._view = replace(self._view, window=None, cursor=None)
        self._paused = False
        self._ask(again=True, by=(by,))

    def _move(self, by: int) -> None:
        if self.look is not None and self.look.view.axis == self._view.axis:
            columns = max((drawn.picture.columns for drawn in self.look.charts), default=0)
            self._see(self._view.moved(by, self.look.whole, self.look.last, columns))

    def _zoom(self, factor: float) -> None:
        if self.look is not None and self.look.view.axis == self._view.axis:
            self._see(self._view.zoomed(factor, self.look.whole, self.look.last))

    def _see(self, view: View) -> None:
        """Another view. A cursor that moves needs no drawing: it lies on what is there."""
        before, self._view = self._view, view
        self._show_charts()
        if replace(before, cursor=None) != replace(view, cursor=None):
            self._ask(again=True)

    def _drawn(self, chart: Chart) -> Drawn | None:
        charts = self.look.charts if self.look else ()
        return next((drawn for drawn in charts if drawn.wanted.metric == chart.metric), None)


def _kept(cursor: float | None, look: Look) -> float | None:
    """A cursor stays within what there is."""
    return None if cursor is None else min(max(cursor, look.whole[0]), look.whole[1])
