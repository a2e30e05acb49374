"""Screen 3: one run, of this machine or another, as it trains: curves, progress, events, log, and the keys to steer it.

All that is shown is read from the run's directory by a thread (`looker`), at most `hz` times a second; the screen asks
nothing of files itself.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Log, Static

from workbench.base.text import clean
from workbench.tui.log_tail import LOG_LINES
from workbench.tui.looker import Looker
from workbench.tui.run_lines import alert_lines, chart_title, facts, head, progress
from workbench.tui.screens.runs_dialogs import Prompt
from workbench.tui.screens.train_actions import ACTIONS, CSS, WHERE
from workbench.tui.screens.train_looking import Looking
from workbench.tui.screens.train_place import place_of, take_place
from workbench.tui.watching import Job, Look, Nothing, Wanted
from workbench.tui.widgets.chart import Chart
from workbench.tui.widgets.frame import Hints, TopLine

if TYPE_CHECKING:
    from workbench.tui.ends import TellsEnds

MOST_ALERTS = 3
EMPTY = """\
There is no run in {root} yet.

Press 2, choose a profile (quick takes about a minute), then G and enter.

Or in another terminal:

    cnn-workbench --headless --profile quick.toml{runs}

It shows here by itself."""


class TrainScreen(Looking):
    """The run that `open_run` was given, else the newest that lives, else the newest."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (20, "-medium"), (36, "-tall")]  # noqa: RUF012
    DEFAULT_CSS = CSS
    ACTIONS = ACTIONS
    LOOKED_AT = "the run"

    def __init__(self, root: Path | None = None, hz: float | None = None) -> None:
        """`root`: the folder of the runs. `hz`: how often a second to look at most. The app's if none is given."""
        super().__init__(root, hz)
        self._run = ""
        """Where `open_run` was told to go, until the thread is told."""
        self._told: set[tuple[str, str]] = set()
        self._room_asked: tuple[Wanted, ...] = ()

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
        settings = getattr(self.app, "settings", None)
        self._view = replace(self._view, markers=getattr(settings, "markers", self._view.markers))
        self.begin_to_look(Looker(self.root, self.tell))
        if hasattr(self.app, "slow_line"):
            self.watch(self.app, "slow_line", self._take_line)

    def keep_place(self) -> None:
        """For the next session."""
        getattr(self.app, "last", {})["train"] = place_of(self._view, self.charts, self)

    def open_run(self, run_id: str) -> None:
        """Watch another run."""
        if self.look is None or run_id != self.look.run:
            self._view = replace(self._view, window=None, cursor=None)
        self._run, self._paused = run_id, False
        self.ask(again=True)

    # Asking the thread, and what comes back

    def _take_line(self, slow: bool) -> None:
        """One chart where the line is slow, the marked one."""
        self.set_class(slow, "-slow")
        self.call_after_refresh(self.ask, again=True)

    def ask(self, *, again: bool = False, by: tuple[int, ...] = ()) -> None:
        if self._hidden or self._asker is None:
            return
        charts = tuple(
            Wanted(chart.metric, chart.log_y, *chart.room) for chart in self.charts if chart.display and chart.size
        )
        again = again or charts != self._room_asked  # layout settles in steps, and may do so unasked
        self._room_asked = charts
        self._asker.ask(Job(self._run, by, self._view, charts, not self._paused, again))
        self._run = ""

    def show_found(self, found: Look | Nothing) -> None:
        """The run, or that there is none."""
        if isinstance(found, Look):
            self._show(found)
        else:
            self._show_none()

    def _show(self, look: Look) -> None:
        if self._paused and self.look is not None and look.run == self.look.run:
            self.look = look
            self.show_charts()
            return
        if look.live:
            cast("TellsEnds", self.app).watch_run(look.path)
        if look.gone:
            self.notify(f"{look.gone} is not there any more: this is another run", severity="warning", markup=False)
        before, self.look = self.look, look
        if before is None or before.live != look.live:
            self.query_one(Hints).refresh()
        self.set_class(True, "-some")
        self.set_class(False, "-none")
        if look.view.axis == self._view.axis and self._view.window is None:
            self._view = replace(self._view, cursor=_kept(self._view.cursor, look))
        self._show_lines(look)
        self.show_charts()
        self._show_news(look)
        self._say(look, before)

    def _show_none(self) -> None:
        self.look = None
        self.set_class(False, "-some")
        self.set_class(True, "-none")
        root = clean(str(self.root), 300)
        runs = "" if root == "runs" else f" --runs {root}"
        self.put("empty", Text(EMPTY.format(root=root, runs=runs)), layout=True)

    def _show_lines(self, look: Look) -> None:
        width = self.size.width
        self.show_head()
        self.put("bar", progress(look, width))
        self.put("facts", facts(look, width))
        self.set_class(not look.alerts, "-well")
        self.put("alerts", alert_lines(look, width, MOST_ALERTS), layout=True)
        self.query_one(TopLine).status = f"run {look.place[0]} of {look.place[1]}" if look.place[0] else ""

    def show_head(self) -> None:
        if self.look is not None:
            self.put("head", head(self.look, self.size.width, paused=self._paused))

    def show_charts(self) -> None:
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
        """Each alert once a run. Of the end of a run that was seen alive the app tells, whatever screen is shown."""
        ended = look.state.name if before is not None and before.run == look.run and before.live else ""
        for alert in look.alerts:
            if (look.run, alert.kind) not in self._told:
                self._told.add((look.run, alert.kind))
                if alert.kind in (ended, "stopping", "over"):  # of which another toast has told
                    continue
                self.notify(alert.text, title=look.run, severity="warning" if alert.serious else "information",
                            markup=False)  # fmt: skip


def _kept(cursor: float | None, look: Look) -> float | None:
    """A cursor stays within what there is."""
    return None if cursor is None else min(max(cursor, look.whole[0]), look.whole[1])
