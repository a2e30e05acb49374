"""The app: its screens by digit, themes, help and palette, and what screens ask of it."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.command import CommandPalette
from textual.screen import Screen

from workbench.base.errors import did_you_mean
from workbench.base.text import clean
from workbench.tui.actions import Action, WithActions
from workbench.tui.settings import Settings, remember
from workbench.tui.themes import DARK, THEMES
from workbench.tui.torch_loader import TorchLoader

if TYPE_CHECKING:
    from textual.command import Provider

    from workbench.inspect.layer import Layer
    from workbench.tui.screens.profiles import ProfilesScreen

IDLE = 2.0
"""Seconds without a key after which torch is loaded, so that a shape walk need not wait for it."""


def _commands() -> "type[Provider]":
    from workbench.tui.help import ActionCommands

    return ActionCommands


class Workbench(WithActions, App[None], inherit_bindings=False):
    """`root` holds the runs; `walk` stands in for the shape walk in tests."""

    TITLE = "cnn-workbench"
    CSS_PATH = Path(__file__).with_name("workbench.tcss")
    COMMANDS: ClassVar[set["type[Provider] | Callable[[], type[Provider]]"]] = {_commands}
    PLACES: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1", "Models"), ("2", "Profiles"), ("3", "Train"), ("4", "Runs"),
    )  # fmt: skip
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-normal"), (140, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (30, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False  # Textual's own key for it; ours is in the table
    ACTIONS = (
        Action("app.models", ("1",), "Models", "The networks: card, shape walk, source.", shown=False),
        Action("app.profiles", ("2",), "Profiles", "The profiles, and the form of one.", shown=False),
        Action("app.train", ("3",), "Train", "A run as it is trained: curves, figures, events.", shown=False),
        Action("app.runs", ("4",), "Runs", "All runs as a table.", shown=False),
        Action("app.help", ("question_mark", "f1"), "help", "The keys that work here."),
        Action("app.palette", ("colon", "ctrl+p"), "palette", "Find an action by its name.", shown=False),
        Action("app.quit", ("q",), "quit", "Back; from a screen, quit.", shown=False),
        Action("app.leave", ("ctrl+q",), "quit now", "Quit from wherever one is.", shown=False),
        Action("app.interrupt", ("ctrl+c",), "interrupt", "Says how to quit.", shown=False),
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
    ) -> None:
        """`settings_path`: where theme and last screen are kept. `preload`: load torch when nobody types."""
        self.settings = settings or Settings()
        places = {
            "models": self._models, "profiles": self._profiles, "train": self._train, "runs": self._runs,
        }  # fmt: skip
        start = self.settings.screen if self.settings.screen in places else "models"
        self.DEFAULT_MODE = start  # type: ignore[misc]  # read once, by the line below
        super().__init__()
        for name, make in places.items():
            self.add_mode(name, make)
        self.root, self.walk, self.torch = root, walk, TorchLoader()
        self.settings_path, self._preload = settings_path, preload
        self.drafts: ProfilesScreen | None = None
        """The Profiles screen, once it has been seen."""
        self._typed_at = time.monotonic()
        for theme in THEMES:
            self.register_theme(theme)
        known = self.settings.theme in self.available_themes
        self.theme = self.settings.theme if known else DARK.name
        if not known:
            self.settings.problems.append(f'unknown theme "{clean(self.settings.theme, 40)}"')
        self.animation_level = self.settings.animation  # type: ignore[assignment]  # checked when it was read
        self.set_keymap(self.settings.keys)

    def on_mount(self) -> None:
        """What may wait until the screen is there."""
        self.call_after_refresh(self._tell_problems)
        if self._preload:
            self._idle = self.set_interval(IDLE / 4, self._load_when_idle)

    async def on_event(self, event: events.Event) -> None:
        """Note when somebody types."""
        if isinstance(event, events.Key):
            self._typed_at = time.monotonic()
        await super().on_event(event)

    def open_run(self, run_id: str) -> None:
        """Go to the Train screen, on this run."""
        self.go("train", lambda screen: screen.open_run(run_id))

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

    def act_leave(self) -> None:
        """End; a draft that is not saved is asked about first."""
        if self.drafts is not None and self.drafts.unsaved:
            self.go("profiles", lambda screen: screen.form.leave(self._end))
        else:
            self._end()

    def _end(self) -> None:
        """Remember where, and go."""
        if self.settings_path and self.current_mode != self.settings.screen:
            remember(self.settings_path, "screen", self.current_mode)
        self.exit()

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

        return ModelsScreen(self.root, self.torch, self.walk)

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

    def _take_theme(self, name: str) -> None:
        self.theme = name
        if self.settings_path:
            remember(self.settings_path, "theme", name)

    def _tell_problems(self) -> None:
        """One line each; a misspelt setting is not worth more than that."""
        if self.settings.keys:
            from workbench.tui.keys import all_actions

            known = [action.id for action in all_actions()]
            for name in self.settings.keys:
                if name not in known:
                    self.settings.problems.append(clean(f'unknown action "{name}"{did_you_mean(name, known)}', 200))
        for problem in self.settings.problems:
            self.notify(problem, severity="warning", markup=False)

    def _load_when_idle(self) -> None:
        if time.monotonic() - self._typed_at >= IDLE:
            self._idle.stop()
            self.torch.start()
