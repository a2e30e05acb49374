"""What can be done, declared once: keys, footer, help, command palette and docs/keys.md are made from these tables.

    class RunsScreen(WithActions, Screen[None]):
        ACTIONS = (Action("runs.sort", ("s",), "sort", "Sort the list by another column.", "Runs"), ...)

        def act_sort(self) -> None: ...

Lower case looks, upper case acts on a run. A person's own keys come from the settings, by the action's id.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

SIGN_OF = {
    "slash": "/", "question_mark": "?", "colon": ":", "plus": "+", "minus": "-", "full_stop": ".", "comma": ",",
    "equals_sign": "=", "left_square_bracket": "[", "right_square_bracket": "]", "less_than_sign": "<",
    "greater_than_sign": ">", "up": "↑", "down": "↓", "left": "←", "right": "→", "escape": "esc",
    "exclamation_mark": "!", "asterisk": "*", "number_sign": "#", "tilde": "~",
}  # fmt: skip
"""How keys that Textual calls by a word are written."""


@dataclass(frozen=True)
class Action:
    """One thing that a person can do."""

    id: str
    """`runs.sort`: the screen and a word; a person's own keys are given by it."""
    keys: tuple[str, ...]
    """As Textual names them; the first is shown. Empty for what only the command palette offers."""
    label: str
    """One or two words for the footer."""
    text: str
    """One sentence for the help, the palette and docs/keys.md."""
    where: str = ""
    """The screen's name; empty where it holds everywhere."""
    shown: bool = True
    """Whether the footer has it."""
    typed: bool = False
    """Whether it opens a line to type in: it is then done before the next key is looked at, since over a slow line
    several keys arrive at once, and the rest of them is meant for the line."""
    always: bool = False
    """Whether its keys work in dialogs and while one types, too."""


def action_of(
    screen: str, where: str, name: str, keys: str, label: str, text: str, *, shown: bool = True, typed: bool = False
) -> Action:
    """A row of a screen's table, which begins with `_action = partial(action_of, "runs", "Runs")`; `keys`: `up k`."""
    return Action(f"{screen}.{name}", tuple(keys.split()), label, text, where, shown, typed)


def bindings(actions: Sequence[Action]) -> list[BindingType]:
    """Textual's bindings of those that have keys."""
    return [
        Binding(
            ",".join(action.keys), f"do('{action.id}')", action.label,
            show=action.shown, key_display=sign(action.keys[0]), id=action.id, tooltip=action.text,
            priority=action.typed or action.always,
        )
        for action in actions
        if action.keys
    ]  # fmt: skip


def sign(key: str) -> str:
    """A key as people write it: `/` for `slash`, `^s` for `ctrl+s`."""
    *held, last = key.split("+")
    return "".join("^" if name == "ctrl" else f"{name}+" for name in held) + SIGN_OF.get(last, last)


def prints(key: str) -> bool:
    """Whether a key puts a character where one types."""
    return len(key) == 1 or key == "space" or (key in SIGN_OF and len(SIGN_OF[key]) == 1 and SIGN_OF[key] not in "↑↓←→")


class WithActions:
    """Mixin, named before Screen, App or Widget: the keys of `ACTIONS` call the methods of the same names.

    `runs.sort` calls `act_sort`, a coroutine or not; `-` in an id is `_` in the method.
    """

    ACTIONS: ClassVar[tuple[Action, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        own = cls.__dict__.get("ACTIONS")
        if own:  # before Textual merges the bindings of all base classes
            cls.BINDINGS = [*cls.__dict__.get("BINDINGS", []), *bindings(own)]  # type: ignore[attr-defined]
        super().__init_subclass__(**kwargs)

    def _compositor_refresh(self) -> None:
        """Textual draws a screen while it is still put together, and throws that picture away: a tenth of the start."""
        if not self.app._batch_count:  # type: ignore[attr-defined]
            super()._compositor_refresh()  # type: ignore[misc]

    def may(self, action_id: str) -> bool | None:
        """Whether it can be done now; None shows it greyed out in the footer."""
        return True

    def hinted(self, action_id: str) -> bool:
        """Whether the footer has it now, of those that are `shown`."""
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual asks before it runs or shows a binding."""
        if action == "do" and parameters:
            if any(known.typed and known.id == parameters[0] for known in self.ACTIONS) and is_typing(self):
                return False
            return self.may(str(parameters[0]))
        checked: bool | None = super().check_action(action, parameters)  # type: ignore[misc]
        return checked

    async def action_do(self, action_id: str) -> None:
        """Run the method of an action."""
        result = getattr(self, method_name(action_id))()
        if inspect.isawaitable(result):
            await result


def is_typing(node: Any) -> bool:
    """Whether letters go into a line or a text of the screen that this is on."""
    focused = node.screen.focused
    return focused is not None and focused.check_consume_key("a", "a")


def method_name(action_id: str) -> str:
    """`act_sort` for `runs.sort`."""
    return "act_" + action_id.rpartition(".")[2].replace("-", "_")
