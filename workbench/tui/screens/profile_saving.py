"""A draft and its file: saved, saved as, noticed when another program changed it, never lost without a question."""

import os
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from workbench.base.text import clean
from workbench.profile.edit import ChangedOnDisk, Draft
from workbench.profile.files import folder_of, fresh
from workbench.tui.aside import Aside
from workbench.tui.profile_rows import wrapped
from workbench.tui.screens.runs_dialogs import Choose, Prompt
from workbench.tui.widgets.lines import TextLines

if TYPE_CHECKING:
    from workbench.profile import Problem
    from workbench.tui.app import Workbench

Then = Callable[[], object]

ON_DISK = "changed on disk: R takes it, w asks before it overwrites, W saves elsewhere"
GONE = "gone from the disk: w asks and writes it anew, W saves elsewhere"


class Saving(Aside, Vertical):
    """The part of the form that knows files. One of them is written or read at a time, and then no key changes it."""

    class Saved(Message):
        """The draft is on the disk."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self) -> None:
        super().__init__(id="form")
        self.draft: Draft | None = None
        self.problems: list[Problem] = []
        """All that is wrong with the draft."""
        self.busy = False
        """Whether its file is being written or read."""
        self.changed_on_disk = self.gone = False
        self._after_name: Then | None = None
        """What to go on with when a name was typed and the draft saved."""
        self._checking = False

    # What the form adds

    @abstractmethod
    def refill(self) -> None:
        """Show the draft as it is now."""

    @abstractmethod
    def remember_saved(self) -> None:
        """Take the values for those on the disk."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Say something until the next change."""

    @abstractmethod
    def ask(self, what: str, label: str, hint: str, text: str) -> None:
        """Open the line for `what`, below a label."""

    # Saving

    def save(self, then: Then | None = None, *, force: bool = False, broken: bool = False) -> None:
        """Write it to its file, or ask for a name; `then` is called once it is on the disk."""
        draft = self.draft
        if draft is None or self.busy:
            return
        if draft.path is None or draft.read_only:
            self.ask_name(draft.read_only if draft.path is not None else "", then)
        elif not draft.dirty and not self.changed_on_disk:
            self.say("nothing to save")
            _call(then)
        elif not broken and self._asked_about_problems(partial(self.save, then, force=force, broken=True)):
            return
        else:
            self._write(partial(draft.save, force=force, broken=broken), then, partial(self.save, then, force=True))

    def ask_name(self, why: str = "", then: Then | None = None, *, name: str = "") -> None:
        """Open the line for the name of the file, with `name` in it or a free one; what is typed takes its place."""
        assert self.draft is not None  # the keys are for a draft
        self._after_name = then
        self.ask("name", "save as: enter saves, esc leaves it", "name of the file", name or suggestion(self.draft))
        prompt = self.query_one(Prompt)
        prompt.query_one(Input).select_all()
        width = self.query_one("#form-help").size.width  # that of the line, which may not be laid out yet
        prompt.wrong("\n".join(wrapped(f"! {why}", width)) if why else "")

    def save_as(self, name: str, *, force: bool = False, broken: bool = False) -> None:
        """Write it to the file of a name that was typed; a name without a folder is for ./profiles."""
        draft, then = self.draft, self._after_name
        if draft is None or self.busy:
            return
        if not name.strip():
            self.query_one(Prompt).wrong("a file needs a name")
            return
        path = path_of(name)
        self.close_prompt()
        if not broken and self._asked_about_problems(partial(self.save_as, name, force=force, broken=True)):
            return

        def refused(why: str) -> None:
            self.ask_name(why, then, name=name)

        again = partial(self.save_as, name, force=True, broken=broken)
        self._write(partial(draft.save_as, path, force=force, broken=broken), then, again, refused)

    def close_prompt(self) -> None:
        """The line away, the keys back to the list."""
        self.query_one(Prompt).close()

    def _asked_about_problems(self, go_on: Then) -> bool:
        """Whether there are problems: then a person is asked whether to save all the same."""
        if not self.problems:
            return False
        first = clean(str(self.problems[0]), 200)
        count = "one problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        choices = [("no", "mend it first"), ("yes", "save it with its faults")]
        self._ask(f"It has {count}: {first}", choices, {"yes": go_on})
        return True

    def _write(
        self, write: Callable[[], None], then: Then | None, again: Then, refused: Callable[[str], object] | None = None
    ) -> None:
        """`again` does it over a file that is not to be lost unasked. `refused`: what is done where it goes to another
        file than the draft's and cannot be written; the line of its name is gone by then."""
        self.busy = True
        self.say("saving")
        self.aside(write, lambda result: self._written(result, then, again, refused))

    def _written(
        self, result: Exception | None, then: Then | None, again: Then, refused: Callable[[str], object] | None
    ) -> None:
        self.busy = False
        draft = self.draft
        assert draft is not None
        if isinstance(result, ChangedOnDisk):
            self.say("not written")
            lost = refused is None and draft.path is not None and not draft.path.exists()
            choices = [("as", "save under another name"), ("over", "write it anew" if lost else "write over it"),
                       ("no", "do nothing")]  # fmt: skip
            answers: dict[str, Then] = {"as": partial(self.ask_name, "", then), "over": again}
            if refused is None and not lost:
                choices.insert(2, ("reload", "take what is on the disk instead; u fetches this back"))
                answers["reload"] = self.reload
            self._ask(clean(str(result), 200), choices, answers)
        elif result is not None and refused is not None:
            self.say("not written")
            refused(clean(str(result), 500))
        elif result is not None:
            self.say("not written")
            self.tell(str(result))
        else:
            assert draft.path is not None
            self.changed_on_disk = self.gone = False
            self.show_note()
            self.remember_saved()
            self.refill()
            self.say(f"saved {draft.title}")
            self.post_message(self.Saved(draft.path))
            _call(then)

    # Leaving

    def leave(self, then: Then) -> None:
        """Call `then` when nothing is lost by it: at once, or after the draft was saved or given up."""
        draft = self.draft
        if draft is None or not draft.dirty:
            then()
            return

        def discard() -> None:
            self.draft = None
            then()

        count = len(draft.changed)
        what = f"{count} change{'s' * (count != 1)} not saved" if count else "not saved yet"
        choices = [("save", "save"), ("discard", "discard"), ("stay", "stay")]
        self._ask(f"{clean(draft.title, 200)}: {what}", choices, {"save": partial(self.save, then), "discard": discard})

    # Other programs

    def check_disk(self) -> None:
        """Look whether the file is another one by now."""
        draft = self.draft
        if draft is None or draft.path is None or self.busy or self._checking:
            return
        self._checking = True
        self.aside(partial(_on_disk, draft, draft.path), partial(self._checked, draft))

    def _checked(self, draft: Draft, found: tuple[bool, bool] | Exception) -> None:
        self._checking = False
        before = self.changed_on_disk, self.gone
        if draft is self.draft and not self.busy and isinstance(found, tuple) and found != before:
            self.changed_on_disk, self.gone = found
            self.show_note()

    def show_note(self) -> None:
        """The line about the disk, or none."""
        note, text = self.query_one("#form-note", TextLines), GONE if self.gone else ON_DISK
        note.show([Text(f"! {text}", "bold", no_wrap=True, overflow="ellipsis")] if self.changed_on_disk else [])
        note.display = self.changed_on_disk

    def reload(self) -> None:
        """Take what is on the disk."""
        draft = self.draft
        if draft is not None and draft.path is not None and not self.busy:
            self.busy = True
            self.aside(draft.reload, self._reloaded)

    def _reloaded(self, result: Exception | None) -> None:
        self.busy = False
        if result is not None:
            self.tell(str(result))
            return
        self.changed_on_disk = self.gone = False
        self.show_note()
        self.remember_saved()
        self.refill()
        self.say("reloaded; u goes back to what you had")

    # Words

    def tell(self, line: str, *, wrong: bool = True) -> None:
        """A toast; of many lines the first."""
        first, *more = line.splitlines() or [""]
        line = f"{clean(first, 500)} (and {len(more)} more)" if more else clean(first, 500)
        self.app.notify(line, severity="error" if wrong else "information", markup=False)

    def _ask(self, question: str, choices: list[tuple[str, str]], answers: dict[str, Then]) -> None:
        def answered(chosen: str | None) -> None:
            if chosen in answers:
                answers[chosen]()

        cast("Workbench", self.app).push_screen(Choose(question, choices), answered)


def _on_disk(draft: Draft, path: Path) -> tuple[bool, bool]:
    """Whether the draft's file is another one by now, and whether it is gone."""
    return draft.changed_on_disk(), not path.exists()


def suggestion(draft: Draft) -> str:
    """A name for the file that is not taken."""
    own = draft.path is not None and not draft.read_only
    folder = draft.path.parent if own and draft.path is not None else folder_of("project")
    stem = draft.path.stem if draft.path is not None else Path(draft.extends).stem or "profile"
    path = fresh(folder, clean(stem, 80) if own else f"{stem}-own")
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


def path_of(name: str) -> Path:
    """The file that a typed name means: a bare name is one of ./profiles."""
    path = Path(os.path.expanduser(name.strip()))  # Path.expanduser raises where there is no such user
    return folder_of("project") / path if len(path.parts) == 1 else path


def _call(then: Then | None) -> None:
    if then is not None:
        then()
