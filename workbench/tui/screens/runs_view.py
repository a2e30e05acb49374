"""The leaderboard on the screen: what is seen of it. What the keys do is in `runs`.

What a person asks for is a `View`; a thread makes the `Board` of it (see `board`), about once a second anew while runs
change, and the table shows it. One look is under way at a time: the screen asks, the thread answers once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.columns import Column
from workbench.runs.leaderboard import Group
from workbench.runs.summary import Summary
from workbench.tui import desk as do
from workbench.tui.actions import WithActions
from workbench.tui.board import SHAPES, Board, View, view_of
from workbench.tui.pace import Beat, moment_of
from workbench.tui.run_preview import preview
from workbench.tui.screens.runs_dialogs import Prompt
from workbench.tui.widgets.frame import Hints, TopLine
from workbench.tui.widgets.lines import TextLines
from workbench.tui.widgets.table import Marks, VirtualTable

if TYPE_CHECKING:
    from textual.timer import Timer

    from workbench.tui.app import Workbench

WATCH_SECONDS = 1.0
"""Between two looks at the folder."""
SHORT = 20
"""Rows below which the table has them all."""
STATE_RANK = 86
"""Of the column of states, which on a screen that is watched matters more than in a list that is printed."""
NO_RUNS = """\
There are no runs in {root} yet.

Press 2, choose a profile (quick takes about a minute), then G and enter.

Or in another terminal:

    cnn-workbench --headless --profile quick.toml{runs}

It appears here by itself."""
PREVIEW_SECONDS = 0.15
"""The cursor rests so long on a run before it is previewed and its journal is read."""

_TONES = {"finished": "table--good", "failed": "table--bad", "crashed": "table--bad", "running": "table--live",
          "paused": "table--waiting", "silent": "table--waiting", "frozen": "table--waiting",
          "lost": "table--bad"}  # fmt: skip


class Looked(Message):
    """A look is over."""

    def __init__(self, view: View, board: Board | None, mistake: str = "") -> None:
        super().__init__()
        self.view = view
        self.board = board
        self.mistake = mistake


class CurveRead(Message):
    """The test accuracies of a run have been read."""

    def __init__(self, run_id: str, curve: list[float | None]) -> None:
        super().__init__()
        self.run_id = run_id
        self.curve = curve


class RunsView(WithActions, Screen[None]):
    """See the module."""

    AUTO_FOCUS = "VirtualTable"
    DEFAULT_CSS = """
    RunsView {
        & > #runs-notes { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #runs-empty { height: 1fr; padding: 1 2; display: none; }
        & > #runs-preview { height: 7; padding: 0 1; border-top: solid $panel; }
        &.-empty > #runs-empty { display: block; }
        &.-empty > VirtualTable { display: none; }
        &.-short > #runs-preview { display: none; }
        &.-tall > #runs-preview { height: 15; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.view = View()
        """What is asked for."""
        self.board = Board()
        """What is shown."""
        self.marked: dict[str, None] = {}
        """Ids of marked runs, in the order of marking."""
        self.deleted: list[str] = []
        """Names in the trash of what was deleted here."""
        self._desk: do.Desk | None = None
        self._looking = False
        self._seen = False
        self._again = False
        self._whole = False
        self._hidden = False
        self._beat = Beat(1 / WATCH_SECONDS)
        self._beside = 0.0
        """Seconds of a core that looks have taken in their threads."""
        self._watch: Timer | None = None
        self._rest: Timer | None = None
        self._curves: dict[str, tuple[Summary, list[float | None]]] = {}

    def compose(self) -> ComposeResult:
        yield TopLine("Runs", cast("Workbench", self.app).PLACES)
        yield VirtualTable(_tone)
        yield Static(id="runs-empty")
        yield Static(Text("looking at the runs"), id="runs-notes")
        yield TextLines(id="runs-preview")
        yield Prompt()
        yield Hints()

    def on_mount(self) -> None:
        if self.view == View():
            self.view = view_of(self._last)
        self._desk = do.Desk(cast("Workbench", self.app).root)
        self._watch = self.set_interval(WATCH_SECONDS, self._tick)
        self.watch(self.app, "app_focus", self._focus_is_back, init=False)
        self.look()

    def _tick(self) -> None:
        """What the clock asks for: a look, unless that takes too much from a run of this process, or nobody looks."""
        if self._beat.due(moment_of(self.app, self._beside)):
            self.look()

    def _focus_is_back(self, focus: bool) -> None:
        if focus and not self._hidden:
            self.look()

    def on_screen_suspend(self) -> None:
        """Timers of a hidden screen would go on."""
        self._hidden = True
        if self._watch is not None:
            self._watch.pause()

    def on_screen_resume(self) -> None:
        self._hidden = False
        if self._watch is not None:
            self._watch.resume()
            self.look()

    @property
    def _last(self) -> dict[str, Any]:
        """Where the last session was, and what the next one is to find; nothing in an app that keeps neither."""
        places: dict[str, dict[str, Any]] = getattr(self.app, "last", {})
        return places.setdefault("runs", {})

    @property
    def desk(self) -> do.Desk:
        """The runs; of the screen alone, since a store is for one thread at a time."""
        assert self._desk is not None  # there is none before the screen is
        return self._desk

    # Looking

    def look(self, *, whole: bool = False) -> None:
        """Ask for the rows of the view; `whole`: of every run, after something was changed."""
        self._whole |= whole
        if self._looking:
            self._again = True
            return
        self._looking, self._again = True, False
        self._look_in_thread(self.view, self._whole)
        self._whole = False

    def see(self, view: View) -> None:
        """Show something else from now on."""
        self.view = view
        self._last.update(asdict(view))
        if self.is_mounted:
            self.look()

    def show_filter(self, words: str) -> None:
        """Show the runs that a filter chooses, one by one; for other screens: `arch=resnet18`."""
        self.see(replace(self.view, filter=words, by=()))

    @work(thread=True, group="runs-look", exit_on_error=False)
    def _look_in_thread(self, view: View, whole: bool) -> None:
        began = time.thread_time()
        try:
            self.post_message(Looked(view, self.desk.look(view, whole=whole)))
        except UserError as error:
            self.post_message(Looked(view, None, str(error)))
        finally:
            self._beside += time.thread_time() - began  # one look at a time: nobody else adds to it

    def on_looked(self, event: Looked) -> None:
        """Show it if it is what is asked for by now, and look again where it is not."""
        self._looking = False
        if event.mistake and event.view == self.view:  # a key in the filter that no run has any more
            self.say(event.mistake.split("\n")[0], wrong=True)
            self.view = replace(self.view, filter="")
            self._again = True
        if event.board is not None and event.view == self.view:
            self._show(event.board)
        if self._again or event.view != self.view:
            self.look()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A mistake of ours in a thread is told, and the next look is tried."""
        if event.state is WorkerState.ERROR:
            self.say(f"{type(event.worker.error).__name__}: {event.worker.error}", wrong=True)
            if event.worker.group == "runs-look":
                self._looking = False

    # Showing

    def _show(self, board: Board) -> None:
        self.board, self._seen = board, True
        table = self.query_one(VirtualTable)
        self.marked = {run_id: None for run_id in self.marked if run_id in board.ids}
        columns = [_with_shape(column) if column.name == "state" else column for column in board.columns]
        table.fill(columns, board.rows, board.keys, arrows=board.view.arrows(), marks=self._marks())
        self.set_class(not board.rows, "-empty")
        if not board.rows:
            self.query_one("#runs-empty", Static).update(Text(self._nothing()))
        elif self.focused is None:
            table.focus()
        self._tell()

    def _nothing(self) -> str:
        if self.board.ids:
            hint = "; ".join([*self.board.notes, "esc clears the filter"])
            return f"none of {len(self.board.ids):,} runs is chosen: {hint}"
        root = clean(str(self.desk.root), 200)
        runs = "" if root == "runs" else f" --runs {root}"
        return NO_RUNS.format(root=root, runs=runs)

    def _tell(self) -> None:
        """The line at the top and the one below the table."""
        if not self._seen:
            return  # the line says that the first look is under way
        board, view = self.board, self.view
        unit = "groups" if view.by else "runs"
        count = f"{len(board.rows):,} {unit}" + (f" of {len(board.ids):,}" if board.matching != len(board.ids) else "")
        order = " ".join(f"{name}{'▼' if descending else '▲'}" for name, descending in view.sorting)
        marked = f"* {len(self.marked)} marked" if self.marked else ""
        shown = [f"filter {view.filter}" if view.filter else "", f"by {','.join(view.by)}" if view.by else ""]
        status = "  ".join(filter(None, [*shown, count, f"sort {order}", marked]))
        self.query_one(TopLine).status = clean(status, 300)
        gone = self.query_one(VirtualTable).gone if board.rows else ()
        told = {column.name: column.title for column in board.columns if column.name.endswith(("_diff", "_ratio"))}
        gone = tuple(told.get(name, name) for name in gone)  # nobody types the names of differences
        notes = [*board.notes, *([f"too narrow for {', '.join(gone)}"] if gone else [])]
        self._put("#runs-notes", Text(clean("; ".join(notes), 500), no_wrap=True, overflow="ellipsis"))

    def _put(self, where: str, text: Text) -> None:
        """Change a line of fixed height, if it is another: each time costs bytes on the line."""
        widget = self.query_one(where, Static)
        if widget.content != text:
            widget.update(text, layout=False)

    def _marks(self) -> Marks:
        board = self.board
        if board.view.by:
            inside = {key: [run.id for run in board.runs_of(row)]
                      for key, row in zip(board.keys, board.rows, strict=True)}  # fmt: skip
            marked = [key for key, ids in inside.items() if all(run_id in self.marked for run_id in ids)]
            baseline = next((key for key, ids in inside.items() if board.view.baseline in ids), "")
            return Marks(frozenset(marked), (), baseline)
        pinned = frozenset(row.id for row in board.rows if isinstance(row, Summary) and row.pinned)
        return Marks(self.marked, pinned, board.view.baseline)

    def remark(self) -> None:
        """Show other marks on the same rows."""
        self.query_one(VirtualTable).mark(self._marks())
        self._tell()

    # The preview

    def on_virtual_table_moved(self) -> None:
        """Once the cursor rests: a held key costs no more than its lines of the table."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(PREVIEW_SECONDS, self._rested)

    def _rested(self) -> None:
        run = self.run_here
        self._preview()
        if run is not None and not self._is_read(run):
            self._read_curve(run)

    def on_virtual_table_fitted(self) -> None:
        self._tell()

    def on_resize(self) -> None:
        self.set_class(self.size.height < SHORT, "-short")
        self.call_after_refresh(self._preview)

    def _preview(self) -> None:
        pane = self.query_one(TextLines)
        run, row = self.run_here, self.query_one(VirtualTable).row
        lines: list[Text] = []
        if run is not None:
            _, curve = self._curves.get(run.id, (None, None))
            lines = preview(run, self.board.book.base, curve, pane.content_size.width, pane.content_size.height)
        elif isinstance(row, Group):
            shown = row.runs[: max(1, pane.content_size.height)]
            lines = [Text(f"{SHAPES.get(run.state, '?')} {clean(run.id, 80)}") for run in shown]
        pane.show(lines)

    def _is_read(self, run: Summary) -> bool:
        known, _ = self._curves.get(run.id, (None, None))
        return known is not None and known.epoch == run.epoch and known.created == run.created

    @work(thread=True, exclusive=True, group="runs-curve", exit_on_error=False)
    def _read_curve(self, run: Summary) -> None:
        self.post_message(CurveRead(run.id, self.desk.curve(run.id)))

    def on_curve_read(self, event: CurveRead) -> None:
        run = self.run_here
        if run is not None and run.id == event.run_id:
            self._curves[run.id] = (run, event.curve)
            self._preview()

    # What the keys need

    @property
    def run_here(self) -> Summary | None:
        """The run under the cursor; None on a group."""
        row = self.query_one(VirtualTable).row
        return row if isinstance(row, Summary) else None

    def say(self, line: str, *, wrong: bool = False) -> None:
        """A toast."""
        self.app.notify(clean(line, 500), severity="error" if wrong else "information", markup=False)

    @work(thread=True, group="runs-act", exit_on_error=False)
    def in_thread(self, work_: Callable[[], str], *, again: bool = True) -> None:
        """Do something that may wait for a disk; its sentence, or what went wrong, is a toast.

        `again`: look at every run afterwards, since some are now different.
        """
        try:
            line, wrong = work_(), False
        except (UserError, OSError) as error:
            line, wrong = str(error), True
        self.app.call_from_thread(self._done, line, wrong, again)

    def _done(self, line: str, wrong: bool, again: bool) -> None:
        self.say(line, wrong=wrong)
        if again:
            self.look(whole=True)

    def targets(self) -> Sequence[str]:
        """Ids of the marked runs, else of the run under the cursor."""
        if self.marked:
            return tuple(self.marked)
        if self.run_here is None:
            if isinstance(self.query_one(VirtualTable).row, Group):
                self.say("a group stands for several runs: mark it with space, or leave the groups with g", wrong=True)
            return ()
        return (self.run_here.id,)


def _with_shape(column: Column[Any]) -> Column[Any]:
    """The column of states with a shape before the word. On a narrow terminal it goes after the settings."""
    words = column.text
    rank = max(column.rank, STATE_RANK)
    return replace(column, rank=rank, words=lambda row: f"{SHAPES.get(words(row), '?')} {words(row)}")


def _tone(column: Column[Any], row: Any, text: str) -> str:
    if column.name == "state":
        return _TONES.get(str(column.value(row)), "")
    return "table--strong" if column.name == "arch" else ""
