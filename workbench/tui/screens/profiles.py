"""Screen 2: profiles. A list of the files, and the form of the one that is open."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.screen import Screen

import architectures
from workbench.base.text import clean
from workbench.profile import Problem, ProfileError, Resolved, load
from workbench.profile import files as disk
from workbench.profile.edit import ChangedOnDisk, Draft
from workbench.profile.files import Listed, Trashed
from workbench.profile.find import user_folder
from workbench.runs.trash import own
from workbench.tui.aside import Aside
from workbench.tui.last_place import text_of
from workbench.tui.screens.profile_form import ProfileForm
from workbench.tui.screens.profile_list import ProfileList
from workbench.tui.screens.profile_view import judge
from workbench.tui.screens.runs_dialogs import Ask, Choose
from workbench.tui.torch_loader import TorchLoader
from workbench.tui.widgets.frame import Hints, TopLine

if TYPE_CHECKING:
    from textual.timer import Timer

    from workbench.tui.app import Workbench

WATCH_SECONDS = 2.0
"""Between two looks whether the open file is another one."""


class ProfilesScreen(Aside, Screen[None]):
    """See the module."""

    AUTO_FOCUS = "#files"
    DEFAULT_CSS = """
    ProfilesScreen {
        ProfileList, ProfileForm { height: 1fr; }
        ProfileList > Input, ProfileList > Input:focus {
            height: 1; border: none; padding: 0 1; background: $panel; display: none;
        }
        #files-body, #form-body { height: 1fr; layout: vertical; }
        #files-left { width: 1fr; height: 1fr; }
        #files-head { height: 1; background: $panel; text-style: bold; }
        #file-pane { height: 8; border-top: solid $panel-lighten-2; padding: 0 1; }

        #form-head, #form-note { height: 1; padding: 0 1; }
        #form-note { display: none; color: $text-warning; }
        #form-left { width: 1fr; height: 1fr; }
        #form-raw { height: 1fr; padding: 0 1; display: none; }
        #form-editor { height: 6; border-top: solid $panel-lighten-2; padding: 0 1; }
        #form-value { height: 1; }
        #form-help { height: 1fr; }
        ProfileLook { height: 1fr; }

        &.-normal #files-body, &.-wide #files-body, &.-wide #form-body { layout: horizontal; }
        &.-tall #file-pane { height: 14; }
        &.-normal #file-pane, &.-wide #file-pane {
            width: 40%; height: 1fr; border-top: none; border-left: solid $panel-lighten-2;
        }
        &.-wide ProfileLook { width: 40%; border-left: solid $panel-lighten-2; }
        &.-tall #form-editor { height: 9; }
    }
    """

    def __init__(self, root: Path, torch: TorchLoader) -> None:
        """`root`: the folder of the runs."""
        super().__init__()
        self.root, self.torch = root, torch
        self.deleted: list[Path] = []
        """Where deleted files lie, the last at the end."""
        self._watch: Timer | None = None
        self._last = ""
        """The file that is to come back."""
        self._asked = 0
        """Drafts that were asked for so far."""
        self._scanning = False
        self._again = False
        self._select: Path | None = None

    def compose(self) -> ComposeResult:
        yield TopLine("Profiles", self.workbench.PLACES)
        yield ProfileList()
        yield ProfileForm(self.root, self.torch)
        yield Hints()

    def on_mount(self) -> None:
        self.form.display = False
        self._watch = self.set_interval(WATCH_SECONDS, self.form.check_disk)
        self.scan()
        self._last = text_of(self.workbench.last.get("profiles", {}), "open")

    def on_screen_suspend(self) -> None:
        """Timers of a hidden screen would go on."""
        if self._watch is not None:
            self._watch.pause()

    def on_screen_resume(self) -> None:
        """Files may be others by now."""
        if self._watch is not None:
            self._watch.resume()
            self.form.check_disk()
            if not self._scanning:
                self.scan()

    @property
    def workbench(self) -> "Workbench":
        """The app."""
        return cast("Workbench", self.app)

    @property
    def listed(self) -> ProfileList:
        """The list."""
        return self.query_one(ProfileList)

    @property
    def form(self) -> ProfileForm:
        """The form, shown or not."""
        return self.query_one(ProfileForm)

    @property
    def unsaved(self) -> bool:
        """Whether ending the program would lose a draft."""
        draft = self.form.draft if self.is_mounted else None
        return draft is not None and draft.dirty

    def rescue(self, now: datetime) -> Path | None:
        """Save the draft among the person's own profiles, since there is no more asking; None where that cannot be."""
        draft = self.form.draft if self.unsaved else None
        path = user_folder() / f"rescued-{now:%Y%m%d-%H%M%S}.toml"
        try:
            if draft is not None:
                draft.save_as(path, broken=True)
                return path
        except (ProfileError, ChangedOnDisk, OSError):
            pass
        return None

    # Opening

    def open(self, path: Path) -> None:
        """The form of a file."""
        self._load(lambda: Draft.open(path, networks=architectures.names()))

    def new(self, extends: str, settings: Sequence[tuple[str, str]] = ()) -> None:
        """The form of a profile that is not saved yet, with some keys set."""

        def made() -> Draft:
            draft = Draft.new(extends, networks=architectures.names())
            for key, value in settings:
                draft.set(key, value)
            return draft

        self._load(made)

    def fork(self, run_id: str) -> None:
        """The form of a new profile with the settings of a run."""

        def made() -> Draft:
            path = own(self.root, self.root / run_id) / "profile.toml"
            return Draft.fork(path, parent=run_id, networks=architectures.names())

        self._load(made, run=run_id)

    def _load(self, make: Callable[[], Draft], *, run: str = "", quiet: bool = False) -> None:
        """Make a draft beside the screen and show it, unless there is one that is not to be lost; the newest wins."""
        self._asked += 1
        number = self._asked

        def made(draft: Draft | Exception) -> None:
            if number != self._asked:
                return
            if isinstance(draft, Draft):
                self.form.leave(lambda: self._show(draft, run))
            elif not quiet:
                self.form.tell(str(draft))

        self.form.leave(lambda: self.aside(make, made))

    def _show(self, draft: Draft, run: str) -> None:
        self.listed.display, self.form.display = False, True
        self.form.open(draft, run)
        self.remember(draft.path)

    def remember(self, path: Path | None) -> None:
        """The file that comes back in the next session; None for none."""
        self.workbench.last["profiles"] = {"open": str(path.absolute())} if path is not None else {}

    def on_profile_form_left(self, _: ProfileForm.Left) -> None:
        """Back to the list."""
        self.form.display, self.listed.display = False, True
        self.set_focus(self.listed.rows)
        self.remember(None)
        self.scan(self._select)

    def on_saving_saved(self, event: ProfileForm.Saved) -> None:
        """A new file belongs in the list."""
        self.remember(event.path)
        self.scan(event.path)

    # The files

    def scan(self, select: Path | None = None) -> None:
        """Read the folders beside the screen; one look at a time."""
        self._select = select or self._select
        self._again = self._scanning
        if not self._scanning:
            self._scanning = True
            self.aside(disk.listed, self._scanned)

    def _scanned(self, found: Sequence[Listed] | Exception) -> None:
        self._scanning = False
        if isinstance(found, Exception):
            self.form.tell(str(found))
        else:
            self.listed.take(found, self._select)
            self._select = None
            self._open_last()
        if self._again:
            self.scan()

    def _open_last(self) -> None:
        """The form that was open when the last session ended: if its file is here, and nobody did anything yet."""
        last, self._last = self._last, ""
        untouched = self._asked == 0 and self.focused is self.listed.rows
        if last and untouched and any(str(file.path.absolute()) == last for file in self.listed.files):
            self._load(lambda: Draft.open(Path(last), networks=architectures.names()), quiet=True)

    def on_profile_list_asked(self, event: ProfileList.Asked) -> None:
        """What was asked for in the list."""
        getattr(self, f"_{event.what}")(event.profile)

    def _open(self, profile: Listed) -> None:
        self._select = profile.path
        self.open(profile.path)

    def _new(self, profile: Listed) -> None:
        self.new(profile.name)

    def _launch(self, profile: Listed) -> None:
        def judged(found: tuple[Resolved | None, list[Problem]] | Exception) -> None:
            if isinstance(found, Exception):
                self.form.tell(str(found))
            elif found[0] is not None:
                self.workbench.launch(found[0], parent=None, source=clean(profile.name, 200))
            else:
                self.form.tell(str(ProfileError(found[1])))

        self.aside(lambda: judge(lambda: load(profile.path)), judged)

    def _duplicate(self, profile: Listed) -> None:
        self.aside(partial(disk.duplicate, profile.path), partial(self._moved, "made {}"))

    def _delete(self, profile: Listed) -> None:
        if profile.place == "built-in":
            self.form.tell("a built-in profile stays: n begins one of your own that extends it")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.aside(partial(disk.delete, profile.path), self._deleted)

        name = clean(profile.name, 100)
        self.app.push_screen(Ask(f"Move {name} to the trash?", [clean(str(profile.path), 200)]), answered)

    def _deleted(self, result: Path | Exception) -> None:
        if isinstance(result, Path):
            self.deleted.append(result)
        self._moved("deleted, in {}; u fetches it back", result)

    def _restore(self, _: Listed | None) -> None:
        if not self.deleted:
            self.form.tell("nothing was deleted here", wrong=False)
        else:
            self.aside(partial(disk.restore, self.deleted[-1]), self._restored)

    def _trash(self, _: Listed | None) -> None:
        self.aside(disk.in_trash, self._choose_trashed)

    def _choose_trashed(self, found: Sequence[Trashed] | Exception) -> None:
        def chosen(path: str | None) -> None:
            if path is not None:
                self.deleted = [known for known in self.deleted if str(known) != path]
                self.aside(partial(disk.restore, Path(path)), partial(self._moved, "{} is back"))

        if isinstance(found, Exception) or not found:
            self.form.tell(str(found) if isinstance(found, Exception) else "the trash is empty", wrong=False)
            return
        choices = [(str(one.path), clean(f"{one.name}  {_when(one.deleted)}  {one.path}", 300)) for one in found]
        self.app.push_screen(Choose("The trash; enter fetches a file back", choices), chosen)

    def _restored(self, result: Path | Exception) -> None:
        if isinstance(result, Path):
            self.deleted.pop()
        self._moved("{} is back", result)

    def _moved(self, words: str, result: Path | Exception) -> None:
        """Say what became of a file, and look at the folders anew."""
        wrong = isinstance(result, Exception)
        self.form.tell(str(result) if wrong else words.format(result), wrong=wrong)
        self.scan(None if wrong else cast(Path, result))

    def _rescan(self, _: Listed | None) -> None:
        self.scan()


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
