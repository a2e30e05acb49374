"""What one sees of a draft: its settings, what is known of the one under the cursor, its text, what it would cost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Static

import architectures
from workbench.base.text import clean
from workbench.lr_chart import check_schedule
from workbench.preflight import check_network
from workbench.profile import Problem, ProfileError, Resolved
from workbench.profile.edit import Draft, Field
from workbench.tui.profile_rows import (
    WHICH,
    field_line,
    fitting,
    help_lines,
    problem_help,
    setting_of,
    under_headings,
    value_line,
    with_problems,
)
from workbench.tui.screens.profile_look import ProfileLook
from workbench.tui.screens.profile_saving import Saving
from workbench.tui.screens.runs_dialogs import Prompt
from workbench.tui.torch_loader import TorchLoader
from workbench.tui.widgets.lines import TextLines
from workbench.tui.widgets.rows import RowList

WIDE = 140
"""Columns from which the chart stands beside the settings."""


class FormView(Saving):
    """See the module; what the keys do is in `profile_form`."""

    def __init__(self, runs: Path, torch: TorchLoader) -> None:
        """`runs`: the folder of the runs, from which the time of another is estimated."""
        super().__init__()
        self.run = ""
        """The run that the draft was forked from."""
        self.which, self.words = WHICH[0], ""
        self._fields: list[Field] = []
        self._before: dict[str, Any] = {}
        self._typing: Field | None = None
        self._said = ""
        self._chart = False
        self._runs, self._torch = runs, torch

    def compose(self) -> ComposeResult:
        yield TextLines(id="form-head")
        yield TextLines(id="form-note")
        with Container(id="form-body"):
            with Vertical(id="form-left"):
                yield RowList(lambda item, width: field_line(item, self._before, width), id="fields")
                with VerticalScroll(id="form-raw"):
                    yield Static(id="form-text")
                with Vertical(id="form-editor"):
                    yield TextLines(id="form-value")
                    yield Prompt()
                    yield TextLines(id="form-help")
            yield ProfileLook(self._runs, self._torch)

    # What is shown

    @property
    def typing(self) -> str:
        """What a line is typed for; empty while none is."""
        return self.query_one(Prompt).what

    @property
    def rows(self) -> RowList:
        """The settings."""
        return self.query_one("#fields", RowList)

    def open(self, draft: Draft, run: str = "") -> None:
        """Show a draft from its first setting on. `run`: what it was forked from."""
        self.draft, self.run = draft, run
        self.which, self.words, self._chart = WHICH[0], "", False
        self.changed_on_disk = self.gone = self.busy = False
        self.close_prompt()
        self.show_raw(False)
        self.show_note()
        self.remember_saved()
        self.refill()
        self.rows.act_first()
        self._place_look()

    def remember_saved(self) -> None:
        assert self.draft is not None
        self._before = {field.key.path: field.value for field in self.draft.fields()}

    def refill(self, select: str = "") -> None:
        """Show the draft as it is, with the cursor on `select` if it is there."""
        if self.draft is None:
            return
        self._said = ""
        resolved, self.problems = judge(self.draft.resolved)
        self._fields = with_problems(self.draft.fields(), self.problems)
        self.show_rows(select)
        self._show_text()
        self.query_one(ProfileLook).want(resolved.profile if resolved else None)
        self.refresh_bindings()

    def show_rows(self, select: str = "") -> None:
        """The settings that the filter and `which` choose; the draft is as it was."""
        others = [problem for problem in self.problems if not self.place_of(problem.key)]
        items, keys = under_headings(fitting(self._fields, self.which, self.words), others)
        self.rows.fill(items, keys, select)
        self._show_head()
        self._show_field()

    def place_of(self, key: str) -> str:
        """The setting that shows what is wrong with a key; empty for a key that is none's."""
        return setting_of(key) if any(field.key.path == setting_of(key) for field in self._fields) else ""

    def ask(self, what: str, label: str, hint: str, text: str) -> None:
        self.back_to_rows()
        self.query_one("#form-value", TextLines).show([Text(label, "dim", no_wrap=True, overflow="ellipsis")])
        self.query_one(Prompt).ask(what, hint, text)
        self.refresh_bindings()

    def back_to_rows(self) -> None:
        """The settings, where the text or the chart is in their place."""
        if not self.rows_there:
            self._chart = False
            self.show_raw(False)
            self._place_look()

    def close_prompt(self) -> None:
        super().close_prompt()
        self._show_field()

    def say(self, line: str) -> None:
        self._said = clean(line, 300)
        self._show_head()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._show_field()

    def on_resize(self, _: events.Resize) -> None:
        self._place_look()
        self._show_field()

    def _show_head(self) -> None:
        draft = self.draft
        if draft is None:
            return
        line = Text(clean(draft.title, 200), "bold", no_wrap=True, overflow="ellipsis")
        if draft.extends and draft.path is not None:
            line.append(f"  extends {clean(draft.extends, 100)}", "not bold")
        count = len(draft.changed)
        if draft.dirty:
            line.append(f"  ● {count or 'not'} {'not ' if count else ''}saved")
        if self.problems:
            line.append(f"  ! {len(self.problems)} problem{'s' * (len(self.problems) != 1)}")
        line.append(f"  {self._said}" if self._said else "", "italic not bold")
        for name, text in (("only", self.which if self.which != WHICH[0] else ""), ("filter", clean(self.words, 80))):
            line.append(f"  {name}: {text}" if text else "", "not bold")
        self.query_one("#form-head", TextLines).show([line])

    def _show_field(self) -> None:
        item, width = self.rows.item, max(20, self.query_one("#form-help").size.width)
        value, lines = Text(), [Text("nothing fits; esc shows all settings again", "dim")]
        if isinstance(item, Field):
            value, lines = value_line(item), help_lines(item, self._knobs(item), width)
        elif isinstance(item, Problem):
            value, lines = Text(clean(item.key or item.where, 200), "bold"), problem_help(item, width)
        if not self.typing:
            self.query_one("#form-value", TextLines).show([value])
        self.query_one("#form-help", TextLines).show(lines)

    def _knobs(self, field: Field) -> dict[str, str]:
        if field.kind != "table":
            return {}
        network = next(str(known.effective) for known in self._fields if known.kind == "network")
        return architectures.card(network).knobs if network in architectures.names() else {}

    # Views

    def show_raw(self, there: bool) -> None:
        """The text of the file in place of the settings, or them again."""
        raw = self.query_one("#form-raw", VerticalScroll)
        raw.display, self.rows.display = there, not there
        self.query_one("#form-editor").display = not there
        self._show_text()
        self.screen.set_focus(raw if there else self.rows)

    def _show_text(self) -> None:
        if self.draft is None or not self.query_one("#form-raw").display:
            return
        from rich.syntax import Syntax

        text = "\n".join(clean(line, 1000) for line in self.draft.text().splitlines())
        theme = "ansi_dark" if self.app.current_theme.dark else "ansi_light"
        self.query_one("#form-text", Static).update(
            Syntax(text, "toml", theme=theme, background_color="default", word_wrap=True)
        )

    @property
    def rows_there(self) -> bool:
        """Whether the settings are what is shown."""
        return bool(self.rows.display) and not self.chart_alone

    @property
    def chart_alone(self) -> bool:
        """Whether the chart stands in the place of the settings."""
        return self._chart and self.app.size.width < WIDE

    def _place_look(self) -> None:
        """Beside the settings, below them in one line, or in their place."""
        look, wide = self.query_one(ProfileLook), self.app.size.width >= WIDE
        self.query_one("#form-left").display = not self.chart_alone
        look.set_class(not wide and not self._chart, "-line")
        if self.chart_alone:
            self.screen.set_focus(look)
        elif self.screen.focused in (None, look) and self.display:
            self.screen.set_focus(self.rows if self.rows.display else self.query_one("#form-raw"))


def judge(resolve: Callable[[], Resolved]) -> tuple[Resolved | None, list[Problem]]:
    """What holds, or all that is wrong: also what only the catalogue of networks and the number of steps tell."""
    try:
        resolved = resolve()
        check_network(resolved)
        check_schedule(resolved)
    except ProfileError as error:
        return None, error.problems
    return resolved, []
