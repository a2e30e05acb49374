"""The Runs screen: the leaderboard as a table that is filtered, sorted, grouped and labelled by keys."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.columns import COLUMN_NAMES
from workbench.runs.compare import MOST
from workbench.runs.leaderboard import Group
from workbench.runs.query import compile_query
from workbench.runs.summary import Summary
from workbench.runs.units import short_memory
from workbench.runs.user import User, read_user
from workbench.tui import desk as do
from workbench.tui.actions import action_of
from workbench.tui.board import GROUP_BY, filter_of_group
from workbench.tui.screens.runs_dialogs import Ask, Choose, ChooseColumns, NoteEditor, Prompt
from workbench.tui.screens.runs_view import RunsView
from workbench.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from workbench.tui.app import Workbench

GROUPABLE = ("arch", "recipe", "dataset", "family", "seed", "config", "device", "host", "parent", "state")
"""Columns that runs may agree in, before the keys of the profile."""
MOST_NAMED = 12
"""Runs that a question names one by one."""

_FORMATS = (("md", "Markdown"), ("csv", "CSV, raw figures"), ("json", "JSON, raw figures"),
            ("latex", "LaTeX, booktabs"), ("html", "HTML, one page"))  # fmt: skip

_action = partial(action_of, "runs", "Runs", shown=False)
ACTIONS = (
    _action("open", "enter", "open", "Open the run in the Train screen; of a group, its runs.", shown=True),
    _action(
        "filter",
        "slash",
        "filter",
        "Choose runs by words and terms: acc>90 arch:resnet* lr<0.01 tag:x state=live, with or, not, ( ). "
        "docs/leaderboard.md has all of it.",
        shown=True,
        typed=True,
    ),
    _action("sort", "s", "sort", "Sort by the column under the cursor: descending, ascending, off.", shown=True),
    _action("mark", "space", "mark", "Mark the run, or take its mark off.", shown=True),
    _action("compare", "c", "compare", "Compare the marked runs, two to eight, on screen 5.", shown=True),
    _action("group", "g", "group", "One row for all seeds of a network and recipe: n, mean, deviation.", shown=True),
    _action("group-by", "w", "group by", "Choose in what the runs of a row agree; g then groups by that."),
    _action("baseline", "b", "baseline", "Show differences to this run, or no more.", shown=True),
    _action("columns", "v", "columns", "Choose the columns.", shown=True),
    _action("tag", "t", "tag", "Put tags on the marked runs or this one; -tag takes one off.", shown=True, typed=True),
    _action("note", "n", "note", "Edit the note of the run."),
    _action("pin", "f", "pin", "Keep the marked runs or this one at the top, or no more."),
    _action("archive", "A", "archive", "Archive the marked runs or this one, or fetch them back."),
    _action("all", "a", "archived", "Show archived runs too, or no more."),
    _action("delete", "D", "delete", "Move the marked runs or this one to the trash; asks."),
    _action("restore", "u", "undelete", "Fetch the run that was deleted last back from the trash."),
    _action("trash", "U", "trash", "List the trash, and fetch a run back."),
    _action("export", "o", "export", "Write the rows to a file: Markdown, CSV, JSON, LaTeX or HTML."),
    _action("resume", "R", "resume", "Go on with the run: asks how."),
    _action("fork", "F e", "fork", "A new profile from the run's, in the form; it is a child of this run."),
    _action("copy", "y", "copy", "Copy the run's path or a command about it; also written to a file."),
    _action("rescan", "r", "rescan", "Look at every run anew."),
    _action("out", "escape", "out", "One step out: of the line, the groups, the filter, the marks."),
)


class RunsScreen(RunsView):
    """What the keys do; `RunsView` is what one sees."""

    ACTIONS = ACTIONS

    def __init__(self) -> None:
        super().__init__()
        self.group_by: tuple[str, ...] = GROUP_BY
        """What `g` groups by."""

    def may(self, action_id: str) -> bool | None:
        """While a line is typed, its letters are no keys: not even those that came before the line had the focus."""
        return action_id == "runs.out" or not (self.is_mounted and self.query_one(Prompt).what)

    def act_mark(self) -> None:
        """All runs of the row; where all of them are marked, none."""
        table = self.query_one(VirtualTable)
        runs = [run.id for run in self.board.runs_of(table.row)] if table.row is not None else []
        if all(run_id in self.marked for run_id in runs):
            for run_id in runs:
                del self.marked[run_id]
        else:
            self.marked.update(dict.fromkeys(runs))
        self.remark()
        table.act_down()

    def act_compare(self) -> None:
        """The marked runs, in the order of marking."""
        count = len(self.marked)
        if 2 <= count <= MOST:
            cast("Workbench", self.app).compare(tuple(self.marked))
        else:
            self.say(f"compare takes 2 to {MOST} runs, {count or 'none'} marked: space marks a run", wrong=True)

    def act_baseline(self) -> None:
        row = self.query_one(VirtualTable).row
        runs = self.board.runs_of(row) if row is not None else ()
        if runs:
            held = any(run.id == self.view.baseline for run in runs)
            self.see(replace(self.view, baseline="" if held else runs[0].id))

    def act_tag(self) -> None:
        if self.targets():
            self.query_one(Prompt).ask("tag", "tags to put on, -tag to take off")

    def tag(self, words: str) -> None:
        """Put tags on the targets. UserError for what is none, which the line shows."""
        runs, change = self.targets(), do.with_tags(words)
        if runs and words.split():
            self.in_thread(lambda: do.label(self.desk, runs, change, f"tags {clean(words, 80)}"))

    def act_note(self) -> None:
        run = self.run_here
        if run is None:
            if self.view.by:
                self.say("a note belongs to one run: leave the groups with g", wrong=True)
            return
        before = read_user(self.desk.path(run.id)).note  # the row has it on one line

        def keep(note: str | None) -> None:
            if note is not None and note != before:
                done = "note kept" if note else "no note"
                self.in_thread(lambda: do.label(self.desk, [run.id], do.with_note(note), done))

        self.app.push_screen(NoteEditor(run.id, before), keep)

    def act_pin(self) -> None:
        self._switch("pinned")

    def act_archive(self) -> None:
        self._switch("archived")

    def _switch(self, field: str) -> None:
        """On for all targets, or off where all have it."""
        runs = self.targets()
        if not runs:
            return
        known = {run.id: run for row in self.board.rows for run in self.board.runs_of(row)}
        on = not all(run_id in known and getattr(known[run_id], field) for run_id in runs)

        def change(user: User) -> User:
            return replace(user, pinned=on) if field == "pinned" else replace(user, archived=on)

        self.in_thread(lambda: do.label(self.desk, runs, change, field if on else f"not {field}"))

    def act_delete(self) -> None:
        runs = self.targets()
        if not runs:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                for run_id in runs:
                    self.marked.pop(run_id, None)
                self.in_thread(lambda: do.delete(self.desk, runs, self.deleted))

        def size() -> str:
            return f"{short_memory(do.size_of(self.desk, runs))} on the disk"

        self.app.push_screen(Ask(f"Move {do.named(runs)} to the trash?", _listed(runs), size), answered)

    def act_restore(self) -> None:
        self.in_thread(lambda: do.restore(self.desk, self.deleted))

    def act_trash(self) -> None:
        try:
            entries = do.in_trash(self.desk)
        except (UserError, OSError) as error:
            self.say(str(error), wrong=True)
            return
        if not entries:
            self.say("the trash is empty")
            return

        def fetch(name: str | None) -> None:
            if name is not None:
                self.in_thread(lambda: do.restore(self.desk, self.deleted, name))

        self.app.push_screen(Choose("The trash; enter fetches a run back", entries), fetch)

    def act_columns(self) -> None:
        if self.view.by:
            self.say("the columns of groups are those of the groups: g leaves them", wrong=True)
            return
        book = self.board.book
        keys = sorted(set(book.base.settings) - {"name", "seed", "recipe"})
        now = [column.name for column in self.board.columns if not column.name.endswith(("_diff", "_ratio"))]
        names = list(dict.fromkeys([*now, *COLUMN_NAMES, *keys]))

        def keep(chosen: tuple[str, ...] | None) -> None:
            if chosen is not None:
                self.see(replace(self.view, columns=chosen))

        self.app.push_screen(ChooseColumns([(name, book.find(name).title) for name in names], now), keep)

    def act_export(self) -> None:
        board = self.board
        if not board.rows:
            self.say("there are no rows to write", wrong=True)
            return

        def write(form: str | None) -> None:
            if form is not None:
                self.in_thread(partial(do.export, board, form, Path.cwd(), datetime.now().astimezone()), again=False)

        self.app.push_screen(Choose(f"Write {len(board.rows):,} rows as", _FORMATS), write)

    def act_copy(self) -> None:
        run = self.run_here
        choices = do.copies(self.desk.root, run.id) if run is not None else []
        choices.append((do.command_of(self.desk.root, self.view), "command that prints this table"))

        def copy(text: str | None) -> None:
            if text is not None:
                self.app.copy_to_clipboard(text)
                self.in_thread(lambda: f"copied, if the terminal takes it; also in {do.keep_copy(text)}", again=False)

        self.app.push_screen(Choose("Copy", [(text, f"{what}: {clean(text, 300)}") for text, what in choices]), copy)

    # Filter, sorting, groups

    def act_filter(self) -> None:
        self.query_one(Prompt).ask("filter", "arch:resnet* acc>90 state=finished tag:baseline", self.view.filter)

    def on_prompt_given(self, event: Prompt.Given) -> None:
        """A filter or tags were typed; with a mistake they stay in the line, and nothing changes."""
        prompt = self.query_one(Prompt)
        try:
            if event.what == "filter":
                compile_query(event.text, self.board.book)  # a mistake leaves the old filter as it is
                self.see(replace(self.view, filter=event.text.strip()))
            else:
                self.tag(event.text)
        except UserError as error:
            prompt.wrong(str(error))
            return
        self._close_prompt()

    def _close_prompt(self) -> None:
        self.query_one(Prompt).close()
        self.set_focus(self.query_one(VirtualTable))

    def act_out(self) -> None:
        """One step out: the line, the groups, the filter, the marks."""
        if self.query_one(Prompt).what:
            self._close_prompt()
        elif self.view.by:
            self.see(replace(self.view, by=()))
        elif self.view.filter:
            self.see(replace(self.view, filter=""))
        elif self.marked:
            self.marked.clear()
            self.remark()

    def act_sort(self) -> None:
        column = self.query_one(VirtualTable).column
        if column:
            self.see(self.view.sorted_by(column))

    def on_virtual_table_head_clicked(self, event: VirtualTable.HeadClicked) -> None:
        self.see(self.view.sorted_by(event.column))

    def on_virtual_table_opened(self) -> None:
        self.act_open()

    def act_open(self) -> None:
        row = self.query_one(VirtualTable).row
        if isinstance(row, Group):  # its runs, one by one
            of_group = filter_of_group(row, self.view.by)
            self.see(replace(self.view, by=(), filter=f"({self.view.filter}) {of_group}".removeprefix("() ")))
        elif isinstance(row, Summary):
            cast("Workbench", self.app).open_run(row.id)

    def act_group(self) -> None:
        self.group_by = self.view.by or self.group_by  # also those of the last session
        self.see(replace(self.view, by=() if self.view.by else self.group_by))

    def act_group_by(self) -> None:
        book = self.board.book
        keys = sorted(set(book.base.settings) - {"name", "seed", "recipe"})
        names = list(dict.fromkeys([*self.group_by, *GROUPABLE, *keys]))

        def keep(chosen: tuple[str, ...] | None) -> None:
            if chosen is not None:
                self.group_by = chosen or GROUP_BY
                self.see(replace(self.view, by=self.group_by))

        titles = [(name, book.find(name).title) for name in names]
        self.app.push_screen(ChooseColumns(titles, self.group_by, "One row for all runs that agree in"), keep)

    def act_resume(self) -> None:
        run = self._one_run()
        if run:
            cast("Workbench", self.app).resume(run)

    def act_fork(self) -> None:
        run = self._one_run()
        if run:
            cast("Workbench", self.app).fork_into_form(run)

    def _one_run(self) -> str:
        """The run under the cursor, whatever is marked; empty on a group, which is said."""
        run = self.run_here
        if run is None and self.view.by:
            self.say("that is for one run: leave the groups with g", wrong=True)
        return run.id if run is not None else ""

    def act_all(self) -> None:
        self.see(replace(self.view, archived=not self.view.archived))

    def act_rescan(self) -> None:
        self.look(whole=True)


def _listed(runs: Sequence[str]) -> list[str]:
    names = [clean(run_id, 80) for run_id in runs[:MOST_NAMED]]
    return [*names, f"and {len(runs) - MOST_NAMED:,} more"] if len(runs) > MOST_NAMED else names
