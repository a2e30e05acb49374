"""Screen 1: the papers. A list to search, and beside it the card, the shape walk or the source of one network."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from workbench.base.text import clean
from workbench.inspect.layer import Layer
from workbench.tui.actions import Action, WithActions
from workbench.tui.last_place import text_of
from workbench.tui.model_rows import Own, filter_of, own_results
from workbench.tui.screens.model_list import ModelList
from workbench.tui.screens.model_pane import ModelPane
from workbench.tui.torch_loader import TorchLoader
from workbench.tui.widgets.frame import Hints, TopLine

if TYPE_CHECKING:
    from workbench.tui.app import Workbench

SIZES = (32, 64, 96, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512)
"""Image sizes that one key steps through; any other can be typed."""
LEAST, MOST = 8, 4096
"""Bounds of an image size, those of data.image_size in a profile."""
SETTLE = 0.15
"""Seconds that the cursor rests on a network before its walk is asked for."""

_WHERE = "Models"
Walk = Callable[[str, int], Layer]


class ModelsScreen(WithActions, Screen[None]):
    """All networks."""

    AUTO_FOCUS = "#rows"
    ACTIONS = (
        Action("models.read", ("right", "l", "enter", "greater_than_sign"), "read",
               "The keys go to the view beside the list: scroll the card or the code, unfold the layers.", _WHERE),
        Action("models.out", ("escape",), "back", "One step out: the size, the view, the filter, the width.", _WHERE),
        Action("models.side", ("tab", "shift+tab"), "other side", "From the list to the view, and back.", _WHERE,
               shown=False),
        Action("models.filter", ("slash",), "filter", "Filter the list as you type; esc clears it.", _WHERE,
               typed=True),
        Action("models.sort", ("s",), "sort", "Sort by year, parameters, MACs or your own best accuracy.", _WHERE),
        Action("models.reverse", ("S",), "reverse", "Turn the order around.", _WHERE, shown=False),
        Action("models.card", ("c",), "card", "The paper: problem, ideas, diagram, recipe, figures.", _WHERE),
        Action("models.layers", ("w",), "layers", "The shape walk: every module as a tree that unfolds.", _WHERE),
        Action("models.source", ("v",), "source", "The code.", _WHERE),
        Action("models.runs", ("r",), "runs", "The runs of this network, on the Runs screen.", _WHERE),
        Action("models.new", ("n",), "new", "Begin a profile for this network, from the paper's recipe or the base.",
               _WHERE),
        Action("models.wide", ("z",), "wide", "Give the view the whole width, or the list its place back.", _WHERE),
        Action("models.size", ("i",), "size", "Type the image size of the shape walk.", _WHERE, typed=True),
        Action("models.larger", ("plus", "equals_sign"), "larger", "The next image size.", _WHERE, shown=False),
        Action("models.smaller", ("minus",), "smaller", "The image size before it.", _WHERE, shown=False),
        Action("models.down", ("j",), "down", "Down.", _WHERE, shown=False),
        Action("models.up", ("k",), "up", "Up.", _WHERE, shown=False),
        Action("models.top", ("g",), "top", "To the top.", _WHERE, shown=False),
        Action("models.bottom", ("G",), "bottom", "To the end.", _WHERE, shown=False),
    )  # fmt: skip

    class Walked(Message):
        """A walk that was asked for is done, or could not be."""

        def __init__(self, network: str, image_size: int, layer: Layer | None, problem: str) -> None:
            super().__init__()
            self.network, self.image_size, self.layer, self.problem = network, image_size, layer, problem

    class OwnRuns(Message):
        """The results of one's own runs, by row."""

        def __init__(self, own: dict[str, tuple[Own, ...]]) -> None:
            super().__init__()
            self.own = own

    def __init__(self, root: Path, torch: TorchLoader, walk: Walk | None = None) -> None:
        """`root`: the folder of the runs. `walk` takes a network and an image size; by default `torch` does it."""
        super().__init__()
        self.root, self.torch = root, torch
        self._walk = walk or torch.walk
        self._walks: dict[tuple[str, int], Layer | str] = {}
        self._walking = False
        self._reading = False
        self._chosen_size: int | None = None

    def compose(self) -> ComposeResult:
        """List at the left, view at the right."""
        yield TopLine(_WHERE, self.workbench.PLACES)
        with Horizontal(id="body"):
            yield ModelList(text_of(self._last, "network"))
            yield ModelPane()
        yield Hints()

    def on_mount(self) -> None:
        """Say how the list is sorted."""
        self._show_sort()

    @property
    def workbench(self) -> "Workbench":
        """The app."""
        return cast("Workbench", self.app)

    @property
    def _last(self) -> dict[str, Any]:
        """Where the last session was, and what the next one is to find."""
        return self.workbench.last.setdefault("models", {})

    @property
    def models(self) -> ModelList:
        """The left side."""
        return self.query_one(ModelList)

    @property
    def pane(self) -> ModelPane:
        """The right side."""
        return self.query_one(ModelPane)

    @property
    def image_size(self) -> int:
        """Of the walk: what was chosen, else 224 or the least that the network takes."""
        row = self.models.row
        return self._chosen_size or max(224, row.entry.card.min_image_size if row else 0)

    def may(self, action_id: str) -> bool | None:
        """Image sizes are for the shape walk; a step to where one is already is none."""
        if not self.is_mounted:
            return True
        if action_id == "models.read":
            return not self._in_view
        if action_id == "models.out":
            return self._in_view or self.models.filtered or not self.models.display
        if action_id in ("models.size", "models.larger", "models.smaller"):
            return self.pane.view == "layers"
        return True

    @property
    def _in_view(self) -> bool:
        """Whether the keys go to the right side."""
        return self.focused is not None and self.pane in self.focused.ancestors_with_self

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """Runs may have been made meanwhile."""
        self.workbench.once_drawn(self._read_runs)

    def on_model_list_chosen(self, event: ModelList.Chosen) -> None:
        """Another network."""
        if row := self.models.row:
            self._last["network"] = row.name
        self._show_row()
        if self.pane.view == "layers":
            self.set_timer(SETTLE, self._show_walk)

    def on_model_list_opened(self, _: ModelList.Opened) -> None:
        """Enter: the keys go to the view."""
        self.pane.enter()

    def act_read(self) -> None:
        """To the view."""
        self.pane.enter()

    def act_side(self) -> None:
        """To the other side, if there are two."""
        if not self._in_view:
            self.pane.enter()
        elif self.models.display:
            self.pane.close_size()
            self.set_focus(self.models.listed)

    def act_filter(self) -> None:
        """Open the line."""
        self.models.display = True
        self.models.ask()

    def act_sort(self) -> None:
        """The next column."""
        self.models.next_sort()
        self._show_sort()

    def act_reverse(self) -> None:
        """The other way around."""
        self.models.reverse()
        self._show_sort()

    def act_card(self) -> None:
        """The card."""
        self._look("card")

    def act_layers(self) -> None:
        """The shape walk."""
        self._look("layers")
        self._show_walk()

    def act_source(self) -> None:
        """The code."""
        self._look("source")

    def act_runs(self) -> None:
        """The runs of this row."""
        if row := self.models.row:
            self.workbench.show_runs(filter_of(row))

    def act_new(self) -> None:
        """A profile for this row."""
        if row := self.models.row:
            self.workbench.new_profile(row.name)

    def act_wide(self) -> None:
        """The list away, or back."""
        self.models.display = not self.models.display
        if self.models.display:
            self.set_focus(self.models.listed)
        else:
            self.pane.enter()

    def act_size(self) -> None:
        """Open the line for the image size."""
        self.pane.ask_size(self.image_size)

    def act_larger(self) -> None:
        """The next size up."""
        self._take_size(next((size for size in SIZES if size > self.image_size), self.image_size))

    def act_smaller(self) -> None:
        """The next size down."""
        self._take_size(next((size for size in reversed(SIZES) if size < self.image_size), self.image_size))

    def act_down(self) -> None:
        """As the arrow does where the keys go."""
        self._move("down")

    def act_up(self) -> None:
        """As the arrow does where the keys go."""
        self._move("up")

    def act_top(self) -> None:
        """As the home key does where the keys go."""
        self._move("home")

    def act_bottom(self) -> None:
        """As the end key does where the keys go."""
        self._move("end")

    def act_out(self) -> None:
        """One step."""
        if self.pane.close_size():
            self.pane.enter()
        elif not self.models.display:
            self.act_wide()
        elif self._in_view:
            self.set_focus(self.models.listed)
        else:
            self.models.clear()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """An image size was typed: taken, or left in the line with the reason below."""
        text = event.value.strip()
        if not text.isdecimal() or not LEAST <= int(text) <= MOST:
            self.pane.refuse_size(f"a whole number from {LEAST} to {MOST}")
            return
        self.pane.close_size()
        self.pane.enter()
        self._take_size(int(text))

    def on_models_screen_walked(self, event: Walked) -> None:
        """Keep it, show it if it is still wanted, and go on with what has been asked for meanwhile."""
        self._walking = False
        self._walks[event.network, event.image_size] = event.layer or event.problem
        self._show_walk()

    def on_models_screen_own_runs(self, event: OwnRuns) -> None:
        """Show them in the list and on the card."""
        self._reading = False
        if event.own != self.models.own:
            self.models.take_own(event.own)
            self._show_row()

    def _look(self, view: str) -> None:
        inside = self._in_view
        self.pane.look(view)
        if inside or not self.models.display:
            self.pane.enter()
        self.refresh_bindings()

    def _show_row(self) -> None:
        row = self.models.row
        self.pane.take(row, self.models.own.get(row.name, ()) if row else ())

    def _show_sort(self) -> None:
        order = " backwards" if self.models.backwards else ""
        self.query_one(TopLine).status = f"sort: {self.models.sort}{order}"

    def _take_size(self, size: int) -> None:
        self._chosen_size = size
        self._show_walk()

    def _show_walk(self) -> None:
        """The walk of the row below the cursor: at once if it is known, else when a thread has it."""
        row = self.models.row
        if row is None or self.pane.view != "layers":
            return
        wanted = row.entry.architecture, self.image_size
        found = self._walks.get(wanted)
        if isinstance(found, Layer):
            self.pane.show_walk(found, self.image_size)
        elif found is not None:
            self.pane.show_note(f"{found}\n\n+ - i: another image size")
        else:
            self.pane.show_note("walking" if self.torch.ready.is_set() else "loading torch")
            if not self._walking:  # one at a time; the newest wish is looked up when this one is done
                self._walking = True
                threading.Thread(target=self._do_walk, args=wanted, name="shape walk", daemon=True).start()

    def _do_walk(self, network: str, image_size: int) -> None:
        """In a thread of its own."""
        try:
            layer, problem = self._walk(network, image_size), ""
        except Exception as error:  # noqa: BLE001  # a network that cannot be walked must not end the program
            layer, problem = None, clean(str(error), 400) or type(error).__name__
        self.post_message(self.Walked(network, image_size, layer, problem))

    def _read_runs(self) -> None:
        if not self._reading:
            self._reading = True
            threading.Thread(target=self._do_read, name="own results", daemon=True).start()

    def _do_read(self) -> None:
        """In a thread of its own, with a store of its own: ten thousand runs take a moment."""
        from workbench.runs.store import RunStore  # the first look at the screen need not wait for it

        self.post_message(self.OwnRuns(own_results(RunStore(self.root).runs())))

    def _move(self, key: str) -> None:
        if isinstance(self.focused, Widget):
            self.app.simulate_key(key)
