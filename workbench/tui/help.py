"""Help, the command palette and docs/keys.md: all made from the tables of actions."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Provider
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from workbench.tui.actions import Action, sign
from workbench.tui.widgets.line import Line

if TYPE_CHECKING:
    from workbench.tui.app import Workbench

EVERYWHERE = "Everywhere"


class HelpScreen(ModalScreen[None]):
    """Every key that works here, filtered as one types."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll { width: 76; max-width: 100%; height: 80%; border: round $primary; padding: 0 1; }
    HelpScreen Input { dock: top; height: 1; margin-bottom: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "dismiss", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
    ]

    def __init__(self, actions: Sequence[Action], own_keys: dict[str, str]) -> None:
        """`own_keys`: action id -> keys of the person's settings."""
        super().__init__()
        self.actions = actions
        self.own_keys = own_keys

    def compose(self) -> ComposeResult:
        """A line to type in, and the table."""
        with VerticalScroll(can_focus=False) as pane:
            pane.border_title = "keys"
            pane.border_subtitle = "type to filter, esc closes"
            yield Line(placeholder="filter", select_on_focus=False, compact=True)
            yield Static(self._table(""))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what fits."""
        self.query_one(Static).update(self._table(event.value))

    def action_scroll(self, lines: int) -> None:
        """Up and down, while the focus stays in the line."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _table(self, words: str) -> Table | Text:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style="bold")
        grid.add_column()
        heading = None
        for action in fitting(self.actions, words):
            if (action.where or EVERYWHERE) != heading:
                heading = action.where or EVERYWHERE
                grid.add_row(Text(heading, style="underline"), Text(""))
            grid.add_row(Text(keys_text(action, self.own_keys) or ":"), Text(action.text))
        return grid if grid.row_count else Text("no key does that")


def fitting(actions: Iterable[Action], words: str) -> list[Action]:
    """The actions whose id, label or text has every word."""
    wanted = words.lower().split()
    return [
        action
        for action in actions
        if all(word in f"{action.id} {action.label} {action.text}".lower() for word in wanted)
    ]


def keys_text(action: Action, own_keys: dict[str, str] | None = None) -> str:
    """All keys of an action, as people write them."""
    own = (own_keys or {}).get(action.id)
    return " ".join(sign(key.strip()) for key in (own.split(",") if own else action.keys))


class ActionCommands(Provider):
    """The palette: everything that can be done here, also what has no key."""

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """Before anything is typed."""
        for action, title, run in self._here():
            yield DiscoveryHit(title, run, text=title, help=action.text)

    async def search(self, query: str) -> AsyncIterator[Hit]:
        """What fits the letters."""
        matcher = self.matcher(query)
        for action, title, run in self._here():
            score = matcher.match(f"{title} {action.text}")
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, text=title, help=action.text)

    def _here(self) -> Iterator[tuple[Action, str, Callable[[], Any]]]:
        """Each action with its title, which has the keys that hold, and what does it."""
        own_keys = cast("Workbench", self.app).settings.keys
        node = self.focused or self.screen
        for owner in node.ancestors_with_self:
            for action in getattr(owner, "ACTIONS", ()):
                if owner.check_action("do", (action.id,)):
                    yield action, _title(action, own_keys), partial(self.app.run_action, f"do('{action.id}')", owner)


def _title(action: Action, own_keys: dict[str, str]) -> str:
    keys = keys_text(action, own_keys)
    return f"{action.where or 'app'}: {action.label}" + (f"  ({keys})" if keys else "")


def keys_page(actions: Iterable[Action]) -> str:
    """docs/keys.md: a table for each screen."""
    tables: dict[str, list[Action]] = {}
    for action in actions:
        tables.setdefault(action.where or EVERYWHERE, []).append(action)
    lines = [
        "# Keys",
        "",
        "Lower case looks, upper case acts on a run. `?` shows the keys of the moment, `:` finds every action by name.",
        "Settings are in `settings.toml` in the configuration folder (Linux: `~/.config/cnn-workbench`), all optional:",
        "",
        '    theme = "dark"        # dark, light, clear (for every kind of colour vision), or a theme of Textual',
        '    animation = "none"    # none, basic, full',
        "    hz = 2                # how often a second a live run is drawn anew, 0.2 to 10",
        '    ascii = "auto"        # true: signs, frames and charts of ASCII alone; false: never',
        '    line = "auto"         # the line to the terminal: auto, slow, fast',
        '    launch = "thread"     # or "detached": how a run is started unless one says otherwise',
        '    markers = "braille"   # what curves are drawn with: braille, block, ascii',
        '    screen = "models"     # where the last session ended; kept by the program',
        "",
        "    [keys]                # own keys, by the id of an action; several are separated by commas",
        '    "models.sort" = "o"',
        "",
        "This page is made by `python -m workbench.tui.keys`.",
    ]
    for heading, members in tables.items():
        lines += ["", f"## {heading}", "", "| key | does | id |", "| --- | --- | --- |"]
        lines += [f"| {_code(action)} | {action.text} | `{action.id}` |" for action in members]
    return "\n".join(lines) + "\n"


def _code(action: Action) -> str:
    return " ".join(f"`{sign(key)}`".replace("|", "\\|") for key in action.keys) or "palette"
