"""Before a run: what will be trained, on what, how it differs from base; how many seeds, and where it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from workbench.launch.orders import Way, read_seeds
from workbench.tui.screens.runs_dialogs import FRAME, Prompt

WAYS: dict[Way, str] = {
    "thread": "in this program: quitting asks what becomes of it",
    "detached": "its own process, which goes on when this program ends",
}
MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Plan:
    """What the dialog is about."""

    title: str
    lines: Sequence[tuple[str, str]]
    """A name and what it is, both clean: `("device", "cpu: 2 cores")`."""
    before: int = 0
    """Runs that are trained or wait already."""
    seed: int | None = None
    """The profile's; None for a run that goes on."""
    epochs: int | None = None
    """Those that a run that goes on was planned for; None for a new run."""
    needs_epochs: bool = False
    """Whether it is finished, so that only more epochs give it something to do."""


@dataclass(frozen=True)
class Choice:
    """What the person wants. `seeds` is empty for the profile's own, `epochs` 0 for those planned."""

    way: Way
    now: bool = False
    seeds: tuple[int, ...] = ()
    epochs: int = 0


class LaunchDialog(ModalScreen[Choice | None]):
    """Enter launches; None where nothing is launched."""

    DEFAULT_CSS = (
        FRAME.format(name="LaunchDialog", width="90")
        + "LaunchDialog VerticalScroll { height: auto; max-height: 60vh; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,G", "launch", "launch", show=False),
        Binding("d", "way", "way", show=False),
        Binding("n", "now", "now", show=False),
        Binding("s", "seeds", "seeds", show=False),
        Binding("e", "epochs", "epochs", show=False),
        Binding("escape", "out", "out", show=False),
        Binding("q", "out", "out", show=False),
    ]
    AUTO_FOCUS = ""

    def __init__(self, plan: Plan, way: Way) -> None:
        super().__init__()
        self.plan = plan
        self.choice = Choice(way, epochs=(plan.epochs or 0) * 2 if plan.needs_epochs else 0)
        self._chosen = Static()
        self._show()

    def compose(self) -> ComposeResult:
        """What will be trained, and below what can be chosen."""
        with Vertical():
            yield Static(Text(self.plan.title, style="bold", no_wrap=True, overflow="ellipsis"))
            with VerticalScroll(can_focus=False):
                yield Static(_table(self.plan.lines))
            yield self._chosen
            yield Prompt()
            yield Static(Text(self._keys()), id="launch-keys", classes="hint")

    @property
    def typing(self) -> bool:
        """Whether the line is open."""
        return bool(self.query_one(Prompt).what)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What there is nothing to choose of is no key; nor is any while one types."""
        if action in ("launch", "way", "now", "seeds", "epochs") and self.typing:
            return False
        if action == "seeds":
            return self.plan.seed is not None
        if action == "epochs":
            return self.plan.epochs is not None
        return super().check_action(action, parameters)

    def action_launch(self) -> None:
        """Yes."""
        self.dismiss(self.choice)

    def action_way(self) -> None:
        """The other way."""
        other: Way = "detached" if self.choice.way == "thread" else "thread"
        self._choose(Choice(other, False, self.choice.seeds, self.choice.epochs))

    def action_now(self) -> None:
        """At once, or when its turn comes."""
        if self.choice.way == "thread":
            self.notify("one run at a time in this program: d makes it a process of its own", markup=False, timeout=4)
        elif self.plan.before:
            self._choose(Choice(self.choice.way, not self.choice.now, self.choice.seeds, self.choice.epochs))

    def action_seeds(self) -> None:
        """Type seeds."""
        text = ",".join(map(str, self.choice.seeds)) or str(self.plan.seed)
        self._ask("seeds", "0..4 or 1,5,7: one run for each", text)

    def action_epochs(self) -> None:
        """Type how many epochs."""
        text = str(self.choice.epochs or self.plan.epochs)
        self._ask("epochs", "how many epochs in all", text)

    def _ask(self, what: str, hint: str, text: str) -> None:
        """Open the line; what is typed takes the place of `text`."""
        prompt = self.query_one(Prompt)
        prompt.ask(what, hint, text)
        prompt.query_one(Input).select_all()
        self.query_one("#launch-keys", Static).update(Text(f"{hint}   enter takes it   esc out"))

    def action_out(self) -> None:
        """One step out: of the line, of the dialog."""
        if self.typing:
            self._close_prompt()
        else:
            self.dismiss(None)

    def on_prompt_given(self, event: Prompt.Given) -> None:
        """Take what was typed, or say what is wrong with it."""
        choice = self.choice
        try:
            if event.what == "seeds":
                choice = Choice(choice.way, choice.now, read_seeds(event.text), choice.epochs)
            else:
                choice = Choice(choice.way, choice.now, choice.seeds, self._read_epochs(event.text))
        except ValueError as error:
            self.query_one(Prompt).wrong(str(error))
            return
        self._close_prompt()
        self._choose(choice)

    def _read_epochs(self, text: str) -> int:
        planned = self.plan.epochs or 0
        least = planned + 1 if self.plan.needs_epochs else 1
        if not text.strip().isdecimal() or not least <= int(text) <= MOST_EPOCHS:
            raise ValueError(f"a whole number, {least} or more")
        return 0 if int(text) == planned else int(text)

    def _close_prompt(self) -> None:
        self.query_one(Prompt).close()
        self.set_focus(None)
        self.query_one("#launch-keys", Static).update(Text(self._keys()))

    def _choose(self, choice: Choice) -> None:
        self.choice = choice
        self._show()

    def _show(self) -> None:
        plan, choice = self.plan, self.choice
        lines = []
        if plan.seed is not None:
            count = len(choice.seeds)
            several = f"   {count} runs, one after the other" if count > 1 else ""
            lines.append(("seed" if count < 2 else "seeds", (_seeds(choice.seeds) or str(plan.seed)) + several))
        if plan.epochs is not None:
            more = f" (planned: {plan.epochs})" if choice.epochs else ""
            lines.append(("epochs", f"{choice.epochs or plan.epochs}{more}"))
        lines.append(("way", f"{choice.way}: {WAYS[choice.way]}"))
        if plan.before:
            runs = f"{plan.before} run{'' if plan.before == 1 else 's'}"
            lines.append(("start", f"at once, beside {runs}" if choice.now else f"when its turn comes, after {runs}"))
        self._chosen.update(_table(lines))

    def _keys(self) -> str:
        plan = self.plan
        keys = ["enter launch", "d thread or detached"]
        keys += ["s seeds"] if plan.seed is not None else []
        keys += ["e epochs"] if plan.epochs is not None else []
        keys += ["n now or in turn"] if plan.before else []
        return "   ".join([*keys, "esc out"])


def _seeds(seeds: Sequence[int]) -> str:
    """`0..4` for a row of them."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}..{seeds[-1]}"
    shown = ", ".join(map(str, seeds[:12]))
    return f"{shown}, and {len(seeds) - 12} more" if len(seeds) > 12 else shown


def _table(lines: Sequence[tuple[str, str]]) -> Text:
    """Names in a column, what they are beside it."""
    text = Text()
    for place, (name, what) in enumerate(lines):
        text.append("\n" * bool(place)).append(f"{name:<9}", "bold").append(what)
    return text
