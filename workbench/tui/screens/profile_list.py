"""The profiles there are: a list under three headings, a line that filters it, and what is known of one of them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Input

from workbench.base.text import clean
from workbench.profile.files import Listed, Place, folder_of
from workbench.tui.actions import WithActions, action_of
from workbench.tui.profile_rows import listed_head, listed_line, listed_pane
from workbench.tui.widgets.line import Line
from workbench.tui.widgets.lines import TextLines
from workbench.tui.widgets.rows import BAR, LEAD, RowList

_HEADINGS: tuple[tuple[Place, str], ...] = (("project", "project"), ("user", "yours"), ("built-in", "built-in"))

_action = partial(action_of, "profiles", "Profiles")


class ProfileList(WithActions, Vertical):
    """What is to be done with a file is a message: the screen does it."""

    ACTIONS = (
        _action("open", "enter", "open", "Open the profile's form."),
        _action("filter", "slash", "filter", "Filter the list as you type; esc clears it.", typed=True),
        _action("new", "n", "new", "Begin a profile that extends this one."),
        _action("launch", "G", "launch", "Review and launch a run of it."),
        _action("duplicate", "d", "duplicate", "Make a copy of the file; of a built-in one, in ./profiles."),
        _action("delete", "D", "delete", "Move the file to the trash; asks."),
        _action("restore", "u", "undelete", "Fetch the file that was deleted last back from the trash."),
        _action("trash", "U", "trash", "List the trash, and fetch a file back.", shown=False),
        _action("rescan", "r", "rescan", "Look at the folders anew.", shown=False),
        _action("out", "escape", "back", "One step out: of the filter.", shown=False),
    )

    class Asked(Message):
        """Something is to be done, with the file under the cursor if there is one; `what` is the action's word."""

        def __init__(self, what: str, profile: Listed | None) -> None:
            super().__init__()
            self.what, self.profile = what, profile

    def __init__(self) -> None:
        super().__init__(id="profiles")
        self.files: Sequence[Listed] = ()
        self.words = ""
        self.note = "looking at the profiles"
        """What the pane says where no file is under the cursor."""

    def compose(self) -> ComposeResult:
        yield Line(placeholder="name, parent, or what differs: lr 0.05", select_on_focus=False)
        with Container(id="files-body"):
            with Vertical(id="files-left"):
                yield TextLines(id="files-head")
                yield RowList(listed_line, id="files")
            yield TextLines(id="file-pane")

    def may(self, action_id: str) -> bool | None:
        """What is done with a file needs one."""
        name = action_id.rpartition(".")[2]
        if not self.is_mounted:
            return False
        return self.profile is not None or name in ("filter", "restore", "trash", "rescan", "out")

    @property
    def rows(self) -> RowList:
        """The list itself."""
        return self.query_one("#files", RowList)

    @property
    def profile(self) -> Listed | None:
        """The file under the cursor."""
        found: Listed | None = self.rows.item
        return found

    def take(self, files: Sequence[Listed], select: Path | None = None) -> None:
        """Show these files, the cursor on `select`."""
        self.files = files
        self.note = "no profile fits; esc clears the filter"
        self.fill(str(select.absolute()) if select else "")

    def fill(self, select: str = "") -> None:
        """The files that fit, under their headings."""
        items: list[Listed | str] = []
        keys: list[str] = []
        for place, heading in _HEADINGS:
            of_place = [file for file in self.files if file.place == place]
            members = [file for file in of_place if fits(file, self.words)]
            if members or not of_place:
                none = "" if of_place else "  none yet"
                items += [f"{heading}  {shown_folder(place)}{none}", *members]
                keys += ["", *(str(file.path.absolute()) for file in members)]
        if self.files and not any(keys):
            items, keys = [], []
        self.rows.fill(items, keys, select)
        self._show()
        self.refresh_bindings()

    def on_resize(self, _: events.Resize) -> None:
        self._show()
        self.call_after_refresh(self._show_head)

    def _show_head(self) -> None:
        head = listed_head(max(1, self.rows.size.width - LEAD - BAR))
        self.query_one("#files-head", TextLines).show([Text(" " * LEAD).append_text(head)])

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._show()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.act_open()

    def _show(self) -> None:
        pane, file = self.query_one("#file-pane", TextLines), self.profile
        if file is None:
            pane.show([Text(self.note, "dim")])
        else:
            pane.show(listed_pane(file, str(file.path), max(20, pane.content_size.width)))

    # Keys

    def act_filter(self) -> None:
        line = self.query_one(Input)
        line.display = True
        self.screen.set_focus(line)  # at once: the next key may be there already

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.words = event.value
        self.fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.display = bool(event.value.strip())
        self.screen.set_focus(self.rows)

    def act_out(self) -> None:
        line = self.query_one(Input)
        line.value, line.display = "", False
        self.screen.set_focus(self.rows)

    def act_open(self) -> None:
        self._ask("open")

    def act_new(self) -> None:
        self._ask("new")

    def act_launch(self) -> None:
        self._ask("launch")

    def act_duplicate(self) -> None:
        self._ask("duplicate")

    def act_delete(self) -> None:
        self._ask("delete")

    def act_restore(self) -> None:
        self._ask("restore")

    def act_trash(self) -> None:
        self._ask("trash")

    def act_rescan(self) -> None:
        self._ask("rescan")

    def _ask(self, what: str) -> None:
        if self.profile is not None or what in ("restore", "trash", "rescan"):
            self.post_message(self.Asked(what, self.profile))


def fits(file: Listed, words: str) -> bool:
    """Whether every word is in its name, its parent or a difference."""
    text = " ".join([file.name, file.parent, *(f"{d.key} {d.here}" for d in file.differences)]).lower()
    return all(word in text for word in words.lower().split())


def shown_folder(place: Place) -> str:
    """A folder as a person knows it: from the working directory, or from home."""
    path = folder_of(place).absolute()
    for start, sign in ((Path.cwd(), "./"), (Path.home(), "~/")):
        if path.is_relative_to(start):
            return clean(sign + str(path.relative_to(start)), 200)
    return clean(str(path), 200)
