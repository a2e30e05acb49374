"""The app: its screens by digit, themes, help and palette, and what screens ask of it."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.filter import LineFilter
from textual.reactive import reactive
from textual.screen import ModalScreen, Screen

from workbench.base.errors import did_you_mean
from workbench.base.text import clean
from workbench.tui.actions import Action, WithActions
from workbench.tui.at_terminal import AtTerminal
from workbench.tui.ends import TellsEnds
from workbench.tui.launches import Launches
from workbench.tui.sessions import Sessions
from workbench.tui.settings import Settings, remember
from workbench.tui.terminal import Ascii, Gate, wants_ascii
from workbench.tui.themes import DARK, ON_LIGHT, THEMES
from workbench.tui.torch_loader import TorchLoader

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.driver import Driver

    from workbench.inspect.layer import Layer
    from workbench.profile import Resolved
    from workbench.tui.screens.profiles import ProfilesScreen

IDLE = 2.0
"""Seconds without a key after which torch is loaded, so that a shape walk need not wait for it."""


def _commands() -> "type[Provider]":
    from workbench.tui.help import ActionCommands

    return ActionCommands


class Workbench(Sessions, TellsEnds, WithActions, AtTerminal, inherit_bindings=False):
    """`root` holds the runs; `walk` stands in for the shape walk in tests."""

    TITLE = "cnn-workbench"
    busy: reactive[str] = reactive("", init=False)
    """What is being made ready, for the first line of every screen; empty for nothing."""
    CSS_PATH = Path(__file__).with_name("workbench.tcss")
    COMMANDS: ClassVar[set["type[Provider] | Callable[[], type[Provider]]"]] = {_commands}
    PLACES: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1", "Models"), ("2", "Profiles"), ("3", "Train"), ("4", "Runs"), ("5", "Compare"),
    )  # fmt: skip
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-normal"), (140, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (30, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False  # Textual's own key for it; ours is in the table
    ACTIONS = (
        Action("app.models", ("1",), "Models", "The networks: card, shape walk, source.", shown=False),
        Action("app.profiles", ("2",), "Profiles", "The profiles, and the form of one.", shown=False),
        Action("app.train", ("3",), "Train", "A run as it is trained: curves, figures, events.", shown=False),
        Action("app.runs", ("4",), "Runs", "All runs as a table.", shown=False),
        Action("app.compare", ("5",), "Compare", "Marked runs side by side: curves, keys, confusions.", shown=False),
        Action("app.help", ("question_mark", "f1"), "help", "The keys that work here."),
        Action("app.palette", ("colon", "ctrl+p"), "palette", "Find an action by its name.", shown=False),
        Action("app.queue", ("Q",), "queue", "What is trained, and what waits for its turn.", shown=False),
        Action("app.quit", ("q",), "quit", "Back; from a screen, quit.", shown=False),
        Action("app.leave", ("ctrl+q",), "quit now", "Quit from wherever one is.", shown=False, always=True),
        Action("app.interrupt", ("ctrl+c",), "interrupt", "Says how to quit.", shown=False),
        Action(
            "app.redraw",
            ("ctrl+l",),
            "draw anew",
            "Draw all anew, if something else wrote on it.",
            shown=False,
            always=True,
        ),
        Action("app.dark", (), "dark colours", "Light on dark.", shown=False),
        Action("app.light", (), "light colours", "Dark on light.", shown=False),
        Action("app.clear", (), "clear colours", "Colours for every kind of colour vision.", shown=False),
    )

    def __init__(
        self,
        root: Path,
        settings: Settings | None = None,
        *,
        settings_path: Path | None = None,
        walk: "Callable[[str, int], Layer] | None" = None,
        preload: bool = True,
        attach: str | None = None,
        driver: "type[Driver] | None" = None,
    ) -> None:
        """`settings_path`: where theme and last screen are kept. `preload`: load torch when nobody types.

        `attach`: begin on the Train screen, with this run or, where it is empty, with the one it chooses. `driver`:
        what draws, where it is no terminal.
        """
        self.settings = settings or Settings()
        places = {
            "models": self._models, "profiles": self._profiles, "train": self._train, "runs": self._runs,
            "compare": self._compare,
        }  # fmt: skip
        start = self.settings.screen if self.settings.screen in places else "models"
        start = "train" if attach is not None else start
        self.DEFAULT_MODE = start  # type: ignore[misc]  # read once, by the line below
        super().__init__(driver, self.settings.line)
        for name, make in places.items():
            self.add_mode(name, make)
        self.root, self.walk, self.torch = root, walk, TorchLoader()
        self._preload = preload
        self.read_the_last(settings_path)
        self.launches = Launches(self)
        self._to_watch = attach
        self._waiting: list[Callable[[], object]] | None = []
        self._running_loop: asyncio.AbstractEventLoop | None = None
        self._to_end = False
        self.drafts: ProfilesScreen | None = None
        """The Profiles screen, once it has been seen."""
        self._typed_at = time.monotonic()
        self._gates = [Gate(), Ascii(wants_ascii(self.settings.ascii, os.environ))]
        self.ansi_theme_light = ON_LIGHT
        for theme in THEMES:
            self.register_theme(theme)
        wanted, known = self.settings.theme, self.available_themes
        self.theme = wanted if wanted in known else DARK.name
        if wanted not in known:
            self.settings.problems.append(f'unknown theme "{clean(wanted, 40)}"{did_you_mean(wanted, sorted(known))}')
        self.animation_level = self.settings.animation  # type: ignore[assignment]  # checked when it was read

    def on_mount(self) -> None:
        """What may wait until the screen is there."""
        self._running_loop = asyncio.get_running_loop()
        if self._to_end:  # a signal came before there was anything to end
            self.call_later(self.leave)
        if self._to_watch:
            self.open_run(self._to_watch)
        self.once_drawn(self._take_keys)
        self.watch_line()
        self.set_timer(IDLE / 2, self.launches.tell_of_left)
        self.tell_of_the_last()
        if self._preload:
            self._idle = self.set_interval(IDLE / 4, self._load_when_idle)

    def once_drawn(self, call: Callable[[], object]) -> None:
        """Call it soon, but after the first picture: what it imports and reads must not delay that.

        Textual's own `call_after_refresh` is no help here: while the app is put together it is after nothing.
        """
        if self._waiting is None:
            self.call_later(call)
        else:
            self._waiting.append(call)

    def post_display_hook(self) -> None:
        """Textual calls it when something has been drawn."""
        waiting, self._waiting = self._waiting, None
        for call in waiting or ():
            self.call_later(call)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line passes before it goes to the terminal."""
        return [*super().get_line_filters(), *(gate for gate in self._gates if gate.enabled)]

    async def on_event(self, event: events.Event) -> None:
        """Note when somebody types; keys that come with an enter in a line wait for what it does."""
        line = None
        if isinstance(event, events.Key):
            self._typed_at = time.monotonic()
            line = self.focused if event.key == "enter" else None
        await super().on_event(event)
        if line is not None and hasattr(line, "settle"):
            await line.settle()

    def open_run(self, run_id: str) -> None:
        """Go to the Train screen, on this run."""
        self.go("train", lambda screen: screen.open_run(run_id))

    def launch(self, resolved: "Resolved", *, parent: str | None = None, source: str = "") -> None:
        """Ask how this profile is to be trained, and train it. `parent`: the run that the profile was taken from."""
        self.launches.begin(resolved, parent or "", source)

    def resume(self, run_id: str) -> None:
        """Ask how this run is to go on, and let it."""
        self.launches.resume(run_id)

    @property
    def has_threaded_run(self) -> bool:
        """Whether a run is trained in this process, and pays for what the screen computes."""
        return self.launches.live is not None

    def watch_busy(self) -> None:
        """The first line says it."""
        from workbench.tui.widgets.frame import TopLine

        for line in self.screen_stack[0].query(TopLine):
            line.refresh()

    def on_launches_told(self, message: Launches.Told) -> None:
        """News of an order."""
        self.launches.hear(message.news)

    def show_runs(self, query: str) -> None:
        """Go to the Runs screen with this filter."""
        self.go("runs", lambda screen: screen.see(replace(screen.view, filter=query, by=())))

    def new_profile(self, network: str) -> None:
        """Ask what a new profile for a network begins from, and open its form."""
        from workbench.tui.new_profile import beginnings
        from workbench.tui.screens.runs_dialogs import Choose

        begins = beginnings(network)

        def chosen(extends: str | None) -> None:
            if extends is not None:
                settings = next(begin.settings for begin in begins if begin.extends == extends)
                self.go("profiles", lambda screen: screen.new(extends, settings))

        self.push_screen(Choose(f"A new profile for {network}", [(b.extends, b.text) for b in begins]), chosen)

    def edit_profile(self, path: Path) -> None:
        """Go to the Profiles screen, to the form of a file."""
        self.go("profiles", lambda screen: screen.open(path))

    def fork_into_form(self, run_id: str) -> None:
        """Go to the Profiles screen, to the form of a new profile with the settings of a run."""
        self.go("profiles", lambda screen: screen.fork(run_id))

    def compare(self, run_ids: Sequence[str]) -> None:
        """Go to the Compare screen, with two to eight runs; the first is the baseline."""
        self.go("compare", lambda screen: screen.open_runs(run_ids))

    def go(self, mode: str, then: Callable[[Any], object] | None = None) -> None:
        """To another screen; `then` is called with it when it is there."""
        self.call_later(self._go, mode, then)

    def act_models(self) -> None:
        """Screen 1."""
        self.go("models")

    def act_profiles(self) -> None:
        """Screen 2."""
        self.go("profiles")

    def act_train(self) -> None:
        """Screen 3."""
        self.go("train")

    def act_runs(self) -> None:
        """Screen 4."""
        self.go("runs")

    def act_compare(self) -> None:
        """Screen 5."""
        self.go("compare")

    def act_help(self) -> None:
        """The keys of the screen, and those that hold everywhere."""
        from workbench.tui.help import HelpScreen
        from workbench.tui.widgets.frame import actions_at

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(actions_at(self.screen.focused or self.screen), self.settings.keys))

    def act_palette(self) -> None:
        """Every action by name."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(id="--command-palette"))

    def act_quit(self) -> None:
        """Out of a dialog, or out of the program."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.act_leave()

    def act_queue(self) -> None:
        """What waits."""
        self.launches.show_queue()

    def act_leave(self) -> None:
        """End; what would be lost is asked about first: a draft, a note, a run that is trained in this program."""
        dialog = self.screen
        if isinstance(dialog, ModalScreen):
            if hasattr(dialog, "leave"):
                dialog.leave()
            else:
                dialog.dismiss(None)
                self.call_later(self.act_leave)
        elif self.drafts is not None and self.drafts.unsaved:
            self.go("profiles", lambda screen: screen.form.leave(self._leave_runs))
        else:
            self._leave_runs()

    def _leave_runs(self) -> None:
        if self.launches.training:
            self.launches.ask_before_leaving()
        else:
            self.leave()

    def end_soon(self) -> None:
        """End without a question: for a handler of signals, which may run between any two steps of Python."""
        self._to_end = True
        if self._running_loop is not None:
            with suppress(RuntimeError):  # it has ended already, and the process sees to what is left
                self._running_loop.call_soon_threadsafe(self.leave_unasked)

    def _handle_exception(self, error: Exception) -> None:
        """Textual mounts no widget any more when the end has come, and tells the screen that was being put together all
        the same that it is mounted: what that misses by then is no failure."""
        if not (self._exit and isinstance(error, NoMatches)):
            super()._handle_exception(error)

    def act_interrupt(self) -> None:
        """Ctrl-C ends nothing by accident."""
        self.notify("q quits", markup=False, timeout=2)

    def act_dark(self) -> None:
        """Light on dark."""
        self._take_theme("dark")

    def act_light(self) -> None:
        """Dark on light."""
        self._take_theme("light")

    def act_clear(self) -> None:
        """Okabe and Ito's colours."""
        self._take_theme("clear")

    async def _go(self, mode: str, then: Callable[[Any], object] | None) -> None:
        await self.switch_mode(mode)
        if then is not None:
            then(self.screen_stack[0])

    def _models(self) -> Screen[Any]:
        from workbench.tui.screens.models import ModelsScreen
        from workbench.tui.widgets.frame import classes_for

        screen = ModelsScreen(self.root, self.torch, self.walk)
        # Before there is anything in it: a class that comes with the first layout has every widget styled once more.
        screen.set_classes(classes_for(self.size, self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS))
        return screen

    def _profiles(self) -> Screen[Any]:
        from workbench.tui.screens.profiles import ProfilesScreen

        self.drafts = ProfilesScreen(self.root, self.torch)
        return self.drafts

    def _train(self) -> Screen[Any]:
        from workbench.tui.screens.train import TrainScreen

        return TrainScreen(self.root, self.settings.hz)

    def _runs(self) -> Screen[Any]:
        from workbench.tui.screens.runs import RunsScreen

        return RunsScreen()

    def _compare(self) -> Screen[Any]:
        from workbench.tui.screens.compare import CompareScreen

        return CompareScreen(self.root, self.settings.hz)

    def keep_setting(self, key: str, value: str) -> None:
        """For now and for the next time."""
        setattr(self.settings, key, value)
        if self._settings_path:
            remember(self._settings_path, key, value)

    def _take_theme(self, name: str) -> None:
        self.theme = name
        self.keep_setting("theme", name)

    def _take_keys(self) -> None:
        """The person's own keys, as far as they can be, and a line for each thing in the settings that is wrong."""
        if self.settings.keys:
            from workbench.tui.keys import all_actions
            from workbench.tui.own_keys import checked

            self.settings.keys, problems = checked(self.settings.keys, all_actions())
            self.settings.problems += problems
            self.set_keymap(self.settings.keys)
        for problem in self.settings.problems:
            self.notify(problem, severity="warning", markup=False)

    def _load_when_idle(self) -> None:
        if time.monotonic() - self._typed_at >= IDLE:
            self._idle.stop()
            self.torch.start()
