"""The queue: what is trained, what waits, what could not begin; to be put in another order and to be cancelled."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.launch.queue import Entry, run_in
from workbench.tui.screens.runs_dialogs import FRAME, LIST, Ask, Dialog

if TYPE_CHECKING:
    from workbench.tui.launching import Launcher

LOOK_SECONDS = 1.0


class QueueDialog(Dialog[str | None]):
    """Enter on a run that is trained returns its id, so that it can be shown; else None."""

    DEFAULT_CSS = (
        FRAME.format(name="QueueDialog", width="90")
        + LIST.format(name="QueueDialog")
        + """
    QueueDialog OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    """
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,Q", "out", "out", show=False),
        Binding("K,shift+up", "move(-1)", "earlier", show=False),
        Binding("J,shift+down", "move(1)", "later", show=False),
        Binding("j", "go('down')", show=False),
        Binding("k", "go('up')", show=False),
        Binding("D,delete", "cancel", "cancel", show=False),
        Binding("t", "release(False)", "train here", show=False),
        Binding("d", "release(True)", "train detached", show=False),
    ]

    def __init__(self, launcher: "Launcher") -> None:
        super().__init__()
        self._launcher = launcher
        self._entries: list[tuple[str, Entry]] | None = None
        """What is shown: what became of each, and it; None before the first look."""

    def compose(self) -> ComposeResult:
        """The list, and what can be done with it."""
        with Vertical():
            yield Static(Text("The queue", style="bold"))
            yield OptionList(markup=False)
            yield Static(Text("Nothing waits. G on a profile launches a run."), id="queue-empty")
            yield Static(classes="hint", id="queue-keys")

    def on_mount(self) -> None:
        """Look now, and while the dialog is open."""
        self.look()
        self.set_interval(LOOK_SECONDS, self.look)

    def look(self) -> None:
        """Show the queue as it is; the mark stays on the entry it is on."""
        queue = self._launcher.queue
        found = [("trained", entry) for entry in queue.taken()]
        found += [("waits", entry) for entry in queue.waiting()] + [("failed", entry) for entry in queue.failed()]
        before = self._entries
        if before is not None and [_seen(*one) for one in found] == [_seen(*one) for one in before]:
            return
        options = self.query_one(OptionList)
        here = self._here()
        self._entries = found
        options.clear_options()
        options.add_options(Option(_line(kind, entry)) for kind, entry in found)
        names = [entry.name for _, entry in found]
        if found:
            options.highlighted = names.index(here[1].name) if here and here[1].name in names else 0
        self.query_one("#queue-empty").display = not found
        options.display = bool(found)
        keys = "J K later, earlier   D take it out   enter show   esc out" if found else "esc out"
        more = "\nt d train what another screen left: here, detached" if self._launcher.left() else ""
        self.query_one("#queue-keys", Static).update(Text(keys + more))

    def on_option_list_option_selected(self) -> None:
        """Show the run."""
        here = self._here()
        if here is None:
            return
        kind, entry = here
        run = _run_of(entry, self._launcher) if kind == "trained" else ""
        if run:
            self.dismiss(run)
        elif kind == "failed":
            self.notify(clean(entry.why(), 300), severity="error", markup=False)

    def action_move(self, by: int) -> None:
        """Another place in the queue."""
        here = self._here()
        if here and here[0] == "waits":
            self._do(lambda: self._launcher.queue.move(here[1].name, by))

    def action_cancel(self) -> None:
        """Take it out; what is trained already is stopped on its own screen."""
        here = self._here()
        if here is None:
            return
        kind, entry = here
        if kind == "trained":
            self.notify("it is being trained: S or K on its Train screen stops it", markup=False, timeout=4)
        elif kind == "failed":
            self._do(lambda: self._launcher.queue.cancel(entry.name))
        else:

            def answered(yes: bool | None) -> None:
                if yes:
                    self._do(lambda: self._launcher.queue.cancel(entry.name))

            self.app.push_screen(Ask(f"Take {entry.order.label} out of the queue?", []), answered)

    def action_release(self, detached: bool) -> None:
        """What waits for a thread of a screen that is no more is trained after all."""
        self._do(lambda: self._launcher.release(detached=detached))

    def action_out(self) -> None:
        """Back."""
        self.dismiss(None)

    def _do(self, change: Callable[[], object]) -> None:
        try:
            change()
        except UserError as error:
            self.notify(clean(str(error), 300), severity="error", markup=False)
        self.look()

    def _here(self) -> tuple[str, Entry] | None:
        place = self.query_one(OptionList).highlighted
        entries = self._entries or []
        return entries[place] if place is not None and place < len(entries) else None


def _run_of(entry: Entry, launcher: "Launcher") -> str:
    live = launcher.live
    if entry.order.way == "thread":
        return live.run_id if live is not None else ""
    return run_in(entry.output)


def _seen(kind: str, entry: Entry) -> tuple[object, ...]:
    return kind, entry.path, entry.order.way, entry.orphaned


def _line(kind: str, entry: Entry) -> Text:
    sign = {"trained": "●", "waits": "○", "failed": "✗"}[kind]
    way = "in this program" if entry.order.way == "thread" else "detached"
    where = way if entry.here else f"on {clean(entry.host, 30)}"
    text = Text(f"{sign} {kind:<8} {entry.order.label}  ", no_wrap=True, overflow="ellipsis")
    what = "goes on" if entry.order.run else "new"
    why = f"  {entry.why().splitlines()[0]}" if kind == "failed" and entry.why() else ""
    left = "  left by another screen" if kind == "waits" and entry.orphaned else ""
    return text.append(f"{what}, {where}{left}{why}")
