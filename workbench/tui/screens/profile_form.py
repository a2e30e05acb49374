"""The form of a profile: a list of its settings and one line to type in, however many settings there are."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual.message import Message
from textual.widgets import Input

import architectures
from workbench.base.text import clean
from workbench.inspect.catalogue import short
from workbench.profile.edit import Draft, Field
from workbench.tui.actions import WithActions, action_of
from workbench.tui.path_completion import complete
from workbench.tui.profile_rows import (
    WHICH,
    kind_text,
    named,
    problem_key,
    shown,
    wrapped,
)
from workbench.tui.screens.profile_dialogs import Pick
from workbench.tui.screens.profile_view import WIDE, FormView, judge
from workbench.tui.screens.runs_dialogs import Prompt
from workbench.tui.widgets.rows import RowList

if TYPE_CHECKING:
    from workbench.tui.app import Workbench

MOST_TYPED = 2000
"""Characters of a value that are put into the line; a longer one, or one with control characters, is shown cut or
with marks in their place, and stays as it is while the line does."""

_action = partial(action_of, "form", "Profile form", shown=False)
ACTIONS = (
    _action("edit", "enter", "edit", "Edit the setting: type it, or pick it from a list.", shown=True, typed=True),
    _action("next", "right l space", "next", "The next word of a choice; the other side of a switch."),
    _action("previous", "left h", "previous", "The word of a choice before it."),
    _action("undo", "u", "undo", "Take the last change back.", shown=True),
    _action("redo", "ctrl+r U", "redo", "Make a change again that was taken back."),
    _action("reset", "r", "reset", "Take the setting out of the file: what it inherits holds.", shown=True),
    _action("save", "w ctrl+s", "save", "Save; asks for a name where there is none yet.", shown=True),
    _action("launch", "G", "launch", "Review and launch a run of it, saved or not.", shown=True),
    _action("raw", "v", "TOML", "The text of the file as it would be saved, or the form again.", shown=True),
    _action("which", "o", "only", "Show all settings, those of this file, or those that are not saved.", shown=True),
    _action("filter", "slash", "filter", "Find settings by name or description as you type.", shown=True, typed=True),
    _action("chart", "c", "chart", "The learning rate over the run, steps, memory and time.", shown=True),
    _action("save-as", "W", "save as", "Save under another name.", typed=True),
    _action("extends", "e", "extends", "Choose the profile that this one extends."),
    _action("reload", "R", "reload", "Take what is on the disk; undo fetches the draft back."),
    _action("complete", "tab shift+tab", "complete", "While a path is typed: complete it."),
    _action("out", "escape q", "back", "One step out: the line, the view, the filter, the list of profiles.",
            shown=True),
)  # fmt: skip

_OF_ROWS = {"edit", "next", "previous", "reset", "which", "filter"}
_CHANGING = {"edit", "next", "previous", "undo", "redo", "reset", "save", "save-as", "extends", "reload", "launch"}


class ProfileForm(WithActions, FormView):
    """One draft at a time."""

    ACTIONS = ACTIONS

    class Left(Message):
        """The draft was given up or is saved: the list again."""

    def may(self, action_id: str) -> bool | None:
        """While a line is typed its letters are no keys; while the file is written nothing changes."""
        name = action_id.rpartition(".")[2]
        if not self.is_mounted or self.draft is None:
            return False
        if name == "complete":
            return bool(self.typing)
        if self.typing:
            return name == "out" or (name == "save" and self._typing is not None)
        if name in _OF_ROWS and not self.rows_there:
            return False
        if name in ("chart", "raw") and (self.app.size.width >= WIDE if name == "chart" else self.chart_alone):
            return False
        return not (self.busy and name in _CHANGING)

    # Views

    def act_raw(self) -> None:
        self.show_raw(bool(self.rows.display))

    def act_chart(self) -> None:
        self._chart = not self._chart
        self._place_look()

    def act_which(self) -> None:
        self.which = WHICH[(WHICH.index(self.which) + 1) % len(WHICH)]
        self.show_rows()

    def act_filter(self) -> None:
        self.ask("filter", "find settings: enter keeps the filter, esc clears it", "name or description", self.words)

    def act_out(self) -> None:
        """One step."""
        raw = self.query_one("#form-raw")
        if self.typing:
            if self.typing == "filter":
                self.words = ""
            self.close_prompt()
            self.show_rows()
        elif raw.display:
            self.show_raw(False)
        elif self.chart_alone:
            self.act_chart()
        elif self.words or self.which != WHICH[0]:
            self.words, self.which = "", WHICH[0]
            self.show_rows()
        else:
            self.leave(self._left)

    def _left(self) -> None:
        self.draft = None
        self.post_message(self.Left())

    # Editing

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.act_edit()

    def act_edit(self) -> None:
        """A switch is turned, a choice or a network picked from a list, and everything else typed."""
        field = self.rows.item
        if not isinstance(field, Field) or self.busy:
            return
        if field.kind == "switch":
            self.act_next()
        elif field.kind == "choice":
            self._pick(field, [(word, "default" if word == field.key.default else "") for word in field.words])
        elif field.kind == "network":
            cards = [(c.name, f"{c.year}  {short(c.params[1000])}  {c.title}") for c in architectures.cards()]
            self._pick(field, cards, free="module:callable")
        else:
            self._typing = field
            how = "enter takes it, esc leaves it" + (", tab completes" if field.kind == "path" else "")
            self.ask("field", f"{field.key.path}: {how}", kind_text(field), clean(field.text, MOST_TYPED))
            if field.kind not in ("path", "table"):
                self.query_one(Prompt).query_one(Input).select_all()  # what is typed takes its place

    def _pick(self, field: Field, choices: Sequence[tuple[str, str]], free: str = "") -> None:
        def refuse(text: str) -> str:
            return "" if ":" in text else f'no network is called "{text}"'

        def picked(value: str | None) -> None:
            if value is not None and value != shown(field.value):
                self._set(field, value)

        self.app.push_screen(Pick(field.key.path, choices, shown(field.value), free, refuse), picked)

    def act_next(self) -> None:
        self._turn(1)

    def act_previous(self) -> None:
        self._turn(-1)

    def _turn(self, by: int) -> None:
        field = self.rows.item
        if not isinstance(field, Field):
            return
        if field.kind == "switch":
            self._set(field, "false" if field.value else "true")
        elif field.kind == "choice":
            words = list(field.words)
            place = words.index(field.value) + by if field.value in words else 0
            self._set(field, words[place % len(words)])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        event.stop()
        if self.typing == "filter" and event.value != self.words:
            self.words = event.value
            self.show_rows(named(self._fields, self.words))

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """A click elsewhere leaves the line."""
        if self.typing and event.widget is self.query_one(Prompt).query_one(Input):
            self.call_later(self._leave_line)

    def _leave_line(self) -> None:
        elsewhere = self.screen.focused
        if self.typing and elsewhere is not None and elsewhere is not self.query_one(Prompt).query_one(Input):
            self.close_prompt()

    def on_prompt_given(self, event: Prompt.Given) -> None:
        event.stop()
        if event.what == "field":
            self._take(event.text)
        elif event.what == "name":
            self.save_as(event.text)
        else:
            self.close_prompt()
            self._show_head()

    def _take(self, text: str) -> bool:
        """What was typed for a setting: taken, or left in the line with the reason below."""
        field = self._typing
        assert field is not None and self.draft is not None  # noqa: PT018  # the line is open for both
        same = text == clean(field.text, MOST_TYPED)
        why = field.problem if same else self.draft.set(field.key.path, text)
        if why:
            self.query_one(Prompt).wrong("\n".join(wrapped(f"! {why}", self.query_one(Prompt).size.width)))
            return False
        self.close_prompt()
        self._changed(field.key.path)
        return True

    def _set(self, field: Field, value: str) -> None:
        assert self.draft is not None
        if why := self.draft.set(field.key.path, value):
            self.tell(why)
        self._changed(field.key.path)

    def _changed(self, select: str) -> None:
        """After a change: all of it anew, since a choice may bring other settings."""
        self.refill(select)
        if self.draft is not None and self.draft.left:
            self.say(f"gone with it: {', '.join(self.draft.left)}")

    def close_prompt(self) -> None:
        super().close_prompt()
        self._typing = None
        self.screen.set_focus(self.rows)
        self.refresh_bindings()

    def act_complete(self) -> None:
        """Complete the path as far as it is clear, and say what it may be; in another line tab goes nowhere."""
        if self._typing is None or self._typing.kind != "path":
            return
        line = self.query_one(Prompt).query_one(Input)

        def completed(found: tuple[str, str] | Exception) -> None:
            if isinstance(found, tuple) and self._typing is not None and line.value == typed:
                line.value, choices = found
                line.cursor_position = len(line.value)
                self.query_one(Prompt).wrong(choices)

        typed = line.value
        self.aside(partial(complete, typed), completed)

    def act_undo(self) -> None:
        self._back(lambda draft: draft.undo(), "undone")

    def act_redo(self) -> None:
        self._back(lambda draft: draft.redo(), "done again")

    def _back(self, step: Callable[[Draft], str], word: str) -> None:
        assert self.draft is not None
        what = step(self.draft)
        if what:
            self.refill(what.split()[0])
        self.say(f"{word}: {what}" if what else f"nothing to be {word}")

    def act_reset(self) -> None:
        item = self.rows.item
        if self.draft is None or item is None:
            return
        key = item.key.path if isinstance(item, Field) else item.key
        if isinstance(item, Field) and not item.own:
            self.say("this file does not set it")
        elif not key:
            self.say("nothing to take out")
        elif why := self.draft.reset(key):
            self.tell(why)
        else:
            self._changed(key)

    def act_extends(self) -> None:
        from workbench.profile.files import listed

        def picked(name: str | None) -> None:
            if name is None or self.draft is None:
                return
            if why := self.draft.reset("extends") if name == "nothing" else self.draft.set("extends", name):
                self.tell(why)
            self._changed("")

        def found(files: Any) -> None:
            if isinstance(files, list) and self.draft is not None:
                own = self.draft.path
                names = [(file.name, file.place) for file in files if file.path != own and not file.problem]
                choices = [("nothing", "the defaults alone"), *names]
                now = self.draft.extends.removesuffix(".toml").removeprefix("../") or "nothing"
                self.app.push_screen(Pick("extends", choices, now), picked)

        self.aside(listed, found)

    # Files and runs

    def act_save(self) -> None:
        if self._typing is None or self._take(self.query_one(Prompt).query_one(Input).value):
            self.save()

    def act_save_as(self) -> None:
        self.ask_name()

    def act_reload(self) -> None:
        self.reload()

    def act_launch(self) -> None:
        """Hand it over for the review; of a wrong one the first problem, at its setting."""
        assert self.draft is not None
        resolved, problems = judge(self.draft.resolved)
        if resolved is not None:
            cast("Workbench", self.app).launch(resolved, parent=self.run or None, source=clean(self.draft.title, 200))
            return
        self.tell(str(problems[0]))
        self.words, self.which = "", WHICH[0]
        self.back_to_rows()
        self.refill(self.place_of(problems[0].key) or problem_key(problems[0]))
